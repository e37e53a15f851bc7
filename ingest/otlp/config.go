package otlp

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/otlptranslator"
)

// DeltaMode says what becomes of metrics with delta temporality.
type DeltaMode string

const (
	// DeltaCumulative adds deltas up, per series, in memory.
	DeltaCumulative DeltaMode = "cumulative"
	// DeltaReject refuses every delta point.
	DeltaReject DeltaMode = "reject"
)

// Config is what an operator may write under "otlp".
type Config struct {
	// How names become Prometheus names: UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, NoUTF8EscapingWithSuffixes or NoTranslation.
	TranslationStrategy string `yaml:"translation_strategy"`
	// Resource attributes that become labels of every series of the resource.
	PromoteResourceAttributes []string `yaml:"promote_resource_attributes"`
	// Promote every resource attribute but those of ignore_resource_attributes; promote_resource_attributes is then not used.
	PromoteAllResourceAttributes bool `yaml:"promote_all_resource_attributes"`
	// Resource attributes that promote_all_resource_attributes leaves out.
	IgnoreResourceAttributes []string `yaml:"ignore_resource_attributes"`
	// Keep service.name, service.namespace and service.instance.id as labels of target_info, beside job and instance.
	KeepIdentifyingResourceAttributes bool `yaml:"keep_identifying_resource_attributes"`
	// Add the instrumentation scope to every series as otel_scope_ labels.
	PromoteScopeMetadata bool `yaml:"promote_scope_metadata"`
	// Store histograms with explicit bounds as native histograms with custom buckets.
	ConvertHistogramsToNHCB bool `yaml:"convert_histograms_to_nhcb"`
	// What becomes of delta temporality: cumulative (added up per series in memory) or reject.
	Delta DeltaMode `yaml:"delta"`
	// Bytes that one HTTP request may have, as sent and again after decompression.
	MaxRequestBytes int64 `yaml:"max_request_bytes"`
	// Delta series that are added up at a time, all tenants together; a histogram counts one more for every 16 buckets.
	MaxDeltaSeries int64 `yaml:"max_delta_series"`
	// Time after its last point at which a delta series is forgotten; it then starts anew.
	DeltaStaleness time.Duration `yaml:"delta_staleness"`
}

// DefaultConfig translates as Prometheus does, and promotes what identifies a
// workload and where it runs.
func DefaultConfig() Config {
	return Config{
		TranslationStrategy: string(otlptranslator.UnderscoreEscapingWithSuffixes),
		PromoteResourceAttributes: []string{
			"service.name", "service.namespace", "service.instance.id",
			"deployment.environment", "deployment.environment.name",
			"cloud.region", "cloud.availability_zone",
			"k8s.cluster.name", "k8s.namespace.name", "k8s.node.name", "k8s.pod.name", "k8s.container.name",
			"k8s.deployment.name", "k8s.replicaset.name", "k8s.statefulset.name", "k8s.daemonset.name",
			"k8s.job.name", "k8s.cronjob.name",
		},
		Delta:           DeltaCumulative,
		MaxRequestBytes: 64 << 20,
		MaxDeltaSeries:  200_000,
		DeltaStaleness:  5 * time.Minute,
	}
}

var strategies = []string{
	string(otlptranslator.UnderscoreEscapingWithSuffixes),
	string(otlptranslator.UnderscoreEscapingWithoutSuffixes),
	string(otlptranslator.NoUTF8EscapingWithSuffixes),
	string(otlptranslator.NoTranslation),
}

// Validate reports every setting that cannot be meant, and warns of those that
// have no effect.
func (c *Config) Validate() (warnings []string, err error) {
	var errs []error
	if !slices.Contains(strategies, c.TranslationStrategy) {
		errs = append(errs, fmt.Errorf("otlp.translation_strategy: %q is none of %v", c.TranslationStrategy, strategies))
	}
	if c.Delta != DeltaCumulative && c.Delta != DeltaReject {
		errs = append(errs, fmt.Errorf("otlp.delta: %q is neither %q nor %q", c.Delta, DeltaCumulative, DeltaReject))
	}
	if c.MaxRequestBytes <= 0 {
		errs = append(errs, errors.New("otlp.max_request_bytes: must be positive"))
	}
	if c.MaxDeltaSeries < 0 {
		errs = append(errs, errors.New("otlp.max_delta_series: must not be negative"))
	}
	if c.DeltaStaleness <= 0 {
		errs = append(errs, errors.New("otlp.delta_staleness: must be positive"))
	}
	for i, list := range [][]string{c.PromoteResourceAttributes, c.IgnoreResourceAttributes} {
		if slices.Contains(list, "") {
			key := []string{"promote_resource_attributes", "ignore_resource_attributes"}[i]
			errs = append(errs, fmt.Errorf("otlp.%s: a name is empty", key))
		}
	}
	if len(c.IgnoreResourceAttributes) > 0 && !c.PromoteAllResourceAttributes {
		warnings = append(warnings, "otlp.ignore_resource_attributes has no effect without promote_all_resource_attributes")
	}
	if c.Delta == DeltaCumulative && c.MaxDeltaSeries == 0 {
		warnings = append(warnings, "otlp.max_delta_series is 0: every delta point is refused")
	}
	return warnings, errors.Join(errs...)
}

// Options is what the program hands in. Zero values work in tests.
type Options struct {
	Logger   *slog.Logger          // nil: discard
	Registry prometheus.Registerer // nil: a private one
	// LookbackDelta is that of the query engine; target_info is repeated at half of it. 0: 5 minutes.
	LookbackDelta time.Duration
}
