package testkit

import (
	"math"
	"math/rand/v2"
)

// Kind is a pattern of values.
type Kind string

// Kinds of values, as production has them.
const (
	Counter  Kind = "counter"  // rises in whole numbers, is reset now and then
	Gauge    Kind = "gauge"    // wanders, with two decimals
	Constant Kind = "constant" // never changes
	Bytes    Kind = "bytes"    // large whole numbers, multiples of a page
	Noise    Kind = "noise"    // random bits: what no codec can pack
	Special  Kind = "special"  // infinities, NaN, stale markers, -0, the smallest and largest numbers
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Counter, Gauge, Constant, Bytes, Noise, Special} }

func (k Kind) suffix() string {
	switch k {
	case Counter:
		return "_total"
	case Bytes:
		return "_size_bytes"
	case Gauge, Constant, Noise, Special:
	}
	return ""
}

// StaleNaN is Prometheus' marker for the end of a series, bit by bit.
func StaleNaN() float64 { return math.Float64frombits(0x7ff0000000000002) }

var specials = []float64{
	0, math.Copysign(0, -1), 1, -1, math.Inf(1), math.Inf(-1), math.NaN(), StaleNaN(),
	math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 1<<53 + 2, 0.1, 1e-300,
}

// values returns a function that gives one value after the other.
func (k Kind) values(r *rand.Rand) func() float64 {
	switch k {
	case Counter:
		v, rate := float64(r.IntN(1_000_000)), 1+r.IntN(1000)
		return func() float64 {
			v += float64(r.IntN(rate))
			if r.IntN(1000) == 0 {
				v = 0
			}
			return v
		}
	case Gauge:
		v := r.Float64() * 100
		return func() float64 {
			v += r.NormFloat64()
			return math.Round(v*100) / 100
		}
	case Bytes:
		pages := r.Int64N(1 << 24)
		return func() float64 {
			pages = max(0, pages+r.Int64N(2001)-1000)
			return float64(pages * 4096)
		}
	case Noise:
		return func() float64 { return r.NormFloat64() * math.Exp(20*r.NormFloat64()) }
	case Special:
		return func() float64 { return specials[r.IntN(len(specials))] }
	case Constant:
	}
	v := float64(r.IntN(100))
	return func() float64 { return v }
}
