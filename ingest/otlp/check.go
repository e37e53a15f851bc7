package otlp

import (
	"math"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"signalbox/internal/fault"
)

// The checks take out of a resource what the translation would choke on (it
// gives up the rest of a metric, a scope or a resource at the first bad point),
// and plan what it will make of the rest. They return *fault.Error, so that the
// hot path compares a pointer.

// check prepares one resource: afterwards rm holds only points the translation
// accepts, none of them delta, and rec.plan has an entry for each, in order.
func (b *batch) check(rm pmetric.ResourceMetrics) {
	if b.tx != nil {
		b.tx.enterResource(rm.Resource().Attributes())
	}
	rbad := b.checkEntity(rm.Resource().Attributes(), true)
	rm.ScopeMetrics().RemoveIf(func(sm pmetric.ScopeMetrics) bool {
		sbad := rbad
		if sbad == nil {
			sbad = b.checkScope(sm)
		}
		if b.tx != nil {
			b.tx.enterScope(sm)
		}
		sm.Metrics().RemoveIf(func(m pmetric.Metric) bool {
			bad := sbad
			if bad == nil {
				bad = b.checkMetric(m)
			}
			return b.checkPoints(m, bad)
		})
		return sm.Metrics().Len() == 0
	})
}

// checkPoints checks the points of m and reports whether none is left. bad, if
// set, is the refusal of all of them.
func (b *batch) checkPoints(m pmetric.Metric, bad *fault.Error) (empty bool) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return b.gauge(m, bad)
	case pmetric.MetricTypeSum:
		return b.sum(m, bad)
	case pmetric.MetricTypeHistogram:
		return b.histogram(m, bad)
	case pmetric.MetricTypeExponentialHistogram:
		return b.exponential(m, bad)
	case pmetric.MetricTypeSummary:
		return b.summary(m, bad)
	default:
		return true // a metric without data has no points to refuse
	}
}

// checkEntity checks the attributes of a resource or scope, which are part of
// the identity of all points under it. A name that no label can be made of is
// dropped.
func (b *batch) checkEntity(attrs pcommon.Map, labelNames bool) *fault.Error {
	var bad *fault.Error
	attrs.RemoveIf(func(k string, v pcommon.Value) bool {
		if e := b.checkAttribute(k, v); e != nil && bad == nil {
			bad = e
		}
		return labelNames && !b.canBeLabel(k)
	})
	return bad
}

func (b *batch) checkScope(sm pmetric.ScopeMetrics) *fault.Error {
	s := sm.Scope()
	if !utf8.ValidString(s.Name()) || !utf8.ValidString(s.Version()) || !utf8.ValidString(sm.SchemaUrl()) {
		return fault.Refuse("invalid_utf8", "the scope is not valid UTF-8")
	}
	return b.checkEntity(s.Attributes(), false)
}

// checkMetric checks what all points of a metric share.
func (b *batch) checkMetric(m pmetric.Metric) *fault.Error {
	if !utf8.ValidString(m.Name()) || !utf8.ValidString(m.Unit()) {
		return fault.Refuse("invalid_utf8", "the name or the unit is not valid UTF-8")
	}
	if !utf8.ValidString(m.Description()) {
		m.SetDescription(strings.ToValidUTF8(m.Description(), "\uFFFD"))
	}
	if m.Name() == "" {
		return fault.Refuse("bad_metric_name", "the metric has no name")
	}
	if !hasAlnum(m.Name()) {
		if _, err := b.h.names.Build(prometheusremotewrite.TranslatorMetricFromOtelMetric(m)); err != nil {
			return fault.Refuse("bad_metric_name", "%w", err)
		}
	}
	return nil
}

// checkTemporality judges a temporality and says whether to add deltas up.
func (b *batch) checkTemporality(t pmetric.AggregationTemporality) (delta bool, bad *fault.Error) {
	switch t {
	case pmetric.AggregationTemporalityCumulative:
		return false, nil
	case pmetric.AggregationTemporalityDelta:
		if b.tx == nil {
			return false, fault.Refuse("delta_temporality", "delta temporality is not accepted here; use cumulative")
		}
		return true, nil
	default:
		return false, fault.Refuse("bad_temporality", "the aggregation temporality is neither delta nor cumulative")
	}
}

// checkTimes checks the times of a point and clears an impossible start.
func checkTimes(start, end pcommon.Timestamp, clearStart func(pcommon.Timestamp)) *fault.Error {
	if end == 0 {
		return fault.Refuse("bad_timestamp", "the data point has no time")
	}
	if end > math.MaxInt64 {
		return fault.Refuse("bad_timestamp", "the time %d ns is out of range", uint64(end))
	}
	if start > math.MaxInt64 {
		clearStart(0)
	}
	return nil
}

// checkAttributes checks the attributes of a data point.
func (b *batch) checkAttributes(attrs pcommon.Map) *fault.Error {
	for k, v := range attrs.All() {
		if e := b.checkAttribute(k, v); e != nil {
			return e
		}
		if !b.canBeLabel(k) {
			return fault.Refuse("bad_attribute_name", "no label name can be made of the attribute %q", k)
		}
	}
	if b.h.settings.AllowUTF8 {
		return checkUnique(attrs)
	}
	return nil
}

// checkUnique refuses repeated keys. With escaping the translation joins them,
// as it joins names that become equal; without, the label set would be invalid.
func checkUnique(attrs pcommon.Map) *fault.Error {
	i := 0
	for k := range attrs.All() {
		j := 0
		for other := range attrs.All() {
			if j == i {
				break
			}
			if other == k {
				return fault.Refuse("duplicate_attribute", "the attribute %q is there twice", k)
			}
			j++
		}
		i++
	}
	return nil
}

func (b *batch) checkAttribute(k string, v pcommon.Value) *fault.Error {
	if !utf8.ValidString(k) {
		return fault.Refuse("invalid_utf8", "the attribute name %q is not valid UTF-8", k)
	}
	switch v.Type() {
	case pcommon.ValueTypeStr:
		if !utf8.ValidString(v.Str()) {
			return fault.Refuse("invalid_utf8", "the attribute %q is not valid UTF-8", k)
		}
	case pcommon.ValueTypeMap, pcommon.ValueTypeSlice:
		if !shallow(v, maxNesting) {
			return fault.Refuse("nested_too_deep", "the attribute %q is nested more than %d deep", k, maxNesting)
		}
	default:
	}
	return nil
}

// canBeLabel reports whether the translation makes a label name of k. Almost
// all names have a letter, which settles it.
func (b *batch) canBeLabel(k string) bool {
	if hasAlnum(k) {
		return true
	}
	_, err := b.h.labels.Build(k)
	return err == nil
}

func hasAlnum(s string) bool {
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			return true
		}
	}
	return false
}
