package self

import (
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// millis returns Unix milliseconds, 0 for none.
func millis(t *timestamppb.Timestamp) int64 {
	if t == nil {
		return 0
	}
	return t.GetSeconds()*1000 + int64(t.GetNanos())/1e6
}

// exemplarScratch is reused by every conversion: the sink copies what it keeps.
type exemplarScratch struct {
	one     [1]exemplar.Exemplar
	builder labels.ScratchBuilder
}

// convert returns one exemplar, valid until the next call. One without a time
// has that of its sample.
func (x *exemplarScratch) convert(e *dto.Exemplar, t int64) []exemplar.Exemplar {
	x.builder.Reset()
	for _, l := range e.GetLabel() {
		x.builder.Add(l.GetName(), l.GetValue())
	}
	x.builder.Sort()
	x.one[0] = exemplar.Exemplar{Labels: x.builder.Labels(), Value: e.GetValue(), Ts: t}
	if ts := millis(e.GetTimestamp()); ts != 0 {
		x.one[0].Ts, x.one[0].HasTs = ts, true
	}
	return x.one[:]
}

// nativeHistogram converts the native buckets; one of the results is nil.
func nativeHistogram(h *dto.Histogram) (*histogram.Histogram, *histogram.FloatHistogram) {
	if h.GetSampleCountFloat() > 0 || h.GetZeroCountFloat() > 0 || len(h.GetPositiveCount()) > 0 || len(h.GetNegativeCount()) > 0 {
		return nil, &histogram.FloatHistogram{
			Schema:          h.GetSchema(),
			ZeroThreshold:   h.GetZeroThreshold(),
			ZeroCount:       h.GetZeroCountFloat(),
			Count:           h.GetSampleCountFloat(),
			Sum:             h.GetSampleSum(),
			PositiveSpans:   spans(h.GetPositiveSpan()),
			PositiveBuckets: h.GetPositiveCount(),
			NegativeSpans:   spans(h.GetNegativeSpan()),
			NegativeBuckets: h.GetNegativeCount(),
		}
	}
	return &histogram.Histogram{
		Schema:          h.GetSchema(),
		ZeroThreshold:   h.GetZeroThreshold(),
		ZeroCount:       h.GetZeroCount(),
		Count:           h.GetSampleCount(),
		Sum:             h.GetSampleSum(),
		PositiveSpans:   spans(h.GetPositiveSpan()),
		PositiveBuckets: h.GetPositiveDelta(),
		NegativeSpans:   spans(h.GetNegativeSpan()),
		NegativeBuckets: h.GetNegativeDelta(),
	}, nil
}

func spans(in []*dto.BucketSpan) []histogram.Span {
	if len(in) == 0 || len(in) == 1 && in[0].GetLength() == 0 {
		// client_golang marks a native histogram without observations by an empty span.
		return nil
	}
	out := make([]histogram.Span, len(in))
	for i, s := range in {
		out[i] = histogram.Span{Offset: s.GetOffset(), Length: s.GetLength()}
	}
	return out
}
