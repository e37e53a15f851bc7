package collector

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/service"
	"go.opentelemetry.io/collector/service/telemetry"

	"signalbox/internal/fault"
)

// generation is one built plan: a service of the Collector that is started once
// and stopped once.
type generation struct {
	plan     *plan
	svc      *service.Service
	delivery *delivery
	tel      *telemetryParts
	log      *slog.Logger
	m        *metrics
	async    chan error // components that cannot go on
	done     chan struct{}
	wg       sync.WaitGroup
}

// newService builds the components of a plan. Nothing is opened.
func newService(ctx context.Context, p *plan, d *delivery, tel telemetry.Factory, async chan error) (*service.Service, error) {
	own, err := p.fresh()
	if err != nil {
		return nil, fault.New(fault.Internal, "collector: decode the settings again: %w", err)
	}
	return service.New(ctx, service.Settings{
		BuildInfo:           component.BuildInfo{Command: exporterName, Description: "Signalbox"},
		ReceiversConfigs:    own.receivers,
		ReceiversFactories:  own.receiverFactories,
		ProcessorsConfigs:   own.processors,
		ProcessorsFactories: own.processorFactories,
		ExportersConfigs:    map[component.ID]component.Config{exporterID: &exporterConfig{}},
		ExportersFactories:  map[component.Type]exporter.Factory{exporterID.Type(): newExporterFactory(d)},
		AsyncErrorChannel:   async,
		TelemetryFactory:    tel,
	}, service.Config{Pipelines: p.pipelines})
}

func newGeneration(ctx context.Context, p *plan, c *Collector) (*generation, error) {
	tel, err := newTelemetry(c.zap)
	if err != nil {
		return nil, fmt.Errorf("collector: metrics: %w", err)
	}
	g := &generation{
		plan:     p,
		delivery: &delivery{sinks: c.sinks, m: c.m},
		tel:      tel,
		log:      c.log,
		m:        c.m,
		async:    make(chan error),
		done:     make(chan struct{}),
	}
	if g.svc, err = newService(ctx, p, g.delivery, tel.factory(), g.async); err != nil {
		return nil, fault.New(fault.Invalid, "collector.service.pipelines: %w", err)
	}
	return g, nil
}

// start opens the listeners. After an error everything is stopped again.
func (g *generation) start(ctx context.Context) error {
	g.wg.Go(g.watch)
	if err := g.svc.Start(ctx); err != nil {
		_ = g.stop(ctx) // what could not start has nothing to report
		return fault.New(fault.Unavailable, "start the collector's pipelines: %w", err)
	}
	g.m.pipelines.Set(float64(len(g.plan.pipelines)))
	g.m.inner.current.Store(&g.tel.prom)
	return nil
}

// watch notes components that cannot go on. The others keep running.
func (g *generation) watch() {
	for {
		select {
		case err := <-g.async:
			g.m.failures.Inc()
			g.log.Error("a component of the collector failed; its pipelines receive nothing until the configuration is applied again", "err", err)
		case <-g.done:
			return
		}
	}
}

// stop closes the receivers, lets the processors flush into the sinks and waits
// for both. When ctx ends first it returns and leaves the rest to end by itself.
func (g *generation) stop(ctx context.Context) error {
	stopped := make(chan error, 1)
	go func() {
		err := g.svc.Shutdown(ctx)
		g.delivery.gate.close()
		close(g.done)
		g.wg.Wait()
		stopped <- err
	}()
	g.m.pipelines.Set(0)
	g.m.inner.current.CompareAndSwap(&g.tel.prom, nil)
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "stop the collector's pipelines: %w", context.Cause(ctx))
	}
}
