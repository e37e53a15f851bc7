package remotewrite

import (
	"errors"

	"github.com/prometheus/prometheus/storage"

	"signalbox/internal/fault"
)

// Prometheus sends an exemplar as a TimeSeries of its own, without a sample,
// behind the samples of its scrape. storage.AppenderV2 takes exemplars with a
// sample only. So: a sink whose appender is also a storage.ExemplarAppender
// gets them directly; for any other, the last sample of the same series in the
// same request is appended once more, which the store ignores as a repetition,
// now with the exemplars. Without such a sample they are refused.

// looseExemplars is a TimeSeries that has only exemplars.
type looseExemplars struct {
	key key
	ts  []byte
}

// appendLoose handles the current series, which has neither sample nor histogram.
func (q *request) appendLoose(ts []byte, c contents) error {
	if c.exemplars == 0 {
		q.refuse(errEmpty.Reason, errEmpty, 0)
		return nil
	}
	app, ok := q.app.(storage.ExemplarAppender)
	if !ok {
		q.loose = append(q.loose, looseExemplars{q.cur.key, ts})
		return nil
	}
	s := &q.cur
	for _, e := range q.carried {
		_, err := app.AppendExemplar(s.ref, s.ls, e)
		if err != nil && !s.parsed && isUnknownRef(err) {
			refused, perr := q.parse()
			if perr != nil {
				return perr
			}
			if refused != nil {
				q.refuseExemplar(refused)
				continue
			}
			_, err = app.AppendExemplar(0, s.ls, e)
		}
		if err == nil {
			q.exemplars++
			continue
		}
		if class := fault.ClassOf(err); class == fault.Limited || class == fault.Unavailable {
			return err
		}
		q.refusePartly(&storage.AppendPartialError{ExemplarErrors: []error{err}}, 1)
	}
	return nil
}

var errEmpty = fault.Refuse("empty_series", "the series has neither samples nor histograms")

// looseGroup is the loose exemplars of one series and the TimeSeries whose last
// sample carries them, nil when the request has none.
type looseGroup struct {
	ts      [][]byte
	carrier []byte
}

// attachLoose finds samples for the exemplars that came without one.
func (q *request) attachLoose(body []byte) error {
	if len(q.loose) == 0 {
		return nil
	}
	groups, order := map[key]*looseGroup{}, make([]*looseGroup, 0, len(q.loose))
	for _, l := range q.loose {
		g := groups[l.key]
		if g == nil {
			g = &looseGroup{}
			groups[l.key] = g
			order = append(order, g)
		}
		g.ts = append(g.ts, l.ts)
	}
	f := fields{b: body}
	for f.next() {
		if f.num != q.schema.inRequest {
			continue
		}
		c, refused, err := q.load(f.data)
		if err != nil {
			return err
		}
		if g := groups[q.cur.key]; g != nil && refused == nil && c.samples+c.histograms > 0 {
			g.carrier = f.data
		}
	}
	for _, g := range order {
		if err := q.attach(g); err != nil {
			return err
		}
	}
	return nil
}

// attach appends the group's carrier once more, with the exemplars.
func (q *request) attach(g *looseGroup) error {
	if _, _, err := q.load(g.ts[0]); err != nil {
		return err
	}
	if refused, err := q.parse(); err != nil || refused != nil {
		return err // not refused: the first pass has parsed the same labels
	}
	q.carried = q.carried[:0]
	for _, ts := range g.ts {
		if err := q.decodeExemplars(ts); err != nil {
			return err
		}
	}
	n, ok, err := q.lastSample(g.carrier)
	if err != nil {
		return err
	}
	if !ok {
		q.refuseLoose(len(q.carried))
		return nil
	}
	_, err = q.app.Append(0, q.cur.ls, n.st, n.t, n.v, n.h, n.fh, storage.AppendV2Options{Exemplars: q.carried})
	if err == nil {
		q.exemplars += len(q.carried)
		return nil
	}
	if partial, ok := errors.AsType[*storage.AppendPartialError](err); ok {
		q.refusePartly(partial, len(q.carried))
		return nil
	}
	if _, ok := refusal(err); ok {
		q.refuseLoose(len(q.carried))
		return nil
	}
	return err
}

var errLoose = fault.Refuse(withoutSample, "exemplars came without a sample of their series")

func (q *request) refuseLoose(n int) {
	q.count(withoutSample, n)
	if q.version == 2 && n > 0 {
		q.problem(n, func() string { return q.describe(errLoose) })
	}
}

// lastSample decodes the last sample, or histogram if there is one, of ts.
func (q *request) lastSample(ts []byte) (n native, ok bool, err error) {
	f := fields{b: ts}
	for f.next() {
		switch f.num {
		case q.schema.sample:
			if n.h == nil && n.fh == nil {
				var smp sample
				smp, err = decodeSample(f.data, q.version)
				n = native{v: smp.v, t: smp.t, st: smp.st}
				ok = true
			}
		case q.schema.histogram:
			var refused *fault.Error
			n, refused, err = decodeHistogram(f.data, q.version)
			ok = refused == nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, ok, f.err
}
