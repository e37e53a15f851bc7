package collector

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"signalbox/internal/tenant"
)

// store is a sink for all signals that keeps copies, and answers with an error
// when one is set.
type store struct {
	mu      sync.Mutex
	metrics []pmetric.Metrics
	traces  []ptrace.Traces
	logs    []plog.Logs
	tenants []tenant.ID
	err     error
	changed chan struct{} // closed and replaced at every call
}

func newStore() *store { return &store{changed: make(chan struct{})} }

func (s *store) sinks() Sinks {
	return Sinks{
		Metrics: func(ctx context.Context, md pmetric.Metrics) error {
			return s.take(ctx, func() { c := pmetric.NewMetrics(); md.CopyTo(c); s.metrics = append(s.metrics, c) })
		},
		Traces: func(ctx context.Context, td ptrace.Traces) error {
			return s.take(ctx, func() { c := ptrace.NewTraces(); td.CopyTo(c); s.traces = append(s.traces, c) })
		},
		Logs: func(ctx context.Context, ld plog.Logs) error {
			return s.take(ctx, func() { c := plog.NewLogs(); ld.CopyTo(c); s.logs = append(s.logs, c) })
		},
	}
}

func (s *store) take(ctx context.Context, keep func()) error {
	id, err := tenant.One(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { close(s.changed); s.changed = make(chan struct{}) }()
	s.tenants = append(s.tenants, id)
	if s.err != nil {
		return s.err
	}
	keep()
	return nil
}

func (s *store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// await waits until cond, called under the lock, holds.
func (s *store) await(t *testing.T, cond func() bool) {
	t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for {
		s.mu.Lock()
		ok, changed := cond(), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-limit.C:
			t.Fatal("the sink never saw what was awaited")
		}
	}
}

func (s *store) spanNames() []string {
	var names []string
	for _, td := range s.traces {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, sp := range ss.Spans().All() {
					names = append(names, sp.Name())
				}
			}
		}
	}
	return names
}

func (s *store) metricNames() []string {
	var names []string
	for _, md := range s.metrics {
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					names = append(names, m.Name())
				}
			}
		}
	}
	return names
}

func freeTCP(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func freeUDP(t testing.TB) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer c.Close()
	return c.LocalAddr().String()
}

// parse fills the addresses into a section and parses it.
func parse(t testing.TB, doc string, pairs ...string) Config {
	t.Helper()
	cfg, err := Parse([]byte(strings.NewReplacer(pairs...).Replace(doc)))
	require.NoError(t, err)
	return cfg
}

// logBuffer is a slog sink that tests read while others write.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type running struct {
	*Collector
	reg *prometheus.Registry
	log *logBuffer
}

// run starts a collector and stops it at the end of the test.
func run(t testing.TB, cfg Config, sinks Sinks) running {
	t.Helper()
	r := running{reg: prometheus.NewRegistry(), log: &logBuffer{}}
	c, err := New(cfg, sinks, Options{Registry: r.reg, Logger: slog.New(slog.NewTextHandler(r.log, nil))})
	require.NoError(t, err)
	require.NoError(t, c.Start(context.Background()))
	t.Cleanup(func() { require.NoError(t, c.Stop(context.Background())) })
	r.Collector = c
	return r
}

// value returns the sum of all series of a metric whose labels contain want.
func (r running) value(t testing.TB, name string, want ...string) float64 {
	t.Helper()
	families, err := r.reg.Gather()
	require.NoError(t, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			text := m.String()
			ok := true
			for _, w := range want {
				ok = ok && strings.Contains(text, `"`+w+`"`)
			}
			if ok {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
			}
		}
	}
	return sum
}
