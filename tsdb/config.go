package tsdb

import (
	"errors"
	"fmt"
	"time"
)

// When an acknowledged write is on disk.
const (
	// SyncPage hands each commit to the operating system before it is
	// acknowledged: it survives the process, not a power cut.
	SyncPage = "page"
	// SyncAlways also waits for the disk, by group commit.
	SyncAlways = "always"
)

// Config is what an operator may write under `storage`.
type Config struct {
	// Folder that holds all data.
	Path string `yaml:"path"`
	// When a write is acknowledged: `page` (survives a crash of the process) or `always` (survives a power cut).
	WALSync string `yaml:"wal_sync"`
	// How old a sample may be against the newest of its tenant and still be stored.
	OutOfOrderWindow time.Duration `yaml:"out_of_order_window"`
	// Exemplars kept in memory for each tenant, the oldest replaced first.
	MaxExemplars int64 `yaml:"max_exemplars"`
	// Tenants that may exist; a request of one more is refused. Zero means no limit.
	MaxTenants int `yaml:"max_tenants"`
	// Free bytes on the disk below which writes are refused with 503 until space returns.
	MinFreeBytes uint64 `yaml:"min_free_bytes"`
	// Store a zero sample at a counter's start time, so that rates see its first increase.
	StartTimeZeroSamples bool `yaml:"start_time_zero_samples"`
}

// DefaultConfig suits one machine.
func DefaultConfig() Config {
	return Config{
		Path:             "./signalbox-data",
		WALSync:          SyncPage,
		OutOfOrderWindow: time.Hour,
		MaxExemplars:     100_000,
		MaxTenants:       100,
		MinFreeBytes:     256 << 20,
	}
}

// Validate reports every option that cannot be meant.
func (c *Config) Validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, errors.New("path: must name a folder"))
	}
	if c.WALSync != SyncPage && c.WALSync != SyncAlways {
		errs = append(errs, fmt.Errorf("wal_sync: %q is neither %q nor %q", c.WALSync, SyncPage, SyncAlways))
	}
	if c.OutOfOrderWindow < 0 {
		errs = append(errs, errors.New("out_of_order_window: must not be negative"))
	}
	if c.MaxExemplars < 0 {
		errs = append(errs, errors.New("max_exemplars: must not be negative"))
	}
	return errors.Join(errs...)
}

// Limits bound what one tenant may keep. Zero means "no limit".
type Limits struct {
	// Active series the tenant may have in memory; over it only new series are refused.
	MaxSeries int `yaml:"max_series"`
	// Active series one metric name may have; over it only new series are refused.
	MaxSeriesPerMetric int `yaml:"max_series_per_metric"`
	// Age at which metrics are deleted.
	Retention time.Duration `yaml:"retention"`
	// Bytes of metrics on disk above which the oldest are deleted.
	RetentionBytes int64 `yaml:"retention_bytes"`
}

// DefaultLimits keeps 15 days, and stops an explosion of labels before it stops the machine.
func DefaultLimits() Limits {
	return Limits{
		MaxSeries:          3_000_000,
		MaxSeriesPerMetric: 500_000,
		Retention:          15 * 24 * time.Hour,
	}
}

// Validate reports every limit that cannot be meant.
func (l *Limits) Validate() error {
	var errs []error
	if l.MaxSeries < 0 || l.MaxSeriesPerMetric < 0 {
		errs = append(errs, errors.New("max_series and max_series_per_metric: must not be negative"))
	}
	if l.Retention < 0 || l.RetentionBytes < 0 {
		errs = append(errs, errors.New("retention and retention_bytes: must not be negative"))
	}
	return errors.Join(errs...)
}
