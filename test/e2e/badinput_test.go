package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"
)

// Each kind of bad input: what is answered, what is counted, and that the good
// data beside it and after it are stored.
func TestBadInput(t *testing.T) {
	s := start(t, t.TempDir(), "limits: {max_label_value_bytes: 100}")
	now := time.Now().UnixMilli()
	n := 0
	goodGoesOn := func(name string) {
		t.Helper()
		n++
		code, body := s.write(series("good", float64(n), now+int64(n)))
		require.Equal(t, 204, code, "%s: after it, good data are taken: %s", name, body)
		require.Equal(t, fmt.Sprint(n), s.await(fmt.Sprintf("good == %d", n), 1).Data.Result[0].Value[1])
	}

	zeros := make([]byte, 200<<20)
	var bomb bytes.Buffer
	gz := gzip.NewWriter(&bomb)
	_, err := gz.Write(zeros)
	require.NoError(t, err)
	require.NoError(t, gz.Close())
	enc, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	zbomb := enc.EncodeAll(zeros, nil)
	valid := encode(t, series("whole", 1, now))
	raw, err := snappy.Decode(nil, valid)
	require.NoError(t, err)

	for _, c := range []struct {
		name, path, contentType, encoding string
		body                              []byte
		code                              int
		says                              string
	}{
		{"broken snappy", "/api/v1/write", protobuf, "snappy", []byte("\xff\xff\xff\xff\xff nonsense"), 400, "snappy"},
		{"truncated protobuf", "/api/v1/write", protobuf, "snappy", snappy.Encode(nil, raw[:len(raw)-3]), 400, ""},
		{"unknown encoding", "/api/v1/write", protobuf, "brotli", valid, 415, "brotli"},
		{"unknown proto", "/api/v1/write", protobuf + ";proto=io.example.Foo", "snappy", valid, 415, "io.example.Foo"},
		{"wrong content type", "/api/v1/write", "text/html", "snappy", valid, 415, "text/html"},
		{"100 MB body", "/api/v1/write", protobuf, "snappy", zeros[:100<<20], 413, ""},
		{"snappy bomb", "/api/v1/write", protobuf, "snappy", snappy.Encode(nil, zeros), 400, ""},
		{"OTLP: broken gzip", "/v1/metrics", protobuf, "gzip", []byte("not gzip"), 400, "gzip"},
		{"OTLP: gzip bomb", "/v1/metrics", protobuf, "gzip", bomb.Bytes(), 413, ""},
		{"OTLP: zstd bomb", "/v1/metrics", protobuf, "zstd", zbomb, 413, ""},
		{"OTLP: truncated protobuf", "/v1/metrics", protobuf, "", []byte{0x0a, 0x50, 1, 2}, 400, ""},
		{"OTLP: broken JSON", "/v1/metrics", "application/json", "", []byte(`{"resourceMetrics": [`), 400, `"code":3`},
		{"OTLP: wrong content type", "/v1/metrics", "text/plain", "", []byte("x"), 415, ""},
		{"query: parse error", "/api/v1/query", "application/x-www-form-urlencoded", "", []byte("query=sum("), 400, `"errorType":"bad_data"`},
		{"no such path", "/api/v1/nonsense", "application/json", "", nil, 404, ""},
	} {
		code, body, h := s.do("POST", c.path, c.contentType, c.body, "Content-Encoding", c.encoding)
		require.Equal(t, c.code, code, "%s: %s", c.name, body)
		require.Contains(t, body, c.says, c.name)
		require.NotContains(t, h.Get("Content-Type"), "text/html", c.name)
		goodGoesOn(c.name)
	}

	// A bad series costs itself; its neighbours in the request are stored.
	beside := 0
	for _, c := range []struct {
		name, reason string
		bad          prompb.TimeSeries
		code         int
	}{
		{"invalid UTF-8", "invalid_utf8", series("m", 1, now, "a", "\xff"), 204},
		{"duplicate labels", "duplicate_label", series("m", 1, now, "a", "1", "a", "2"), 204},
		{"no name", "no_metric_name", prompb.TimeSeries{Labels: []prompb.Label{{Name: "a", Value: "1"}}, Samples: []prompb.Sample{{Value: 1, Timestamp: now}}}, 204},
		{"over-long value", "label_value_too_long", series("m", 1, now, "a", strings.Repeat("x", 101)), 0},
		{"1970", "too_old", series("m", 1, 1000), 400},
		{"2100", "too_far_ahead", series("m", 1, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()), 400},
	} {
		beside++
		refusedBefore := s.refused()
		code, body := s.write(series("beside", float64(beside), now+int64(beside)), c.bad, series("beside2", float64(beside), now+int64(beside)))
		if c.code != 0 {
			require.Equal(t, c.code, code, "%s: %s", c.name, body)
		}
		require.Greater(t, s.refused(), refusedBefore, "%s is counted", c.name)
		for _, q := range []string{"beside", "beside2"} {
			require.Equal(t, fmt.Sprint(beside), s.query(q + fmt.Sprintf(" == %d", beside)).Data.Result[0].Value[1], "%s: its neighbour is stored", c.name)
		}
	}

	// What is odd but right is stored as it is.
	code, body := s.write(series("value_nan", math.NaN(), now), series("value_inf", math.Inf(1), now), series("value_neg", math.Inf(-1), now))
	require.Equal(t, 204, code, body)
	require.Equal(t, "NaN", s.query("value_nan").Data.Result[0].Value[1])
	require.Equal(t, "+Inf", s.query("value_inf").Data.Result[0].Value[1])
	require.Equal(t, "-Inf", s.query("value_neg").Data.Result[0].Value[1])
}

// refused sums everything the remote-write door refused.
func (s *server) refused() float64 {
	return s.counter("signalbox_ingest_samples_refused_total", "door", "remote_write") + s.counter("signalbox_remotewrite_refused_records_total")
}

func TestSlowAndHalfOpenClientsHarmNobody(t *testing.T) {
	s := start(t, t.TempDir(), "http: {read_header_timeout: 300ms, request_timeout: 500ms}")
	var conns []net.Conn
	for i := range 50 {
		c, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", s.http)
		require.NoError(t, err)
		defer c.Close()
		conns = append(conns, c)
		switch i % 3 {
		case 0: // connects and says nothing
		case 1: // begins a header
			_, err = c.Write([]byte("POST /api/v1/write HTTP/1.1\r\nHost: x\r\nX-Slow: "))
		case 2: // promises a body that never comes
			_, err = c.Write([]byte("POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1000000\r\n\r\nabc"))
		}
		require.NoError(t, err)
	}
	code, body := s.write(series("m", 1, time.Now().UnixMilli()))
	require.Equal(t, 204, code, body)
	for i, c := range conns {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
		buf := make([]byte, 4096)
		for {
			if _, err := c.Read(buf); err != nil {
				require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "connection %d is still open", i)
				break
			}
		}
	}
}
