package otlp

import (
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"signalbox/internal/fault"
)

// maxExpBuckets bounds each side of an added-up exponential histogram, as it
// does in the SDKs; beyond it the resolution is halved.
const maxExpBuckets = 160

// exponential is an added-up exponential histogram.
type exponential struct {
	scale         int32
	count, zeros  uint64
	zeroThreshold float64
	sum           float64
	pos, neg      expBuckets
}

// expBuckets are dense: counts[i] belongs to index offset+i.
type expBuckets struct {
	offset int32
	counts []uint64
}

func (e *exponential) clone() *exponential {
	if e == nil {
		return nil
	}
	c := *e
	c.pos.counts, c.neg.counts = slices.Clone(e.pos.counts), slices.Clone(e.neg.counts)
	return &c
}

// exponential adds p to its stream and turns p into the cumulative point, at
// the lower of both scales.
func (tx *deltaTx) exponential(p pmetric.ExponentialHistogramDataPoint) (*touch, *fault.Error) {
	for _, v := range [...]float64{p.Sum(), p.ZeroThreshold()} {
		if bad := checkFinite(v); bad != nil {
			return nil, bad
		}
	}
	id := tx.streamID(p.Attributes())
	add := readExponential(p)
	have := &exponential{scale: add.scale}
	if s := tx.stripe.streams[id]; s != nil && s.exp != nil && tx.now-s.seen <= int64(tx.d.stale) {
		have = s.exp
	}
	if countOverflows(have.count, add.count) {
		return nil, errCountOverflow(add.count)
	}
	scale, buckets, ok := commonScale(have, add)
	if !ok {
		return nil, fault.Refuse("bad_buckets", "the buckets span more than %d at the smallest scale", maxExpBuckets)
	}
	t, bad := tx.advance(id, p.StartTimestamp(), p.Timestamp(), weigh(buckets))
	if bad != nil {
		return nil, bad
	}
	s := t.s
	if s.exp == nil {
		s.exp = &exponential{scale: scale}
	}
	s.exp.add(add, scale)
	s.exp.write(p)
	p.SetStartTimestamp(s.start)
	return t, nil
}

// readExponential copies p, at a scale that the store has, without empty
// buckets at the ends.
func readExponential(p pmetric.ExponentialHistogramDataPoint) *exponential {
	e := &exponential{
		scale: p.Scale(), count: p.Count(), zeros: p.ZeroCount(), zeroThreshold: p.ZeroThreshold(), sum: p.Sum(),
		pos: readBuckets(p.Positive()), neg: readBuckets(p.Negative()),
	}
	if e.scale > histogram.ExponentialSchemaMax {
		e.rescale(histogram.ExponentialSchemaMax)
	}
	return e
}

func readBuckets(b pmetric.ExponentialHistogramDataPointBuckets) expBuckets {
	counts := b.BucketCounts()
	lo, hi := 0, counts.Len()
	for lo < hi && counts.At(lo) == 0 {
		lo++
	}
	for hi > lo && counts.At(hi-1) == 0 {
		hi--
	}
	out := expBuckets{offset: b.Offset() + int32(lo)}
	for i := lo; i < hi; i++ {
		out.counts = append(out.counts, counts.At(i))
	}
	return out
}

// commonScale is the largest scale at which both together keep within
// maxExpBuckets, and the number of buckets then; false when there is none that
// the store has.
func commonScale(a, b *exponential) (scale int32, buckets int, ok bool) {
	for scale := min(a.scale, b.scale); scale >= histogram.ExponentialSchemaMin; scale-- {
		pos := span(a.pos, a.scale-scale, b.pos, b.scale-scale)
		neg := span(a.neg, a.scale-scale, b.neg, b.scale-scale)
		if pos <= maxExpBuckets && neg <= maxExpBuckets {
			return scale, int(pos + neg), true
		}
	}
	return 0, 0, false
}

// span is the number of buckets that cover a and b after halving the
// resolution of each so many times.
func span(a expBuckets, byA int32, b expBuckets, byB int32) int64 {
	lo, hi := int64(0), int64(-1)
	for _, x := range []struct {
		b  expBuckets
		by int32
	}{{a, byA}, {b, byB}} {
		if len(x.b.counts) == 0 {
			continue
		}
		first := int64(x.b.offset >> x.by)
		last := (int64(x.b.offset) + int64(len(x.b.counts)) - 1) >> x.by
		if hi < lo {
			lo, hi = first, last
		}
		lo, hi = min(lo, first), max(hi, last)
	}
	return hi - lo + 1
}

// add merges o into e at scale, which is at most that of either.
func (e *exponential) add(o *exponential, scale int32) {
	e.rescale(scale)
	o.rescale(scale)
	e.count += o.count
	e.zeros += o.zeros
	e.sum += o.sum
	e.zeroThreshold = max(e.zeroThreshold, o.zeroThreshold)
	e.pos.add(o.pos)
	e.neg.add(o.neg)
}

func (e *exponential) rescale(scale int32) {
	if by := e.scale - scale; by > 0 {
		e.pos.halve(by)
		e.neg.halve(by)
		e.scale = scale
	}
}

// halve halves the resolution by times.
func (b *expBuckets) halve(by int32) {
	if len(b.counts) == 0 {
		return
	}
	offset := b.offset >> by
	last := (int64(b.offset) + int64(len(b.counts)) - 1) >> by
	counts := make([]uint64, last-int64(offset)+1)
	for i, n := range b.counts {
		counts[(int64(b.offset)+int64(i))>>by-int64(offset)] += n
	}
	b.offset, b.counts = offset, counts
}

// add merges o, which is of the same scale.
func (b *expBuckets) add(o expBuckets) {
	if len(o.counts) == 0 {
		return
	}
	if len(b.counts) == 0 {
		b.offset, b.counts = o.offset, o.counts
		return
	}
	lo := min(b.offset, o.offset)
	hi := max(b.offset+int32(len(b.counts)), o.offset+int32(len(o.counts)))
	if int(hi-lo) != len(b.counts) {
		grown := make([]uint64, hi-lo)
		copy(grown[b.offset-lo:], b.counts)
		b.offset, b.counts = lo, grown
	}
	for i, n := range o.counts {
		b.counts[int(o.offset-lo)+i] += n
	}
}

// write turns p into the cumulative point.
func (e *exponential) write(p pmetric.ExponentialHistogramDataPoint) {
	p.SetScale(e.scale)
	p.SetCount(e.count)
	p.SetZeroCount(e.zeros)
	p.SetZeroThreshold(e.zeroThreshold)
	p.SetSum(e.sum)
	p.RemoveMin()
	p.RemoveMax()
	writeBuckets(p.Positive(), e.pos)
	writeBuckets(p.Negative(), e.neg)
}

func writeBuckets(dst pmetric.ExponentialHistogramDataPointBuckets, b expBuckets) {
	dst.SetOffset(b.offset)
	dst.BucketCounts().FromRaw(b.counts)
}
