package hostmetrics

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/internal/fault"
)

// Options is what the program hands in. Zero values work in tests.
type Options struct {
	Logger   *slog.Logger          // nil: discard
	Registry prometheus.Registerer // nil: a private one; for the Collector's own counters
}

// Collector measures this machine at every gathering. Register it with the
// registry that is to carry the node_... metrics.
type Collector struct {
	cfg     Config
	filters filters
	logger  *slog.Logger
	metrics *metrics
	parts   []part

	// mu lets one gathering at a time measure: the parts keep state between
	// rounds (counters that must not fall, mounts that hang).
	mu struct {
		sync.Mutex
		descs   map[string]*prometheus.Desc
		failing map[string]bool
		state   state
	}
}

// part is one group of metrics that fails by itself. Its name is the value of
// the label `part`, and of node_exporter's label `collector`.
type part struct {
	name    string
	collect func(*Collector, *emitter) error
}

// New returns a Collector. It reads nothing. An error is Invalid.
func New(cfg Config, opts Options) (*Collector, error) {
	f, err := cfg.compile()
	if err != nil {
		return nil, fault.New(fault.Invalid, "host metrics: %w", err)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Registry == nil {
		opts.Registry = prometheus.NewRegistry()
	}
	c := &Collector{cfg: cfg, filters: f, logger: opts.Logger.With("component", "hostmetrics"), parts: parts}
	if c.metrics, err = newMetrics(opts.Registry, c.parts); err != nil {
		return nil, fmt.Errorf("register host metrics: %w", err)
	}
	c.mu.descs = map[string]*prometheus.Desc{}
	c.mu.failing = map[string]bool{}
	return c, nil
}

// Describe sends nothing: the set of metrics depends on the machine.
func (c *Collector) Describe(chan<- *prometheus.Desc) {}

// Collect runs every part.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := &emitter{descs: c.mu.descs, ch: ch}
	for _, p := range c.parts {
		began := time.Now()
		err := p.collect(c, e)
		success := 1.0
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errUnsupported) {
			// This kernel has no such thing; nothing is wrong.
			success, err = 0, nil
		}
		if err != nil {
			success = 0
			c.metrics.errors.WithLabelValues(p.name).Inc()
		}
		c.logChange(p.name, err)
		e.gauge("node_scrape_collector_duration_seconds", "Seconds that measuring one part took.", time.Since(began).Seconds(), "collector", p.name)
		e.gauge("node_scrape_collector_success", "Whether one part was measured.", success, "collector", p.name)
	}
}

// errUnsupported is returned by a part that this machine does not have.
var errUnsupported = errors.New("not supported by this machine")

// logChange logs the first failure of a part and its recovery, not what lies between.
func (c *Collector) logChange(name string, err error) {
	switch failing := err != nil; {
	case failing && !c.mu.failing[name]:
		c.logger.Warn("part of the host metrics fails", "part", name, "err", err)
	case !failing && c.mu.failing[name]:
		c.logger.Info("part of the host metrics works again", "part", name)
	}
	c.mu.failing[name] = err != nil
}
