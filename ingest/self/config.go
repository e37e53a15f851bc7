package self

import (
	"errors"
	"fmt"
	"time"

	"signalbox/internal/tenant"
)

// Config is what an operator may write about storing our own metrics.
type Config struct {
	// Store the metrics of this process.
	Enabled bool `yaml:"enabled"`
	// Time between two samples of a series.
	Interval time.Duration `yaml:"interval"`
	// Tenant that they are stored for.
	Tenant string `yaml:"tenant"`
}

// DefaultConfig samples as often as most scrape configurations do.
func DefaultConfig() Config {
	return Config{Enabled: true, Interval: 15 * time.Second, Tenant: string(tenant.Default)}
}

// Validate reports every option that cannot be meant. There are no warnings.
func (c *Config) Validate() (warnings []string, err error) {
	var errs []error
	if c.Interval < time.Millisecond {
		errs = append(errs, errors.New("interval: must be a millisecond at least"))
	}
	if _, err := tenant.Parse(c.Tenant); err != nil {
		errs = append(errs, fmt.Errorf("tenant: %w", err))
	}
	return nil, errors.Join(errs...)
}
