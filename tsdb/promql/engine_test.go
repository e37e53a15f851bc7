package promql

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	prompql "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

func load(t *testing.T, series, samples int) *teststorage.TestStorage {
	t.Helper()
	var sb strings.Builder
	sb.WriteString("load 10s\n")
	for i := range series {
		fmt.Fprintf(&sb, "  m{i=\"%d\"} 1+1x%d\n", i, samples-1)
	}
	s := promqltest.LoadedStorage(t, sb.String())
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func run(t *testing.T, e *Engine, q storage.Queryable, qs string, opts prompql.QueryOpts) (*prompql.Result, prompql.Query) {
	t.Helper()
	query, err := e.NewInstantQuery(t.Context(), q, opts, qs, time.Unix(990, 0))
	require.NoError(t, err)
	t.Cleanup(query.Close)
	return query.Exec(t.Context()), query
}

// Each budget stops the query that goes over it, names itself, and leaves the
// next query alone.
func TestBudgets(t *testing.T) {
	s := load(t, 10, 100)
	for _, c := range []struct {
		name, over, under, want string
		change                  func(*Config)
	}{
		{"max_samples", "m", `m{i="1"}`, "query.max_samples (5)", func(c *Config) { c.MaxSamples = 5 }},
		{"max_series", "m", `m{i=~"1|2"}`, "query.max_series (5)", func(c *Config) { c.MaxSeries = 5 }},
		{"max_series, two selectors", `count(m{i=~"1|2|3"}) + count(m{i=~"1|2|3"})`, `m{i=~"1|2"}`, "query.max_series (5)", func(c *Config) { c.MaxSeries = 5 }},
		{"max_bytes", "m", `m{i="1"}`, "query.max_bytes (600)", func(c *Config) { c.MaxBytes = 600 }},
		{"max_bytes of a long range", `max_over_time(m{i="1"}[100d])`, `m{i="1"}`, "query.max_bytes (600)", func(c *Config) { c.MaxBytes = 600 }},
		{"max_samples_read", "sum_over_time(m[1h])", `sum_over_time(m{i="1"}[1h])`, "query.max_samples_read (500)", func(c *Config) { c.MaxSamplesRead = 500 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := DefaultConfig()
			c.change(&cfg)
			reg := prometheus.NewRegistry()
			e := New(cfg, Options{Registry: reg})
			res, _ := run(t, e, s, c.over, nil)
			require.ErrorIs(t, res.Err, ErrBudget)
			require.ErrorContains(t, res.Err, c.want)
			reason := strings.FieldsFunc(c.name, func(r rune) bool { return r == ',' || r == ' ' })[0]
			require.Equal(t, reason, fault.ReasonOf(res.Err))
			require.InDelta(t, 1, testutil.ToFloat64(e.metrics.finished.WithLabelValues(reason)), 0)
			if reason == reasonMaxSamples {
				_, ok := errors.AsType[prompql.ErrTooManySamples](res.Err)
				require.True(t, ok, "the API finds the status by this type")
			}
			res, _ = run(t, e, s, c.under, nil)
			require.NoError(t, res.Err)
			require.InDelta(t, 1, testutil.ToFloat64(e.metrics.finished.WithLabelValues("success")), 0)
		})
	}
}

// Counting what is read changes no result.
func TestCountingIsTransparent(t *testing.T) {
	s := load(t, 3, 400)
	cfg := DefaultConfig()
	plain := New(cfg, Options{})
	cfg.MaxSamplesRead = math.MaxInt64
	counted := New(cfg, Options{})
	rapid.Check(t, func(rt *rapid.T) {
		fn := rapid.SampledFrom([]string{"rate", "sum_over_time", "last_over_time", "changes", "quantile_over_time"}).Draw(rt, "fn")
		window := rapid.IntRange(10, 3000).Draw(rt, "window")
		qs := fmt.Sprintf("%s(m[%ds])", fn, window)
		if fn == "quantile_over_time" {
			qs = fmt.Sprintf("%s(0.3, m[%ds] offset %ds)", fn, window, rapid.IntRange(0, 100).Draw(rt, "offset"))
		}
		start := time.Unix(int64(rapid.IntRange(0, 4000).Draw(rt, "start")), 0)
		var got [2]string
		for i, e := range []*Engine{plain, counted} {
			q, err := e.NewRangeQuery(t.Context(), s, nil, qs, start, start.Add(10*time.Minute), 37*time.Second)
			require.NoError(rt, err)
			got[i] = q.Exec(t.Context()).String()
			q.Close()
		}
		require.Equal(rt, got[0], got[1])
	})
}

func TestParserBounds(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxQueryBytes = maxMaxQueryBytes
	p := NewParser(cfg)
	// Refused quickly: the parser itself takes minutes over some of these.
	for name, qs := range map[string]string{
		"parentheses": strings.Repeat("(", 400_000) + "1" + strings.Repeat(")", 400_000),
		"minus":       strings.Repeat("-", 1_000_000) + "1",
		"sums":        strings.Repeat("1+", 500_000) + "1",
		"calls":       strings.Repeat("abs(", 150_000) + "x" + strings.Repeat(")", 150_000),
		"subqueries":  "x" + strings.Repeat("[1m:]", 150_000),
		"unclosed":    strings.Repeat("(", 1_000_000),
	} {
		_, err := p.ParseExpr(qs)
		require.Error(t, err, name)
	}
	_, err := p.ParseExpr(strings.Repeat("(", 1900) + "1" + strings.Repeat(")", 1900))
	require.NoError(t, err)
	_, err = p.ParseExpr(strings.Repeat("x", maxMaxQueryBytes+1))
	require.Equal(t, reasonMaxQueryBytes, fault.ReasonOf(err))
	_, err = p.ParseMetricSelectors([]string{"a", strings.Repeat("x", maxMaxQueryBytes+1)})
	require.Equal(t, reasonMaxQueryBytes, fault.ReasonOf(err))
	_, err = p.ParseMetricSelector(strings.Repeat("x", maxMaxQueryBytes+1))
	require.Equal(t, reasonMaxQueryBytes, fault.ReasonOf(err))
	_, err = p.ParseMetric(strings.Repeat("x", maxMaxQueryBytes+1))
	require.Equal(t, reasonMaxQueryBytes, fault.ReasonOf(err))
}

func TestExperimentalSyntax(t *testing.T) {
	cfg := DefaultConfig()
	plain := NewParser(cfg)
	cfg.Experimental = true
	experimental := NewParser(cfg)
	for qs, always := range map[string]bool{
		"x[5m*2]": true, "x offset -(1h)": true, "first_over_time(x[1m])": false, "limitk(2, x)": false,
		"rate(x[1m] anchored)": false, "rate(x[1m] smoothed)": false, "x + fill(0) y": false, `info(x)`: false,
		`{"a.b", "x.y"="z"}`: true, "x @ end()": true,
	} {
		_, err := plain.ParseExpr(qs)
		if always {
			require.NoError(t, err, qs)
		} else if err == nil {
			t.Logf("%s is stable in this version", qs)
		}
		_, err = experimental.ParseExpr(qs)
		require.NoError(t, err, qs)
	}
}

// What the evaluator would allocate for steps is known before it runs.
func TestMaxSteps(t *testing.T) {
	s := load(t, 1, 10)
	e := New(DefaultConfig(), Options{})
	opts := prompql.NewPrometheusQueryOpts(true, 0)
	for _, qs := range []string{
		"max_over_time(vector(1)[100y:1ms])",
		"max_over_time(max_over_time(vector(1)[1h:1h])[100y:1ms])",
		"max_over_time((vector(1) + max_over_time(vector(1)[50y*2:1ms]))[1h:])",
		"sum_over_time(m[3h:1ms])",
	} {
		res, _ := run(t, e, s, qs, opts)
		require.Equal(t, reasonMaxSteps, fault.ReasonOf(res.Err), qs)
		require.ErrorIs(t, res.Err, ErrBudget)
		require.ErrorContains(t, res.Err, "query.max_steps is 10000000")
	}
	res, _ := run(t, e, s, "count_over_time(m[1m:1s])", opts)
	require.NoError(t, res.Err)

	q, err := e.NewRangeQuery(t.Context(), s, opts, "1", time.Unix(0, 0), time.Unix(20_000_000, 0), time.Second)
	require.NoError(t, err)
	require.Equal(t, reasonMaxSteps, fault.ReasonOf(q.Exec(t.Context()).Err))
	q.Close()
	for _, step := range []time.Duration{0, -1, time.Nanosecond} {
		_, err = e.NewRangeQuery(t.Context(), s, opts, "1", time.Unix(0, 0), time.Unix(0, 0), step)
		require.Equal(t, reasonBadRange, fault.ReasonOf(err))
	}
	_, err = e.NewRangeQuery(t.Context(), s, opts, "1", time.Unix(1, 0), time.Unix(0, 0), time.Second)
	require.Equal(t, reasonBadRange, fault.ReasonOf(err))
}

// Times beyond what the evaluator counts are answered, not wrapped around.
func TestFarTimes(t *testing.T) {
	s := load(t, 1, 10)
	e := New(DefaultConfig(), Options{})
	opts := prompql.NewPrometheusQueryOpts(true, 0)
	for _, sec := range []int64{math.MinInt64 / 1000, -9_300_000_000, 9_223_372_036, 9_300_000_000, 1_760_000_000_000, math.MaxInt64 / 1000} {
		at := time.Unix(sec, 0)
		q, err := e.NewInstantQuery(t.Context(), s, opts, "m", at)
		require.NoError(t, err)
		require.NoError(t, q.Exec(t.Context()).Err)
		q.Close()
		q, err = e.NewRangeQuery(t.Context(), s, opts, "m", at, at.Add(time.Hour), time.Minute)
		require.NoError(t, err)
		require.NoError(t, q.Exec(t.Context()).Err)
		q.Close()
	}
}

// waitStore is real until a Querier is asked for; then it waits.
type waitStore struct {
	storage.Queryable
	entered chan struct{}
	leave   chan struct{}
}

func (s *waitStore) Querier(mint, maxt int64) (storage.Querier, error) {
	s.entered <- struct{}{}
	<-s.leave
	return s.Queryable.Querier(mint, maxt)
}

func newWaitStore(t *testing.T) *waitStore {
	return &waitStore{Queryable: load(t, 1, 10), entered: make(chan struct{}, 10), leave: make(chan struct{})}
}

func TestGate(t *testing.T) {
	s := newWaitStore(t)
	cfg := DefaultConfig()
	cfg.MaxConcurrent, cfg.MaxQueued, cfg.QueueTimeout = 1, 1, time.Hour
	e := New(cfg, Options{})
	results := make(chan *prompql.Result)
	start := func(ctx context.Context) {
		q, err := e.NewInstantQuery(ctx, s, nil, "m", time.Unix(50, 0))
		require.NoError(t, err)
		go func() { results <- q.Exec(ctx); q.Close() }()
	}
	start(t.Context())
	<-s.entered
	waiting, cancel := context.WithCancel(t.Context())
	start(waiting)
	require.Eventually(t, func() bool { return e.gate.waiting.Load() == 1 }, 10*time.Second, time.Millisecond)

	// The third finds the queue full.
	res, _ := run(t, e, s, "m", nil)
	require.Equal(t, reasonQueueFull, fault.ReasonOf(res.Err))
	require.True(t, fault.Is(res.Err, fault.Unavailable))
	_, ok := errors.AsType[prompql.ErrQueryTimeout](res.Err)
	require.True(t, ok, "the API answers it 503")

	// Both are listed, the waiting one as such.
	active := e.Active(t.Context())
	require.Len(t, active, 2)
	require.Equal(t, []string{"running", "queued"}, []string{active[0].State, active[1].State})

	// One that waits can give up.
	cancel()
	res = <-results
	_, ok = errors.AsType[prompql.ErrQueryCanceled](res.Err)
	require.True(t, ok, res.Err)

	// One that waits can be cancelled by its id, and one that runs.
	start(t.Context())
	require.Eventually(t, func() bool { return len(e.Active(t.Context())) == 2 }, 10*time.Second, time.Millisecond)
	require.True(t, e.Cancel(t.Context(), e.Active(t.Context())[1].ID))
	res = <-results
	require.ErrorContains(t, res.Err, "by its id")
	require.True(t, e.Cancel(t.Context(), e.Active(t.Context())[0].ID))
	close(s.leave)
	res = <-results
	_, ok = errors.AsType[prompql.ErrQueryCanceled](res.Err)
	require.True(t, ok, res.Err)
	require.Empty(t, e.Active(t.Context()))
	require.Empty(t, e.gate.slots)
	require.False(t, e.Cancel(t.Context(), "1"))
}

func TestQueueTimeout(t *testing.T) {
	s := newWaitStore(t)
	cfg := DefaultConfig()
	cfg.MaxConcurrent, cfg.MaxQueued, cfg.QueueTimeout = 1, 5, time.Millisecond
	e := New(cfg, Options{})
	q, err := e.NewInstantQuery(t.Context(), s, nil, "m", time.Unix(50, 0))
	require.NoError(t, err)
	done := make(chan *prompql.Result)
	go func() { done <- q.Exec(t.Context()) }()
	<-s.entered
	res, _ := run(t, e, s, "m", nil)
	require.Equal(t, reasonQueueTimeout, fault.ReasonOf(res.Err))
	require.ErrorContains(t, res.Err, "query.queue_timeout (1ms)")
	close(s.leave)
	require.NoError(t, (<-done).Err)
	q.Close()
}

func TestTimeoutNamesItsOption(t *testing.T) {
	s := newWaitStore(t)
	cfg := DefaultConfig()
	cfg.Timeout, cfg.QueueTimeout = time.Millisecond, time.Millisecond
	e := New(cfg, Options{})
	q, err := e.NewInstantQuery(t.Context(), s, nil, "m", time.Unix(50, 0))
	require.NoError(t, err)
	done := make(chan *prompql.Result)
	go func() { done <- q.Exec(t.Context()) }()
	<-s.entered
	require.Eventually(t, func() bool { return len(e.Active(t.Context())) == 1 && e.Active(t.Context())[0].AgeSeconds > 0.005 }, 10*time.Second, time.Millisecond)
	close(s.leave)
	res := <-done
	q.Close()
	_, ok := errors.AsType[prompql.ErrQueryTimeout](res.Err)
	require.True(t, ok, res.Err)
	require.ErrorContains(t, res.Err, "query.timeout (1ms)")
}

func TestStorageErrors(t *testing.T) {
	boom := errors.New("boom")
	_, ok := errors.AsType[prompql.ErrStorage](StorageError(boom))
	require.True(t, ok)
	require.ErrorIs(t, StorageError(boom), boom)
	marked := StorageError(boom)
	require.Same(t, marked, StorageError(marked), "marked once")
	for _, err := range []error{nil, context.Canceled, context.DeadlineExceeded, fault.New(fault.Limited, "x"), fault.New(fault.Invalid, "x"), overBudget(reasonMaxSeries, "x")} {
		_, ok := errors.AsType[prompql.ErrStorage](StorageError(err))
		require.False(t, ok, err)
	}
}

func TestRegistry(t *testing.T) {
	r := newRegistry(3)
	ctx := t.Context()
	other := tenant.NewContext(ctx, "b")
	now := time.Now()
	for i, d := range []float64{1, 5, 2, 4, 3} {
		r.addSlow(SlowQuery{QueryInfo: QueryInfo{Query: fmt.Sprint(i), Tenants: []string{"default"}, StartedAt: now}, DurationSeconds: d})
	}
	var got []float64
	for _, q := range r.listSlow(ctx, now) {
		got = append(got, q.DurationSeconds)
	}
	require.Equal(t, []float64{5, 4, 3}, got)
	require.Empty(t, r.listSlow(other, now))
	require.Len(t, r.listSlow(tenant.NewContext(ctx, "b", "default"), now), 3)
	require.Empty(t, r.listSlow(ctx, now.Add(25*time.Hour)))

	r = newRegistry(0)
	r.addSlow(SlowQuery{DurationSeconds: 1})
	require.Empty(t, r.mu.slow)

	require.Len(t, keptText(strings.Repeat("é", 3000)), maxKeptText)
	require.Len(t, keptText("x"+strings.Repeat("é", 3000)), maxKeptText-1)
}

func TestConfig(t *testing.T) {
	cfg := DefaultConfig()
	warnings, err := cfg.Validate()
	require.NoError(t, err)
	require.Empty(t, warnings)
	_, err = (&Config{MaxSeries: -1, MaxBytes: -1, MaxSamplesRead: -1, MaxQueued: -1, SlowLogSize: -1}).Validate()
	for _, name := range []string{
		"max_samples:", "max_samples_read", "max_series", "max_bytes", "max_steps", "max_query_bytes", "timeout", "max_concurrent",
		"max_queued", "lookback_delta", "subquery_interval", "slow_log_size",
	} {
		require.ErrorContains(t, err, name)
	}
	cfg.MaxQueryBytes = 1 << 30
	_, err = cfg.Validate()
	require.ErrorContains(t, err, "max_query_bytes")
	cfg = DefaultConfig()
	cfg.QueueTimeout = time.Hour
	warnings, err = cfg.Validate()
	require.NoError(t, err)
	require.Len(t, warnings, 1)
}

func FuzzParser(f *testing.F) {
	cfg := DefaultConfig()
	cfg.Experimental = true
	p := NewParser(cfg)
	for _, qs := range []string{
		"up", `sum by (a) (rate({"b.c", d=~"e|f"}[5m] offset -1h @ end()))`, "((1))", "x[5m*2:step()]", "-1^-2", `"\xff"`, "a fill(0) b", "x[1m] anchored",
	} {
		f.Add(qs)
	}
	f.Fuzz(func(t *testing.T, qs string) {
		expr, err := p.ParseExpr(qs)
		if err != nil {
			return
		}
		// What we print must parse again, or /format_query breaks queries.
		_, err = p.ParseExpr(expr.String())
		require.NoError(t, err, "%q became %q", qs, expr.String())
	})
}
