package remotewrite

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func drawText(t *rapid.T, what string) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "b", "__name__", "le", "ü", "\xff"}), rapid.StringN(0, 300, 600),
	).Draw(t, what)
}

func drawLabels(t *rapid.T) []prompb.Label {
	var ls []prompb.Label
	if rapid.IntRange(0, 9).Draw(t, "named") > 0 {
		ls = pairs("__name__", rapid.SampledFrom([]string{"up", "m", "µ"}).Draw(t, "name"))
	}
	for range rapid.IntRange(0, 4).Draw(t, "labels") {
		ls = append(ls, prompb.Label{Name: drawText(t, "label"), Value: drawText(t, "value")})
	}
	return ls
}

func drawTime(t *rapid.T) int64 {
	return rapid.OneOf(rapid.Just(int64(0)), rapid.Int64(), rapid.Int64Range(1.7e12, 1.8e12)).Draw(t, "time")
}

func drawHistogram(t *rapid.T) (h prompb.Histogram) {
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		h = prompb.FromIntHistogram(drawTime(t), tsdbutil.GenerateTestHistogram(rapid.Int64Range(0, 9).Draw(t, "h")))
	case 1:
		h = prompb.FromFloatHistogram(drawTime(t), tsdbutil.GenerateTestFloatHistogram(rapid.Int64Range(0, 9).Draw(t, "h")))
	case 2:
		h = prompb.FromIntHistogram(drawTime(t), tsdbutil.GenerateTestCustomBucketsHistogram(1))
	default:
		h = prompb.FromIntHistogram(drawTime(t), tsdbutil.GenerateTestGaugeHistogram(1))
	}
	if rapid.IntRange(0, 4).Draw(t, "spoil") == 0 {
		h.Schema = rapid.Int32Range(-60, 60).Draw(t, "schema")
	}
	return h
}

func drawSeries(t *rapid.T) prompb.TimeSeries {
	ts := prompb.TimeSeries{Labels: drawLabels(t)}
	for range rapid.SampledFrom([]int{0, 1, 1, 1, 1, 2, 3}).Draw(t, "samples") {
		ts.Samples = append(ts.Samples, prompb.Sample{Value: rapid.Float64().Draw(t, "v"), Timestamp: drawTime(t)})
	}
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "histograms") {
		ts.Histograms = append(ts.Histograms, drawHistogram(t))
	}
	if len(ts.Samples)+len(ts.Histograms) > 0 {
		for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "exemplars") {
			ts.Exemplars = append(ts.Exemplars, prompb.Exemplar{Labels: drawLabels(t), Value: rapid.Float64().Draw(t, "v"), Timestamp: drawTime(t)})
		}
	}
	return ts
}

// scramble puts the fields of each message with number num into another order,
// with unknown fields between them and labels apart from each other.
func scramble(rnd *rand.Rand, req []byte, num int32) []byte {
	var out []byte
	for f := (fields{b: req}); len(f.b) > 0; {
		start := f.b
		f.next()
		raw := start[:len(start)-len(f.b)]
		if f.num != num {
			out = append(out, raw...)
			continue
		}
		var parts [][]byte
		for g := (fields{b: f.data}); len(g.b) > 0; {
			start := g.b
			g.next()
			parts = append(parts, start[:len(start)-len(g.b)])
		}
		parts = append(parts, []byte{0xf8, 0x01, 0x05}, []byte{0xfb, 0x01, 0x08, 0x01, 0xfc, 0x01}) // field 31: varint, group
		rnd.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		var msg []byte
		for _, p := range parts {
			msg = append(msg, p...)
		}
		out = append(out, byte(num<<3|typBytes))
		out = binary.AppendUvarint(out, uint64(len(msg)))
		out = append(out, msg...)
	}
	return out
}

func TestSameAppendsAsTheReferenceV1(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var req prompb.WriteRequest
		for range rapid.IntRange(0, 6).Draw(t, "series") {
			req.Timeseries = append(req.Timeseries, drawSeries(t))
		}
		msg, err := req.Marshal()
		require.NoError(t, err)
		d := newDoor(DefaultConfig())
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "shuffle"), 0))
		for round := range 4 {
			if round >= 2 {
				msg = scramble(rnd, msg, 1)
			}
			var decoded prompb.WriteRequest
			require.NoError(t, decoded.Unmarshal(msg))
			want, empty, ok := referenceV1(&decoded)
			require.True(t, ok)
			w := d.send(msg, "application/x-protobuf")
			require.Empty(t, cmp.Diff(want, d.take()))
			if empty > 0 {
				require.Equal(t, 400, w.Code)
			}
			require.Equal(t, d.begun, d.ended)
		}
	})
}

func TestSameAppendsAsTheReferenceV2(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDoor(DefaultConfig())
		var all []prompb.TimeSeries
		for range rapid.IntRange(0, 6).Draw(t, "series") {
			all = append(all, drawSeries(t))
		}
		spoil := rapid.IntRange(0, 20).Draw(t, "spoil")
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "shuffle"), 0))
		for range 3 {
			// Every round numbers the symbols anew.
			table := writev2.NewSymbolTable()
			for range rnd.IntN(4) {
				table.Symbolize(string(rune('p' + rnd.IntN(10))))
			}
			refs := func(ls []prompb.Label) (r []uint32) {
				for _, l := range ls {
					r = append(r, table.Symbolize(l.Name), table.Symbolize(l.Value))
				}
				return r
			}
			var req writev2.Request
			for i, s := range all {
				ts := writev2.TimeSeries{LabelsRefs: refs(s.Labels)}
				for _, v := range s.Samples {
					ts.Samples = append(ts.Samples, writev2.Sample{Value: v.Value, Timestamp: v.Timestamp, StartTimestamp: v.Timestamp / 3})
				}
				for _, h := range s.Histograms {
					if h.IsFloatHistogram() {
						ts.Histograms = append(ts.Histograms, writev2.FromFloatHistogram(h.Timestamp/3, h.Timestamp, h.ToFloatHistogram()))
					} else {
						ts.Histograms = append(ts.Histograms, writev2.FromIntHistogram(h.Timestamp/3, h.Timestamp, h.ToIntHistogram()))
					}
				}
				for _, e := range s.Exemplars {
					ts.Exemplars = append(ts.Exemplars, writev2.Exemplar{LabelsRefs: refs(e.Labels), Value: e.Value, Timestamp: e.Timestamp})
				}
				switch spoil - i {
				case 0:
					ts.LabelsRefs = append(ts.LabelsRefs, 1)
				case 1:
					ts.LabelsRefs = append(ts.LabelsRefs, 0, 1<<20)
				case 2:
					ts.Metadata.UnitRef = 1 << 20
				}
				req.Timeseries = append(req.Timeseries, ts)
			}
			req.Symbols = table.Symbols()
			msg, err := req.Marshal()
			require.NoError(t, err)
			if rnd.IntN(2) == 0 {
				msg = scramble(rnd, msg, 5)
			}
			var decoded writev2.Request
			require.NoError(t, decoded.Unmarshal(msg))
			want, ok := referenceV2(&decoded)
			require.True(t, ok)
			w := d.send(msg, typeV2)
			require.Empty(t, cmp.Diff(want, d.take()), w.Body)
			require.NotEqual(t, "//", written(w))
			require.Equal(t, d.begun, d.ended)
		}
	})
}
