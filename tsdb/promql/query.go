package promql

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	prompql "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/stats"
)

// query is a query of Prometheus' engine with a budget, a place in the queue
// and an entry in the registry.
type query struct {
	prompql.Query
	e          *Engine
	b          *budget
	start, end time.Time
	step       time.Duration
	// stop cancels the running Exec.
	stop atomic.Pointer[context.CancelCauseFunc]
}

// Exec waits for a slot and evaluates. It is called once.
func (q *query) Exec(ctx context.Context) *prompql.Result {
	e := q.e
	arrived := time.Now()
	ctx, cancelTimeout := context.WithTimeoutCause(ctx, e.cfg.Timeout, errTimeLimit)
	defer cancelTimeout()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	q.stop.Store(&cancel)

	ent := &entry{b: q.b, cancel: cancel, info: QueryInfo{
		Tenants:     tenantsOf(ctx),
		Query:       keptText(q.String()),
		Start:       q.start.UTC(),
		End:         q.end.UTC(),
		StepSeconds: q.step.Seconds(),
		StartedAt:   arrived.UTC(),
	}}
	e.reg.add(ent)
	defer e.reg.remove(ent)

	var (
		res    *prompql.Result
		queued time.Duration
	)
	if err := e.checkSteps(q.Query); err != nil {
		res = &prompql.Result{Err: err}
	} else {
		res, queued = q.execQueued(ctx, ent)
	}
	res.Err = e.explain(ctx, res.Err)
	q.finish(ent, time.Since(arrived), queued, res.Err)
	return res
}

// execQueued evaluates once there is a slot, and says how long that took.
func (q *query) execQueued(ctx context.Context, ent *entry) (*prompql.Result, time.Duration) {
	m := q.e.metrics
	timer, _ := q.Stats().Timers.GetSpanTimer(ctx, stats.ExecQueueTime, m.queue)
	began := time.Now()
	err := q.e.gate.enter(ctx)
	timer.Finish()
	queued := time.Since(began)
	if err != nil {
		return &prompql.Result{Err: queueContextError(err)}, queued
	}
	defer q.e.gate.leave()
	q.e.reg.setRunning(ent)
	m.running.Inc()
	defer m.running.Dec()
	return q.Query.Exec(ctx), queued
}

// queueContextError turns the end of a context into what the engine says of it.
func queueContextError(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return prompql.ErrQueryCanceled("query queue")
	case errors.Is(err, context.DeadlineExceeded):
		return prompql.ErrQueryTimeout("query queue")
	}
	return err
}

func (q *query) finish(ent *entry, total, queued time.Duration, err error) {
	m := q.e.metrics
	slow := SlowQuery{
		QueryInfo:       ent.info,
		DurationSeconds: total.Seconds(),
		QueueSeconds:    queued.Seconds(),
		Series:          q.b.series.Load(),
		Bytes:           q.b.bytes.Load(),
	}
	if s := q.Stats().Samples; s != nil {
		slow.SamplesRead, slow.PeakSamples = s.SamplesRead, int64(s.PeakSamples)
	}
	if err != nil {
		slow.Error = err.Error()
	}
	m.finished.WithLabelValues(outcome(err)).Inc()
	m.duration.Observe(total.Seconds())
	m.series.Add(float64(slow.Series))
	m.samples.Add(float64(slow.SamplesRead))
	q.e.reg.addSlow(slow)
}

// Cancel stops a running Exec.
func (q *query) Cancel() {
	if stop := q.stop.Load(); stop != nil {
		(*stop)(context.Canceled)
	}
}
