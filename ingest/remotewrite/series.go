package remotewrite

import (
	"errors"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"signalbox/internal/fault"
)

// contents is what a TimeSeries message holds besides labels.
type contents struct {
	samples, histograms, exemplars int
	sample                         []byte // the last one
	meta                           metaRefs
}

// load scans ts once: it leaves the labels and their key in q.cur and counts
// the rest. The first error is the series', the second the request's.
func (q *request) load(ts []byte) (c contents, refused *fault.Error, err error) {
	if q.version == 2 {
		return q.loadV2(ts)
	}
	c, err = q.loadV1(ts)
	return c, nil, err
}

// series appends one TimeSeries message.
func (q *request) series(ts []byte) error {
	c, refused, err := q.load(ts)
	if err != nil {
		return err
	}
	if err := q.admit(c.samples + c.histograms + c.exemplars); err != nil {
		return err
	}
	if refused == nil {
		q.begin()
		if q.cur.ref == 0 {
			if refused, err = q.parse(); err != nil {
				return err
			}
		}
	}
	if refused != nil {
		q.refuseSeries(refused, c)
		return nil
	}
	if c.exemplars > 0 || c.samples+c.histograms != 1 || c.histograms > 0 {
		err = q.appendAll(ts, c)
	} else {
		err = q.appendSample(c.sample, nil)
	}
	if err != nil {
		return err
	}
	if s := &q.cur; s.ref != s.cached && s.ref != 0 {
		q.pending = append(q.pending, cached{s.key, s.ref})
	}
	if q.version == 2 {
		q.metadataV2(c.meta)
	}
	return nil
}

// admit counts n records of the request, one at least: a series or entry that
// holds nothing takes two bytes and work.
func (q *request) admit(n int) error {
	if q.records += max(1, n); q.records > q.h.cfg.MaxRecords {
		return fault.New(fault.Invalid, "%w (remote_write_receiver.max_records is %d): send smaller ones", errTooManyRecords, q.h.cfg.MaxRecords)
	}
	return nil
}

// begin looks the current series up.
func (q *request) begin() {
	s := &q.cur
	s.ls, s.parsed = labels.EmptyLabels(), false
	ref, ok := q.now.find(s.key)
	s.cached = ref
	if !ok {
		ref, _ = q.before.find(s.key)
	}
	s.ref = ref
}

// parse validates the labels of the current series. The first error is the
// series', the second the request's.
func (q *request) parse() (refused *fault.Error, err error) {
	q.misses++
	if err := q.gatherLabels(); err != nil {
		return nil, err
	}
	q.cur.ls, refused = q.labels.metricLabels()
	q.cur.parsed = refused == nil
	return refused, nil
}

func (q *request) gatherLabels() error {
	q.labels.reset()
	if q.version == 2 {
		q.labels.addRefs(&q.symbols, q.cur.refs)
		return nil
	}
	return q.labels.addFields(q.cur.src)
}

// appendAll appends the samples, then the histograms; exemplars ride on the
// last of them.
func (q *request) appendAll(ts []byte, c contents) error {
	q.carried = q.carried[:0]
	if c.exemplars > 0 {
		if err := q.decodeExemplars(ts); err != nil {
			return err
		}
	}
	left := c.samples + c.histograms
	if left == 0 {
		return q.appendLoose(ts, c)
	}
	for _, num := range [...]int32{q.schema.sample, q.schema.histogram} {
		f := fields{b: ts}
		for f.next() {
			if f.num != num {
				continue
			}
			var ex []exemplar.Exemplar
			if left--; left == 0 {
				ex = q.carried
			}
			var err error
			if num == q.schema.sample {
				err = q.appendSample(f.data, ex)
			} else {
				err = q.appendHistogram(f.data, ex)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (q *request) appendSample(msg []byte, ex []exemplar.Exemplar) error {
	smp, err := decodeSample(msg, q.version)
	if err != nil {
		return err
	}
	return q.append(smp.st, smp.t, smp.v, nil, nil, ex)
}

func (q *request) appendHistogram(msg []byte, ex []exemplar.Exemplar) error {
	n, refused, err := decodeHistogram(msg, q.version)
	switch {
	case err != nil:
		return err
	case refused != nil:
		q.refuse(refused.Reason, refused, len(ex))
		return nil
	}
	return q.append(n.st, n.t, 0, n.h, n.fh, ex)
}

// append hands one sample to the sink and counts what became of it. Its error
// is the request's.
func (q *request) append(st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, ex []exemplar.Exemplar) error {
	s := &q.cur
	ref, err := q.app.Append(s.ref, s.ls, st, t, v, h, fh, storage.AppendV2Options{Exemplars: ex})
	if err != nil && !s.parsed && isUnknownRef(err) {
		refused, perr := q.parse()
		if perr != nil {
			return perr
		}
		if refused != nil {
			q.refuse(refused.Reason, refused, len(ex))
			return nil
		}
		s.ref = 0
		ref, err = q.app.Append(0, s.ls, st, t, v, h, fh, storage.AppendV2Options{Exemplars: ex})
	}
	if err != nil {
		partial, ok := errors.AsType[*storage.AppendPartialError](err)
		if !ok {
			return q.refuseOrFail(err, len(ex))
		}
		q.refusePartly(partial, len(ex))
	} else {
		q.exemplars += len(ex)
	}
	s.ref = ref
	if h == nil && fh == nil {
		q.samples++
	} else {
		q.histograms++
	}
	return nil
}
