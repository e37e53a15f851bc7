package scrape

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	promconfig "github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v2"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

// Config is what an operator may write about scraping besides Prometheus' own
// sections, plus those sections as ParseConfig loaded them.
type Config struct {
	// Tenant that scraped samples belong to.
	Tenant string `yaml:"tenant"`
	// Read start timestamps (OpenMetrics `_created` lines, protobuf created timestamps) into the samples; the `_created` series are then not stored.
	StartTimestamps bool `yaml:"start_timestamps"`
	// How often targets found by discovery are handed to the scrape loops, at most.
	DiscoveryReloadInterval time.Duration `yaml:"discovery_reload_interval"`

	// prom is what the user wrote with Prometheus' defaults filled in; flat has
	// the jobs of scrape_config_files inlined. Both are never edited once set.
	prom, flat *promconfig.Config
}

// DefaultConfig scrapes nothing, for the default tenant.
func DefaultConfig() Config {
	return Config{
		Tenant:                  string(tenant.Default),
		DiscoveryReloadInterval: 5 * time.Second,
	}
}

// Validate reports every option that cannot be meant. Warnings name patterns of
// scrape_config_files that match no file.
func (c *Config) Validate() (warnings []string, err error) {
	var errs []error
	if _, err := tenant.Parse(c.Tenant); err != nil {
		errs = append(errs, fmt.Errorf("tenant: %w", err))
	}
	if c.DiscoveryReloadInterval <= 0 {
		errs = append(errs, errors.New("discovery_reload_interval: must be above zero"))
	}
	for _, pattern := range c.PrometheusConfig().ScrapeConfigFiles {
		if files, err := filepath.Glob(pattern); err == nil && len(files) == 0 {
			warnings = append(warnings, fmt.Sprintf("scrape_config_files: no file matches %s", pattern))
		}
	}
	return warnings, errors.Join(errs...)
}

// PrometheusConfig returns the loaded sections as the user wrote them, defaults
// filled in, for /api/v1/status/config. The caller must not change it.
func (c *Config) PrometheusConfig() *promconfig.Config {
	if c.prom == nil {
		return emptyConfig()
	}
	return c.prom
}

// jobs returns the configuration with every job inlined.
func (c *Config) jobs() *promconfig.Config {
	if c.flat == nil {
		return emptyConfig()
	}
	return c.flat
}

// emptyConfig is what Prometheus loads from an empty file; it has no jobs.
func emptyConfig() *promconfig.Config {
	cfg, err := promconfig.Load("", slog.New(slog.DiscardHandler))
	if err != nil {
		panic("BUG: Prometheus refuses an empty configuration: " + err.Error())
	}
	return cfg
}

// topLevel are the keys that ParseConfig takes.
var topLevel = []string{"global", "scrape_configs", "scrape_config_files"}

// ParseConfig loads a YAML document that holds no other keys than `global`,
// `scrape_configs` and `scrape_config_files`, as strictly and with the same
// defaults as Prometheus does, into DefaultConfig. Relative paths in it are
// taken from baseDir. Files of scrape_config_files are read here, once, so a
// later change of theirs takes effect with the next ParseConfig. Errors are
// Invalid.
func ParseConfig(doc []byte, baseDir string) (Config, error) {
	var keys map[string]any
	if err := yaml.Unmarshal(doc, &keys); err != nil {
		return Config{}, fault.New(fault.Invalid, "scrape configuration: %w", err)
	}
	for key := range keys {
		if !slices.Contains(topLevel, key) {
			return Config{}, fault.New(fault.Invalid, "scrape configuration: unknown key %q (known: %s)", key, strings.Join(topLevel, ", "))
		}
	}
	prom, err := promconfig.Load(string(doc), slog.New(slog.DiscardHandler))
	if err != nil {
		return Config{}, fault.New(fault.Invalid, "scrape configuration: %w", explainDiscovery(err))
	}
	prom.SetDirectory(baseDir)
	jobs, err := prom.GetScrapeConfigs()
	if err != nil {
		return Config{}, fault.New(fault.Invalid, "scrape_config_files: %w", explainDiscovery(err))
	}
	flat := *prom
	flat.ScrapeConfigs, flat.ScrapeConfigFiles = jobs, nil

	cfg := DefaultConfig()
	cfg.prom, cfg.flat = prom, &flat
	return cfg, nil
}

var unknownDiscovery = regexp.MustCompile(`field (\w+_sd_configs) not found`)

// explainDiscovery says what is included when a job names a discovery that is not.
func explainDiscovery(err error) error {
	m := unknownDiscovery.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	return fmt.Errorf("%w\n%s: this build has no such service discovery; it has %s",
		err, m[1], strings.Join(includedDiscoveries(), ", "))
}
