package scrape

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

func TestNothingIsWrittenAfterRun(t *testing.T) {
	t.Parallel()
	target := serve(t, text("a 1\n"))
	sink := &memorySink{}
	s, err := New(sink, parse(t, job("j", target, "")), Options{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	sink.await(t, is(1), "up")
	cancel()
	require.NoError(t, <-done)

	n := sink.count()
	require.Zero(t, sink.open, "every appender is committed or rolled back")
	require.Empty(t, staleOf(sink, "a", target), "a restart continues the series")
	app := s.gate.AppenderV2(context.Background())
	_, err = app.Append(0, labels.FromStrings("__name__", "x"), 0, 1, 1, nil, nil, storage.AOptions{})
	require.True(t, fault.Is(err, fault.Unavailable))
	require.NoError(t, app.Rollback())
	require.Equal(t, n, sink.count())
	require.ErrorContains(t, s.Run(context.Background()), "Run called twice")
}

func TestGateWaitsForOpenAppenders(t *testing.T) {
	t.Parallel()
	m, err := newMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	sink := &memorySink{}
	g := newGate(sink, tenant.Default, m)
	app := g.AppenderV2(context.Background())
	closed := make(chan struct{})
	go func() {
		g.close()
		close(closed)
	}()
	eventually(t, func() bool {
		probe := g.AppenderV2(context.Background())
		defer func() { require.NoError(t, probe.Rollback()) }()
		_, refused := probe.(closedAppender)
		return refused
	}, "gate does not close")
	select {
	case <-closed:
		t.Fatal("closed while an appender was open")
	default:
	}
	require.NoError(t, app.Commit())
	<-closed
	require.NoError(t, app.Rollback(), "the loops roll back after a failed commit: released once only")
}

// TestRegistryTakenOver: a program that rebuilds its Scraper keeps its registry.
func TestRegistryTakenOver(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	for range 3 {
		s, err := New(&memorySink{}, parse(t, job("j", "127.0.0.1:1", "")), Options{Registry: reg})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		eventually(t, func() bool { return gathered(t, reg, "prometheus_sd_discovered_targets", "config", "j") == 1 }, "targets are not counted")
		cancel()
		require.NoError(t, <-done)
	}
}

func TestApplyBeforeRun(t *testing.T) {
	t.Parallel()
	target := serve(t, text("a 1\n"))
	sink := &memorySink{}
	s, err := New(sink, DefaultConfig(), Options{})
	require.NoError(t, err)
	cfg := parse(t, job("j", target, ""))
	cfg.Tenant = "later"
	require.NoError(t, s.Apply(cfg))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	require.EqualValues(t, "later", sink.await(t, is(1), "up").Tenant)
	cancel()
	require.NoError(t, <-done)
}
