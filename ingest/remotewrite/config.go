package remotewrite

import (
	"errors"
	"fmt"
	"log/slog"
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what an operator may write.
type Config struct {
	// Bytes a request may have on the wire; over it the answer is 413.
	MaxRequestBytes int64 `yaml:"max_request_bytes"`
	// Bytes a request may have after decompression; over it the answer is 400.
	MaxDecodedBytes int64 `yaml:"max_decoded_bytes"`
	// Samples, histograms, exemplars and metadata entries a request may have together, a series without any counting as one; over it the answer is 400.
	MaxRecords int `yaml:"max_records"`
	// Series whose place in the store is remembered between requests, about 32 bytes each, all tenants together; 0 remembers none.
	MaxCachedSeries int `yaml:"max_cached_series"`
}

// DefaultConfig fits every sender's default batch many times over.
func DefaultConfig() Config {
	return Config{
		MaxRequestBytes: 32 << 20,
		MaxDecodedBytes: 128 << 20,
		MaxRecords:      1_000_000,
		MaxCachedSeries: 2_000_000,
	}
}

// Validate reports every option that cannot be meant.
func (c *Config) Validate() (warnings []string, err error) {
	var errs []error
	if c.MaxRequestBytes <= 0 {
		errs = append(errs, errors.New("max_request_bytes: must be positive"))
	}
	if c.MaxDecodedBytes <= 0 || c.MaxDecodedBytes > math.MaxInt32 {
		// Positions inside a body are kept in 32 bits.
		errs = append(errs, fmt.Errorf("max_decoded_bytes: must be positive and at most %d", math.MaxInt32))
	}
	if c.MaxRecords <= 0 {
		errs = append(errs, errors.New("max_records: must be positive"))
	}
	if c.MaxCachedSeries < 0 {
		errs = append(errs, errors.New("max_cached_series: must not be negative"))
	}
	if c.MaxDecodedBytes > 0 && c.MaxDecodedBytes < c.MaxRequestBytes {
		warnings = append(warnings, "max_decoded_bytes is less than max_request_bytes, so the latter has no effect")
	}
	return warnings, errors.Join(errs...)
}

// Options is what the program hands in. Zero values work in tests.
type Options struct {
	Logger   *slog.Logger          // nil: discard
	Registry prometheus.Registerer // nil: a private one
}
