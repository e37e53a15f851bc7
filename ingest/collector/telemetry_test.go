package collector

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

func TestZapToSlog(t *testing.T) {
	var out bytes.Buffer
	h := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	m := newMetrics(nil)
	log := newZap(slog.New(h), m).With(zap.String("kind", "receiver"))
	log.Debug("hidden")
	log.Info("started", zap.Int("port", 1), zap.Error(errors.New("boom")))
	log.Warn("odd", zap.Namespace("n"), zap.Bool("b", true))
	log.DPanic("bad")
	require.Equal(t, strings.Join([]string{
		`level=INFO msg=started kind=receiver port=1 err=boom`,
		`level=WARN msg=odd kind=receiver b=true`,
		`level=ERROR msg=bad kind=receiver`, ""}, "\n"), out.String())

	out.Reset()
	for range 20 {
		log.Info("again")
	}
	require.Equal(t, 5, strings.Count(out.String(), "again"))
	require.Equal(t, 15.0, testutil.ToFloat64(m.logDropped))
}

// The registry stays readable, and lints, with every generation.
func TestRegistry(t *testing.T) {
	addr, st := freeTCP(t), newStore()
	r := run(t, parse(t, `
receivers: {zipkin: {endpoint: ADDR}}
processors: {batch: {timeout: 1ms}, memory_limiter: {check_interval: 1s, limit_mib: 4000}, filter: {trace_conditions: ['span.name == "x"']}}
service: {pipelines: {traces: {receivers: [zipkin], processors: [memory_limiter, filter, batch]}, traces/2: {receivers: [zipkin], processors: [batch]}}}`, "ADDR", addr), st.sinks())
	require.Equal(t, http.StatusAccepted, postZipkin(t, addr, zipkinSpan("a", "")))
	st.await(t, func() bool { return len(st.traces) == 2 })
	t.Log(r.log.String())
	families, err := r.reg.Gather()
	require.NoError(t, err)
	var inner int
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "otelcol_") {
			inner++
			require.NotContains(t, f.GetName(), "otelcol_process_")
			continue
		}
		require.True(t, strings.HasPrefix(f.GetName(), "signalbox_collector_"), f.GetName())
	}
	require.Greater(t, inner, 5)
	problems, err := testutil.GatherAndLint(r.reg)
	require.NoError(t, err)
	for _, p := range problems {
		require.True(t, strings.HasPrefix(p.Metric, "otelcol_"), "%s: %s", p.Metric, p.Text)
	}
	require.Contains(t, r.log.String(), "component=collector")
	require.NotContains(t, r.log.String(), "level=ERROR")

	require.NoError(t, r.Stop(context.Background()))
	families, err = r.reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		require.False(t, strings.HasPrefix(f.GetName(), "otelcol_"), "%s outlived its generation", f.GetName())
	}
}

// Without configuration the package costs no goroutine, and shows no metrics of
// the Collector.
func TestIdleCost(t *testing.T) {
	before := runtime.NumGoroutine()
	reg := prometheus.NewRegistry()
	c, err := New(DefaultConfig(), Sinks{}, Options{Registry: reg})
	require.NoError(t, err)
	require.NoError(t, c.Start(context.Background()))
	require.LessOrEqual(t, runtime.NumGoroutine(), before)
	n, err := testutil.GatherAndCount(reg, "otelcol_receiver_accepted_spans")
	require.NoError(t, err)
	require.Zero(t, n)
	require.NoError(t, c.Stop(context.Background()))
}

// A component that fails while it runs is logged and counted.
func TestComponentFailure(t *testing.T) {
	addr := freeTCP(t)
	r := run(t, parse(t, zipkinOnly, "ADDR", addr), newStore().sinks())
	r.current.async <- errors.New("listener broke")
	require.Eventually(t, func() bool { return strings.Contains(r.log.String(), "listener broke") }, awaitLimit, awaitTick)
	require.Equal(t, 1.0, r.value(t, "signalbox_collector_component_failures_total"))
}
