package collector

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"signalbox/internal/fault"
)

// exporterName is the only exporter there is; every pipeline ends in it.
const exporterName = "signalbox"

var exporterID = component.MustNewID(exporterName)

// exporterConfig is empty: there is nothing to set.
type exporterConfig struct{}

// newExporterFactory makes the exporter that hands data to the sinks.
func newExporterFactory(d *delivery) exporter.Factory {
	return exporter.NewFactory(exporterID.Type(),
		func() component.Config { return &exporterConfig{} },
		exporter.WithMetrics(func(context.Context, exporter.Settings, component.Config) (exporter.Metrics, error) {
			return metricsExporter{endpoint{d: d}}, nil
		}, component.StabilityLevelStable),
		exporter.WithTraces(func(context.Context, exporter.Settings, component.Config) (exporter.Traces, error) {
			return tracesExporter{endpoint{d: d}}, nil
		}, component.StabilityLevelStable),
		exporter.WithLogs(func(context.Context, exporter.Settings, component.Config) (exporter.Logs, error) {
			return logsExporter{endpoint{d: d}}, nil
		}, component.StabilityLevelStable),
	)
}

// endpoint is what the exporters of all signals share. They hold nothing of
// their own; the generation closes the gate after all components stopped.
type endpoint struct {
	component.StartFunc
	component.ShutdownFunc
	d *delivery
}

// Capabilities: sinks do not change data, so pipelines may share it.
func (endpoint) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: false}
}

type metricsExporter struct{ endpoint }

func (e metricsExporter) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	return e.d.deliver(ctx, signalMetrics, md.DataPointCount(), func(ctx context.Context) error { return e.d.sinks.Metrics(ctx, md) })
}

type tracesExporter struct{ endpoint }

func (e tracesExporter) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	return e.d.deliver(ctx, signalTraces, td.SpanCount(), func(ctx context.Context) error { return e.d.sinks.Traces(ctx, td) })
}

type logsExporter struct{ endpoint }

func (e logsExporter) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	return e.d.deliver(ctx, signalLogs, ld.LogRecordCount(), func(ctx context.Context) error { return e.d.sinks.Logs(ctx, ld) })
}

// gate counts the calls into the sinks, so that a generation can wait for them
// and no component that outlives its own shutdown reaches a store that is closed.
type gate struct {
	mu     sync.RWMutex
	closed bool
}

var errStopped = fault.New(fault.Unavailable, "this pipeline has stopped").WithReason("stopped")

// enter lets a call pass until close; the caller calls the returned leave.
func (g *gate) enter() (leave func(), err error) {
	g.mu.RLock()
	if g.closed {
		g.mu.RUnlock()
		return nil, errStopped
	}
	return g.mu.RUnlock, nil
}

// close refuses further calls and waits for those inside.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}
