package promql

import (
	"testing"

	"github.com/prometheus/prometheus/promql/promqltest"
)

// suiteConfig turns on what Prometheus' own suites use.
func suiteConfig() Config {
	cfg := DefaultConfig()
	cfg.Experimental = true
	cfg.DelayedNameRemoval = true
	cfg.UseStartTimestamps = true
	return cfg
}

// Prometheus' acceptance suites run on our engine, once as it is and once with
// every selector's samples counted.
func TestBuiltinSuites(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		promqltest.RunBuiltinTests(t, New(suiteConfig(), Options{}))
	})
	t.Run("samples counted", func(t *testing.T) {
		cfg := suiteConfig()
		cfg.MaxSamplesRead = 1 << 40
		promqltest.RunBuiltinTests(t, New(cfg, Options{}))
	})
}
