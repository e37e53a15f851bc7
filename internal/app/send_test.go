package app

import (
	"net/http"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// remoteWrite sends one sample by remote write 1.
func (r *running) remoteWrite(name string, value float64, header ...string) {
	r.t.Helper()
	code, text := r.tryRemoteWrite(name, value, header...)
	require.Equal(r.t, http.StatusNoContent, code, text)
}

func (r *running) tryRemoteWrite(name string, value float64, header ...string) (int, string) {
	r.t.Helper()
	raw, err := (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
		Labels:  []prompb.Label{{Name: "__name__", Value: name}},
		Samples: []prompb.Sample{{Value: value, Timestamp: time.Now().UnixMilli()}},
	}}}).Marshal()
	require.NoError(r.t, err)
	return r.do(http.MethodPost, "/api/v1/write", snappy.Encode(nil, raw),
		append([]string{"Content-Type", "application/x-protobuf", "Content-Encoding", "snappy"}, header...)...)
}

// export sends metrics by OTLP over gRPC.
func (r *running) export(target string, md pmetric.Metrics) {
	r.t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(r.t, err)
	defer conn.Close()
	resp, err := pmetricotlp.NewGRPCClient(conn).Export(r.t.Context(), pmetricotlp.NewExportRequestFromMetrics(md))
	require.NoError(r.t, err)
	require.Zero(r.t, resp.PartialSuccess().RejectedDataPoints(), resp.PartialSuccess().ErrorMessage())
}

func gauge(name string, value float64) pmetric.Metrics {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(name)
	p := m.SetEmptyGauge().DataPoints().AppendEmpty()
	p.SetDoubleValue(value)
	p.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	return md
}
