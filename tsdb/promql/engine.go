package promql

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	prompql "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/features"
)

// Options is what the program hands in.
type Options struct {
	Logger   *slog.Logger          // nil: discard
	Registry prometheus.Registerer // nil: a private one
}

// Engine runs PromQL queries within the limits of its Config. All methods are
// safe for concurrent use.
type Engine struct {
	cfg      Config
	inner    *prompql.Engine
	parser   parser.Parser
	features features.Collector
	gate     *gate
	reg      *registry
	metrics  *metrics
}

var _ prompql.QueryEngine = (*Engine)(nil)

// New makes an engine. cfg has passed Validate.
func New(cfg Config, opts Options) *Engine {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Engine{cfg: cfg, parser: NewParser(cfg), features: features.NewRegistry(), reg: newRegistry(cfg.SlowLogSize)}
	e.gate = newGate(&e.cfg)
	e.metrics = newMetrics(opts.Registry, func() float64 { return float64(e.gate.waiting.Load()) }, cfg.MaxConcurrent)
	e.inner = prompql.NewEngine(prompql.EngineOpts{
		Logger:     opts.Logger.With("component", "promql"),
		MaxSamples: cfg.MaxSamples,
		// Exec sets the deadline, this one only has to be later.
		Timeout:                  cfg.Timeout + time.Minute,
		LookbackDelta:            cfg.LookbackDelta,
		NoStepSubqueryIntervalFn: func(int64) int64 { return cfg.SubqueryInterval.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		EnablePerStepStats:       true,
		EnableDelayedNameRemoval: cfg.DelayedNameRemoval,
		UseStartTimestamps:       cfg.UseStartTimestamps,
		FeatureRegistry:          e.features,
		Parser:                   e.parser,
	})
	return e
}

// Parser returns the parser of the engine, for those who must accept exactly
// the expressions that the engine accepts.
func (e *Engine) Parser() parser.Parser { return e.parser }

// Features lists which parts of the language are on. The API adds its own.
func (e *Engine) Features() features.Collector { return e.features }

// LookbackDelta is the age at which a sample stops being a series' value.
func (e *Engine) LookbackDelta() time.Duration { return e.cfg.LookbackDelta }

// NewInstantQuery parses qs for one evaluation at ts. The query reads from q
// the tenants of the context that Exec gets. Errors are the parser's.
func (e *Engine) NewInstantQuery(ctx context.Context, q storage.Queryable, opts prompql.QueryOpts, qs string, ts time.Time) (prompql.Query, error) {
	ts = clamp(ts)
	b := &budget{cfg: &e.cfg}
	inner, err := e.inner.NewInstantQuery(ctx, budgetQueryable{q, b}, opts, qs, ts)
	if err != nil {
		e.metrics.rejected.Inc()
		return nil, err
	}
	return &query{Query: inner, e: e, b: b, start: ts, end: ts}, nil
}

// NewRangeQuery parses qs for evaluations from start to end, both included.
// Otherwise it is NewInstantQuery.
func (e *Engine) NewRangeQuery(ctx context.Context, q storage.Queryable, opts prompql.QueryOpts, qs string, start, end time.Time, step time.Duration) (prompql.Query, error) {
	start, end = clamp(start), clamp(end)
	if err := checkRange(start, end, step); err != nil {
		e.metrics.rejected.Inc()
		return nil, err
	}
	b := &budget{cfg: &e.cfg}
	inner, err := e.inner.NewRangeQuery(ctx, budgetQueryable{q, b}, opts, qs, start, end, step)
	if err != nil {
		e.metrics.rejected.Inc()
		return nil, err
	}
	return &query{Query: inner, e: e, b: b, start: start, end: end, step: step}, nil
}

// Active lists the queries that run or wait and read only tenants of ctx, the
// oldest first.
func (e *Engine) Active(ctx context.Context) []ActiveQuery {
	return e.reg.listActive(ctx, time.Now())
}

// Slow lists the slowest queries of the last day that read only tenants of
// ctx, the slowest first.
func (e *Engine) Slow(ctx context.Context) []SlowQuery {
	return e.reg.listSlow(ctx, time.Now())
}

// Cancel stops an active query, whose client is told so. It returns false when
// there is no such query that reads only tenants of ctx.
func (e *Engine) Cancel(ctx context.Context, id string) bool {
	return e.reg.cancel(ctx, id)
}
