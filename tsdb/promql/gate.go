package promql

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// gate lets a number of queries run and a number of queries wait.
type gate struct {
	slots   chan struct{}
	waiting atomic.Int64
	cfg     *Config
}

func newGate(cfg *Config) *gate {
	return &gate{slots: make(chan struct{}, cfg.MaxConcurrent), cfg: cfg}
}

// enter waits for a slot; after nil the caller calls leave. The error is one
// of the queue (full, waited too long) or the context's.
func (g *gate) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	if g.waiting.Add(1) > int64(g.cfg.MaxQueued) {
		g.waiting.Add(-1)
		return queueError(reasonQueueFull, fmt.Sprintf(
			"%d queries run and %d wait, the limits of query.max_concurrent and query.max_queued: try again later",
			g.cfg.MaxConcurrent, g.cfg.MaxQueued))
	}
	defer g.waiting.Add(-1)
	timer := time.NewTimer(g.cfg.QueueTimeout)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return queueError(reasonQueueTimeout, fmt.Sprintf(
			"the query waited longer than query.queue_timeout (%s) for one of query.max_concurrent (%d) slots",
			g.cfg.QueueTimeout, g.cfg.MaxConcurrent))
	}
}

func (g *gate) leave() { <-g.slots }
