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
	rbad := b.checkEntity(rm.Resource().Attributes())
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

// checkMetric checks what all points of a metric share.
func (b *batch) checkMetric(m pmetric.Metric) *fault.Error {
	b.sizes.metric = len(m.Name()) + len(m.Unit())
	if len(m.Name()) > maxTextBytes || len(m.Unit()) > maxTextBytes {
		return fault.Refuse("metric_name_too_long", "the name has %d bytes and the unit %d, the limit is %d", len(m.Name()), len(m.Unit()), maxTextBytes)
	}
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
