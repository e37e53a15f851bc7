package remotewrite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

func oneV1() *prompb.WriteRequest {
	return &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
		Labels: pairs("__name__", "up", "job", "a"), Samples: []prompb.Sample{{Value: 1, Timestamp: 10}},
	}}}
}

func oneV2() *writev2.Request {
	return &writev2.Request{
		Symbols: []string{"", "__name__", "up", "job", "a"},
		Timeseries: []writev2.TimeSeries{{
			LabelsRefs: []uint32{1, 2, 3, 4}, Samples: []writev2.Sample{{Value: 1, Timestamp: 10}},
		}},
	}
}

func marshal(t testing.TB, m interface{ Marshal() ([]byte, error) }) []byte {
	t.Helper()
	b, err := m.Marshal()
	require.NoError(t, err)
	return b
}

func TestNegotiation(t *testing.T) {
	v1, v2 := marshal(t, oneV1()), marshal(t, oneV2())
	f := func(contentType string, msg []byte, status int, headers string) {
		t.Helper()
		d := newDoor(DefaultConfig())
		header := map[string]string{"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
		if contentType != "" {
			header["Content-Type"] = contentType
		}
		w := d.post(snappy.Encode(nil, msg), header)
		require.Equal(t, status, w.Code, "%s: %s", contentType, w.Body)
		require.Equal(t, headers, written(w), contentType)
		if status == http.StatusNoContent {
			require.Empty(t, w.Body.String())
			require.Len(t, d.take(), 1)
		}
	}
	const none, one, zero = "//", "1/0/0", "0/0/0"
	f("", v1, 204, none)
	f("application/x-protobuf", v1, 204, none)
	f("Application/X-Protobuf ; charset=utf-8;", v1, 204, none)
	f("application/x-protobuf;proto=prometheus.WriteRequest", v1, 204, none)
	f("application/x-protobuf;  proto=prometheus.WriteRequest", v1, 204, none)
	f("application/x-protobuf;proto=io.prometheus.write.v2.Request", v2, 204, one)
	f("application/x-protobuf;   proto=io.prometheus.write.v2.Request", v2, 204, one)
	f(`application/x-protobuf; charset=utf-8; proto="io.prometheus.write.v2.Request"`, v2, 204, one)
	f("application/x-protobuf;proto=IO.prometheus.write.v2.Request", v2, 415, none)
	f("application/x-protobuf;proto=", v2, 415, none)
	f("application/x-protobuf;proto=io.prometheus.write.v3.Request", v2, 415, none)
	f("application/json", v1, 415, none)
	f("text/plain", v1, 415, none)
	// The other version's message must not pass for an empty one.
	f("application/x-protobuf;proto=io.prometheus.write.v2.Request", v1, 400, zero)
	f("application/x-protobuf", v2, 400, none)
}

func TestUnknownMessageOfVersion2SenderHasHeaders(t *testing.T) {
	d := newDoor(DefaultConfig())
	w := d.post(nil, map[string]string{"Content-Type": "application/x-protobuf;proto=x", "X-Prometheus-Remote-Write-Version": "2.0.0"})
	require.Equal(t, http.StatusUnsupportedMediaType, w.Code)
	require.Equal(t, "0/0/0", written(w))
}

func TestEncodings(t *testing.T) {
	msg := marshal(t, oneV1())
	zw, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	packed := zw.EncodeAll(msg, nil)
	require.NoError(t, zw.Close())
	f := func(enc string, body []byte, status int) {
		t.Helper()
		d := newDoor(DefaultConfig())
		header := map[string]string{}
		if enc != "-" {
			header["Content-Encoding"] = enc
		}
		require.Equal(t, status, d.post(body, header).Code, enc)
		require.Equal(t, status == 204, len(d.take()) == 1)
	}
	block := snappy.Encode(nil, msg)
	f("-", block, 204)
	f("snappy", block, 204)
	f(" Snappy", block, 204)
	f("zstd", packed, 204)
	for _, enc := range []string{"gzip", "identity", "deflate", "x-snappy-framed", "br"} {
		f(enc, block, 415)
	}
	f("snappy", msg, 400)
	f("snappy", block[:len(block)-1], 400)
	f("snappy", nil, 400)
	f("zstd", packed[:len(packed)-2], 400)
}

func TestMethod(t *testing.T) {
	d := newDoor(DefaultConfig())
	// A catch-all, as the UI mounts one, must not swallow other methods.
	d.mux.Handle("/", http.NotFoundHandler())
	for _, method := range []string{"GET", "PUT", "DELETE", "HEAD"} {
		w := httptest.NewRecorder()
		d.mux.ServeHTTP(w, httptest.NewRequest(method, "/api/v1/write", nil))
		require.Equal(t, http.StatusMethodNotAllowed, w.Code, method)
		require.Equal(t, "POST", w.Header().Get("Allow"))
	}
}

func TestTooLarge(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxRequestBytes, cfg.MaxDecodedBytes = 1000, 4000
	bomb := snappy.Encode(nil, make([]byte, 20_000))
	require.Less(t, len(bomb), 1000)
	claim := binary.AppendUvarint(nil, 1<<32-1) // a length that nothing backs
	noise := make([]byte, 1001)
	f := func(body []byte, chunked bool, status int) {
		t.Helper()
		d := newDoor(cfg)
		r := httptest.NewRequest("POST", "/api/v1/write", newBody(body))
		if chunked {
			r.ContentLength = -1
		}
		r.Header.Set("Content-Type", typeV2)
		w := httptest.NewRecorder()
		d.mux.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, w.Body)
		require.Equal(t, "0/0/0", written(w))
		require.Empty(t, d.take())
		require.Equal(t, d.begun, d.ended)
	}
	for _, chunked := range []bool{false, true} {
		f(noise, chunked, 413)
		f(bomb, chunked, 400)
		f(claim, chunked, 400)
	}
}

func TestTooManyRecords(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxRecords = 10
	var empty []byte
	for range 11 {
		empty = append(empty, 0x0a, 0x00)
	}
	h := prompb.FromIntHistogram(3, tsdbutil.GenerateTestHistogram(1))
	series := func(samples, histograms, exemplars int) prompb.TimeSeries {
		return prompb.TimeSeries{
			Labels:  pairs("__name__", "up"),
			Samples: make([]prompb.Sample, samples), Histograms: slices.Repeat([]prompb.Histogram{h}, histograms), Exemplars: make([]prompb.Exemplar, exemplars),
		}
	}
	v2 := oneV2()
	v2.Timeseries = slices.Repeat(v2.Timeseries, 11)
	for name, tc := range map[string]struct {
		msg         []byte
		contentType string
		status      int
	}{
		"samples":    {marshal(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{series(11, 0, 0)}}), "", 400},
		"histograms": {marshal(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{series(0, 11, 0)}}), "", 400},
		"exemplars":  {marshal(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{series(0, 0, 11)}}), "", 400},
		"together":   {marshal(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{series(2, 2, 2), series(2, 2, 1)}}), "", 400},
		"few":        {marshal(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{series(2, 2, 2), series(2, 2, 0)}}), "", 204},
		"metadata":   {marshal(t, &prompb.WriteRequest{Metadata: make([]prompb.MetricMetadata, 11)}), "", 400},
		"empty":      {empty, "", 400},
		"version 2":  {marshal(t, v2), typeV2, 400},
	} {
		d := newDoor(cfg)
		w := d.send(tc.msg, tc.contentType)
		require.Equal(t, tc.status, w.Code, "%s: %s", name, w.Body)
		require.Equal(t, d.begun, d.ended)
		if tc.status == 204 {
			require.NotEmpty(t, d.take())
			continue
		}
		require.Empty(t, d.take(), name)
		require.Contains(t, w.Body.String(), "max_records", name)
		require.InDelta(t, 1, counter(t, d.h.metrics.failed.WithLabelValues("too_many_records")), 0, name)
		require.Equal(t, 0, d.calls)
	}
}

// A sender drops what was answered with 499, which only a proxy may say.
func TestCancelledRequestIsToBeSentAgain(t *testing.T) {
	d := newDoor(DefaultConfig())
	d.verdict = func(row) error { return fmt.Errorf("append: %w", context.Canceled) }
	w := d.sendV1(t, oneV1())
	require.Equal(t, 503, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.InDelta(t, 1, counter(t, d.h.metrics.failed.WithLabelValues("canceled")), 0)
}

func TestTenants(t *testing.T) {
	d := newDoor(DefaultConfig())
	body := snappy.Encode(nil, marshal(t, oneV1()))
	for range 3 { // the later rounds come from the cache
		for _, id := range []string{"a", "b"} {
			require.Equal(t, 204, d.post(body, map[string]string{tenant.Header: id}).Code)
		}
	}
	var got []tenant.ID
	for _, r := range d.take() {
		got = append(got, r.Tenant)
	}
	require.Equal(t, []tenant.ID{"a", "b", "a", "b", "a", "b"}, got)
	require.Equal(t, 2, d.parsed)

	r := httptest.NewRequest("POST", "/api/v1/write", newBody(body))
	r = r.WithContext(tenant.NewContext(r.Context(), "a", "b"))
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, r)
	require.Equal(t, 400, w.Code)
}

func TestFailuresOfTheStore(t *testing.T) {
	f := func(err error, onCommit bool, status int, retryAfter string) {
		t.Helper()
		for _, version := range []int{1, 2} {
			d := newDoor(DefaultConfig())
			if onCommit {
				d.recorder.commit = err
			} else {
				n := 0
				d.verdict = func(row) error {
					if n++; n == 2 {
						return err
					}
					return nil
				}
			}
			var w *httptest.ResponseRecorder
			if version == 1 {
				req := oneV1()
				req.Timeseries = append(req.Timeseries, req.Timeseries...)
				w = d.sendV1(t, req)
			} else {
				req := oneV2()
				req.Timeseries = append(req.Timeseries, req.Timeseries...)
				w = d.sendV2(t, req)
				require.Equal(t, "0/0/0", written(w))
			}
			require.Equal(t, status, w.Code, w.Body)
			require.Equal(t, retryAfter, w.Header().Get("Retry-After"))
			require.Empty(t, d.take(), "nothing is committed")
			require.Equal(t, 1, d.ended)
			require.Empty(t, d.h.cacheOf(tenant.Default), "nothing is remembered")
		}
	}
	for _, onCommit := range []bool{false, true} {
		f(fault.New(fault.Limited, "slow down").WithRetryAfter(1500*time.Millisecond), onCommit, 429, "2")
		f(fault.New(fault.Unavailable, "disk full"), onCommit, 503, "1")
		f(fault.New(fault.Corrupt, "damaged"), onCommit, 500, "")
		f(errors.New("unheard of"), onCommit, 500, "")
	}
}

func TestPanicOfTheStoreEndsTheAppender(t *testing.T) {
	d := newDoor(DefaultConfig())
	d.verdict = func(row) error {
		// The recorder's lock is released by its defer.
		panic("BUG: test")
	}
	require.Panics(t, func() { d.sendV1(t, oneV1()) })
	require.Equal(t, 1, d.ended)
	d.verdict = nil
	require.Equal(t, 204, d.sendV1(t, oneV1()).Code)
}

func TestRepeatsAreReportedOnceAMinute(t *testing.T) {
	var r repeats
	start := time.Unix(1, 0)
	f := func(after time.Duration, wantN int, want bool) {
		t.Helper()
		n, ok := r.due(start.Add(after))
		require.Equal(t, want, ok)
		require.Equal(t, wantN, n)
	}
	f(0, 1, true)
	f(time.Second, 0, false)
	f(59*time.Second, 0, false)
	f(60*time.Second, 3, true)
	f(61*time.Second, 0, false)
}

func TestConfig(t *testing.T) {
	cfg := DefaultConfig()
	warnings, err := cfg.Validate()
	require.NoError(t, err)
	require.Empty(t, warnings)

	cfg = Config{MaxRequestBytes: 10, MaxDecodedBytes: 5, MaxRecords: 1}
	warnings, err = cfg.Validate()
	require.NoError(t, err)
	require.Len(t, warnings, 1)

	cfg = Config{MaxRequestBytes: -1, MaxDecodedBytes: 1 << 40, MaxCachedSeries: -1}
	_, err = cfg.Validate()
	for _, name := range []string{"max_request_bytes", "max_decoded_bytes", "max_records", "max_cached_series"} {
		require.ErrorContains(t, err, name)
	}
}

func TestAnswerIsBounded(t *testing.T) {
	d := newDoor(DefaultConfig())
	d.verdict = func(row) error {
		return fault.Refuse("too_old", "the sample is too old: %s", strings.Repeat("x", 10_000))
	}
	req := &prompb.WriteRequest{}
	for i := range 5000 {
		req.Timeseries = append(req.Timeseries, prompb.TimeSeries{
			Labels:  pairs("__name__", "m", "i", strings.Repeat("v", i)),
			Samples: []prompb.Sample{{Timestamp: 1}},
		})
	}
	w := d.sendV1(t, req)
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), "refused 5000, stored 0 samples")
	require.Contains(t, w.Body.String(), `series {__name__="m", i="v"}: the sample is too old`)
	require.Equal(t, maxProblems, strings.Count(w.Body.String(), "series {"))
	require.Less(t, w.Body.Len(), 10_000)
}
