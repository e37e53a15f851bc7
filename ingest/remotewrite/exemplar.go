package remotewrite

import (
	"cmp"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/exemplar"

	"signalbox/internal/fault"
)

// decodeExemplar reads one Exemplar message of the request's version. The first
// error is the record's, the second the request's.
func (q *request) decodeExemplar(b []byte) (e exemplar.Exemplar, refused *fault.Error, err error) {
	q.exLabels.reset()
	q.exRefs = q.exRefs[:0]
	f := fields{b: b}
	for f.next() {
		switch f.num {
		case 1:
			if q.version == 2 {
				q.exRefs = f.appendRefs(q.exRefs)
			} else if f.want(typBytes) {
				if err := q.exLabels.addMessage(f.data); err != nil {
					return e, nil, err
				}
			}
		case 2:
			if f.want(typFixed64) {
				e.Value = math.Float64frombits(f.u)
			}
		case 3:
			if f.want(typVarint) {
				e.Ts = int64(f.u)
			}
		}
	}
	if f.err != nil {
		return e, nil, f.err
	}
	if q.version == 2 {
		if refused := q.symbols.checkRefs(q.exRefs); refused != nil {
			return e, refused, nil
		}
		q.exLabels.addRefs(&q.symbols, q.exRefs)
	}
	e.HasTs = e.Ts != 0
	e.Labels, refused = q.exLabels.labels()
	return e, refused, nil
}

// decodeExemplars reads the exemplars of a TimeSeries message into q.carried,
// sorted by time as the store demands.
func (q *request) decodeExemplars(ts []byte) error {
	f := fields{b: ts}
	for f.next() {
		if f.num != q.schema.exemplar {
			continue
		}
		e, refused, err := q.decodeExemplar(f.data)
		if err != nil {
			return err
		}
		if refused != nil {
			q.refuseExemplar(refused)
			continue
		}
		q.carried = append(q.carried, e)
	}
	slices.SortStableFunc(q.carried, func(a, b exemplar.Exemplar) int { return cmp.Compare(a.Ts, b.Ts) })
	return nil
}
