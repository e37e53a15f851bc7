package app

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/internal/config"
	"signalbox/internal/fault"
)

// reloads remembers how the last reload went.
type reloads struct {
	mu      sync.Mutex // one reload at a time
	success prometheus.Gauge
	at      prometheus.Gauge

	last struct {
		sync.Mutex
		ok   bool
		time time.Time
	}
}

func newReloads(reg prometheus.Registerer) *reloads {
	r := &reloads{
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "signalbox_config_last_reload_successful",
			Help: "Whether the last attempt to read the configuration anew succeeded.",
		}),
		at: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "signalbox_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration in use was read.",
		}),
	}
	reg.MustRegister(r.success, r.at)
	r.note(nil)
	return r
}

func (r *reloads) note(err error) {
	r.last.Lock()
	defer r.last.Unlock()
	r.last.ok = err == nil
	if err != nil {
		r.success.Set(0)
		return
	}
	r.last.time = time.Now()
	r.success.Set(1)
	r.at.SetToCurrentTime()
}

func (r *reloads) get() (ok bool, at time.Time) {
	r.last.Lock()
	defer r.last.Unlock()
	return r.last.ok, r.last.time
}

// Reload takes over what can change while running: limits and retention,
// scrape configuration, the collector's pipelines, the log level. Everything is
// built and checked first, so that a bad configuration changes nothing. Changes
// to other sections are named in a warning: they need a restart.
func (a *App) Reload(cfg *config.Config) error {
	a.reloads.mu.Lock()
	defer a.reloads.mu.Unlock()
	err := a.reload(cfg)
	a.reloads.note(err)
	if err != nil {
		a.log.Error("the new configuration was not taken over; the old one stays in force", "err", err)
		return err
	}
	a.log.Info("configuration reloaded")
	// Last, so that the lines above are seen whatever the new level is.
	if a.opts.Log != nil {
		if err := a.opts.Log.SetLevel(cfg.Log.Level); err != nil {
			a.log.Error("set the log level", "err", err)
		}
	}
	return nil
}

func (a *App) reload(cfg *config.Config) error {
	sc, err := cfg.ScrapeConfig()
	if err != nil {
		return err
	}
	if _, err := cfg.Collector.Validate(); err != nil {
		return fmt.Errorf("collector: %w", err)
	}
	old := a.cfg.Load()
	// The collector binds ports of its own, so it goes first: it is the step that can still fail.
	if err := a.collector.Apply(context.Background(), cfg.Collector); err != nil {
		return fmt.Errorf("collector: %w", err)
	}
	if err := a.scraper.Apply(sc); err != nil {
		return errors.Join(fmt.Errorf("scrape: %w", err), a.collector.Apply(context.Background(), old.Collector))
	}
	// From here on the new configuration is in force; what fails below was
	// checked before and is a defect of ours.
	a.cfg.Store(cfg)
	if err := a.db.ApplyLimits(); err != nil {
		a.log.Error("apply limits", "err", err)
	}
	a.warnOfRestart(old, cfg)
	return nil
}

// warnOfRestart names changed sections that a reload does not take over.
func (a *App) warnOfRestart(old, cfg *config.Config) {
	for _, s := range []struct {
		name     string
		old, new any
	}{
		{"http", old.HTTP, cfg.HTTP},
		{"otlp", old.OTLP, cfg.OTLP},
		{"remote_write_receiver", old.RemoteWriteReceiver, cfg.RemoteWriteReceiver},
		{"storage", old.Storage, cfg.Storage},
		{"query", old.Query, cfg.Query},
		{"api", old.API, cfg.API},
		{"host_metrics", old.HostMetrics, cfg.HostMetrics},
		{"self_metrics", old.SelfMetrics, cfg.SelfMetrics},
	} {
		if !reflect.DeepEqual(s.old, s.new) {
			a.log.Warn("a changed section takes effect at the next start only", "section", s.name)
		}
	}
}

// reloadOnRequest serves POST /-/reload.
func (a *App) reloadOnRequest(context.Context) error {
	if a.opts.ReadConfig == nil {
		return fault.New(fault.Invalid, "this process was started without a configuration file: there is nothing to read anew")
	}
	cfg, err := a.opts.ReadConfig()
	if err != nil {
		a.reloads.note(err)
		return fault.New(fault.Invalid, "%w", err)
	}
	return a.Reload(cfg)
}
