package otlp

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	"signalbox/internal/fault"
)

// serveGRPC serves the door on a port of its own until the test ends.
func serveGRPC(t *testing.T, h *Handler) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	h.RegisterGRPC(srv)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(lis) }()
	t.Cleanup(func() {
		srv.Stop()
		require.NoError(t, <-done)
	})
	return lis.Addr().String()
}

func serveHTTP(t *testing.T, h *Handler) string {
	t.Helper()
	mux := http.NewServeMux()
	h.Register(mux)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// record uses each kind of instrument of the real SDK, within a sampled span.
func record(t *testing.T, exp sdk.Exporter) {
	t.Helper()
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0xab}, SpanID: trace.SpanID{0xcd}, TraceFlags: trace.FlagsSampled,
	}))
	reader := sdk.NewManualReader(
		sdk.WithTemporalitySelector(exp.Temporality),
		sdk.WithAggregationSelector(exp.Aggregation),
	)
	provider := sdk.NewMeterProvider(
		sdk.WithReader(reader),
		sdk.WithExemplarFilter(exemplar.TraceBasedFilter),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "shop"), attribute.String("host.name", "h1"))),
		sdk.WithView(sdk.NewView(sdk.Instrument{Name: "size"}, sdk.Stream{
			Aggregation: sdk.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20},
		})),
	)
	meter := provider.Meter("test")
	counter, err := meter.Int64Counter("requests", metric.WithUnit("1"))
	require.NoError(t, err)
	queue, err := meter.Int64UpDownCounter("queue")
	require.NoError(t, err)
	temp, err := meter.Float64Gauge("temp", metric.WithUnit("Cel"))
	require.NoError(t, err)
	latency, err := meter.Float64Histogram("latency", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(0.1, 1))
	require.NoError(t, err)
	size, err := meter.Float64Histogram("size", metric.WithUnit("By"))
	require.NoError(t, err)

	collect := func() {
		var rm metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(ctx, &rm))
		require.NoError(t, exp.Export(ctx, &rm))
	}
	for range 2 {
		counter.Add(ctx, 3, metric.WithAttributes(attribute.Int("code", 200)))
		queue.Add(ctx, 2)
		temp.Record(ctx, 21.5)
		for _, v := range []float64{0.05, 0.5, 5} {
			latency.Record(ctx, v)
			size.Record(ctx, v*1000)
		}
		collect()
	}
	require.NoError(t, exp.Shutdown(ctx))
	require.NoError(t, provider.Shutdown(ctx))
}

// checkRecorded checks what record has sent.
func checkRecorded(t *testing.T, r *rig, exemplars bool) {
	t.Helper()
	got := r.series(t)
	last := func(name string) sample {
		list := got[name]
		require.NotEmpty(t, list, "%s of %v", name, r.names(t))
		return list[len(list)-1]
	}
	const who = `job="shop"`
	require.Equal(t, 6.0, last(`{__name__="requests_total", code="200", `+who+`, service_name="shop"}`).V)
	require.Equal(t, 4.0, last(`{__name__="queue", `+who+`, service_name="shop"}`).V)
	require.Equal(t, 21.5, last(`{__name__="temp_celsius", `+who+`, service_name="shop"}`).V)
	require.Equal(t, 6.0, last(`{__name__="latency_seconds_count", `+who+`, service_name="shop"}`).V)
	require.Equal(t, 2.0, last(`{__name__="latency_seconds_bucket", `+who+`, le="0.1", service_name="shop"}`).V)
	require.Equal(t, 6.0, last(`{__name__="latency_seconds_bucket", `+who+`, le="+Inf", service_name="shop"}`).V)
	require.Equal(t, 1.0, last(`{__name__="target_info", host_name="h1", `+who+`}`).V)
	h := last(`{__name__="size_bytes", ` + who + `, service_name="shop"}`).H
	require.NotNil(t, h)
	require.Equal(t, 6.0, h.Count)
	require.InDelta(t, 11100, h.Sum, 1e-9)
	if exemplars {
		require.NotEmpty(t, r.exemplars(t, "requests_total"))
		found := r.exemplars(t, "latency_seconds_bucket")
		require.NotEmpty(t, found)
		require.Contains(t, found[0].Labels, `trace_id="ab000000000000000000000000000000"`)
		require.NotEmpty(t, r.exemplars(t, "size_bytes"))
	}
	require.Zero(t, r.counter(t, r.m.refused.WithLabelValues("untranslatable")))
}

func TestSDK(t *testing.T) {
	ctx := context.Background()
	deltas := func(sdk.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }
	for name, export := range map[string]func(*testing.T, *rig) sdk.Exporter{
		"gRPC": func(t *testing.T, r *rig) sdk.Exporter {
			exp, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(serveGRPC(t, r.Handler)), otlpmetricgrpc.WithInsecure(),
				otlpmetricgrpc.WithCompressor("gzip"))
			require.NoError(t, err)
			return exp
		},
		"HTTP": func(t *testing.T, r *rig) sdk.Exporter {
			exp, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(serveHTTP(t, r.Handler)), otlpmetrichttp.WithInsecure(),
				otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
			require.NoError(t, err)
			return exp
		},
		"HTTP on Prometheus' path, delta": func(t *testing.T, r *rig) sdk.Exporter {
			exp, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(serveHTTP(t, r.Handler)), otlpmetrichttp.WithInsecure(),
				otlpmetrichttp.WithURLPath("/api/v1/otlp/v1/metrics"), otlpmetrichttp.WithTemporalitySelector(deltas))
			require.NoError(t, err)
			return exp
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			record(t, export(t, r))
			checkRecorded(t, r, true)
		})
	}
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func TestPartialSuccessOverGRPC(t *testing.T) {
	r := newRig(t)
	client := pmetricotlp.NewGRPCClient(dial(t, serveGRPC(t, r.Handler)))
	md := one(gauge("g", 1))
	res, err := client.Export(context.Background(), pmetricotlp.NewExportRequestFromMetrics(md))
	require.NoError(t, err)
	require.Zero(t, res.PartialSuccess().RejectedDataPoints())
	require.Empty(t, res.PartialSuccess().ErrorMessage())

	gauge("", 1, 2, 3)(another(md))
	res, err = client.Export(context.Background(), pmetricotlp.NewExportRequestFromMetrics(md))
	require.NoError(t, err)
	require.Equal(t, int64(3), res.PartialSuccess().RejectedDataPoints())
	require.Contains(t, res.PartialSuccess().ErrorMessage(), "bad_metric_name")
	require.Equal(t, 2.0, testutil.ToFloat64(r.m.requests.WithLabelValues("grpc", "OK")))
}

func TestErrorsOverGRPC(t *testing.T) {
	req := pmetricotlp.NewExportRequestFromMetrics(one(gauge("g", 1)))
	export := func(err error) *status.Status {
		h := New(&failing{err: err, at: 1}, DefaultConfig(), Options{})
		_, got := pmetricotlp.NewGRPCClient(dial(t, serveGRPC(t, h))).Export(context.Background(), req)
		return status.Convert(got)
	}
	s := export(fault.New(fault.Limited, "slow").WithRetryAfter(2 * time.Second))
	require.Equal(t, codes.ResourceExhausted, s.Code())
	require.Len(t, s.Details(), 1)
	require.Equal(t, 2*time.Second, s.Details()[0].(*errdetails.RetryInfo).GetRetryDelay().AsDuration())
	require.Equal(t, codes.Unavailable, export(fault.New(fault.Unavailable, "full")).Code())
	require.Equal(t, codes.Internal, export(fault.New(fault.Internal, "bug")).Code())

	// Damaged and nested bodies, sent as they are.
	r := newRig(t)
	conn := dial(t, serveGRPC(t, r.Handler))
	for name, body := range map[string][]byte{"damaged": []byte("hello"), "nested": nestedProto(10_000, attributePaths["resource"]...)} {
		err := conn.Invoke(context.Background(), grpcMethod, &grpcResponse{body: body}, &grpcResponse{})
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", name, err)
	}
	require.Equal(t, 2.0, testutil.ToFloat64(r.m.requests.WithLabelValues("grpc", "InvalidArgument")))

	// Other signals are not there.
	err := conn.Invoke(context.Background(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export", &grpcResponse{}, &grpcResponse{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
}
