package otlp

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"signalbox/internal/fault"
)

// number is an added-up sum. It is an integer for as long as only integers come
// and they fit.
type number struct {
	float bool
	i     int64
	f     float64
}

func (n *number) addInt(d int64) {
	if n.float {
		n.f += float64(d)
		return
	}
	sum := n.i + d
	if (sum > n.i) == (d > 0) || d == 0 {
		n.i = sum
		return
	}
	n.float, n.f = true, float64(n.i)+float64(d)
}

func (n *number) addFloat(d float64) {
	if !n.float {
		n.float, n.f = true, float64(n.i)
	}
	n.f += d
}

// number adds p to its stream and turns p into the cumulative point.
func (tx *deltaTx) number(p pmetric.NumberDataPoint, monotonic bool) (*touch, *fault.Error) {
	isInt := p.ValueType() == pmetric.NumberDataPointValueTypeInt
	if !isInt {
		if bad := checkFinite(p.DoubleValue()); bad != nil {
			return nil, bad
		}
	}
	if monotonic && (isInt && p.IntValue() < 0 || !isInt && p.DoubleValue() < 0) {
		return nil, fault.Refuse("delta_bad_value", "the delta of a monotonic sum is negative")
	}
	t, bad := tx.advance(tx.streamID(p.Attributes()), p.StartTimestamp(), p.Timestamp(), weigh(0))
	if bad != nil {
		return nil, bad
	}
	n := &t.s.num
	if isInt {
		n.addInt(p.IntValue())
	} else {
		n.addFloat(p.DoubleValue())
	}
	if n.float {
		p.SetDoubleValue(n.f)
	} else {
		p.SetIntValue(n.i)
	}
	p.SetStartTimestamp(t.s.start)
	return t, nil
}

// checkFinite refuses what would stick: a total never gets rid of NaN or Inf.
func checkFinite(delta float64) *fault.Error {
	if math.IsNaN(delta) || math.IsInf(delta, 0) {
		return fault.Refuse("delta_bad_value", "the delta is %g, which would stick", delta)
	}
	return nil
}
