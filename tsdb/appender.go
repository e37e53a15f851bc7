package tsdb

import (
	"context"
	"errors"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"signalbox/internal/fault"
)

// A reference carries the generation of the opening that gave it, so that one
// from before a reopening can never name another series.
const genShift = 48

func outerRef(gen uint64, ref storage.SeriesRef) storage.SeriesRef {
	return storage.SeriesRef(gen<<genShift) | ref
}

// innerRef returns 0 for a reference of another generation.
func innerRef(gen uint64, ref storage.SeriesRef) storage.SeriesRef {
	if uint64(ref)>>genShift != gen&(1<<(64-genShift)-1) {
		return 0
	}
	return ref & (1<<genShift - 1)
}

// errUnknownRef answers an append by reference alone to a series that the store
// does not have: pass the labels.
var errUnknownRef = fault.Refuse("unknown_ref", "unknown series reference")

// appender writes one request of one tenant. It is used by one goroutine.
type appender struct {
	t     *tenantStore
	s     *openStore
	app   storage.AppenderV2
	ctx   context.Context    // for exemplars' appender, which is opened when the first one comes alone
	maker storage.AppenderV2 // makes new series (births.go); nil when there are none, or none left to log
	born  *birth
	waits []*birth
	late  storage.Appender // exemplars that came without their sample; nil when there are none
	meta  []metadataEntry  // new or changed, written to the journal at commit
	last  metadataEntry    // the last one looked at: a family's series come together
	done  bool
}

// Append implements storage.AppenderV2. Besides Prometheus' errors for samples
// (storage.ErrOutOfOrderSample and its kin) it returns a refusal with reason
// unknown_ref, series_limit or metric_series_limit.
func (a *appender) Append(ref storage.SeriesRef, ls labels.Labels, st, ts int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	ref = innerRef(a.s.gen, ref)
	if ref == 0 && ls.IsEmpty() {
		return 0, errUnknownRef
	}
	var got storage.SeriesRef
	var err error
	if ref == 0 {
		got, err = a.appendNew(ls, st, ts, v, h, fh, opts)
	} else {
		got, err = a.app.Append(ref, ls, st, ts, v, h, fh, opts)
	}
	if err != nil && got == 0 {
		if ls.IsEmpty() && errors.Is(err, promErrInvalidSample) {
			return 0, errUnknownRef
		}
		return 0, a.t.explain(err, ls)
	}
	if !opts.Metadata.IsEmpty() {
		a.noteMetadata(ls, opts)
	}
	return outerRef(a.s.gen, got), err
}

// AppendExemplar implements storage.ExemplarAppender: an exemplar of a series
// whose sample came in another request. The series must exist.
func (a *appender) AppendExemplar(ref storage.SeriesRef, ls labels.Labels, e exemplar.Exemplar) (storage.SeriesRef, error) {
	ref = innerRef(a.s.gen, ref)
	if ref == 0 && ls.IsEmpty() {
		return 0, errUnknownRef
	}
	if _, ok := a.s.Head().AppendableMinValidTime(); !ok {
		// An empty head would take the exemplar's time for its own.
		return 0, fault.Refuse("invalid_exemplar", "exemplar of series %s, which does not exist", ls)
	}
	if a.late == nil {
		a.late = a.s.Appender(a.ctx)
	}
	got, err := a.late.AppendExemplar(ref, ls, e)
	if err != nil {
		if got == 0 && ls.IsEmpty() {
			return 0, errUnknownRef
		}
		return 0, fault.Refuse("invalid_exemplar", "exemplar of series %s: %w", ls, err)
	}
	if got == 0 {
		return 0, nil // a duplicate, which the library passes over in silence
	}
	return outerRef(a.s.gen, got), nil
}

func (a *appender) noteMetadata(ls labels.Labels, opts storage.AOptions) {
	family := opts.MetricFamilyName
	if family == "" {
		family = ls.Get(labels.MetricName)
	}
	if family == "" || len(family) > maxMetaText || a.last.family == family && a.last.meta == opts.Metadata {
		return
	}
	if !a.t.metadata.known(family, opts.Metadata) {
		e := metadataEntry{family, opts.Metadata}.clone()
		a.meta = append(a.meta, e)
		a.last = e
		return
	}
	// The strings of opts live only during this call; the store's copy lives on.
	a.last = a.t.metadata.latest(family)
}

// Commit logs the samples, shows them, and returns once they are as safe as
// wal_sync says. After an Unavailable error it is unknown whether they were
// kept: the sender repeats the request, which is harmless.
func (a *appender) Commit() error {
	if a.done {
		return errors.New("BUG: Commit after Commit or Rollback")
	}
	a.done = true
	defer a.t.release()
	if err := a.logBirths(); err != nil {
		return errors.Join(a.t.fail(err), a.app.Rollback(), a.rollbackLate())
	}
	if err := errors.Join(a.t.writable(), a.awaitBirths()); err != nil {
		return errors.Join(err, a.app.Rollback(), a.rollbackLate())
	}
	if err := a.t.metadata.add(a.meta); err != nil {
		return errors.Join(fault.New(fault.Unavailable, "tenant %s: %w", a.t.id, err).WithRetryAfter(mendPause), a.app.Rollback(), a.rollbackLate())
	}
	if err := a.app.Commit(); err != nil {
		return errors.Join(a.t.fail(err), a.rollbackLate())
	}
	if a.late != nil {
		if err := a.late.Commit(); err != nil {
			return a.t.fail(err)
		}
	}
	return a.s.logged(a.t)
}

// logged returns nil when everything written so far is in the log, and on disk
// where wal_sync asks for that. Otherwise the store takes no more writes.
func (s *openStore) logged(t *tenantStore) error {
	if s.wal.failed() {
		return t.fail(errors.New("a write failed; see the line logged before"))
	}
	if s.sync != nil {
		if err := s.sync.wait(); err != nil {
			return t.fail(err)
		}
	}
	return nil
}

// Rollback forgets the samples.
func (a *appender) Rollback() error {
	if a.done {
		return nil
	}
	a.done = true
	defer a.t.release()
	err := errors.Join(a.logBirths(), a.app.Rollback(), a.rollbackLate())
	if a.s.wal.failed() {
		// Series made by this appender are in memory but not in the log.
		return a.t.fail(errors.New("a write failed during rollback"))
	}
	if err != nil {
		return a.t.fail(err)
	}
	return nil
}

func (a *appender) rollbackLate() error {
	if a.late == nil {
		return nil
	}
	return a.late.Rollback()
}

// failedAppender refuses everything with one error.
type failedAppender struct{ err error }

func (f failedAppender) Append(storage.SeriesRef, labels.Labels, int64, int64, float64, *histogram.Histogram, *histogram.FloatHistogram, storage.AOptions) (storage.SeriesRef, error) {
	return 0, f.err
}
func (f failedAppender) Commit() error { return f.err }
func (failedAppender) Rollback() error { return nil }
