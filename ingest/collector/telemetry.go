package collector

import (
	"context"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/service/telemetry"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.uber.org/zap"
)

// relay shows the Collector's own metrics in our registry. The instruments are
// made anew with every generation, so what it shows is replaced, not registered
// again. It is unchecked: which metrics there are depends on the configuration.
type relay struct {
	current atomic.Pointer[prometheus.Collector]
}

func (r *relay) Describe(chan<- *prometheus.Desc) {}

func (r *relay) Collect(ch chan<- prometheus.Metric) {
	if c := r.current.Load(); c != nil {
		(*c).Collect(ch)
	}
}

// capture is a Registerer that only remembers what the OpenTelemetry exporter
// registers.
type capture struct{ c prometheus.Collector }

func (c *capture) Register(p prometheus.Collector) error   { c.c = p; return nil }
func (c *capture) MustRegister(ps ...prometheus.Collector) { c.c = ps[0] }
func (c *capture) Unregister(prometheus.Collector) bool    { return false }

// telemetryParts are the Collector's log and metrics for one generation.
type telemetryParts struct {
	zap   *zap.Logger
	meter *sdkmetric.MeterProvider
	prom  prometheus.Collector
}

// quietTelemetry is for trial builds: nothing is logged and nothing counted.
func quietTelemetry() telemetry.Factory {
	return telemetry.NewFactory(func() component.Config { return nil })
}

func newTelemetry(log *zap.Logger) (*telemetryParts, error) {
	var reg capture
	// The names are those of a stock Collector (no _total, no unit), so that its
	// dashboards and alerts fit.
	exp, err := otelprom.New(otelprom.WithRegisterer(&reg), otelprom.WithoutTargetInfo(), otelprom.WithoutScopeInfo(),
		otelprom.WithoutUnits(), otelprom.WithoutCounterSuffixes()) //nolint:staticcheck // one option for both would need another module
	if err != nil {
		return nil, err
	}
	opts := []sdkmetric.Option{sdkmetric.WithReader(exp)}
	for _, d := range dropped {
		opts = append(opts, sdkmetric.WithView(sdkmetric.NewView(d, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}})))
	}
	return &telemetryParts{zap: log, meter: sdkmetric.NewMeterProvider(opts...), prom: reg.c}, nil
}

// dropped are instruments that repeat what the program says of itself (process
// metrics) or cost much and say little (every RPC again, sizes).
var dropped = []sdkmetric.Instrument{
	{Name: "*", Scope: scope("go.opentelemetry.io/collector/service")},
	{Name: "*", Scope: scope("go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc")},
	{Name: "*", Scope: scope("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp")},
	{Name: "otelcol_processor_internal_duration"},
	{Name: "otelcol_processor_batch_batch_send_size_bytes"},
}

// factory hands the parts to a service, which shuts the meter down.
func (t *telemetryParts) factory() telemetry.Factory {
	return telemetry.NewFactory(func() component.Config { return nil },
		telemetry.WithCreateLogger(func(context.Context, telemetry.LoggerSettings, component.Config) (*zap.Logger, component.ShutdownFunc, error) {
			return t.zap, nil, nil
		}),
		telemetry.WithCreateMeterProvider(func(context.Context, telemetry.MeterSettings, component.Config) (telemetry.MeterProvider, error) {
			return t.meter, nil
		}),
	)
}

func scope(name string) instrumentation.Scope { return instrumentation.Scope{Name: name} }
