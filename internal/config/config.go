package config

import (
	"time"

	"signalbox/ingest/admit"
	"signalbox/ingest/collector"
	"signalbox/ingest/hostmetrics"
	"signalbox/ingest/otlp"
	"signalbox/ingest/remotewrite"
	"signalbox/ingest/scrape"
	"signalbox/ingest/self"
	"signalbox/internal/httpserver"
	"signalbox/internal/telemetry"
	"signalbox/internal/tenant"
	"signalbox/tsdb"
	"signalbox/tsdb/api"
	"signalbox/tsdb/promql"
)

// Config is the whole configuration file.
type Config struct {
	// Log lines of this process.
	Log telemetry.Config `yaml:"log"`
	// The main port, limits of connections and requests, CORS, TLS, tenancy.
	HTTP httpserver.Config `yaml:"http"`
	// OpenTelemetry metrics over gRPC and HTTP.
	OTLP OTLP `yaml:"otlp"`
	// Prometheus remote write, versions 1 and 2, on the main port.
	RemoteWriteReceiver remotewrite.Config `yaml:"remote_write_receiver"`
	// Where and how data are kept.
	Storage tsdb.Config `yaml:"storage"`
	// What each tenant may send and keep, unless `tenants` says otherwise.
	Limits Limits `yaml:"limits"`
	// Limits by tenant name; keys that are not written keep the value of `limits`.
	Tenants Tenants `yaml:"tenants"`
	// How queries run.
	Query promql.Config `yaml:"query"`
	// The Prometheus HTTP API.
	API api.Config `yaml:"api"`
	// Scraping, besides Prometheus' own sections below.
	Scrape scrape.Config `yaml:"scrape"`
	// Prometheus' own section: scrape interval, timeout and external labels.
	Global Raw `yaml:"global"`
	// Prometheus' own section: the jobs to scrape.
	ScrapeConfigs Raw `yaml:"scrape_configs"`
	// Prometheus' own section: files with more jobs.
	ScrapeConfigFiles Raw `yaml:"scrape_config_files"`
	// Receivers, processors and pipelines of the OpenTelemetry Collector that runs inside; every pipeline ends in this process.
	Collector collector.Config `yaml:"collector"`
	// Metrics of this machine, under node_exporter's names.
	HostMetrics HostMetrics `yaml:"host_metrics"`
	// Metrics of this process.
	SelfMetrics self.Config `yaml:"self_metrics"`

	baseDir    string // folder of the file; "" is the working directory
	scrapeText []byte // Prometheus' sections with the file's line numbers; nil when not possible
}

// OTLP is the `otlp` section.
type OTLP struct {
	otlp.Config           `yaml:",inline"`
	httpserver.OTLPConfig `yaml:",inline"`
}

// Limits is what one tenant may send (admit) and keep (store).
type Limits struct {
	Admit admit.Limits `yaml:",inline"`
	Store tsdb.Limits  `yaml:",inline"`
}

// Tenants are the limits of tenants that differ from `limits`, by name. Each
// value is complete: what was not written is that of `limits`.
type Tenants map[string]Limits

// HostMetrics is the `host_metrics` section.
type HostMetrics struct {
	hostmetrics.Config `yaml:",inline"`
	// How often this machine is measured.
	Interval time.Duration `yaml:"interval"`
}

// Default is the configuration of a process that was given no file.
func Default() *Config {
	return &Config{
		Log:  telemetry.DefaultConfig(),
		HTTP: httpserver.DefaultConfig(),
		OTLP: OTLP{
			Config:     otlp.DefaultConfig(),
			OTLPConfig: httpserver.DefaultOTLPConfig(),
		},
		RemoteWriteReceiver: remotewrite.DefaultConfig(),
		Storage:             tsdb.DefaultConfig(),
		Limits:              Limits{Admit: admit.DefaultLimits(), Store: tsdb.DefaultLimits()},
		Query:               promql.DefaultConfig(),
		API:                 api.DefaultConfig(),
		Scrape:              scrape.DefaultConfig(),
		Collector:           collector.DefaultConfig(),
		HostMetrics:         HostMetrics{Config: hostmetrics.DefaultConfig(), Interval: 15 * time.Second},
		SelfMetrics:         self.DefaultConfig(),
	}
}

// LimitsOf returns the limits of one tenant.
func (c *Config) LimitsOf(id tenant.ID) Limits {
	if l, ok := c.Tenants[string(id)]; ok {
		return l
	}
	return c.Limits
}

// BaseDir is the folder that relative paths of the file start at, "" for the
// working directory. storage.path alone always starts at the working directory.
func (c *Config) BaseDir() string { return c.baseDir }
