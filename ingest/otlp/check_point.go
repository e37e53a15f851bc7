package otlp

import (
	"math"
	"math/bits"
	"sort"

	"github.com/prometheus/prometheus/model/histogram"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"signalbox/internal/fault"
)

// keep notes what became of one point and reports whether to take it out.
func (b *batch) keep(m pmetric.Metric, bad *fault.Error, p planned) (remove bool) {
	b.received++
	if bad == nil {
		bad = b.build(p.samples)
	}
	if bad != nil {
		b.refusals.add(m.Name(), bad)
		return true
	}
	b.rec.plan = append(b.rec.plan, p)
	return false
}

func (b *batch) gauge(m pmetric.Metric, shared *fault.Error) bool {
	points := m.Gauge().DataPoints()
	points.RemoveIf(func(p pmetric.NumberDataPoint) bool {
		bad := shared
		if bad == nil {
			bad = b.checkNumber(p)
		}
		return b.keep(m, bad, planned{samples: 1})
	})
	return points.Len() == 0
}

func (b *batch) sum(m pmetric.Metric, shared *fault.Error) bool {
	s := m.Sum()
	delta := false
	if shared == nil {
		delta, shared = b.checkTemporality(s.AggregationTemporality())
	}
	if delta {
		b.tx.enterMetric(m, s.IsMonotonic())
		s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	}
	points := s.DataPoints()
	points.RemoveIf(func(p pmetric.NumberDataPoint) bool {
		bad, plan := shared, planned{samples: 1}
		if bad == nil {
			bad = b.checkNumber(p)
		}
		if bad == nil && delta && !p.Flags().NoRecordedValue() {
			plan.end = p.Timestamp()
			plan.touch, bad = b.tx.number(p, s.IsMonotonic())
		}
		if bad == nil {
			b.checkExemplars(p.Exemplars(), p.Timestamp(), nil)
		}
		return b.keep(m, bad, plan)
	})
	return points.Len() == 0
}

func (b *batch) checkNumber(p pmetric.NumberDataPoint) *fault.Error {
	if p.ValueType() == pmetric.NumberDataPointValueTypeEmpty && !p.Flags().NoRecordedValue() {
		return fault.Refuse("no_value", "the data point has no value")
	}
	if e := checkTimes(p.StartTimestamp(), p.Timestamp(), p.SetStartTimestamp); e != nil {
		return e
	}
	return b.checkAttributes(p.Attributes())
}

func (b *batch) histogram(m pmetric.Metric, shared *fault.Error) bool {
	hist := m.Histogram()
	delta := false
	if shared == nil {
		delta, shared = b.checkTemporality(hist.AggregationTemporality())
	}
	if delta {
		b.tx.enterMetric(m, true)
		hist.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	}
	points := hist.DataPoints()
	points.RemoveIf(func(p pmetric.HistogramDataPoint) bool {
		bad, plan := shared, planned{}
		if bad == nil {
			bad = b.checkHistogram(p)
		}
		if bad == nil && delta && !p.Flags().NoRecordedValue() {
			plan.end = p.Timestamp()
			plan.touch, bad = b.tx.histogram(p)
		}
		if bad == nil {
			bounds := p.ExplicitBounds()
			b.checkExemplars(p.Exemplars(), p.Timestamp(), func(v float64) int {
				return sort.Search(bounds.Len(), func(i int) bool { return v <= bounds.At(i) })
			})
			plan.samples = b.histogramSamples(p)
		}
		return b.keep(m, bad, plan)
	})
	return points.Len() == 0
}

// histogramSamples is the number of samples the translation makes of p.
func (b *batch) histogramSamples(p pmetric.HistogramDataPoint) int {
	if b.h.settings.ConvertHistogramsToNHCB {
		return 1
	}
	n := 2 + min(p.ExplicitBounds().Len(), p.BucketCounts().Len()) // _count, le="+Inf", the others
	if p.HasSum() {
		n++
	}
	return n
}

func (b *batch) checkHistogram(p pmetric.HistogramDataPoint) *fault.Error {
	if e := checkTimes(p.StartTimestamp(), p.Timestamp(), p.SetStartTimestamp); e != nil {
		return e
	}
	bounds, counts := p.ExplicitBounds(), p.BucketCounts()
	if counts.Len() != bounds.Len()+1 && (counts.Len() != 0 || bounds.Len() != 0) {
		return fault.Refuse("bad_buckets", "%d bounds need %d bucket counts, there are %d", bounds.Len(), bounds.Len()+1, counts.Len())
	}
	last := math.Inf(-1)
	for i := range bounds.Len() {
		if v := bounds.At(i); v > last && !math.IsInf(v, 0) {
			last = v
			continue
		}
		return fault.Refuse("bad_bounds", "the bucket bounds are not finite and increasing")
	}
	if total, ok := addCounts(0, counts); !ok || total > p.Count() && !p.Flags().NoRecordedValue() {
		return fault.Refuse("bad_buckets", "the buckets have more observations than the count %d", p.Count())
	}
	return b.checkAttributes(p.Attributes())
}

func (b *batch) exponential(m pmetric.Metric, shared *fault.Error) bool {
	hist := m.ExponentialHistogram()
	delta := false
	if shared == nil {
		delta, shared = b.checkTemporality(hist.AggregationTemporality())
	}
	if delta {
		b.tx.enterMetric(m, true)
		hist.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	}
	points := hist.DataPoints()
	points.RemoveIf(func(p pmetric.ExponentialHistogramDataPoint) bool {
		bad, plan := shared, planned{samples: 1}
		if bad == nil {
			bad = b.checkExponential(p)
		}
		if bad == nil && delta && !p.Flags().NoRecordedValue() {
			plan.end = p.Timestamp()
			plan.touch, bad = b.tx.exponential(p)
		}
		if bad == nil {
			b.checkExemplars(p.Exemplars(), p.Timestamp(), nil)
		}
		return b.keep(m, bad, plan)
	})
	return points.Len() == 0
}

func (b *batch) checkExponential(p pmetric.ExponentialHistogramDataPoint) *fault.Error {
	if e := checkTimes(p.StartTimestamp(), p.Timestamp(), p.SetStartTimestamp); e != nil {
		return e
	}
	if p.Scale() < histogram.ExponentialSchemaMin {
		return fault.Refuse("scale_too_small", "the scale is %d, the smallest is %d", p.Scale(), histogram.ExponentialSchemaMin)
	}
	if !p.HasSum() && !p.Flags().NoRecordedValue() {
		return fault.Refuse("missing_sum", "the exponential histogram has no sum")
	}
	for _, buckets := range []pmetric.ExponentialHistogramDataPointBuckets{p.Positive(), p.Negative()} {
		if int64(buckets.Offset())+int64(buckets.BucketCounts().Len()) >= math.MaxInt32 {
			return fault.Refuse("bad_buckets", "the bucket offset %d is out of range", buckets.Offset())
		}
	}
	total, ok := addCounts(p.ZeroCount(), p.Positive().BucketCounts())
	if ok {
		total, ok = addCounts(total, p.Negative().BucketCounts())
	}
	if !ok || total > p.Count() && !p.Flags().NoRecordedValue() {
		return fault.Refuse("bad_buckets", "the buckets have more observations than the count %d", p.Count())
	}
	return b.checkAttributes(p.Attributes())
}

func (b *batch) summary(m pmetric.Metric, shared *fault.Error) bool {
	points := m.Summary().DataPoints()
	points.RemoveIf(func(p pmetric.SummaryDataPoint) bool {
		bad := shared
		if bad == nil {
			bad = b.checkSummary(p)
		}
		return b.keep(m, bad, planned{samples: 2 + p.QuantileValues().Len()})
	})
	return points.Len() == 0
}

func (b *batch) checkSummary(p pmetric.SummaryDataPoint) *fault.Error {
	if e := checkTimes(p.StartTimestamp(), p.Timestamp(), p.SetStartTimestamp); e != nil {
		return e
	}
	for i := range p.QuantileValues().Len() {
		if q := p.QuantileValues().At(i).Quantile(); !(q >= 0 && q <= 1) {
			return fault.Refuse("bad_quantile", "the quantile %g is not between 0 and 1", q)
		}
	}
	return b.checkAttributes(p.Attributes())
}

// addCounts adds bucket counts to total; false when they do not fit, signed as
// the store keeps them.
func addCounts(total uint64, counts pcommon.UInt64Slice) (uint64, bool) {
	for i := range counts.Len() {
		var carry uint64
		if total, carry = bits.Add64(total, counts.At(i), 0); carry != 0 || total > math.MaxInt64 {
			return 0, false
		}
	}
	return total, true
}
