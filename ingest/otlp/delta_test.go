package otlp

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"pgregory.net/rapid"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

func TestDeltaSums(t *testing.T) {
	r := newRig(t)
	d := func(start, end int, v int64) pmetric.Metrics { return one(sum("c", "", true, delta, start, end, v)) }
	r.mustConsume(t, d(0, 10, 5))
	r.mustConsume(t, d(10, 20, 7))
	r.refusing(t, d(15, 30, 100), map[string]int{"delta_out_of_order": 1}) // overlaps
	r.refusing(t, d(10, 20, 7), map[string]int{"delta_out_of_order": 1})   // sent twice
	r.refusing(t, d(50, 40, 7), map[string]int{"delta_bad_interval": 1})
	r.refusing(t, d(20, 30, -1), map[string]int{"delta_bad_value": 1})
	r.mustConsume(t, d(60, 70, 1)) // after a gap
	require.Equal(t, []sample{{T: ms(10), V: 5}, {T: ms(20), V: 12}, {T: ms(70), V: 13}}, r.series(t)[`{__name__="c_total"}`])

	r.mustConsume(t, one(sum("u", "", false, delta, 0, 10, 5)))
	r.mustConsume(t, one(sum("u", "", false, delta, 10, 20, -9)))
	require.Equal(t, []sample{{T: ms(10), V: 5}, {T: ms(20), V: -4}}, r.series(t)[`{__name__="u"}`])

	nan := one(sum("c", "", true, delta, 70, 80, 0))
	nan.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0).SetDoubleValue(math.NaN())
	r.refusing(t, nan, map[string]int{"delta_bad_value": 1})
}

func TestDeltaStart(t *testing.T) {
	sink := &capture{}
	h := New(sink, DefaultConfig(), Options{})
	for i := range 3 {
		n, err := h.Consume(context.Background(), one(sum("c", "", true, delta, 10*i, 10*i+10, 1)))
		require.NoError(t, err)
		require.Zero(t, n)
	}
	require.Equal(t, []int64{ms(0), ms(0), ms(0)}, sink.starts)
	// Another process starts a series of its own.
	h = New(sink, DefaultConfig(), Options{})
	_, err := h.Consume(context.Background(), one(sum("c", "", true, delta, 30, 40, 1)))
	require.NoError(t, err)
	require.Equal(t, ms(30), sink.starts[3])
}

// TestDeltaIdentity: each part of a stream's identity keeps streams apart, and
// the order of attributes does not.
func TestDeltaIdentity(t *testing.T) {
	r := newRig(t)
	first := func() pmetric.Metrics { return one(sum("c", "", true, delta, 0, 10, 5), "a", "1", "b", "2") }
	metric := func(md pmetric.Metrics) pmetric.Metric {
		return md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
	}
	value := func(ctx context.Context, md pmetric.Metrics) int64 {
		// What the door makes of it, read from the metrics it took over.
		_, err := r.Consume(ctx, md)
		require.NoError(t, err)
		return metric(md).Sum().DataPoints().At(0).IntValue()
	}
	ctx := context.Background()
	require.Equal(t, int64(5), value(ctx, first()))
	for name, edit := range map[string]func(pmetric.Metrics){
		"resource":  func(md pmetric.Metrics) { md.ResourceMetrics().At(0).Resource().Attributes().PutStr("a", "other") },
		"kind":      func(md pmetric.Metrics) { md.ResourceMetrics().At(0).Resource().Attributes().PutInt("a", 1) },
		"scope":     func(md pmetric.Metrics) { md.ResourceMetrics().At(0).ScopeMetrics().At(0).Scope().SetName("other") },
		"version":   func(md pmetric.Metrics) { md.ResourceMetrics().At(0).ScopeMetrics().At(0).Scope().SetVersion("2") },
		"name":      func(md pmetric.Metrics) { metric(md).SetName("other") },
		"unit":      func(md pmetric.Metrics) { metric(md).SetUnit("By") },
		"monotonic": func(md pmetric.Metrics) { metric(md).Sum().SetIsMonotonic(false) },
		"attribute": func(md pmetric.Metrics) { metric(md).Sum().DataPoints().At(0).Attributes().PutStr("x", "y") },
	} {
		md := first()
		edit(md)
		require.Equal(t, int64(5), value(ctx, md), name)
	}
	require.Equal(t, int64(5), value(tenant.NewContext(ctx, "another"), first()))

	second := one(sum("c", "", true, delta, 10, 20, 3), "b", "2", "a", "1")
	require.Equal(t, int64(8), value(ctx, second))
}

func TestDeltaFailedRequestIsUndone(t *testing.T) {
	sink := &failing{}
	h := New(sink, DefaultConfig(), Options{})
	send := func(at int, err error, start, end int) (*pmetric.Metrics, error) {
		sink.at, sink.err = at, err
		md := one(sum("c", "", true, delta, start, end, 10))
		explicitHistogram("h", delta, start, end, []float64{1}, 1, 2)(another(md))
		exponentialHistogram("e", delta, start, end, 2, 3, 4)(another(md))
		_, got := h.Consume(context.Background(), md)
		return &md, got
	}
	_, err := send(0, nil, 0, 10)
	require.NoError(t, err)
	used := h.deltas.used.Load()
	for _, n := range []int{1, 3, 1000} {
		_, err = send(n, fault.New(fault.Unavailable, "later"), 10, 20)
		require.Error(t, err)
		require.Equal(t, used, h.deltas.used.Load())
	}
	md, err := send(0, nil, 10, 20) // the retry
	require.NoError(t, err)
	metrics := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	require.Equal(t, int64(20), metrics.At(0).Sum().DataPoints().At(0).IntValue())
	require.Equal(t, []uint64{2, 4}, metrics.At(1).Histogram().DataPoints().At(0).BucketCounts().AsRaw())
	require.Equal(t, []uint64{8}, metrics.At(2).ExponentialHistogram().DataPoints().At(0).Positive().BucketCounts().AsRaw())
}

// TestDeltaRefusedByTheStore: a point from the far future must not shut the
// stream for those that follow.
func TestDeltaRefusedByTheStore(t *testing.T) {
	sink := &failing{}
	h := New(sink, DefaultConfig(), Options{})
	send := func(refuse, start, end int) (int, int64) {
		sink.at, sink.err = refuse, fault.Refuse("too_far_ahead", "no")
		md := one(sum("c", "", true, delta, start, end, 10))
		n, err := h.Consume(context.Background(), md)
		require.NoError(t, err)
		if n > 0 {
			return n, 0
		}
		return 0, md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0).IntValue()
	}
	n, _ := send(1, 0, 1_000_000) // the first of the stream
	require.Equal(t, 1, n)
	require.Zero(t, h.deltas.used.Load())
	_, v := send(0, 0, 10)
	require.Equal(t, int64(10), v)
	n, _ = send(1, 10, 1_000_000)
	require.Equal(t, 1, n)
	_, v = send(0, 10, 20)
	require.Equal(t, int64(20), v)
}

func TestDeltaHistograms(t *testing.T) {
	r := newRig(t)
	r.mustConsume(t, one(explicitHistogram("h", delta, 0, 10, []float64{1, 2}, 1, 2, 3)))
	r.mustConsume(t, one(explicitHistogram("h", delta, 10, 20, []float64{1, 2}, 1, 0, 1)))
	r.mustConsume(t, one(explicitHistogram("h", delta, 20, 30, []float64{5}, 1, 1))) // new bounds, new series
	got := r.series(t)
	require.Equal(t, []sample{{T: ms(10), V: 1}, {T: ms(20), V: 2}}, got[`{__name__="h_bucket", le="1"}`])
	require.Equal(t, []sample{{T: ms(10), V: 3}, {T: ms(20), V: 4}}, got[`{__name__="h_sum"}`][:2])
	require.Equal(t, []sample{{T: ms(10), V: 6}, {T: ms(20), V: 8}, {T: ms(30), V: 2}}, got[`{__name__="h_count"}`])
	require.Equal(t, []sample{{T: ms(30), V: 1}}, got[`{__name__="h_bucket", le="5"}`])
}

// A value that would stick in the total is refused, and the stream goes on as
// if it had not come.
func TestDeltaThatWouldStick(t *testing.T) {
	edits := map[string]func(m pmetric.Metric, v float64){
		"sum": func(m pmetric.Metric, v float64) {
			sum("m", "", true, delta, 1, 2, 1)(m)
			m.Sum().DataPoints().At(0).SetDoubleValue(v)
		},
		"explicit": func(m pmetric.Metric, v float64) {
			explicitHistogram("m", delta, 1, 2, []float64{1}, 1, 1)(m)
			m.Histogram().DataPoints().At(0).SetSum(v)
		},
		"exponential": func(m pmetric.Metric, v float64) {
			exponentialHistogram("m", delta, 1, 2, 0, 0, 1)(m)
			m.ExponentialHistogram().DataPoints().At(0).SetSum(v)
		},
		"threshold": func(m pmetric.Metric, v float64) {
			exponentialHistogram("m", delta, 1, 2, 0, 0, 1)(m)
			m.ExponentialHistogram().DataPoints().At(0).SetZeroThreshold(v)
		},
	}
	for name, edit := range edits {
		send := func(v float64) pmetric.Metrics { return one(func(m pmetric.Metric) { edit(m, v) }) }
		r := newRig(t)
		for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			r.refusing(t, send(v), map[string]int{"delta_bad_value": 1})
			require.Zero(t, r.deltas.used.Load(), name)
		}
		r.mustConsume(t, send(3)) // of the same time, which is still free
		for series, samples := range r.series(t) {
			for _, s := range samples {
				if s.H != nil {
					s.V = s.H.Sum
				}
				require.False(t, math.IsNaN(s.V) || math.IsInf(s.V, 0), "%s: %s", name, series)
			}
		}
	}
}

func TestDeltaExponentialChangesScale(t *testing.T) {
	r := newRig(t)
	r.mustConsume(t, one(exponentialHistogram("h", delta, 0, 10, 2, 0, 1, 2, 3, 4)))
	r.mustConsume(t, one(exponentialHistogram("h", delta, 10, 20, 1, 1, 10)))
	got := r.series(t)[`{__name__="h"}`]
	require.Len(t, got, 2)
	want := &histogram.FloatHistogram{
		CounterResetHint: got[1].H.CounterResetHint,
		Schema:           1, Count: 22, Sum: 25, ZeroCount: 2, ZeroThreshold: 1e-128,
		PositiveSpans: []histogram.Span{{Offset: 1, Length: 2}}, PositiveBuckets: []float64{3, 17},
	}
	require.Equal(t, want, got[1].H)

	// Two far ends need a smaller scale: 160 buckets a side are kept.
	r.mustConsume(t, one(exponentialHistogram("wide", delta, 0, 10, 8, -2000, 1)))
	r.mustConsume(t, one(exponentialHistogram("wide", delta, 10, 20, 8, 2000, 1)))
	got = r.series(t)[`{__name__="wide"}`]
	require.Equal(t, int32(3), got[1].H.Schema)
	r.refusing(t, one(exponentialHistogram("wide", delta, 20, 30, 0, math.MaxInt32-5, 1)), map[string]int{"bad_buckets": 1})
}

func TestDeltaLimitAndStaleness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.MaxDeltaSeries = 2
		h := New(discard{}, cfg, Options{})
		r := &rig{Handler: h}
		d := func(name string, start int) pmetric.Metrics {
			// A resource each, so that they spread over the stripes.
			return one(sum(name, "", true, delta, start, start+10, 1), "name", name)
		}
		r.mustConsume(t, d("a", 0))
		r.mustConsume(t, d("b", 0))
		r.refusing(t, d("c", 0), map[string]int{"delta_limit": 1})
		r.refusing(t, one(explicitHistogram("h", delta, 0, 1, nil, 1)), map[string]int{"delta_limit": 1})
		time.Sleep(4 * time.Minute)
		r.mustConsume(t, d("a", 10)) // a stays fresh
		time.Sleep(2 * time.Minute)
		r.mustConsume(t, d("c", 0)) // b made room
		require.Equal(t, int64(2), h.deltas.used.Load())
		// b is forgotten, so it would start anew, and there is no room.
		r.refusing(t, d("b", 10), map[string]int{"delta_limit": 1})
		time.Sleep(6 * time.Minute)
		md := d("a", 20)
		r.mustConsume(t, md)
		p := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0)
		require.Equal(t, int64(1), p.IntValue())
		require.Equal(t, at(20), p.StartTimestamp())
	})
}

func TestDeltaWaitsForTheContext(t *testing.T) {
	h := New(discard{}, DefaultConfig(), Options{})
	for i := range h.deltas.stripes {
		<-h.deltas.stripes[i].lock // as another request would
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := h.Consume(ctx, one(sum("c", "", true, delta, 0, 1, 1)))
	require.ErrorIs(t, err, context.Canceled)
}

// TestDeltaProperty: whatever is sent, what is stored is the running sum of what
// was accepted, and whatever fails leaves no trace.
func TestDeltaProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sink := &failing{}
		h := New(sink, DefaultConfig(), Options{})
		type state struct {
			ints   int64
			counts [3]uint64
			exp    map[int32]uint64 // by index at scale 0
			zeros  uint64
		}
		var want state
		want.exp = map[int32]uint64{}
		last, begun := 0, false
		for range rapid.IntRange(1, 25).Draw(t, "requests") {
			start := last + rapid.IntRange(-1, 2).Draw(t, "gap")
			end := start + rapid.IntRange(1, 3).Draw(t, "length")
			n := rapid.Int64Range(0, 1000).Draw(t, "n")
			var counts [3]uint64
			for i := range counts {
				counts[i] = rapid.Uint64Range(0, 50).Draw(t, "count")
			}
			scale := rapid.Int32Range(0, 4).Draw(t, "scale")
			offset := rapid.Int32Range(-40, 40).Draw(t, "offset")
			buckets := rapid.SliceOfN(rapid.Uint64Range(0, 9), 1, 20).Draw(t, "buckets")

			md := one(sum("c", "", true, delta, start, end, n))
			explicitHistogram("h", delta, start, end, []float64{1, 2}, counts[:]...)(another(md))
			exponentialHistogram("e", delta, start, end, scale, offset, buckets...)(another(md))
			sink.at, sink.err = 0, fault.New(fault.Unavailable, "later")
			fails := rapid.IntRange(0, 3).Draw(t, "fails") == 0
			if fails {
				sink.at = rapid.SampledFrom([]int{1, 2, 8, 100}).Draw(t, "at")
			}
			rejected, err := h.Consume(context.Background(), md)
			switch {
			case err != nil:
				if !fails {
					t.Fatal(err)
				}
				continue
			case rejected == 3 && begun && start < last:
				continue
			case rejected != 0:
				t.Fatalf("%d rejected from %d to %d after %d", rejected, start, end, last)
			}
			last, begun = end, true
			want.ints += n
			for i := range counts {
				want.counts[i] += counts[i]
			}
			want.zeros++
			for i, c := range buckets {
				want.exp[(offset+int32(i))>>scale] += c
			}
			metrics := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
			require.Equal(t, want.ints, metrics.At(0).Sum().DataPoints().At(0).IntValue())
			require.Equal(t, want.counts[:], metrics.At(1).Histogram().DataPoints().At(0).BucketCounts().AsRaw())
			e := metrics.At(2).ExponentialHistogram().DataPoints().At(0)
			require.Equal(t, want.zeros, e.ZeroCount())
			got := map[int32]uint64{}
			for i, c := range e.Positive().BucketCounts().AsRaw() {
				got[(e.Positive().Offset()+int32(i))>>e.Scale()] += c
			}
			total := want.zeros
			for i, c := range want.exp {
				require.Equal(t, c, got[i], "bucket %d", i)
				total += c
			}
			require.Equal(t, total, e.Count())
		}
	})
}
