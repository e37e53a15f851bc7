package app

import (
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/ingest/hostmetrics"
	"signalbox/ingest/self"
	"signalbox/internal/config"
	"signalbox/internal/httpserver"
	"signalbox/internal/lifecycle"
)

// makeSelf builds what stores this process' and this machine's metrics, now
// that the port, and so the instance label, is known.
func (a *App) makeSelf(cfg *config.Config) error {
	if cfg.SelfMetrics.Enabled {
		addr := a.server.Addr(httpserver.Main).String()
		err := a.writeOwn("own metrics", "self", cfg.SelfMetrics, a.reg, a.reg, map[string]string{"job": "signalbox", "instance": addr})
		if err != nil {
			return err
		}
	}
	if !cfg.HostMetrics.Enabled {
		return nil
	}
	c, err := hostmetrics.New(cfg.HostMetrics.Config, hostmetrics.Options{Logger: a.opts.Logger, Registry: a.reg})
	if err != nil {
		return err
	}
	host := prometheus.NewRegistry()
	if err := host.Register(c); err != nil {
		return fmt.Errorf("host metrics: %w", err)
	}
	name, err := os.Hostname()
	if err != nil {
		name = "localhost"
	}
	// The job is the one that dashboards for node_exporter look for.
	every := self.DefaultConfig()
	every.Interval = cfg.HostMetrics.Interval
	return a.writeOwn("host metrics", "host", every, host, nil, map[string]string{"job": "node", "instance": name})
}

// writeOwn adds a loop that stores what g gathers.
func (a *App) writeOwn(name, door string, cfg self.Config, g prometheus.Gatherer, reg prometheus.Registerer, labels map[string]string) error {
	w, err := self.New(a.admit.Door(door), []self.Source{{Gatherer: g, Labels: labels}}, cfg, self.Options{Logger: a.opts.Logger, Registry: reg})
	if err != nil {
		return err
	}
	a.own = append(a.own, lifecycle.Actor{Name: name, Run: w.Run})
	return nil
}
