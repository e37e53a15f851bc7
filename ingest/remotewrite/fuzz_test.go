package remotewrite

import (
	"bytes"
	"testing"

	"github.com/golang/snappy"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"
)

func richV1() *prompb.WriteRequest {
	return &prompb.WriteRequest{
		Timeseries: []prompb.TimeSeries{{
			Labels:     pairs("__name__", "up", "job", "a"),
			Samples:    []prompb.Sample{{Value: 1, Timestamp: 1_700_000_000_000}, {Timestamp: 2}},
			Exemplars:  []prompb.Exemplar{exampleV1(1, 5)},
			Histograms: []prompb.Histogram{prompb.FromIntHistogram(3, tsdbutil.GenerateTestHistogram(1))},
		}, {
			Labels: pairs("__name__", "up"), Samples: []prompb.Sample{{Value: 2, Timestamp: 1_700_000_000_000}},
		}},
		Metadata: []prompb.MetricMetadata{{Type: prompb.MetricMetadata_COUNTER, MetricFamilyName: "up", Help: "Help.", Unit: "s"}},
	}
}

func richV2() *writev2.Request {
	return &writev2.Request{
		Symbols: append(symbolsEx, "Help.", "seconds"),
		Timeseries: []writev2.TimeSeries{{
			LabelsRefs: []uint32{1, 2},
			Samples:    []writev2.Sample{{Value: 1, Timestamp: 1_700_000_000_000, StartTimestamp: 5}, {Timestamp: 2}},
			Exemplars:  []writev2.Exemplar{exampleV2(1, 5)},
			Histograms: []writev2.Histogram{writev2.FromIntHistogram(2, 3, tsdbutil.GenerateTestHistogram(1))},
			Metadata:   writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_GAUGE, HelpRef: 6, UnitRef: 7},
		}, {
			LabelsRefs: []uint32{1, 5}, Samples: []writev2.Sample{{Value: 2, Timestamp: 1_700_000_000_000}},
		}},
	}
}

// oddMessages are seeds beside the well-formed ones.
var oddMessages = [][]byte{
	nil,
	{0x0a}, {0x0a, 0x00}, {0x2a, 0x00}, {0x0a, 0x02, 0x12, 0x00}, {0x2a, 0x02, 0x12, 0x00},
	{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
	{0x0a, 0x02, 0x08, 0x01}, {0x0b, 0x0b, 0x0c, 0x0c}, {0x0c}, {0x00, 0x00}, {0x0f},
	bytes.Repeat([]byte{0xfb, 0x01}, 2000), bytes.Repeat([]byte{0xff}, 30),
}

func FuzzV1(f *testing.F) {
	f.Add(marshal(f, richV1()))
	f.Add(marshal(f, oneV1()))
	for _, m := range oddMessages {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		d := newDoor(DefaultConfig())
		for range 2 {
			w := d.send(msg, "application/x-protobuf")
			rows := d.take()
			require.Contains(t, []int{204, 400}, w.Code)
			require.Equal(t, d.begun, d.ended)
			var req prompb.WriteRequest
			if req.Unmarshal(msg) != nil || bytes.Contains(w.Body.Bytes(), []byte(errOtherVersion.Error())) {
				continue
			}
			require.NotContains(t, w.Body.String(), errUndecodable.Error(), "the reference decodes it")
			if want, _, ok := referenceV1(&req); ok {
				require.Empty(t, cmp.Diff(want, rows))
			}
		}
	})
}

func FuzzV2(f *testing.F) {
	f.Add(marshal(f, richV2()))
	f.Add(marshal(f, oneV2()))
	for _, m := range oddMessages {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		d := newDoor(DefaultConfig())
		for range 2 {
			w := d.send(msg, typeV2)
			rows := d.take()
			require.Contains(t, []int{204, 400}, w.Code)
			require.NotEqual(t, "//", written(w))
			require.Equal(t, d.begun, d.ended)
			var req writev2.Request
			if req.Unmarshal(msg) != nil || bytes.Contains(w.Body.Bytes(), []byte(errOtherVersion.Error())) {
				continue
			}
			require.NotContains(t, w.Body.String(), errUndecodable.Error(), "the reference decodes it")
			if want, ok := referenceV2(&req); ok {
				require.Empty(t, cmp.Diff(want, rows))
			}
		}
	})
}

// FuzzBody is for what stands before the decoders: compression and lengths.
func FuzzBody(f *testing.F) {
	f.Add(snappy.Encode(nil, marshal(f, richV1())), true)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, true)
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00}, false)
	cfg := DefaultConfig()
	cfg.MaxDecodedBytes = 1 << 16
	f.Fuzz(func(t *testing.T, body []byte, block bool) {
		d := newDoor(cfg)
		enc := "zstd"
		if block {
			enc = "snappy"
		}
		w := d.post(body, map[string]string{"Content-Encoding": enc})
		require.Contains(t, []int{204, 400}, w.Code)
	})
}

// A message that is cut anywhere is refused as a whole or is a shorter message
// by itself; either way nothing of a torn series is stored.
func TestTruncated(t *testing.T) {
	f := func(msg []byte, contentType string, decodes func([]byte) bool) {
		t.Helper()
		d := newDoor(DefaultConfig())
		for _, warm := range []bool{false, true} {
			if warm {
				require.Equal(t, 204, d.send(msg, contentType).Code)
				d.take()
			}
			for n := range msg {
				w := d.send(msg[:n], contentType)
				if !decodes(msg[:n]) {
					require.Equal(t, 400, w.Code, "at %d of %d", n, len(msg))
					require.Contains(t, w.Body.String(), errUndecodable.Error())
					require.Empty(t, d.take())
				}
				d.take()
				require.Equal(t, d.begun, d.ended)
			}
		}
	}
	f(marshal(t, richV1()), "", func(b []byte) bool { return new(prompb.WriteRequest).Unmarshal(b) == nil })
	f(marshal(t, richV2()), typeV2, func(b []byte) bool { return new(writev2.Request).Unmarshal(b) == nil })
}

// Every byte of a message is damaged in turn; the reference says which results
// are still messages.
func TestDamaged(t *testing.T) {
	msg := marshal(t, richV1())
	d := newDoor(DefaultConfig())
	for i := range msg {
		for _, c := range []byte{0x00, 0x7f, 0x80, 0xff} {
			d.take()
			bad := bytes.Clone(msg)
			bad[i] = c
			w := d.send(bad, "")
			var req prompb.WriteRequest
			if req.Unmarshal(bad) == nil && !bytes.Contains(w.Body.Bytes(), []byte(errOtherVersion.Error())) {
				require.NotContains(t, w.Body.String(), errUndecodable.Error(), "byte %d = %#x", i, c)
				if want, _, ok := referenceV1(&req); ok {
					require.Empty(t, cmp.Diff(want, d.take()), "byte %d = %#x", i, c)
				}
			}
		}
	}
}
