package otlp

import (
	"cmp"
	"math"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// checkExemplars drops exemplars without a value or with invalid text, gives
// those without a time that of the point, and orders them: the store wants them
// by time, and the translation of explicit histograms by bucket before that.
func (b *batch) checkExemplars(es pmetric.ExemplarSlice, end pcommon.Timestamp, bucket func(float64) int) {
	if es.Len() == 0 {
		return
	}
	es.RemoveIf(func(e pmetric.Exemplar) bool {
		_, wrong := checkTexts(e.FilteredAttributes())
		bad := wrong != nil || e.ValueType() == pmetric.ExemplarValueTypeEmpty
		for k := range e.FilteredAttributes().All() {
			bad = bad || k == ""
		}
		if e.Timestamp() == 0 || e.Timestamp() > math.MaxInt64 {
			e.SetTimestamp(end)
		}
		if bad {
			b.h.m.exemplars.Inc()
		}
		return bad
	})
	sortExemplars(es, func(x, y pmetric.Exemplar) int {
		if bucket != nil {
			if c := cmp.Compare(bucket(exemplarValue(x)), bucket(exemplarValue(y))); c != 0 {
				return c
			}
		}
		return cmp.Compare(x.Timestamp(), y.Timestamp())
	})
}

// sortExemplars leaves a slice that is in order alone, which most are.
func sortExemplars(es pmetric.ExemplarSlice, compare func(x, y pmetric.Exemplar) int) {
	ordered := true
	for i := 1; i < es.Len() && ordered; i++ {
		ordered = compare(es.At(i-1), es.At(i)) <= 0
	}
	if ordered {
		return
	}
	order := make([]pmetric.Exemplar, es.Len())
	for i := range order {
		order[i] = es.At(i)
	}
	slices.SortStableFunc(order, compare)
	sorted := pmetric.NewExemplarSlice()
	sorted.EnsureCapacity(len(order))
	for _, e := range order {
		e.MoveTo(sorted.AppendEmpty())
	}
	sorted.CopyTo(es)
}

func exemplarValue(e pmetric.Exemplar) float64 {
	if e.ValueType() == pmetric.ExemplarValueTypeInt {
		return float64(e.IntValue())
	}
	return e.DoubleValue()
}
