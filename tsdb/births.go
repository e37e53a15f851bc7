package tsdb

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"signalbox/internal/fault"
)

// Prometheus' head shows a new series to everybody at once, but logs it only
// when the appender that made it ends. Were another request to use the series
// and be acknowledged before that, its samples would stand in the log before
// their series, and replay drops those. So series are made by an appender of
// their own, which ends (and logs them) first thing in Commit, and a commit
// waits until all series that it found unlogged are logged. Everybody logs
// before waiting, so nobody waits in a circle.

// births are the series of an open store that are not logged yet.
type births [64]struct {
	sync.Mutex
	unlogged map[storage.SeriesRef]*birth
}

// birth is the series that one request made.
type birth struct {
	done  chan struct{} // closed when they are logged
	err   error         // why they are not; written before done is closed
	refs  []storage.SeriesRef
	homes []int // stripe of each ref
}

// appendNew appends to a series that the caller has no reference of.
func (a *appender) appendNew(ls labels.Labels, st, ts int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	ref, err := a.findOrMake(ls, st, ts, v, h, fh)
	if err != nil {
		return 0, err
	}
	return a.app.Append(ref, ls, st, ts, v, h, fh, opts)
}

func (a *appender) findOrMake(ls labels.Labels, st, ts int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	hash := ls.Hash()
	home := int(hash % uint64(len(a.s.births)))
	b := &a.s.births[home]
	b.Lock()
	defer b.Unlock()
	if ref := lookUp(a.app, ls, hash); ref != 0 {
		a.noteUnlogged(b.unlogged[ref])
		return ref, nil
	}
	if a.maker == nil {
		a.maker = a.s.AppenderV2(a.ctx)
		a.born = &birth{done: make(chan struct{})}
	}
	ref, err := a.maker.Append(0, ls, st, ts, v, h, fh, storage.AOptions{})
	if ref == 0 {
		ref = lookUp(a.maker, ls, hash) // a refused sample leaves its series behind
	}
	if w := b.unlogged[ref]; w != nil {
		a.noteUnlogged(w) // an appender from before the head's first sample does not look series up
	} else if ref != 0 {
		if b.unlogged == nil {
			b.unlogged = map[storage.SeriesRef]*birth{}
		}
		b.unlogged[ref] = a.born
		a.born.refs = append(a.born.refs, ref)
		a.born.homes = append(a.born.homes, home)
	}
	return ref, err
}

// noteUnlogged remembers to wait for a birth of another request.
func (a *appender) noteUnlogged(w *birth) {
	if w != nil && w != a.born && !slices.Contains(a.waits, w) {
		a.waits = append(a.waits, w)
	}
}

func lookUp(app storage.AppenderV2, ls labels.Labels, hash uint64) storage.SeriesRef {
	g, ok := app.(storage.GetRef)
	if !ok {
		return 0
	}
	ref, _ := g.GetRef(ls, hash)
	return ref
}

// logBirths logs the series that this request made.
func (a *appender) logBirths() error {
	if a.maker == nil {
		return nil
	}
	err := a.maker.Rollback() // forgets the samples, logs the series
	if err == nil && a.s.wal.failed() {
		err = errors.New("a write failed while series were logged")
	}
	for i, ref := range a.born.refs {
		b := &a.s.births[a.born.homes[i]]
		b.Lock()
		if b.unlogged[ref] == a.born {
			delete(b.unlogged, ref)
		}
		b.Unlock()
	}
	a.maker = nil
	a.born.err = err
	close(a.born.done)
	return err
}

// birthPatience bounds how long a commit waits for another request's series.
const birthPatience = 30 * time.Second

// awaitBirths waits for the series of others that this request has used.
func (a *appender) awaitBirths() error {
	if len(a.waits) == 0 {
		return nil
	}
	limit := time.NewTimer(birthPatience)
	defer limit.Stop()
	for _, w := range a.waits {
		select {
		case <-w.done:
			if w.err != nil {
				return fault.New(fault.Unavailable, "tenant %s: series of another request could not be logged: %w", a.t.id, w.err).WithRetryAfter(mendPause)
			}
		case <-limit.C:
			return fault.New(fault.Unavailable, "tenant %s: another request makes the same series and does not end", a.t.id).WithRetryAfter(mendPause)
		}
	}
	return nil
}
