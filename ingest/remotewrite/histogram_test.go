package remotewrite

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"signalbox/internal/tenant"
)

func intRow(st, t int64, h *histogram.Histogram) row {
	return row{Tenant: tenant.Default, Series: `{__name__="up"}`, ST: st, T: t, Histogram: fmt.Sprintf("int %v %x %+v", h.CounterResetHint, math.Float64bits(h.Sum), h)}
}

func floatRow(st, t int64, h *histogram.FloatHistogram) row {
	return row{Tenant: tenant.Default, Series: `{__name__="up"}`, ST: st, T: t, Histogram: fmt.Sprintf("float %v %x %+v", h.CounterResetHint, math.Float64bits(h.Sum), h)}
}

func TestHistograms(t *testing.T) {
	stale := math.Float64frombits(value.StaleNaN)
	ints := []*histogram.Histogram{
		tsdbutil.GenerateTestHistogram(3), tsdbutil.GenerateTestGaugeHistogram(4), tsdbutil.GenerateTestCustomBucketsHistogram(5), {Sum: stale},
	}
	floats := []*histogram.FloatHistogram{
		tsdbutil.GenerateTestFloatHistogram(3), tsdbutil.GenerateTestGaugeFloatHistogram(4), tsdbutil.GenerateTestCustomBucketsFloatHistogram(5), {Sum: stale},
	}
	var v1 prompb.TimeSeries
	var v2 writev2.TimeSeries
	v1.Labels, v2.LabelsRefs = pairs("__name__", "up"), []uint32{1, 2}
	var want1, want2 []row
	for i, h := range ints {
		ts, st := int64(1000+i), int64(500+i)
		v1.Histograms = append(v1.Histograms, prompb.FromIntHistogram(ts, h))
		v2.Histograms = append(v2.Histograms, writev2.FromIntHistogram(st, ts, h))
		decoded := v1.Histograms[len(v1.Histograms)-1].ToIntHistogram()
		want1, want2 = append(want1, intRow(0, ts, decoded)), append(want2, intRow(st, ts, decoded))
	}
	for i, h := range floats {
		ts, st := int64(2000+i), int64(600+i)
		v1.Histograms = append(v1.Histograms, prompb.FromFloatHistogram(ts, h))
		v2.Histograms = append(v2.Histograms, writev2.FromFloatHistogram(st, ts, h))
		decoded := v1.Histograms[len(v1.Histograms)-1].ToFloatHistogram()
		want1, want2 = append(want1, floatRow(0, ts, decoded)), append(want2, floatRow(st, ts, decoded))
	}
	d := newDoor(DefaultConfig())
	for range 2 {
		require.Equal(t, 204, d.sendV1(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{v1}}).Code)
		require.Empty(t, cmp.Diff(want1, d.take()))
		w := d.sendV2(t, &writev2.Request{Symbols: []string{"", "__name__", "up"}, Timeseries: []writev2.TimeSeries{v2}})
		require.Equal(t, 204, w.Code, w.Body)
		require.Equal(t, "0/8/0", written(w))
		require.Empty(t, cmp.Diff(want2, d.take()))
	}
}

func TestTooFineHistogramIsReduced(t *testing.T) {
	h := tsdbutil.GenerateTestHistogram(1)
	h.Schema = 10
	d := newDoor(DefaultConfig())
	require.Equal(t, 204, d.sendV1(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{
		{Labels: pairs("__name__", "up"), Histograms: []prompb.Histogram{prompb.FromIntHistogram(1, h)}},
	}}).Code)
	want := h.Copy()
	require.NoError(t, want.ReduceResolution(8))
	require.Empty(t, cmp.Diff([]row{intRow(0, 1, want)}, d.take()))
}

func TestBadHistograms(t *testing.T) {
	f := func(change func(*histogram.Histogram), problem string) {
		t.Helper()
		h := tsdbutil.GenerateTestHistogram(1)
		change(h)
		d := newDoor(DefaultConfig())
		good := tsdbutil.GenerateTestHistogram(2)
		w := d.sendV2(t, &writev2.Request{Symbols: []string{"", "__name__", "up"}, Timeseries: []writev2.TimeSeries{{
			LabelsRefs: []uint32{1, 2},
			Samples:    []writev2.Sample{{Value: 1, Timestamp: 1}},
			Histograms: []writev2.Histogram{writev2.FromIntHistogram(0, 2, h), writev2.FromIntHistogram(0, 3, good)},
		}}})
		require.Equal(t, 400, w.Code)
		require.Equal(t, "1/1/0", written(w))
		require.Contains(t, w.Body.String(), `series {__name__="up"}: `+problem)
		require.Len(t, d.take(), 2)
		require.Equal(t, map[string]float64{"bad_histogram": 1}, d.h.refusedReasons(t))

		w = d.sendV1(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
			Labels: pairs("__name__", "up"), Histograms: []prompb.Histogram{prompb.FromIntHistogram(2, h)},
		}}})
		require.Equal(t, 400, w.Code)
		require.Empty(t, d.take())
	}
	f(func(h *histogram.Histogram) { h.Count = 1 }, "")
	f(func(h *histogram.Histogram) { h.Schema = 100 }, "histogram has an invalid schema")
	f(func(h *histogram.Histogram) { h.Schema = -53 }, "custom buckets")
	f(func(h *histogram.Histogram) { h.PositiveSpans[1].Offset = -1 }, "positive side: span number 2")
	f(func(h *histogram.Histogram) { h.PositiveSpans[1].Length = math.MaxUint32 }, "positive side: spans need")
	f(func(h *histogram.Histogram) { h.PositiveBuckets[0] = -5 }, "positive side: bucket number 1")
	f(func(h *histogram.Histogram) { h.Schema, h.PositiveSpans[1].Length = 20, math.MaxUint32 }, "have 4 buckets but spans need more")
	f(func(h *histogram.Histogram) { h.NegativeBuckets = make([]int64, 300_000) }, "the histogram has 3000")
}
