package scrape

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

// gate stands between Prometheus' scrape loops and the sink. Loops may still
// write stale markers after they were stopped; close ends that.
type gate struct {
	sink    storage.AppendableV2
	metrics *metrics
	tenant  atomic.Pointer[tenant.ID]

	mu struct {
		sync.Mutex
		open   int // appenders between AppenderV2 and Commit or Rollback
		closed bool
		idle   chan struct{} // closed when closed && open == 0
	}
}

func newGate(sink storage.AppendableV2, id tenant.ID, m *metrics) *gate {
	g := &gate{sink: sink, metrics: m}
	g.tenant.Store(&id)
	g.mu.idle = make(chan struct{})
	return g
}

// AppenderV2 opens an appender of the sink for the tenant, or one that refuses
// everything once the gate is closed.
func (g *gate) AppenderV2(ctx context.Context) storage.AppenderV2 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.closed {
		return closedAppender{}
	}
	g.mu.open++
	return &gateAppender{gate: g, inner: g.sink.AppenderV2(tenant.NewContext(ctx, *g.tenant.Load()))}
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.open--
	if g.mu.closed && g.mu.open == 0 {
		close(g.mu.idle)
	}
}

// close refuses new appenders and waits until those in use have ended.
func (g *gate) close() {
	g.mu.Lock()
	if !g.mu.closed {
		g.mu.closed = true
		if g.mu.open == 0 {
			close(g.mu.idle)
		}
	}
	g.mu.Unlock()
	<-g.mu.idle
}

type gateAppender struct {
	gate  *gate
	inner storage.AppenderV2
	done  bool
}

// Append passes the sample on. A refusal of the sample alone is counted; what
// the scrape loop would take for a failure of the whole scrape is then hidden
// from it, with reference 0, so that the loop asks again with full labels.
func (a *gateAppender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	ref, err := a.inner.Append(ref, ls, st, t, v, h, fh, opts)
	if err == nil {
		return ref, nil
	}
	reason, handled := refusal(err)
	if reason == "" {
		return ref, err
	}
	a.gate.metrics.refused.WithLabelValues(reason).Inc()
	if handled {
		return ref, err
	}
	return 0, nil
}

func (a *gateAppender) Commit() error {
	defer a.end()
	return a.inner.Commit()
}

func (a *gateAppender) Rollback() error {
	defer a.end()
	return a.inner.Rollback()
}

// end releases once: the loops roll back an appender whose commit failed.
func (a *gateAppender) end() {
	if !a.done {
		a.done = true
		a.gate.release()
	}
}

// refusal returns the counted reason if err refuses one sample only, and
// whether Prometheus' scrape loop knows the error and goes on by itself.
func refusal(err error) (reason string, handled bool) {
	switch {
	case errors.Is(err, storage.ErrOutOfOrderSample):
		return "out_of_order", true
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		return "duplicate_timestamp", true
	case errors.Is(err, storage.ErrOutOfBounds):
		return "out_of_bounds", true
	case errors.Is(err, storage.ErrTooOldSample):
		return "too_old", false
	case errors.Is(err, storage.ErrNativeHistogramsDisabled):
		return "native_histograms_disabled", false
	case isBadHistogram(err):
		return "bad_histogram", false
	case fault.Is(err, fault.Invalid) && fault.ReasonOf(err) != unknownRef:
		if reason = fault.ReasonOf(err); reason == "" {
			reason = "other"
		}
		return reason, false
	}
	return "", false
}

// unknownRef is the reason of the store's error for a reference it forgot,
// which is no refusal. Labels always travel with a scraped sample, so it is not
// expected here.
const unknownRef = "unknown_ref"

var errClosed = fault.New(fault.Unavailable, "scraping has stopped")

type closedAppender struct{}

func (closedAppender) Append(storage.SeriesRef, labels.Labels, int64, int64, float64, *histogram.Histogram, *histogram.FloatHistogram, storage.AOptions) (storage.SeriesRef, error) {
	return 0, errClosed
}
func (closedAppender) Commit() error   { return errClosed }
func (closedAppender) Rollback() error { return nil }
