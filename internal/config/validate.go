package config

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/exporter-toolkit/web"

	"signalbox/internal/tenant"
)

// Validate checks every section with its subsystem's own Validate, and what
// only the whole file shows. It opens no port and writes nothing; it reads the
// files that http.web_config_file and scrape_config_files name. The error joins every fault (see
// Faults), each with its YAML path. Warnings are whole sentences.
func (c *Config) Validate() (warnings []string, err error) {
	v := validation{}
	v.section("log", &c.Log)
	v.section("http", &c.HTTP)
	if f := c.HTTP.WebConfigFile; f != "" {
		if err := web.Validate(f); err != nil {
			v.fault("http.web_config_file", err)
		}
	}
	v.section("otlp", &c.OTLP.Config)
	v.section("otlp", &c.OTLP.OTLPConfig)
	v.section("remote_write_receiver", &c.RemoteWriteReceiver)
	v.section("storage", &c.Storage)
	v.limits("limits", c.Limits)
	for _, name := range sortedKeys(c.Tenants) {
		if _, err := tenant.Parse(name); err != nil {
			v.fault("tenants."+name, &placed{text: strings.TrimPrefix(err.Error(), tenant.Header+": "), err: err})
		}
		v.limits("tenants."+name, c.Tenants[name])
	}
	v.section("query", &c.Query)
	v.section("api", &c.API)
	v.scrape(c)
	v.section("collector", &c.Collector)
	v.signals(c)
	if c.HostMetrics.Enabled {
		v.section("host_metrics", &c.HostMetrics.Config)
		v.interval("host_metrics.interval", c.HostMetrics.Interval)
	}
	v.section("self_metrics", &c.SelfMetrics)
	if c.SelfMetrics.Enabled {
		v.interval("self_metrics.interval", c.SelfMetrics.Interval)
	}
	v.listeners(c)
	v.limitsAgainstStorage(c)
	return v.warnings, errors.Join(v.faults...)
}

type validation struct {
	warnings []string
	faults   []error
}

func (v *validation) fault(path string, err error) {
	v.faults = append(v.faults, &Fault{Path: path, Err: err})
}

func (v *validation) warn(path, format string, args ...any) {
	v.warnings = append(v.warnings, path+": "+fmt.Sprintf(format, args...))
}

// section runs a subsystem's own Validate, in either of its two shapes.
func (v *validation) section(path string, cfg any) {
	switch c := cfg.(type) {
	case interface{ Validate() ([]string, error) }:
		warnings, err := c.Validate()
		for _, w := range warnings {
			v.warnings = append(v.warnings, join(path, strings.TrimPrefix(w, path+".")))
		}
		v.faults = append(v.faults, under(path, err)...)
	case interface{ Validate() error }:
		v.faults = append(v.faults, under(path, c.Validate())...)
	default:
	}
}

func (v *validation) limits(path string, l Limits) {
	v.section(path, &l.Admit)
	v.section(path, &l.Store)
}

// minInterval keeps a typing error (15ms) from becoming a busy loop.
const minInterval = time.Second

func (v *validation) interval(path string, d time.Duration) {
	if d < minInterval {
		v.fault(path, fmt.Errorf("%s is too short; the least is %s", FormatDuration(d), FormatDuration(minInterval)))
	}
}

// listeners checks the addresses against each other: two equal ones would only
// fail at start.
func (v *validation) listeners(c *Config) {
	seen := map[string]string{}
	for _, l := range []struct{ path, addr string }{
		{"http.listen", c.HTTP.Listen},
		{"otlp.grpc_listen", c.OTLP.GRPCListen},
		{"otlp.http_listen", c.OTLP.HTTPListen},
	} {
		_, port, err := net.SplitHostPort(l.addr)
		if err != nil {
			continue // reported by its section, or empty for none
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			continue // port 0 is a free port, another one for each
		}
		if other, ok := seen[l.addr]; ok {
			v.fault(l.path, fmt.Errorf("%s is also the address of %s", l.addr, other))
		}
		seen[l.addr] = l.path
	}
}

// stored are the signals that internal/app has a store for.
var stored = []string{"metrics"}

// signals refuses pipelines that would end nowhere; the Collector itself knows
// that only when it is started.
func (v *validation) signals(c *Config) {
	for _, name := range sortedKeys(c.Collector.Service.Pipelines) {
		signal, _, _ := strings.Cut(name, "/")
		if (signal == "traces" || signal == "logs") && !slices.Contains(stored, signal) {
			v.fault("collector.service.pipelines."+name, fmt.Errorf("%s are not stored by this version; leave the pipeline out", signal))
		}
	}
}

// limitsAgainstStorage warns of limits that cannot have the effect they promise.
func (v *validation) limitsAgainstStorage(c *Config) {
	check := func(path string, l Limits) {
		if l.Store.Retention > 0 && c.Storage.OutOfOrderWindow > l.Store.Retention {
			v.warn(path+".retention", "%s is shorter than storage.out_of_order_window (%s): late samples may be stored only to be deleted",
				FormatDuration(l.Store.Retention), FormatDuration(c.Storage.OutOfOrderWindow))
		}
	}
	check("limits", c.Limits)
	for _, name := range sortedKeys(c.Tenants) {
		check("tenants."+name, c.Tenants[name])
	}
}

// resolvePaths makes the paths of the file, storage.path excepted, start at the
// file's folder.
func (c *Config) resolvePaths() {
	if c.baseDir == "" {
		return
	}
	for _, p := range c.paths() {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(c.baseDir, *p)
		}
	}
}

// paths are the options that name files beside the configuration file.
func (c *Config) paths() []*string { return []*string{&c.HTTP.WebConfigFile} }
