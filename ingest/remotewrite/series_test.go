package remotewrite

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

func TestValuesKeepTheirBits(t *testing.T) {
	values := []float64{
		0, 1.5, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64, math.SmallestNonzeroFloat64,
		math.Float64frombits(value.StaleNaN), math.Float64frombits(0x7ff8_0000_dead_beef), math.Float64frombits(0xfff0_0000_0000_0001),
	}
	times := []int64{0, 1, -1, 1_700_000_000_000, math.MaxInt64, math.MinInt64}
	var v1 prompb.TimeSeries
	var v2 writev2.TimeSeries
	v1.Labels, v2.LabelsRefs = pairs("__name__", "up"), []uint32{1, 2}
	var want1, want2 []row
	for _, v := range values {
		for _, ts := range times {
			v1.Samples = append(v1.Samples, prompb.Sample{Value: v, Timestamp: ts})
			v2.Samples = append(v2.Samples, writev2.Sample{Value: v, Timestamp: ts, StartTimestamp: ts / 2})
			r := row{Tenant: tenant.Default, Series: `{__name__="up"}`, T: ts, Bits: math.Float64bits(v)}
			want1 = append(want1, r)
			r.ST = ts / 2
			want2 = append(want2, r)
		}
	}
	d := newDoor(DefaultConfig())
	for range 2 { // parsed, then cached
		require.Equal(t, 204, d.sendV1(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{v1}}).Code)
		require.Empty(t, cmp.Diff(want1, d.take()))
		w := d.sendV2(t, &writev2.Request{Symbols: []string{"", "__name__", "up"}, Timeseries: []writev2.TimeSeries{v2}})
		require.Equal(t, 204, w.Code)
		require.Equal(t, fmt.Sprintf("%d/0/0", len(want2)), written(w))
		require.Empty(t, cmp.Diff(want2, d.take()))
	}
	require.Equal(t, 2, d.parsed)
}

func TestNegativeZero(t *testing.T) {
	// Prometheus' own encoder drops the sign; others write what they have.
	d := newDoor(DefaultConfig())
	b := marshal(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
		Labels: pairs("__name__", "m"), Samples: []prompb.Sample{{Value: -1, Timestamp: 5}},
	}}})
	one := binary.LittleEndian.AppendUint64(nil, math.Float64bits(-1))
	zero := binary.LittleEndian.AppendUint64(nil, math.Float64bits(math.Copysign(0, -1)))
	require.Equal(t, 204, d.send(bytes.Replace(b, one, zero, 1), "").Code)
	require.Equal(t, uint64(1)<<63, d.take()[0].Bits)
}

func TestLabels(t *testing.T) {
	long := strings.Repeat("x", maxLabelBytes+1)
	var many []string
	for i := range maxLabels + 1 {
		many = append(many, fmt.Sprintf("l%d", i), "v")
	}
	f := func(want string, kv ...string) {
		t.Helper()
		d := newDoor(DefaultConfig())
		// A good series before and after shows that a bad one costs only itself.
		good := prompb.TimeSeries{Labels: pairs("__name__", "good"), Samples: []prompb.Sample{{Timestamp: 1}}}
		req := &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{
			good, {Labels: pairs(kv...), Samples: []prompb.Sample{{Value: 1, Timestamp: 1}, {Value: 2, Timestamp: 2}}}, good,
		}}
		table := writev2.NewSymbolTable()
		req2 := &writev2.Request{}
		for _, ts := range req.Timeseries {
			var refs []uint32
			for _, l := range ts.Labels {
				refs = append(refs, table.Symbolize(l.Name), table.Symbolize(l.Value))
			}
			t2 := writev2.TimeSeries{LabelsRefs: refs}
			for _, s := range ts.Samples {
				t2.Samples = append(t2.Samples, writev2.Sample{Value: s.Value, Timestamp: s.Timestamp})
			}
			req2.Timeseries = append(req2.Timeseries, t2)
		}
		req2.Symbols = table.Symbols()

		for range 2 {
			w := d.sendV1(t, req)
			require.Equal(t, 204, w.Code, "version 1 skips what is invalid: %s", w.Body)
			rows1 := d.take()
			w = d.sendV2(t, req2)
			rows2 := d.take()
			require.Empty(t, cmp.Diff(rows1, rows2))
			if reason, bad := strings.CutPrefix(want, "!"); bad {
				require.Equal(t, `{__name__="good"}`, seriesOf(rows1))
				require.Equal(t, 400, w.Code)
				require.Equal(t, "2/0/0", written(w))
				require.Contains(t, w.Body.String(), "refused 2,")
				require.Contains(t, w.Body.String(), reason)
				continue
			}
			require.Equal(t, 204, w.Code, w.Body)
			require.Equal(t, "4/0/0", written(w))
			require.Equal(t, strings.Join([]string{`{__name__="good"}`, want}, " "), seriesOf(rows1))
		}
	}
	f(`{__name__="m", a="1", b="2"}`, "__name__", "m", "a", "1", "b", "2")
	f(`{__name__="m", a="1", b="2"}`, "b", "2", "a", "1", "__name__", "m")
	f(`{__name__="m", a="1"}`, "__name__", "m", "a", "1", "z", "")
	f(`{__name__="näme.with space", "a.b"="1"}`, "__name__", "näme.with space", "a.b", "1")
	f(`{__name__="m", a="`+strings.Repeat("y", 70_000)+`"}`, "__name__", "m", "a", strings.Repeat("y", 70_000))
	f("!the series has no metric name", "a", "1")
	f("!the series has no metric name")
	f("!the series has no metric name", "__name__", "", "a", "1")
	f(`!label "a" is there twice`, "__name__", "m", "a", "1", "a", "1")
	f(`!label "a" is there twice`, "a", "", "__name__", "m", "a", "2")
	f(`!label "__name__" is there twice`, "__name__", "m", "__name__", "n")
	f("!a label has no name", "__name__", "m", "", "v")
	f("!is not valid UTF-8", "__name__", "m", "a\xff", "v")
	f("!is not valid UTF-8", "__name__", "m", "a", "\xc3\x28")
	f("!is not valid UTF-8", "__name__", "m\xff")
	f("!more than 1048576 bytes", "__name__", "m", "a", long)
	f("!more than 1048576 bytes", "__name__", "m", long, "a")
	f("!more than 4096 labels", append([]string{"__name__", "m"}, many...)...)
}

func TestReferencesOutsideOfTheSymbols(t *testing.T) {
	f := func(change func(*writev2.TimeSeries), problem string) {
		t.Helper()
		d := newDoor(DefaultConfig())
		req := oneV2()
		bad := req.Timeseries[0]
		bad.LabelsRefs = []uint32{1, 2}
		change(&bad)
		req.Timeseries = append(req.Timeseries, bad)
		w := d.sendV2(t, req)
		require.Equal(t, 400, w.Code)
		require.Contains(t, w.Body.String(), problem)
		require.Equal(t, "1/0/0", written(w))
		require.Equal(t, `{__name__="up", job="a"}`, seriesOf(d.take()))
	}
	f(func(ts *writev2.TimeSeries) { ts.LabelsRefs = []uint32{1, 2, 3} }, `series {__name__="up"}: labels_refs has 3 entries`)
	f(func(ts *writev2.TimeSeries) { ts.LabelsRefs = []uint32{1} }, "labels_refs has 1 entries")
	f(func(ts *writev2.TimeSeries) { ts.LabelsRefs = []uint32{1, 5} }, "label reference 5 is outside of the 5 symbols")
	f(func(ts *writev2.TimeSeries) { ts.LabelsRefs = []uint32{1, math.MaxUint32} }, "label reference 4294967295")
	f(func(ts *writev2.TimeSeries) { ts.LabelsRefs = nil }, "no metric name")
	f(func(ts *writev2.TimeSeries) { ts.Metadata.HelpRef = 5 }, "metadata references 5 and 0")
	f(func(ts *writev2.TimeSeries) { ts.Metadata.UnitRef = math.MaxUint32 }, "metadata references")

	// A request without symbols is as broken as its references say, no more.
	d := newDoor(DefaultConfig())
	w := d.sendV2(t, &writev2.Request{Timeseries: oneV2().Timeseries})
	require.Equal(t, 400, w.Code)
	require.Equal(t, "0/0/0", written(w))
	require.Equal(t, 204, d.sendV2(t, &writev2.Request{}).Code)
}

func TestSeriesWithoutSamples(t *testing.T) {
	d := newDoor(DefaultConfig())
	req := oneV1()
	req.Timeseries = append(req.Timeseries, prompb.TimeSeries{Labels: pairs("__name__", "empty")})
	w := d.sendV1(t, req)
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), `series {__name__="empty"}: the series has neither samples nor histograms`)
	require.Len(t, d.take(), 1)

	req2 := oneV2()
	req2.Timeseries = append(req2.Timeseries, writev2.TimeSeries{LabelsRefs: []uint32{1, 2}})
	w = d.sendV2(t, req2)
	require.Equal(t, 400, w.Code)
	require.Equal(t, "1/0/0", written(w))
	require.Len(t, d.take(), 1)
}

func TestRefusalsOfTheStore(t *testing.T) {
	f := func(err error, reason, shown string) {
		t.Helper()
		for _, version := range []int{1, 2} {
			d := newDoor(DefaultConfig())
			d.verdict = func(r row) error {
				if r.T == 2 {
					return err
				}
				return nil
			}
			var body string
			for range 2 { // parsed, then cached
				if version == 1 {
					req := oneV1()
					req.Timeseries[0].Samples = []prompb.Sample{{Timestamp: 1}, {Timestamp: 2}, {Timestamp: 3}}
					w := d.sendV1(t, req)
					require.Equal(t, 400, w.Code)
					require.Equal(t, "//", written(w))
					body = w.Body.String()
				} else {
					req := oneV2()
					req.Timeseries[0].Samples = []writev2.Sample{{Timestamp: 1}, {Timestamp: 2}, {Timestamp: 3}}
					w := d.sendV2(t, req)
					require.Equal(t, 400, w.Code)
					require.Equal(t, "2/0/0", written(w))
					body = w.Body.String()
				}
				require.Contains(t, body, "refused 1, stored 2 samples")
				require.Contains(t, body, `series {__name__="up", job="a"}: `+shown)
				require.Len(t, d.take(), 2)
			}
			require.InDelta(t, 2, counter(t, d.h.metrics.refused.WithLabelValues(reason)), 0)
		}
	}
	f(storage.ErrOutOfOrderSample, "out_of_order", "out of order sample")
	f(storage.NewDuplicateFloatErr(2, 1, 2), "duplicate_timestamp", "duplicate sample for timestamp 2")
	f(fmt.Errorf("append: %w", storage.ErrTooOldSample), "too_old", "append: too old sample")
	f(storage.ErrOutOfBounds, "out_of_bounds", "out of bounds")
	f(storage.ErrNativeHistogramsDisabled, "native_histograms_disabled", "native histograms are disabled")
	f(fmt.Errorf("positive side: %w", histogram.ErrHistogramNegativeBucketCount), "bad_histogram", "positive side")
	f(fault.Refuse("in_the_future", "an hour ahead"), "in_the_future", "an hour ahead")
	f(fault.New(fault.Invalid, "append: %w", storage.ErrTooOldSample), "too_old", "append: too old")
	f(fault.New(fault.Invalid, "no"), "other", "no")
}

func TestForgottenReferences(t *testing.T) {
	for _, version := range []int{1, 2} {
		d := newDoor(DefaultConfig())
		send := func() {
			t.Helper()
			if version == 1 {
				req := oneV1()
				req.Timeseries[0].Samples = append(req.Timeseries[0].Samples, prompb.Sample{Timestamp: 11})
				require.Equal(t, 204, d.sendV1(t, req).Code)
			} else {
				req := oneV2()
				req.Timeseries[0].Samples = append(req.Timeseries[0].Samples, writev2.Sample{Timestamp: 11})
				require.Equal(t, 204, d.sendV2(t, req).Code)
			}
			require.Len(t, d.take(), 2)
		}
		send()
		before := d.h.cacheOf(tenant.Default)
		parsed := d.parsed
		send()
		require.Equal(t, parsed, d.parsed, "served from the cache")
		d.forgetAll()
		send()
		require.Greater(t, d.parsed, parsed)
		parsed = d.parsed
		after := d.h.cacheOf(tenant.Default)
		require.Len(t, after, 1, "the entry is replaced, not doubled")
		require.NotEqual(t, before[0].ref, after[0].ref)
		send()
		require.Equal(t, parsed, d.parsed, "the new reference is cached")
		require.Empty(t, d.h.refusedReasons(t), "asking for labels is no refusal")
	}
}
