package promql

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Config is what an operator may write under `query`.
type Config struct {
	// Samples one query may hold in memory at once; a query over it fails with status 422.
	MaxSamples int `yaml:"max_samples"`
	// Samples one query may read from storage in total, a limit of work rather than memory; 0 for no limit.
	MaxSamplesRead int64 `yaml:"max_samples_read"`
	// Series the selectors of one query may find; 0 for no limit.
	MaxSeries int `yaml:"max_series"`
	// Bytes that the labels and chunk lists of the series of one query may take; 0 for no limit.
	MaxBytes int64 `yaml:"max_bytes"`
	// Steps of one query, those of its subqueries included, which take 16 bytes each.
	MaxSteps int `yaml:"max_steps"`
	// Bytes of the text of one query or selector.
	MaxQueryBytes int `yaml:"max_query_bytes"`
	// Time after which a query is stopped, queueing included; a request may ask for less.
	Timeout time.Duration `yaml:"timeout"`
	// Queries that run at once.
	MaxConcurrent int `yaml:"max_concurrent"`
	// Queries that may wait for a slot; more are answered with status 503 at once.
	MaxQueued int `yaml:"max_queued"`
	// Time a query waits for a slot before it is answered with status 503.
	QueueTimeout time.Duration `yaml:"queue_timeout"`
	// Age at which the last sample of a series stops counting as its value.
	LookbackDelta time.Duration `yaml:"lookback_delta"`
	// Step of a subquery that names none.
	SubqueryInterval time.Duration `yaml:"subquery_interval"`
	// Slowest queries of the last day that are kept for /api/v1/status/slow_queries.
	SlowLogSize int `yaml:"slow_log_size"`
	// Accept the syntax Prometheus keeps behind feature flags: experimental functions, anchored, smoothed and fill modifiers.
	Experimental bool `yaml:"experimental"`
	// Remove metric names at the end of a query instead of at each function, as Prometheus' promql-delayed-name-removal.
	DelayedNameRemoval bool `yaml:"delayed_name_removal"`
	// Let rate() and its kind use the start times of counters, as Prometheus' use-start-timestamps.
	UseStartTimestamps bool `yaml:"use_start_timestamps"`
}

// DefaultConfig is Prometheus' behaviour with Prometheus' default limits, and
// a queue that is sized to the machine.
func DefaultConfig() Config {
	return Config{
		MaxSamples:       50_000_000,
		MaxSeries:        1_000_000,
		MaxBytes:         1 << 30,
		MaxSteps:         10_000_000,
		MaxQueryBytes:    128 << 10,
		Timeout:          2 * time.Minute,
		MaxConcurrent:    max(4, 2*runtime.GOMAXPROCS(0)),
		MaxQueued:        200,
		QueueTimeout:     30 * time.Second,
		LookbackDelta:    5 * time.Minute,
		SubqueryInterval: time.Minute,
		SlowLogSize:      100,
	}
}

// maxMaxQueryBytes bounds the time to parse a query, which nothing can interrupt.
const maxMaxQueryBytes = 1 << 20

// Validate reports every option that cannot be meant.
func (c *Config) Validate() (warnings []string, err error) {
	var errs []error
	positive := func(name string, v int64) {
		if v <= 0 {
			errs = append(errs, fmt.Errorf("%s: must be above 0, is %d", name, v))
		}
	}
	notNegative := func(name string, v int64) {
		if v < 0 {
			errs = append(errs, fmt.Errorf("%s: must not be negative, is %d", name, v))
		}
	}
	duration := func(name string, d time.Duration) {
		if d < time.Millisecond {
			errs = append(errs, fmt.Errorf("%s: must be at least 1ms, is %s", name, d))
		}
	}
	positive("max_samples", int64(c.MaxSamples))
	notNegative("max_samples_read", c.MaxSamplesRead)
	notNegative("max_series", int64(c.MaxSeries))
	notNegative("max_bytes", c.MaxBytes)
	positive("max_steps", int64(c.MaxSteps))
	positive("max_query_bytes", int64(c.MaxQueryBytes))
	if c.MaxQueryBytes > maxMaxQueryBytes {
		errs = append(errs, fmt.Errorf("max_query_bytes: must be at most %d, is %d", maxMaxQueryBytes, c.MaxQueryBytes))
	}
	duration("timeout", c.Timeout)
	positive("max_concurrent", int64(c.MaxConcurrent))
	notNegative("max_queued", int64(c.MaxQueued))
	if c.MaxQueued > 0 {
		duration("queue_timeout", c.QueueTimeout)
	}
	duration("lookback_delta", c.LookbackDelta)
	duration("subquery_interval", c.SubqueryInterval)
	notNegative("slow_log_size", int64(c.SlowLogSize))
	if c.QueueTimeout > c.Timeout {
		warnings = append(warnings, "queue_timeout is above timeout, which stops a waiting query first")
	}
	return warnings, errors.Join(errs...)
}
