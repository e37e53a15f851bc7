package self

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/storage"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

// Source is something that can be gathered. Labels are put on each of its
// series, usually job and instance; a metric that has a label of that name
// itself keeps it as exported_<name>, as when scraped. No two sources may have
// the same labels.
type Source struct {
	Gatherer prometheus.Gatherer
	Labels   map[string]string
}

// Options is what the program hands in. Zero values work in tests.
type Options struct {
	Logger   *slog.Logger          // nil: discard
	Registry prometheus.Registerer // nil: a private one
}

// Writer writes its sources into the store while Run runs.
type Writer struct {
	sink    storage.AppendableV2
	sources []*source
	cfg     Config
	logger  *slog.Logger
	metrics *metrics

	round     uint64
	lastLog   time.Time
	unlogged  int
	exemplars exemplarScratch
}

// New makes a Writer. An error is Invalid unless metrics cannot be registered.
func New(sink storage.AppendableV2, sources []Source, cfg Config, opts Options) (*Writer, error) {
	if _, err := cfg.Validate(); err != nil {
		return nil, fault.New(fault.Invalid, "own metrics: %w", err)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Registry == nil {
		opts.Registry = prometheus.NewRegistry()
	}
	w := &Writer{sink: sink, cfg: cfg, logger: opts.Logger.With("component", "self")}
	known := map[string]bool{}
	for _, s := range sources {
		src := newSource(s)
		key := src.base.String()
		if known[key] {
			return nil, fault.New(fault.Invalid, "own metrics: two sources have the labels %s", key)
		}
		known[key] = true
		w.sources = append(w.sources, src)
	}
	var err error
	if w.metrics, err = newMetrics(opts.Registry); err != nil {
		return nil, fmt.Errorf("register own metrics: %w", err)
	}
	return w, nil
}

// Run writes a round at once and then at each multiple of the interval, until
// ctx ends; it returns nil. It may be called again afterwards, not at once.
func (w *Writer) Run(ctx context.Context) error {
	ctx = tenant.NewContext(ctx, tenant.ID(w.cfg.Tenant))
	now := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for due := now; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		// Evenly spaced times pack better; one that is far off would be a lie.
		now = time.Now()
		if now.Sub(due).Abs() > w.cfg.Interval/10 {
			due = now
		}
		w.writeRound(ctx, due)
		now = time.Now()
		due = now.Truncate(w.cfg.Interval).Add(w.cfg.Interval)
		timer.Reset(due.Sub(now))
	}
}

// writeRound gathers all sources and commits what they gave.
func (w *Writer) writeRound(ctx context.Context, at time.Time) {
	began := time.Now()
	w.round++
	err := w.write(ctx, at.UnixMilli())
	w.metrics.duration.Set(time.Since(began).Seconds())
	if err != nil {
		if ctx.Err() != nil {
			return // stopping
		}
		w.metrics.rounds.WithLabelValues("failed").Inc()
		w.logLimited("own metrics are not written", err)
		return
	}
	w.metrics.rounds.WithLabelValues("written").Inc()
	w.metrics.lastSuccess.SetToCurrentTime()
}

func (w *Writer) write(ctx context.Context, t int64) error {
	for _, s := range w.sources {
		if err := s.gather(); err != nil {
			w.metrics.gatherErrors.Inc()
			w.logLimited("a source of own metrics gave an error", err)
		}
	}
	a := &batch{w: w, app: w.sink.AppenderV2(ctx), t: t}
	for _, s := range w.sources {
		a.source(s)
		s.families = nil // gathered objects are for one round
	}
	if a.err != nil {
		if err := a.app.Rollback(); err != nil {
			w.logger.Warn("roll back own metrics", "err", err)
		}
		return a.err
	}
	if err := a.app.Commit(); err != nil {
		return err
	}
	series := 0
	for _, s := range w.sources {
		series += s.committed(w.round)
	}
	w.metrics.series.Set(float64(series))
	w.metrics.written.Add(float64(a.appended))
	return nil
}

// logEvery is how often a repeated failure is logged.
const logEvery = time.Minute

func (w *Writer) logLimited(msg string, err error) {
	if !w.lastLog.IsZero() && time.Since(w.lastLog) < logEvery {
		w.unlogged++
		return
	}
	w.logger.Warn(msg, "err", err, "not_logged", w.unlogged) //nolint:sloglint // both callers pass constants
	w.lastLog, w.unlogged = time.Now(), 0
}
