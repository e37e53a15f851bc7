package httpserver

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"time"
)

// Config is what an operator may write under `http`.
type Config struct {
	// Address of the main port: every HTTP API, the web interface, and gRPC.
	Listen string `yaml:"listen"`
	// Connections that each listener keeps open at once; one more is refused.
	MaxConnections int `yaml:"max_connections"`
	// Requests that are worked on at once over all listeners; one more is answered 503 with Retry-After. Health and metrics pages do not count.
	MaxConcurrentRequests int `yaml:"max_concurrent_requests"`
	// Bytes of request bodies, as sent and decompressed, that may be in memory at once; over it requests are answered 503 with Retry-After.
	MaxBodyMemory int64 `yaml:"max_body_memory"`
	// Bytes that the headers of one request may have.
	MaxHeaderBytes int `yaml:"max_header_bytes"`
	// Time within which a client must finish the TLS handshake and the headers of a request.
	ReadHeaderTimeout time.Duration `yaml:"read_header_timeout"`
	// Time within which the whole body of a request must arrive.
	RequestTimeout time.Duration `yaml:"request_timeout"`
	// Time within which a client must take the next 64 KiB of a response.
	WriteTimeout time.Duration `yaml:"write_timeout"`
	// Time for which a connection without a request stays open.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// Time that requests in flight get to finish when the program stops.
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout"`
	// Regular expression, matched against the whole Origin header, of web pages that may call the API from a browser.
	CORSOrigin string `yaml:"cors_origin"`
	// File with TLS certificates and passwords for all listeners, in the format of Prometheus' `--web.config.file`.
	WebConfigFile string `yaml:"web_config_file"`
	// How the X-Scope-OrgID header selects a tenant.
	Tenancy Tenancy `yaml:"tenancy"`
}

// Tenancy says how the X-Scope-OrgID header selects a tenant.
type Tenancy struct {
	// Whether the header is looked at; where it is not, everything belongs to the tenant `default`.
	Enabled bool `yaml:"enabled"`
	// Whether a request without the header is refused with 401 instead of belonging to the tenant `default`.
	Required bool `yaml:"required"`
}

// OTLPConfig is what an operator may write about the two plain OTLP listeners;
// everything else about them is as for the main port.
type OTLPConfig struct {
	// Address for OTLP over gRPC; empty for none.
	GRPCListen string `yaml:"grpc_listen"`
	// Address for OTLP over HTTP; empty for none.
	HTTPListen string `yaml:"http_listen"`
}

// DefaultConfig suits one machine and the programs on it.
func DefaultConfig() Config {
	return Config{
		Listen:                "127.0.0.1:4319",
		MaxConnections:        4096,
		MaxConcurrentRequests: 1024,
		MaxBodyMemory:         1 << 30,
		MaxHeaderBytes:        256 << 10,
		ReadHeaderTimeout:     10 * time.Second,
		RequestTimeout:        time.Minute,
		WriteTimeout:          30 * time.Second,
		IdleTimeout:           3 * time.Minute,
		ShutdownTimeout:       30 * time.Second,
		CORSOrigin:            ".*",
		Tenancy:               Tenancy{Enabled: true},
	}
}

// DefaultOTLPConfig listens where OpenTelemetry SDKs send by default.
func DefaultOTLPConfig() OTLPConfig {
	return OTLPConfig{GRPCListen: "127.0.0.1:4317", HTTPListen: "127.0.0.1:4318"}
}

// Validate reports every option that cannot be meant, and those that are
// probably not meant as warnings. It does not open WebConfigFile; New does.
func (c *Config) Validate() (warnings []string, err error) {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if aerr := checkAddress(c.Listen); aerr != nil {
		errs = append(errs, fmt.Errorf("listen: %w", aerr))
	}
	check(c.MaxConnections > 0, "max_connections: must be above 0")
	check(c.MaxConcurrentRequests > 0, "max_concurrent_requests: must be above 0")
	check(c.MaxBodyMemory >= 1<<20, "max_body_memory: must be at least 1 MiB")
	check(c.MaxHeaderBytes >= 4<<10, "max_header_bytes: must be at least 4096")
	for _, t := range []struct {
		name string
		d    time.Duration
	}{
		{"read_header_timeout", c.ReadHeaderTimeout},
		{"request_timeout", c.RequestTimeout},
		{"write_timeout", c.WriteTimeout},
		{"idle_timeout", c.IdleTimeout},
		{"shutdown_timeout", c.ShutdownTimeout},
	} {
		check(t.d > 0, "%s: must be above 0", t.name)
	}
	if _, rerr := compileOrigin(c.CORSOrigin); rerr != nil {
		errs = append(errs, fmt.Errorf("cors_origin: %w", rerr))
	}
	check(c.Tenancy.Enabled || !c.Tenancy.Required, "tenancy.required: needs tenancy.enabled")
	if c.IdleTimeout > 0 && c.IdleTimeout < 30*time.Second {
		warnings = append(warnings, "idle_timeout: below 30s, clients that send once in a while reconnect for each request")
	}
	return warnings, errors.Join(errs...)
}

// Validate reports every address that cannot be meant.
func (c *OTLPConfig) Validate() (warnings []string, err error) {
	var errs []error
	if c.GRPCListen != "" {
		if aerr := checkAddress(c.GRPCListen); aerr != nil {
			errs = append(errs, fmt.Errorf("grpc_listen: %w", aerr))
		}
	}
	if c.HTTPListen != "" {
		if aerr := checkAddress(c.HTTPListen); aerr != nil {
			errs = append(errs, fmt.Errorf("http_listen: %w", aerr))
		}
	}
	return nil, errors.Join(errs...)
}

func checkAddress(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not an address; write it as 127.0.0.1:4319 or :4319", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q: the port must be a number from 0 to 65535", addr)
	}
	return nil
}

// compileOrigin anchors the expression, so that "example.org" does not also
// admit "example.org.evil.net".
func compileOrigin(expr string) (*regexp.Regexp, error) {
	return regexp.Compile("^(?:" + expr + ")$")
}
