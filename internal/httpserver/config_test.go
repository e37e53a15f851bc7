package httpserver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfigValidate(t *testing.T) {
	cfg := DefaultConfig()
	warnings, err := cfg.Validate()
	require.NoError(t, err)
	require.Empty(t, warnings)
	otlp := DefaultOTLPConfig()
	_, err = otlp.Validate()
	require.NoError(t, err)

	for want, change := range map[string]func(*Config){
		"listen: ":                  func(c *Config) { c.Listen = "4319" },
		"the port must be":          func(c *Config) { c.Listen = ":http" },
		"max_connections: ":         func(c *Config) { c.MaxConnections = 0 },
		"max_concurrent_requests: ": func(c *Config) { c.MaxConcurrentRequests = -1 },
		"max_body_memory: ":         func(c *Config) { c.MaxBodyMemory = 1 },
		"max_header_bytes: ":        func(c *Config) { c.MaxHeaderBytes = 1 },
		"read_header_timeout: ":     func(c *Config) { c.ReadHeaderTimeout = 0 },
		"request_timeout: ":         func(c *Config) { c.RequestTimeout = 0 },
		"write_timeout: ":           func(c *Config) { c.WriteTimeout = 0 },
		"idle_timeout: ":            func(c *Config) { c.IdleTimeout = -1 },
		"shutdown_timeout: ":        func(c *Config) { c.ShutdownTimeout = 0 },
		"cors_origin: ":             func(c *Config) { c.CORSOrigin = "(" },
		"tenancy.required: ":        func(c *Config) { c.Tenancy = Tenancy{Required: true} },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		_, err := cfg.Validate()
		require.ErrorContains(t, err, want)
		_, err = New(cfg, Options{})
		require.ErrorContains(t, err, want)
	}
	cfg = DefaultConfig()
	cfg.Listen, cfg.MaxConnections = "", 0
	_, err = cfg.Validate()
	require.ErrorContains(t, err, "listen: ")
	require.ErrorContains(t, err, "max_connections: ", "every fault at once")
	cfg = DefaultConfig()
	cfg.IdleTimeout = time.Second
	warnings, err = cfg.Validate()
	require.NoError(t, err)
	require.Len(t, warnings, 1)

	bad := OTLPConfig{GRPCListen: "x", HTTPListen: ":99999"}
	_, err = bad.Validate()
	require.ErrorContains(t, err, "grpc_listen: ")
	require.ErrorContains(t, err, "http_listen: ")
}
