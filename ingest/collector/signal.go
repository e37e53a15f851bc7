package collector

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pipeline"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/receiver"
)

// Sinks are where pipelines end. A nil sink means that the program does not
// store this signal; a pipeline of it is then an error of the configuration.
//
// A sink is called concurrently, with the tenant in the context. It borrows the
// data until it returns and may neither keep nor change it. Its error decides by
// its class (internal/fault) what the client hears: Limited and Unavailable ask
// it to send again, Invalid tells it not to. A sink that kept a part and refused
// single records counts them and returns nil.
type Sinks struct {
	Metrics func(ctx context.Context, md pmetric.Metrics) error
	Traces  func(ctx context.Context, td ptrace.Traces) error
	Logs    func(ctx context.Context, ld plog.Logs) error
}

// anySinks accepts every signal, for checks that do not know the program's.
func anySinks() Sinks {
	return Sinks{
		Metrics: func(context.Context, pmetric.Metrics) error { return nil },
		Traces:  func(context.Context, ptrace.Traces) error { return nil },
		Logs:    func(context.Context, plog.Logs) error { return nil },
	}
}

// signal is what differs between the kinds of pipelines.
type signal struct {
	stored    func(Sinks) bool
	receives  func(receiver.Factory) bool
	processes func(processor.Factory) bool
}

const unsupported = component.StabilityLevelUndefined

var signals = map[pipeline.Signal]signal{
	pipeline.SignalMetrics: {
		stored:    func(s Sinks) bool { return s.Metrics != nil },
		receives:  func(f receiver.Factory) bool { return f.MetricsStability() != unsupported },
		processes: func(f processor.Factory) bool { return f.MetricsStability() != unsupported },
	},
	pipeline.SignalTraces: {
		stored:    func(s Sinks) bool { return s.Traces != nil },
		receives:  func(f receiver.Factory) bool { return f.TracesStability() != unsupported },
		processes: func(f processor.Factory) bool { return f.TracesStability() != unsupported },
	},
	pipeline.SignalLogs: {
		stored:    func(s Sinks) bool { return s.Logs != nil },
		receives:  func(f receiver.Factory) bool { return f.LogsStability() != unsupported },
		processes: func(f processor.Factory) bool { return f.LogsStability() != unsupported },
	},
}
