package otlp

import (
	"bytes"
	"context"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// point is a gauge with one point of value 1 and these attributes.
func point(name, unit string, attrs ...string) func(pmetric.Metric) {
	return func(m pmetric.Metric) {
		gauge(name, 1)(m)
		m.SetUnit(unit)
		for i := 0; i < len(attrs); i += 2 {
			m.Gauge().DataPoints().At(0).Attributes().PutStr(attrs[i], attrs[i+1])
		}
	}
}

// sum is a sum with one integer point over (start, end] seconds.
func sum(name, unit string, monotonic bool, temporality pmetric.AggregationTemporality, start, end int, v int64) func(pmetric.Metric) {
	return func(m pmetric.Metric) {
		m.SetName(name)
		m.SetUnit(unit)
		s := m.SetEmptySum()
		s.SetIsMonotonic(monotonic)
		s.SetAggregationTemporality(temporality)
		p := s.DataPoints().AppendEmpty()
		p.SetStartTimestamp(at(start))
		p.SetTimestamp(at(end))
		p.SetIntValue(v)
	}
}

func explicitHistogram(name string, temporality pmetric.AggregationTemporality, start, end int, bounds []float64, counts ...uint64) func(pmetric.Metric) {
	return func(m pmetric.Metric) {
		m.SetName(name)
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(temporality)
		p := h.DataPoints().AppendEmpty()
		p.SetStartTimestamp(at(start))
		p.SetTimestamp(at(end))
		p.ExplicitBounds().FromRaw(bounds)
		p.BucketCounts().FromRaw(counts)
		n, _ := addCounts(0, p.BucketCounts())
		p.SetCount(n)
		p.SetSum(float64(n) * 0.5)
	}
}

func exponentialHistogram(name string, temporality pmetric.AggregationTemporality, start, end int, scale, offset int32, counts ...uint64) func(pmetric.Metric) {
	return func(m pmetric.Metric) {
		m.SetName(name)
		h := m.SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(temporality)
		p := h.DataPoints().AppendEmpty()
		p.SetStartTimestamp(at(start))
		p.SetTimestamp(at(end))
		p.SetScale(scale)
		p.SetZeroCount(1)
		p.Positive().SetOffset(offset)
		p.Positive().BucketCounts().FromRaw(counts)
		n, _ := addCounts(1, p.Positive().BucketCounts())
		p.SetCount(n)
		p.SetSum(12.5)
	}
}

const (
	cumulative = pmetric.AggregationTemporalityCumulative
	delta      = pmetric.AggregationTemporalityDelta
)

// TestSeriesNames covers the rows of names, units, suffixes, labels, resource
// and scope.
func TestSeriesNames(t *testing.T) {
	f := func(name string, edit func(*Config), metric func(pmetric.Metric), resource []string, want ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			if edit == nil {
				edit = func(*Config) {}
			}
			r := newRig(t, edit)
			r.mustConsume(t, one(metric, resource...))
			require.ElementsMatch(t, want, r.names(t))
		})
	}
	strategy := func(s string) func(*Config) { return func(c *Config) { c.TranslationStrategy = s } }

	f("escape and collapse", nil, point("a.b--c", ""), nil, `{__name__="a_b_c"}`)
	f("leading digit", nil, point("1st", ""), nil, `{__name__="_1st"}`)
	for unit, want := range map[string]string{
		"s": "m_seconds", "ms": "m_milliseconds", "us": "m_microseconds", "ns": "m_nanoseconds", "min": "m_minutes",
		"h": "m_hours", "d": "m_days", "By": "m_bytes", "KBy": "m_kilobytes", "MBy": "m_megabytes", "GBy": "m_gigabytes",
		"KiBy": "m_kibibytes", "m": "m_meters", "V": "m_volts", "A": "m_amperes", "J": "m_joules", "W": "m_watts",
		"g": "m_grams", "Cel": "m_celsius", "Hz": "m_hertz", "1": "m_ratio", "%": "m_percent", "{request}": "m",
		"By/s": "m_bytes_per_second", "m/h": "m_meters_per_hour", "{x}/m": "m_per_minute",
		"By/d": "m_bytes_per_day", "By/w": "m_bytes_per_week", "By/mo": "m_bytes_per_month", "By/y": "m_bytes_per_year",
	} {
		f("unit "+unit, nil, point("m", unit), nil, `{__name__="`+want+`"}`)
	}
	f("unit in the name", nil, point("m.seconds.x", "s"), nil, `{__name__="m_seconds_x"}`)
	f("total", nil, sum("reqs", "1", true, cumulative, 0, 1, 5), nil, `{__name__="reqs_total"}`)
	f("total once, at the end", nil, sum("reqs.total.sent", "By", true, cumulative, 0, 1, 5), nil, `{__name__="reqs_sent_bytes_total"}`)
	f("non-monotonic sum", nil, sum("queue", "1", false, cumulative, 0, 1, 5), nil, `{__name__="queue"}`)
	f("without suffixes", strategy("UnderscoreEscapingWithoutSuffixes"), sum("a.b", "s", true, cumulative, 0, 1, 5), nil, `{__name__="a_b"}`)
	f("UTF-8 with suffixes", strategy("NoUTF8EscapingWithSuffixes"), sum("a.b", "s", true, cumulative, 0, 1, 5), nil, `{__name__="a.b_seconds_total"}`)
	f("no translation", strategy("NoTranslation"), point("a.b", "s", "x.y", "1"), nil, `{__name__="a.b", "x.y"="1"}`)

	f("label characters", nil, point("m", "", "a.b--c", "1", "1x", "2", "_x", "3", "__y", "4"), nil,
		`{__name__="m", __y="4", a_b__c="1", key_1x="2", key_x="3"}`)
	f("colliding labels", nil, point("m", "", "a_b", "2", "a.b", "1"), nil, `{__name__="m", a_b="1;2"}`)
	f("repeated attribute", nil, func(m pmetric.Metric) {
		point("m", "")(m)
		repeated(m.Gauge().DataPoints().At(0).Attributes(), "ab", "1", "2")
	}, nil, `{__name__="m", ab="1;2"}`)

	plain := func(c *Config) { c.PromoteResourceAttributes = nil }
	f("job and instance", plain, point("m", ""), []string{"service.name", "svc", "service.namespace", "ns", "service.instance.id", "i"},
		`{__name__="m", instance="i", job="ns/svc"}`)
	f("job without namespace", plain, point("m", ""), []string{"service.name", "svc"}, `{__name__="m", job="svc"}`)
	f("target_info", plain, point("m", ""), []string{"service.name", "svc", "host.name", "h"},
		`{__name__="m", job="svc"}`, `{__name__="target_info", host_name="h", job="svc"}`)
	f("target_info needs job or instance", plain, point("m", ""), []string{"host.name", "h"}, `{__name__="m"}`)
	f("identifying attributes", func(c *Config) {
		plain(c)
		c.KeepIdentifyingResourceAttributes = true
	}, point("m", ""), []string{"service.name", "svc", "host.name", "h"},
		`{__name__="m", job="svc"}`, `{__name__="target_info", host_name="h", job="svc", service_name="svc"}`)
	f("default promotion", nil, point("m", ""), []string{"service.name", "svc", "k8s.pod.name", "p", "other", "x"},
		`{__name__="m", job="svc", k8s_pod_name="p", service_name="svc"}`,
		`{__name__="target_info", job="svc", k8s_pod_name="p", other="x"}`)
	f("promote all but", func(c *Config) {
		c.PromoteAllResourceAttributes, c.IgnoreResourceAttributes = true, []string{"host.name"}
	}, point("m", ""), []string{"a", "1", "host.name", "h"}, `{__name__="m", a="1"}`)
	f("bad resource attribute name is dropped", func(c *Config) { c.PromoteAllResourceAttributes = true },
		point("m", ""), []string{"", "1", "a", "2"}, `{__name__="m", a="2"}`)
	f("scope", func(c *Config) { c.PromoteScopeMetadata = true }, point("m", "", "a", "1"), nil,
		`{__name__="m", a="1", otel_scope_name="lib"}`)
}

// repeated adds a key of two letters twice, which only a decoder can: it edits
// the encoding.
func repeated(m pcommon.Map, key, v1, v2 string) {
	md := one(gauge("x", 1))
	attrs := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).Attributes()
	attrs.PutStr("#1", v1)
	attrs.PutStr("#2", v2)
	raw, err := new(pmetric.ProtoMarshaler).MarshalMetrics(md)
	if err != nil {
		panic(err)
	}
	raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("#1"), []byte(key)), []byte("#2"), []byte(key))
	md, err = new(pmetric.ProtoUnmarshaler).UnmarshalMetrics(raw)
	if err != nil {
		panic(err)
	}
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).Attributes().CopyTo(m)
}

func TestScopeAttributes(t *testing.T) {
	r := newRig(t, func(c *Config) { c.PromoteScopeMetadata = true })
	md := one(point("m", ""))
	sm := md.ResourceMetrics().At(0).ScopeMetrics().At(0)
	sm.SetSchemaUrl("http://schema")
	sm.Scope().SetVersion("v1")
	sm.Scope().Attributes().PutStr("lang", "go")
	sm.Scope().Attributes().PutStr("name", "collides")
	r.mustConsume(t, md)
	require.Equal(t, []string{`{__name__="m", otel_scope_lang="go", otel_scope_name="lib", otel_scope_schema_url="http://schema", otel_scope_version="v1"}`}, r.names(t))
}

func TestSamples(t *testing.T) {
	stale := math.Float64frombits(value.StaleNaN)
	f := func(name string, edit func(*Config), metric func(pmetric.Metric), want map[string][]sample) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			if edit == nil {
				edit = func(*Config) {}
			}
			r := newRig(t, edit)
			r.mustConsume(t, one(metric))
			got := r.series(t)
			sameBits := cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })
			require.Empty(t, cmp.Diff(want, got, sameBits, cmpopts.EquateEmpty()))
		})
	}
	noValue := pmetric.DefaultDataPointFlags.WithNoRecordedValue(true)

	f("gauge", nil, gauge("g", 1.5, -2), map[string][]sample{`{__name__="g"}`: {{T: ms(0), V: 1.5}, {T: ms(1), V: -2}}})
	f("classic histogram", nil, explicitHistogram("h", cumulative, 0, 5, []float64{1, 2.5}, 3, 4, 5), map[string][]sample{
		`{__name__="h_bucket", le="1"}`:    {{T: ms(5), V: 3}},
		`{__name__="h_bucket", le="2.5"}`:  {{T: ms(5), V: 7}},
		`{__name__="h_bucket", le="+Inf"}`: {{T: ms(5), V: 12}},
		`{__name__="h_count"}`:             {{T: ms(5), V: 12}},
		`{__name__="h_sum"}`:               {{T: ms(5), V: 6}},
	})
	f("classic histogram without sum", nil, func(m pmetric.Metric) {
		explicitHistogram("h", cumulative, 0, 5, nil, 3)(m)
		p := m.Histogram().DataPoints().At(0)
		p.RemoveSum()
		p.SetMin(1)
		p.SetMax(2)
	}, map[string][]sample{
		`{__name__="h_bucket", le="+Inf"}`: {{T: ms(5), V: 3}},
		`{__name__="h_count"}`:             {{T: ms(5), V: 3}},
	})
	f("custom buckets", func(c *Config) { c.ConvertHistogramsToNHCB = true },
		explicitHistogram("h", cumulative, 0, 5, []float64{1, 2.5}, 3, 4, 5), map[string][]sample{
			`{__name__="h"}`: {{T: ms(5), H: &histogram.FloatHistogram{
				Schema: histogram.CustomBucketsSchema, Count: 12, Sum: 6, CustomValues: []float64{1, 2.5},
				PositiveSpans: []histogram.Span{{Offset: 0, Length: 3}}, PositiveBuckets: []float64{3, 4, 5},
			}}},
		})
	f("exponential histogram", nil, exponentialHistogram("h", cumulative, 0, 5, 3, -2, 1, 2), map[string][]sample{
		`{__name__="h"}`: {{T: ms(5), H: &histogram.FloatHistogram{
			Schema: 3, Count: 4, Sum: 12.5, ZeroCount: 1, ZeroThreshold: 1e-128,
			PositiveSpans: []histogram.Span{{Offset: -1, Length: 2}}, PositiveBuckets: []float64{1, 2},
		}}},
	})
	f("downscale to 8", nil, exponentialHistogram("h", cumulative, 0, 5, 9, 0, 1, 2, 3, 4), map[string][]sample{
		`{__name__="h"}`: {{T: ms(5), H: &histogram.FloatHistogram{
			Schema: 8, Count: 11, Sum: 12.5, ZeroCount: 1, ZeroThreshold: 1e-128,
			PositiveSpans: []histogram.Span{{Offset: 1, Length: 2}}, PositiveBuckets: []float64{3, 7},
		}}},
	})
	f("summary", nil, func(m pmetric.Metric) {
		m.SetName("s")
		p := m.SetEmptySummary().DataPoints().AppendEmpty()
		p.SetTimestamp(at(2))
		p.SetCount(10)
		p.SetSum(33)
		q := p.QuantileValues().AppendEmpty()
		q.SetQuantile(0.5)
		q.SetValue(3)
	}, map[string][]sample{
		`{__name__="s", quantile="0.5"}`: {{T: ms(2), V: 3}},
		`{__name__="s_count"}`:           {{T: ms(2), V: 10}},
		`{__name__="s_sum"}`:             {{T: ms(2), V: 33}},
	})
	f("stale gauge", nil, func(m pmetric.Metric) {
		gauge("g", 1)(m)
		p := m.Gauge().DataPoints().AppendEmpty()
		p.SetTimestamp(at(1))
		p.SetFlags(noValue)
	}, map[string][]sample{`{__name__="g"}`: {{T: ms(0), V: 1}, {T: ms(1), V: stale}}})
	f("stale histogram", nil, func(m pmetric.Metric) {
		explicitHistogram("h", cumulative, 0, 5, nil)(m)
		p := m.Histogram().DataPoints().At(0)
		p.RemoveSum()
		p.SetFlags(noValue)
	}, map[string][]sample{
		`{__name__="h_bucket", le="+Inf"}`: {{T: ms(5), V: stale}},
		`{__name__="h_count"}`:             {{T: ms(5), V: stale}},
	})
}

// TestTargetInfoTimes: half the lookback between earliest and latest, and the
// latest; only for points that were accepted; bounded.
func TestTargetInfoTimes(t *testing.T) {
	resource := []string{"service.name", "svc", "host.name", "h"}
	const info = `{__name__="target_info", host_name="h", job="svc"}`
	times := func(r *rig) (out []int64) {
		for _, s := range r.series(t)[info] {
			require.Equal(t, 1.0, s.V)
			out = append(out, s.T)
		}
		return out
	}
	spaced := func(seconds ...int) pmetric.Metrics {
		return one(func(m pmetric.Metric) {
			m.SetName("m")
			for _, s := range seconds {
				p := m.Gauge()
				if m.Type() == pmetric.MetricTypeEmpty {
					p = m.SetEmptyGauge()
				}
				q := p.DataPoints().AppendEmpty()
				q.SetTimestamp(at(s))
				q.SetIntValue(1)
			}
		}, resource...)
	}
	r := newRig(t)
	md := spaced(0)
	second := spaced(400)
	second.ResourceMetrics().At(0).ScopeMetrics().MoveAndAppendTo(md.ResourceMetrics().At(0).ScopeMetrics())
	r.mustConsume(t, md)
	require.Equal(t, []int64{ms(0), ms(150), ms(300), ms(400)}, times(r))

	// The same resource twice in a request: one sample a time.
	r = newRig(t)
	md = spaced(0)
	spaced(0).ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	r.mustConsume(t, md)
	require.Equal(t, []int64{ms(0)}, times(r))

	// A point of 1970 beside one of today.
	r = newRig(t)
	md = spaced(0)
	p := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().AppendEmpty()
	p.SetTimestamp(1e9)
	p.SetIntValue(1)
	r.refusing(t, md, map[string]int{"out_of_bounds": 1})
	require.Equal(t, []int64{ms(0)}, times(r))
}

func TestExemplars(t *testing.T) {
	r := newRig(t)
	trace, span := pcommon.TraceID{1, 2}, pcommon.SpanID{3}
	add := func(es pmetric.ExemplarSlice, sec int, v float64) pmetric.Exemplar {
		e := es.AppendEmpty()
		e.SetTimestamp(at(sec))
		e.SetDoubleValue(v)
		e.SetTraceID(trace)
		e.SetSpanID(span)
		return e
	}
	md := one(explicitHistogram("h", cumulative, 0, 5, []float64{1, 2}, 1, 1, 1))
	es := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Histogram().DataPoints().At(0).Exemplars()
	add(es, 3, 9) // not in the order of buckets
	add(es, 1, 0.5).FilteredAttributes().PutStr("user", "u1")
	add(es, 2, 1.5)
	es.AppendEmpty() // has no value
	long := make([]byte, 200)
	for i := range long {
		long[i] = 'x'
	}
	another := another(md)
	sum("c", "", true, cumulative, 0, 5, 3)(another)
	add(another.Sum().DataPoints().At(0).Exemplars(), 4, 7).FilteredAttributes().PutStr("long", string(long))
	r.mustConsume(t, md)

	const ids = `span_id="0300000000000000", trace_id="01020000000000000000000000000000"`
	require.Equal(t, []exemplarText{
		{"1", `{` + ids + `, user="u1"}`, 0.5},
		{"2", `{` + ids + `}`, 1.5},
		{"+Inf", `{` + ids + `}`, 9},
	}, r.exemplars(t, "h_bucket"))
	require.Equal(t, []exemplarText{{"", `{` + ids + `}`, 7}}, r.exemplars(t, "c_total"))
	require.Equal(t, 1.0, r.counter(t, r.m.exemplars))
}

// capture keeps what the door hands to the store.
type capture struct {
	discard
	options []storage.AOptions
	starts  []int64
}

func (c *capture) AppenderV2(context.Context) storage.AppenderV2 { return c }
func (c *capture) Append(_ storage.SeriesRef, _ labels.Labels, st, _ int64, _ float64, _ *histogram.Histogram, _ *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	c.options, c.starts = append(c.options, opts), append(c.starts, st)
	return 1, nil
}

func TestMetadataAndStart(t *testing.T) {
	sink := &capture{}
	h := New(sink, DefaultConfig(), Options{LookbackDelta: time.Minute})
	md := one(sum("reqs", "By", true, cumulative, -10, 1, 5))
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).SetDescription("Bytes \xff sent.")
	n, err := h.Consume(context.Background(), md)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Len(t, sink.options, 1)
	require.Equal(t, "reqs_bytes_total", sink.options[0].MetricFamilyName)
	require.Equal(t, "counter", string(sink.options[0].Metadata.Type))
	require.Equal(t, "bytes", sink.options[0].Metadata.Unit)
	require.Equal(t, "Bytes \uFFFD sent.", sink.options[0].Metadata.Help)
	require.Equal(t, []int64{ms(-10)}, sink.starts)
}

func TestReadOnlyMetricsAreCopied(t *testing.T) {
	r := newRig(t)
	md := one(sum("d", "", true, delta, 0, 1, 5))
	md.MarkReadOnly()
	r.mustConsume(t, md)
	require.Equal(t, delta, md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().AggregationTemporality())
	require.Equal(t, []sample{{T: ms(1), V: 5}}, r.series(t)[`{__name__="d_total"}`])
}
