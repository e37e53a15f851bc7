package e2e

import (
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"
)

// series is one series of a remote-write request, one sample each.
func series(name string, value float64, ms int64, labels ...string) prompb.TimeSeries {
	ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: name}}, Samples: []prompb.Sample{{Value: value, Timestamp: ms}}}
	for i := 0; i+1 < len(labels); i += 2 {
		ts.Labels = append(ts.Labels, prompb.Label{Name: labels[i], Value: labels[i+1]})
	}
	return ts
}

func encode(t testing.TB, ts ...prompb.TimeSeries) []byte {
	t.Helper()
	raw, err := (&prompb.WriteRequest{Timeseries: ts}).Marshal()
	require.NoError(t, err)
	return snappy.Encode(nil, raw)
}

const protobuf = "application/x-protobuf"

// write sends series by remote write 1 and returns status and body.
func (s *server) write(ts ...prompb.TimeSeries) (int, string) {
	s.t.Helper()
	code, body, _ := s.do("POST", "/api/v1/write", protobuf, encode(s.t, ts...), "Content-Encoding", "snappy")
	return code, body
}
