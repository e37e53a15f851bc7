package otlp

import (
	"math"
	"math/bits"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"signalbox/internal/fault"
)

// maxDeltaBuckets bounds one added-up histogram with explicit bounds.
const maxDeltaBuckets = 4096

// explicit is an added-up histogram with explicit bounds.
type explicit struct {
	bounds []float64
	counts []uint64
	count  uint64
	sum    float64
	noSum  bool // a point had none, so there is no total
}

func (e *explicit) clone() *explicit {
	if e == nil {
		return nil
	}
	c := *e
	c.counts = slices.Clone(e.counts) // bounds are replaced, never edited
	return &c
}

// histogram adds p to its stream and turns p into the cumulative point. When
// the bounds change, a new cumulative series starts.
func (tx *deltaTx) histogram(p pmetric.HistogramDataPoint) (*touch, *fault.Error) {
	buckets := p.BucketCounts().Len()
	if buckets > maxDeltaBuckets {
		return nil, fault.Refuse("bad_buckets", "%d buckets; deltas are added up for at most %d", buckets, maxDeltaBuckets)
	}
	if bad := checkFinite(p.Sum()); bad != nil { // 0 when there is none
		return nil, bad
	}
	id := tx.streamID(p.Attributes())
	if s := tx.stripe.streams[id]; s != nil && s.hist != nil && countOverflows(s.hist.count, p.Count()) {
		return nil, errCountOverflow(p.Count())
	}
	t, bad := tx.advance(id, p.StartTimestamp(), p.Timestamp(), weigh(2*buckets))
	if bad != nil {
		return nil, bad
	}
	s := t.s
	if s.hist == nil || len(s.hist.counts) != buckets || !sameBounds(s.hist.bounds, p.ExplicitBounds()) {
		s.restart(p.StartTimestamp())
		s.hist = &explicit{bounds: p.ExplicitBounds().AsRaw(), counts: make([]uint64, buckets)}
	}
	e := s.hist
	for i := range e.counts {
		e.counts[i] += p.BucketCounts().At(i)
	}
	e.count += p.Count()
	e.sum += p.Sum()
	e.noSum = e.noSum || !p.HasSum()

	p.BucketCounts().FromRaw(e.counts)
	p.SetCount(e.count)
	p.SetSum(e.sum)
	if e.noSum {
		p.RemoveSum()
	}
	p.RemoveMin()
	p.RemoveMax()
	p.SetStartTimestamp(s.start)
	return t, nil
}

func sameBounds(a []float64, b pcommon.Float64Slice) bool {
	if len(a) != b.Len() {
		return false
	}
	for i, v := range a {
		if v != b.At(i) {
			return false
		}
	}
	return true
}

// countOverflows reports whether a+b leaves the range the store keeps. The
// checks have made sure that buckets add up to the count at most.
func countOverflows(a, b uint64) bool {
	sum, carry := bits.Add64(a, b, 0)
	return carry != 0 || sum > math.MaxInt64
}

func errCountOverflow(n uint64) *fault.Error {
	return fault.Refuse("delta_bad_value", "adding %d observations overflows the total", n)
}
