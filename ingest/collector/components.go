package collector

import (
	"slices"
	"strings"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/attributesprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/deltatocumulativeprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/filterprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/resourceprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/tailsamplingprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/transformprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/jaegerreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/kafkareceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/statsdreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/zipkinreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

// receiverFactories returns the receivers of this build. Factories are made
// anew for every plan: some remember the components they made.
func receiverFactories() map[component.Type]receiver.Factory {
	return byType(
		jaegerreceiver.NewFactory(),
		kafkareceiver.NewFactory(),
		otlpreceiver.NewFactory(),
		statsdreceiver.NewFactory(),
		zipkinreceiver.NewFactory(),
	)
}

// processorFactories returns the processors of this build.
func processorFactories() map[component.Type]processor.Factory {
	return byType(
		attributesprocessor.NewFactory(),
		batchprocessor.NewFactory(),
		deltatocumulativeprocessor.NewFactory(),
		filterprocessor.NewFactory(),
		memorylimiterprocessor.NewFactory(),
		resourceprocessor.NewFactory(),
		tailsamplingprocessor.NewFactory(),
		transformprocessor.NewFactory(),
	)
}

func byType[F component.Factory](list ...F) map[component.Type]F {
	m := make(map[component.Type]F, len(list))
	for _, f := range list {
		m[f.Type()] = f
		// A type that was renamed is still found by its old name.
		if old, ok := any(f).(interface{ DeprecatedAlias() component.Type }); ok && old.DeprecatedAlias() != (component.Type{}) {
			m[old.DeprecatedAlias()] = f
		}
	}
	return m
}

// typeNames lists the types of a set of factories for a message.
func typeNames[F component.Factory](m map[component.Type]F) string {
	names := make([]string, 0, len(m))
	for t := range m {
		names = append(names, t.String())
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
