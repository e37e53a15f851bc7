package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Options is what the program hands in. Zero values work in tests.
type Options struct {
	Logger   *slog.Logger          // nil: discard
	Registry prometheus.Registerer // nil: a private one
	// DrainTimeout bounds how long Apply waits for the old pipelines to flush
	// before it starts the new ones; 0 is 10 s.
	DrainTimeout time.Duration
}

// Collector runs the configured pipelines. Its methods may be called
// concurrently; Start, Apply and Stop wait for each other.
type Collector struct {
	sinks Sinks
	log   *slog.Logger
	zap   *zap.Logger
	m     *metrics
	drain time.Duration

	mu      sync.Mutex
	plan    *plan       // what runs, or would run after Start
	current *generation // nil: nothing runs
	state   state
}

type state uint8

const (
	stateNew state = iota
	stateStarted
	stateStopped
)

var (
	errCollectorStopped = errors.New("collector: it was stopped")
	errStarted          = errors.New("collector: it was started or stopped before")
)

// New checks the configuration and remembers it. It opens nothing; the error,
// of class Invalid, joins all faults, each with its YAML path.
func New(cfg Config, sinks Sinks, opts Options) (*Collector, error) {
	p, err := compile(context.Background(), cfg, sinks)
	if err != nil {
		return nil, err
	}
	log := opts.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	log = log.With("component", "collector")
	c := &Collector{sinks: sinks, log: log, m: newMetrics(opts.Registry), drain: opts.DrainTimeout, plan: p}
	if c.drain <= 0 {
		c.drain = 10 * time.Second
	}
	c.zap = newZap(log, c.m)
	c.warn(p)
	return c, nil
}

func (c *Collector) warn(p *plan) {
	for _, w := range p.warnings {
		c.log.Warn("configuration", "warning", w)
	}
}

// Start opens the receivers. Without configuration it does nothing. An error,
// for example of a port that is taken, is of class Unavailable and leaves
// nothing running.
func (c *Collector) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateNew {
		return errStarted
	}
	if err := c.startLocked(ctx, c.plan); err != nil {
		return err
	}
	c.state = stateStarted
	return nil
}

func (c *Collector) startLocked(ctx context.Context, p *plan) error {
	if p.empty() {
		return nil
	}
	g, err := newGeneration(ctx, p, c)
	if err != nil {
		return err
	}
	if err := g.start(ctx); err != nil {
		return err
	}
	c.current = g
	return nil
}

// Apply replaces the configuration. An invalid one changes nothing. A valid one
// is built, then the old pipelines are stopped and flushed, then the new ones are
// started; in between, a few milliseconds unless a processor has much to flush,
// the ports are closed. When the new ones cannot start, the old configuration is
// started again and the error says so. A configuration that equals the running
// one, after expansion of its environment, touches nothing.
func (c *Collector) Apply(ctx context.Context, cfg Config) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == stateStopped {
		return errCollectorStopped
	}
	p, err := compile(ctx, cfg, c.sinks)
	if err != nil {
		c.m.reloads.WithLabelValues(outcomeInvalid).Inc()
		return err
	}
	if p.same(c.plan) && (c.current != nil || p.empty() || c.state == stateNew) {
		c.m.reloads.WithLabelValues(outcomeUnchanged).Inc()
		return nil
	}
	c.warn(p)
	if c.state == stateNew {
		c.plan = p
		c.m.reloads.WithLabelValues(outcomeChanged).Inc()
		return nil
	}
	return c.swapLocked(ctx, p)
}

// swapLocked stops what runs and starts p, or what ran before.
func (c *Collector) swapLocked(ctx context.Context, p *plan) error {
	if c.current != nil {
		drain, cancel := context.WithTimeout(ctx, c.drain)
		err := c.current.stop(drain)
		cancel()
		c.current = nil
		if err != nil {
			c.log.Warn("the old pipelines did not stop cleanly", "err", err)
		}
	}
	err := c.startLocked(ctx, p)
	if err == nil {
		c.plan = p
		c.m.reloads.WithLabelValues(outcomeChanged).Inc()
		c.log.Info("configuration applied", "pipelines", len(p.pipelines))
		return nil
	}
	c.m.reloads.WithLabelValues(outcomeFailed).Inc()
	if back := c.startLocked(ctx, c.plan); back != nil {
		return fmt.Errorf("%w; the old pipelines could not be started again either: %w", err, back)
	}
	return fmt.Errorf("%w; the old pipelines run again", err)
}

// Stop closes the receivers, flushes the processors into the sinks and waits.
// After it no sink is called. It may be called more than once and without Start.
// When ctx ends first, Stop returns its error and leaves the rest to end by itself.
func (c *Collector) Stop(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = stateStopped
	if c.current == nil {
		return nil
	}
	g := c.current
	c.current = nil
	return g.stop(ctx)
}
