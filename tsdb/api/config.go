package api

import (
	"errors"
	"fmt"
)

// Config is what an operator may write under `api`.
type Config struct {
	// Allow deleting series, cleaning tombstones and snapshots over HTTP.
	EnableAdmin bool `yaml:"enable_admin"`
	// Allow POST /-/reload and /-/quit.
	EnableLifecycle bool `yaml:"enable_lifecycle"`
	// Serve the experimental /api/v1/search/* endpoints.
	EnableSearch bool `yaml:"enable_search"`
	// Series, label names or label values that one answer lists; more are cut with a warning.
	MaxListed int `yaml:"max_listed"`
	// Bytes of one request body.
	MaxBodyBytes int64 `yaml:"max_body_bytes"`
	// Samples one query of a remote read may return as samples; streamed chunks have no such limit.
	RemoteReadMaxSamples int `yaml:"remote_read_max_samples"`
	// Queries one remote read may have.
	RemoteReadMaxQueries int `yaml:"remote_read_max_queries"`
	// Remote reads that run at once; others wait.
	RemoteReadMaxConcurrent int `yaml:"remote_read_max_concurrent"`
	// Bytes of one frame of a streamed remote read.
	RemoteReadMaxFrameBytes int `yaml:"remote_read_max_frame_bytes"`
	// Series one federation answer may have.
	FederateMaxSeries int `yaml:"federate_max_series"`
}

// DefaultConfig is what Prometheus does by default, with bounds on answers.
func DefaultConfig() Config {
	return Config{
		MaxListed:               1_000_000,
		MaxBodyBytes:            10 << 20,
		RemoteReadMaxSamples:    50_000_000,
		RemoteReadMaxQueries:    100,
		RemoteReadMaxConcurrent: 10,
		RemoteReadMaxFrameBytes: 1 << 20,
		FederateMaxSeries:       1_000_000,
	}
}

// Validate reports every option that cannot be meant.
func (c *Config) Validate() (warnings []string, err error) {
	var errs []error
	for _, o := range []struct {
		name string
		v    int64
	}{
		{"max_listed", int64(c.MaxListed)},
		{"max_body_bytes", c.MaxBodyBytes},
		{"remote_read_max_samples", int64(c.RemoteReadMaxSamples)},
		{"remote_read_max_queries", int64(c.RemoteReadMaxQueries)},
		{"remote_read_max_concurrent", int64(c.RemoteReadMaxConcurrent)},
		{"remote_read_max_frame_bytes", int64(c.RemoteReadMaxFrameBytes)},
		{"federate_max_series", int64(c.FederateMaxSeries)},
	} {
		if o.v <= 0 {
			errs = append(errs, fmt.Errorf("%s: must be above 0, is %d", o.name, o.v))
		}
	}
	return nil, errors.Join(errs...)
}
