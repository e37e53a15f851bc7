package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"signalbox/internal/fault"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestEncodings(t *testing.T) {
	body := marshal(t, one(gauge("g", 1)))
	pack := func(f func(*bytes.Buffer)) []byte {
		var buf bytes.Buffer
		f(&buf)
		return buf.Bytes()
	}
	for enc, packed := range map[string][]byte{
		"": body,
		"gzip": pack(func(b *bytes.Buffer) {
			w := gzip.NewWriter(b)
			_, _ = w.Write(body)
			_ = w.Close()
		}),
		"deflate": pack(func(b *bytes.Buffer) {
			w := zlib.NewWriter(b)
			_, _ = w.Write(body)
			_ = w.Close()
		}),
		"zstd": pack(func(b *bytes.Buffer) {
			w, err := zstd.NewWriter(b, zstd.WithEncoderConcurrency(1))
			require.NoError(t, err)
			_, _ = w.Write(body)
			_ = w.Close()
		}),
		"lz4": pack(func(b *bytes.Buffer) {
			w := lz4.NewWriter(b)
			_, _ = w.Write(body)
			_ = w.Close()
		}),
		"snappy": s2.EncodeSnappy(nil, body),
	} {
		r := newRig(t)
		w := r.post(mediaProto+"; charset=utf-8", enc, packed)
		require.Equal(t, http.StatusOK, w.Code, "%s: %s", enc, w.Body)
		require.Equal(t, mediaProto, w.Header().Get("Content-Type"))
		require.Empty(t, w.Body.Bytes(), "no partial success on full success")
		require.Equal(t, []string{`{__name__="g"}`}, r.names(t), enc)
		require.Equal(t, float64(len(packed)), testutil.ToFloat64(r.m.bytes.WithLabelValues("http")))
		require.Equal(t, 1.0, testutil.ToFloat64(r.m.requests.WithLabelValues("http", "200")))
		if enc != "" && enc != "snappy" {
			require.Equal(t, http.StatusBadRequest, r.post(mediaProto, enc, packed[:len(packed)/2]).Code, enc)
		}
	}
}

func TestPartialSuccessOverHTTP(t *testing.T) {
	md := one(gauge("g", 1))
	gauge("", 1, 2)(another(md))
	req := pmetricotlp.NewExportRequestFromMetrics(md)
	asJSON, err := req.MarshalJSON()
	require.NoError(t, err)

	r := newRig(t)
	w := r.post(mediaProto, "", marshal(t, md))
	require.Equal(t, http.StatusOK, w.Code)
	res := pmetricotlp.NewExportResponse()
	require.NoError(t, res.UnmarshalProto(w.Body.Bytes()))
	require.Equal(t, int64(2), res.PartialSuccess().RejectedDataPoints())
	require.Contains(t, res.PartialSuccess().ErrorMessage(), "bad_metric_name (2)")

	w = r.post(mediaJSON, "", asJSON)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, mediaJSON, w.Header().Get("Content-Type"))
	require.JSONEq(t, `{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"bad_metric_name (2): metric \"\": the metric has no name"}}`, w.Body.String())
}

func TestErrorsOverHTTP(t *testing.T) {
	f := func(name, media, enc string, body []byte, code int, grpcCode int32) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.MaxRequestBytes = 4096 })
			w := r.post(media, enc, body)
			require.Equal(t, code, w.Code, w.Body)
			require.Empty(t, w.Header().Get("Retry-After"))
			switch media {
			case mediaProto:
				require.Equal(t, media, w.Header().Get("Content-Type"))
				var s status.Status
				require.NoError(t, proto.Unmarshal(w.Body.Bytes(), &s))
				require.Equal(t, grpcCode, s.GetCode())
				require.NotEmpty(t, s.GetMessage())
			case mediaJSON:
				require.Equal(t, media, w.Header().Get("Content-Type"))
				var s struct {
					Code    int32
					Message string
				}
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &s))
				require.Equal(t, grpcCode, s.Code)
				require.NotEmpty(t, s.Message)
			default:
				require.Contains(t, w.Header().Get("Content-Type"), "text/plain")
			}
			require.Empty(t, r.names(t))
		})
	}
	good := marshal(t, one(gauge("g", 1)))
	var bomb bytes.Buffer
	z, err := zstd.NewWriter(&bomb, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	_, _ = z.Write(make([]byte, 1<<24))
	require.NoError(t, z.Close())

	f("media", "text/plain", "", good, 415, 0)
	f("no media", "", "", good, 415, 0)
	f("near media", "application/protobuf", "", good, 415, 0)
	f("truncated protobuf", mediaProto, "", good[:len(good)-3], 400, 3)
	f("no protobuf", mediaProto, "", []byte("hello"), 400, 3)
	f("broken gzip", mediaProto, "gzip", good, 400, 3)
	f("broken zstd", mediaProto, "zstd", good, 400, 3)
	f("broken snappy", mediaProto, "snappy", []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1}, 413, 8)
	f("unknown encoding", mediaProto, "br", good, 415, 3)
	f("bomb", mediaProto, "zstd", bomb.Bytes(), 413, 8)
	f("too large", mediaProto, "", make([]byte, 5000), 413, 8)
	f("no JSON", mediaJSON, "", []byte("hello"), 400, 3)
	f("JSON not UTF-8", mediaJSON, "", []byte("{\"resourceMetrics\":\xff\xfe}"), 400, 3)
	f("JSON depth", mediaJSON, "", bytes.Repeat([]byte("["), 4000), 400, 3)
}

func TestMethod(t *testing.T) {
	r := newRig(t)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/metrics", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "POST", w.Header().Get("Allow"))
}

func TestRetryableErrors(t *testing.T) {
	body := marshal(t, one(gauge("g", 1)))
	for _, c := range []struct {
		err   error
		code  int
		retry string
	}{
		{fault.New(fault.Limited, "slow").WithRetryAfter(2500 * time.Millisecond), 429, "3"},
		{fault.New(fault.Unavailable, "full"), 503, "1"},
		{context.DeadlineExceeded, 503, "1"},
		{fault.New(fault.Internal, "bug"), 500, ""},
	} {
		r := &rig{Handler: New(&failing{err: c.err, at: 1}, DefaultConfig(), Options{})}
		w := r.post(mediaProto, "", body)
		require.Equal(t, c.code, w.Code)
		require.Equal(t, c.retry, w.Header().Get("Retry-After"))
	}
}

func TestEmptyRequest(t *testing.T) {
	r := newRig(t)
	require.Equal(t, http.StatusOK, r.post(mediaProto, "", nil).Code)
	w := r.post(mediaJSON, "", []byte("{}"))
	require.Equal(t, http.StatusOK, w.Code)
	require.True(t, json.Valid(w.Body.Bytes()), w.Body.String())
}

// TestJSONGolden posts testdata/*.json and compares what is stored.
func TestJSONGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		if filepath.Ext(file[:len(file)-len(".json")]) == ".golden" {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			body, err := os.ReadFile(file)
			require.NoError(t, err)
			r := newRig(t)
			w := r.post(mediaJSON, "", body)
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			got, err := json.MarshalIndent(map[string]any{
				"answer":    json.RawMessage(w.Body.Bytes()),
				"series":    r.series(t),
				"exemplars": r.exemplars(t, "requests_total"),
			}, "", "  ")
			require.NoError(t, err)
			golden := file[:len(file)-len(".json")] + ".golden.json"
			if *update {
				require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(got))
		})
	}
}

// A sender drops what was answered with 499, which only a proxy may say.
func TestCancelledRequestIsToBeSentAgain(t *testing.T) {
	h := New(&failing{err: fmt.Errorf("append: %w", context.Canceled), at: 1}, DefaultConfig(), Options{})
	w := (&rig{Handler: h}).post(mediaProto, "", marshal(t, one(gauge("g", 1))))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	var s status.Status
	require.NoError(t, proto.Unmarshal(w.Body.Bytes(), &s))
	require.EqualValues(t, codes.Unavailable, s.GetCode())
	require.Equal(t, 1.0, testutil.ToFloat64(h.m.requests.WithLabelValues("http", "503")))
}
