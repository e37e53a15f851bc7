package api

import (
	"math"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/proto"
)

// familyBuilder collects the samples of one metric name that have one type. A
// name with several types becomes several families, which Prometheus reads.
type familyBuilder struct {
	mf   *dto.MetricFamily
	kind dto.MetricType
}

func kindOf(s fedSample) dto.MetricType {
	switch {
	case s.h == nil:
		return dto.MetricType_UNTYPED
	case s.h.CounterResetHint == histogram.GaugeType:
		return dto.MetricType_GAUGE_HISTOGRAM
	default:
		return dto.MetricType_HISTOGRAM
	}
}

func newFamily(s fedSample) *familyBuilder {
	kind := kindOf(s)
	return &familyBuilder{kind: kind, mf: &dto.MetricFamily{Name: proto.String(s.name), Type: kind.Enum()}}
}

func (b *familyBuilder) fits(s fedSample) bool {
	return b.mf.GetName() == s.name && b.kind == kindOf(s)
}

func (b *familyBuilder) add(s fedSample, extraNames []string, extra map[string]string) {
	m := &dto.Metric{TimestampMs: proto.Int64(s.t)}
	s.lset.Range(func(l labels.Label) {
		if l.Name != model.MetricNameLabel && l.Value != "" {
			m.Label = append(m.Label, &dto.LabelPair{Name: proto.String(l.Name), Value: proto.String(l.Value)})
		}
	})
	for _, name := range extraNames {
		if s.lset.Get(name) == "" {
			m.Label = append(m.Label, &dto.LabelPair{Name: proto.String(name), Value: proto.String(extra[name])})
		}
	}
	switch {
	case s.h == nil:
		m.Untyped = &dto.Untyped{Value: proto.Float64(s.f)}
	case s.custom:
		m.Histogram = classicHistogram(s.h)
	default:
		m.Histogram = nativeHistogram(s.h)
	}
	b.mf.Metric = append(b.mf.Metric, m)
}

// nativeHistogram is for exponential buckets.
func nativeHistogram(h *histogram.FloatHistogram) *dto.Histogram {
	spans := func(from []histogram.Span) []*dto.BucketSpan {
		var out []*dto.BucketSpan
		for _, s := range from {
			out = append(out, &dto.BucketSpan{Offset: proto.Int32(s.Offset), Length: proto.Uint32(s.Length)})
		}
		return out
	}
	return &dto.Histogram{
		SampleCountFloat: proto.Float64(h.Count),
		SampleSum:        proto.Float64(h.Sum),
		Schema:           proto.Int32(h.Schema),
		ZeroThreshold:    proto.Float64(h.ZeroThreshold),
		ZeroCountFloat:   proto.Float64(h.ZeroCount),
		PositiveSpan:     spans(h.PositiveSpans),
		PositiveCount:    h.PositiveBuckets,
		NegativeSpan:     spans(h.NegativeSpans),
		NegativeCount:    h.NegativeBuckets,
	}
}

// classicHistogram is for custom buckets, which the exposition formats have
// only in the classic shape. The +Inf bucket is implied by the count.
func classicHistogram(h *histogram.FloatHistogram) *dto.Histogram {
	counts := make([]float64, len(h.CustomValues)+1)
	for it := h.PositiveBucketIterator(); it.Next(); {
		if b := it.At(); b.Index >= 0 && int(b.Index) < len(counts) {
			counts[b.Index] += b.Count
		}
	}
	// Whole numbers, which custom buckets nearly always have, go into the fields
	// that every format can write.
	whole := wholeCounts(h)
	out := &dto.Histogram{SampleSum: proto.Float64(h.Sum)}
	if whole {
		out.SampleCount = proto.Uint64(uint64(h.Count))
	} else {
		out.SampleCountFloat = proto.Float64(h.Count)
	}
	sum := 0.0
	for i, upper := range h.CustomValues {
		sum += counts[i]
		b := &dto.Bucket{UpperBound: proto.Float64(upper)}
		if whole {
			b.CumulativeCount = proto.Uint64(uint64(sum))
		} else {
			b.CumulativeCountFloat = proto.Float64(sum)
		}
		out.Bucket = append(out.Bucket, b)
	}
	return out
}

// wholeCounts says whether all counts are integers that a float holds exactly.
func wholeCounts(h *histogram.FloatHistogram) bool {
	const exact = 1 << 53
	whole := func(f float64) bool { return f >= 0 && f <= exact && f == math.Trunc(f) }
	for _, c := range h.PositiveBuckets {
		if !whole(c) {
			return false
		}
	}
	return whole(h.Count)
}
