package otlp

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"signalbox/internal/fault"
)

// TestBadPointsDoNotCostTheBatch puts a bad metric between two good ones, and a
// good point after each bad one where the metric itself is fine.
func TestBadPointsDoNotCostTheBatch(t *testing.T) {
	noSum := func(m pmetric.Metric) {
		exponentialHistogram("x", cumulative, 0, 1, 0, 0, 1)(m)
		m.ExponentialHistogram().DataPoints().At(0).RemoveSum()
	}
	bounds := func(b ...float64) func(pmetric.Metric) {
		return explicitHistogram("x", cumulative, 0, 1, b, make([]uint64, len(b)+1)...)
	}
	attr := func(edit func(pcommon.Map)) func(pmetric.Metric) {
		return func(m pmetric.Metric) {
			gauge("x", 1)(m)
			edit(m.Gauge().DataPoints().At(0).Attributes())
		}
	}
	deep := func(m pcommon.Map) {
		v := m.PutEmptyMap("deep")
		for range maxNesting + 1 {
			v = v.PutEmptyMap("x")
		}
	}
	stamp := func(ts pcommon.Timestamp) func(pmetric.Metric) {
		return func(m pmetric.Metric) {
			gauge("x", 1)(m)
			m.Gauge().DataPoints().At(0).SetTimestamp(ts)
		}
	}
	for _, c := range []struct {
		name, reason string
		bad          func(pmetric.Metric)
		edit         func(*Config)
	}{
		{"scale", "scale_too_small", exponentialHistogram("x", cumulative, 0, 1, -5, 0, 1), nil},
		{"no sum", "missing_sum", noSum, nil},
		{"delta when rejecting", "delta_temporality", sum("x", "", true, delta, 0, 1, 1), func(c *Config) { c.Delta = DeltaReject }},
		{"no temporality", "bad_temporality", sum("x", "", true, 0, 0, 1, 1), nil},
		{"unknown temporality", "bad_temporality", explicitHistogram("x", 7, 0, 1, nil, 1), nil},
		{"counts and bounds", "bad_buckets", explicitHistogram("x", cumulative, 0, 1, []float64{1, 2}, 1), nil},
		{"more in buckets than in count", "bad_buckets", func(m pmetric.Metric) {
			explicitHistogram("x", cumulative, 0, 1, nil, 9)(m)
			m.Histogram().DataPoints().At(0).SetCount(3)
		}, nil},
		{"overflowing buckets", "bad_buckets", func(m pmetric.Metric) {
			exponentialHistogram("x", cumulative, 0, 1, 0, 0, math.MaxUint64, 5)(m)
			m.ExponentialHistogram().DataPoints().At(0).SetCount(math.MaxUint64)
		}, nil},
		{"overflowing offset", "bad_buckets", exponentialHistogram("x", cumulative, 0, 1, 0, math.MaxInt32, 1, 1), nil},
		{"count that differs from buckets", "invalid_histogram", func(m pmetric.Metric) {
			exponentialHistogram("x", cumulative, 0, 1, 0, 0, 1)(m)
			m.ExponentialHistogram().DataPoints().At(0).SetCount(99)
		}, nil},
		{"bounds not rising", "bad_bounds", bounds(1, 1), nil},
		{"bound NaN", "bad_bounds", bounds(1, math.NaN()), nil},
		{"bound Inf", "bad_bounds", bounds(1, math.Inf(1)), nil},
		{"quantile", "bad_quantile", func(m pmetric.Metric) {
			m.SetName("x")
			p := m.SetEmptySummary().DataPoints().AppendEmpty()
			p.SetTimestamp(at(1))
			p.QuantileValues().AppendEmpty().SetQuantile(math.NaN())
		}, nil},
		{"no value", "no_value", func(m pmetric.Metric) {
			m.SetName("x")
			m.SetEmptyGauge().DataPoints().AppendEmpty().SetTimestamp(at(1))
		}, nil},
		{"empty name", "bad_metric_name", gauge("", 1), nil},
		{"name of nothing", "bad_metric_name", gauge("--", 1), nil},
		{"name not UTF-8", "invalid_utf8", gauge("a\xff", 1), nil},
		{"no time", "bad_timestamp", stamp(0), nil},
		{"time out of range", "bad_timestamp", stamp(math.MaxUint64), nil},
		{"1970", "out_of_bounds", stamp(1e9), nil},
		{"empty attribute name", "bad_attribute_name", attr(func(m pcommon.Map) { m.PutStr("", "v") }), nil},
		{"attribute name of nothing", "bad_attribute_name", attr(func(m pcommon.Map) { m.PutStr("éé", "v") }), nil},
		{"attribute not UTF-8", "invalid_utf8", attr(func(m pcommon.Map) { m.PutStr("k", "\xc3") }), nil},
		{"attribute name not UTF-8", "invalid_utf8", attr(func(m pcommon.Map) { m.PutStr("k\xc3", "") }), nil},
		{"nesting", "nested_too_deep", attr(deep), nil},
		{"repeated attribute, not escaped", "duplicate_attribute", attr(func(m pcommon.Map) { repeated(m, "ab", "1", "2") }),
			func(c *Config) { c.TranslationStrategy = "NoTranslation" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			edit := c.edit
			if edit == nil {
				edit = func(*Config) {}
			}
			r := newRig(t, edit)
			md := one(gauge("good.before", 1), "service.name", "svc", "host.name", "h")
			c.bad(another(md))
			gauge("good.after", 2)(another(md))
			message := r.refusing(t, md, map[string]int{c.reason: 1})
			require.Contains(t, message, c.reason)
			require.True(t, strings.ToValidUTF8(message, "") == message)
			require.Len(t, r.names(t), 3, "two good metrics and target_info: %v", r.names(t))
			require.Equal(t, 2.0, r.counter(t, r.m.accepted))
			require.Equal(t, 3.0, r.counter(t, r.m.received))
		})
	}
}

func TestGoodPointAfterBadOneOfTheSameMetric(t *testing.T) {
	r := newRig(t)
	md := one(gauge("g", 1, 2, 3))
	points := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints()
	points.At(0).SetTimestamp(at(10))
	points.At(1).SetTimestamp(at(5)) // fine by itself; the store refuses it below
	points.At(2).SetTimestamp(at(20))
	r.mustConsume(t, one(gauge("g", 0, 0, 0, 0, 0, 0, 0, 0, 0, 7)))
	r.refusing(t, md, map[string]int{"out_of_order": 1})
	got := r.series(t)[`{__name__="g"}`]
	require.Equal(t, []sample{{T: ms(10), V: 1}, {T: ms(20), V: 3}}, got[len(got)-2:])
}

func TestRejectedCountIsPerPoint(t *testing.T) {
	r := newRig(t)
	r.mustConsume(t, one(explicitHistogram("h", cumulative, 0, 100, []float64{1, 2, 3}, 1, 1, 1, 1)))
	// All seven samples of the point are out of order, and that is one point.
	md := one(explicitHistogram("h", cumulative, 0, 50, []float64{1, 2, 3}, 1, 1, 1, 1))
	message := r.refusing(t, md, map[string]int{"out_of_order": 1})
	require.Contains(t, message, `metric "h"`)
}

func TestResourceNotUTF8(t *testing.T) {
	r := newRig(t)
	md := one(gauge("bad", 1, 2), "service.name", "a\xff")
	one(gauge("good", 1), "service.name", "ok").ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	r.refusing(t, md, map[string]int{"invalid_utf8": 2})
	require.Len(t, r.names(t), 1)
}

func TestMetricWithoutData(t *testing.T) {
	r := newRig(t)
	md := one(func(m pmetric.Metric) { m.SetName("empty") })
	another(md).SetEmptyGauge()
	gauge("g", 1)(another(md))
	r.mustConsume(t, md)
	require.Len(t, r.names(t), 1)
	r.mustConsume(t, pmetric.NewMetrics())
}

// failing is a sink that says err at the nth Append, counted from 1, or at Commit.
type failing struct {
	err        error
	at         int
	rolledBack bool
	committed  bool
}

func (f *failing) AppenderV2(context.Context) storage.AppenderV2 { return (*failingAppender)(f) }

type failingAppender failing

func (f *failingAppender) Append(_ storage.SeriesRef, _ labels.Labels, _, _ int64, _ float64, _ *histogram.Histogram, _ *histogram.FloatHistogram, _ storage.AOptions) (storage.SeriesRef, error) {
	if f.at--; f.at == 0 {
		return 0, f.err
	}
	return 1, nil
}
func (f *failingAppender) Rollback() error { f.rolledBack = true; return nil }
func (f *failingAppender) Commit() error {
	f.committed = true
	if f.at > 0 {
		return f.err
	}
	return nil
}

func TestRequestFailsAsAWhole(t *testing.T) {
	for _, err := range []error{
		fault.New(fault.Limited, "slow down").WithRetryAfter(3 * time.Second),
		fault.New(fault.Unavailable, "disk full"),
		errors.New("surprise"),
	} {
		for _, n := range []int{1, 2, 3, 1000} { // a point, target_info, Commit
			sink := &failing{err: err, at: n}
			h := New(sink, DefaultConfig(), Options{})
			_, got := h.Consume(context.Background(), one(gauge("g", 1, 2), "service.name", "s", "host.name", "h"))
			require.ErrorIs(t, got, err)
			require.Equal(t, n != 1000, sink.rolledBack)
			require.Equal(t, n == 1000, sink.committed)
			require.Zero(t, (&rig{Handler: h}).counter(t, h.m.accepted))
			require.Equal(t, 2.0, (&rig{Handler: h}).counter(t, h.m.failed))
		}
	}
}

func TestCancelledContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	sink := &failing{}
	h := New(sink, DefaultConfig(), Options{})
	_, err := h.Consume(ctx, one(gauge("g", make([]float64, 1000)...)))
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, sink.rolledBack)
}

func TestPartialErrorIsAnAcceptedPoint(t *testing.T) {
	sink := &failing{err: &storage.AppendPartialError{ExemplarErrors: []error{storage.ErrOutOfOrderExemplar}}, at: 1}
	h := New(sink, DefaultConfig(), Options{})
	n, err := h.Consume(context.Background(), one(gauge("g", 1)))
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, 1.0, (&rig{Handler: h}).counter(t, h.m.exemplars))
}
