package collector

import (
	"context"
	"slices"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/service/pipelines"
)

// rehearse finds the faults that only the constructors of components or the
// start of processors know of (a sampling policy of an unknown type is one), so
// that Apply does not stop what runs for a configuration that cannot start. All
// components are built and thrown away; then the processors are started behind a
// receiver that receives nothing, and stopped. No port is opened.
func rehearse(ctx context.Context, p *plan) error {
	var faults problems
	svc, err := newService(ctx, p, &delivery{}, quietTelemetry(), make(chan error, 1))
	if err != nil {
		faults.addBuild(err)
		return faults.err()
	}
	// Some components register themselves when they are made; Shutdown without
	// Start is what lets go of them. It has nothing to report.
	_ = svc.Shutdown(ctx)

	mute := p.muted()
	// A component may report failures while it starts; nobody reads them here.
	svc, err = newService(ctx, mute, &delivery{}, quietTelemetry(), make(chan error, 2*len(p.processors)+1))
	if err != nil {
		faults.addBuild(err)
		return faults.err()
	}
	if err := svc.Start(ctx); err != nil {
		faults.addBuild(err)
	}
	_ = svc.Shutdown(ctx)
	return faults.err()
}

var muteID = component.MustNewID("mute")

// muted returns the plan with all receivers replaced by one that receives nothing.
func (p *plan) muted() *plan {
	m := &plan{parts: p.parts, confs: p.confs, pipelines: pipelines.Config{}}
	m.receivers = map[component.ID]component.Config{muteID: &struct{}{}}
	for id, pl := range p.pipelines {
		m.pipelines[id] = &pipelines.PipelineConfig{
			Receivers:  []component.ID{muteID},
			Processors: slices.Clone(pl.Processors),
			Exporters:  pl.Exporters,
		}
	}
	return m
}

type muteReceiver struct {
	component.StartFunc
	component.ShutdownFunc
}

func newMuteFactory() receiver.Factory {
	return receiver.NewFactory(muteID.Type(), func() component.Config { return &struct{}{} },
		receiver.WithMetrics(func(context.Context, receiver.Settings, component.Config, consumer.Metrics) (receiver.Metrics, error) {
			return muteReceiver{}, nil
		}, component.StabilityLevelStable),
		receiver.WithTraces(func(context.Context, receiver.Settings, component.Config, consumer.Traces) (receiver.Traces, error) {
			return muteReceiver{}, nil
		}, component.StabilityLevelStable),
		receiver.WithLogs(func(context.Context, receiver.Settings, component.Config, consumer.Logs) (receiver.Logs, error) {
			return muteReceiver{}, nil
		}, component.StabilityLevelStable),
	)
}
