package scrape

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/logging"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

// Options is what the program hands in. Zero values work in tests.
type Options struct {
	Logger   *slog.Logger          // nil: discard
	Registry prometheus.Registerer // nil: a private one; a second Scraper on it takes the metrics over
}

// Scraper finds targets and scrapes them while Run runs. It satisfies
// TargetRetriever and ScrapePoolsRetriever of Prometheus' HTTP API.
type Scraper struct {
	logger    *slog.Logger
	metrics   *metrics
	gate      *gate
	registry  prometheus.Registerer
	sdMetrics *discovery.SDMetrics
	manager   *scrape.Manager

	mu struct {
		sync.Mutex
		cfg       Config
		started   bool
		discovery *discovery.Manager // nil unless Run runs
	}
}

// New checks that everything cfg names can be built and returns a Scraper that
// writes into sink. It starts nothing.
func New(sink storage.AppendableV2, cfg Config, opts Options) (*Scraper, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Registry == nil {
		opts.Registry = prometheus.NewRegistry()
	}
	if err := check(cfg); err != nil {
		return nil, err
	}
	s := &Scraper{
		logger:   opts.Logger.With("component", "scrape"),
		registry: replacingRegistry{opts.Registry},
	}
	s.mu.cfg = cfg

	var err error
	if s.metrics, err = newMetrics(s.registry); err != nil {
		return nil, fmt.Errorf("register scrape metrics: %w", err)
	}
	if s.sdMetrics, err = discovery.CreateAndRegisterSDMetrics(s.registry); err != nil {
		return nil, fmt.Errorf("register service discovery metrics: %w", err)
	}
	if err = discovery.RegisterK8sClientMetricsWithPrometheus(s.registry); err != nil {
		return nil, fmt.Errorf("register Kubernetes client metrics: %w", err)
	}
	s.gate = newGate(sink, tenant.ID(cfg.Tenant), s.metrics)
	s.manager, err = scrape.NewManager(&scrape.Options{
		AppendMetadata:           true,
		ParseST:                  cfg.StartTimestamps,
		DiscoveryReloadInterval:  model.Duration(cfg.DiscoveryReloadInterval),
		DiscoveryReloadOnStartup: true,
	}, s.logger, logging.NewJSONFileLogger, nil, s.gate, s.registry)
	if err != nil {
		return nil, fmt.Errorf("make scrape manager: %w", err)
	}
	return s, nil
}

// Run scrapes until ctx ends and returns nil when nothing of it runs any more:
// scrapes in flight are finished first. It may be called once.
func (s *Scraper) Run(ctx context.Context) error {
	// Discovery outlives ctx by a moment: its providers are stopped by an empty
	// configuration, which waits for them, and only then by this context.
	sdCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	sd, err := s.start(sdCtx)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = sd.Run() }) // returns its context's error, always
	wg.Go(func() { _ = s.manager.Run(sd.SyncCh()) })
	<-ctx.Done()

	s.mu.Lock()
	s.mu.discovery = nil // from here on Apply only remembers
	s.mu.Unlock()
	_ = sd.ApplyConfig(nil)
	// Closes the scrape failure logs, and stops the pools as Stop does.
	if err := s.manager.ApplyConfig(emptyConfig()); err != nil {
		s.logger.Warn("stop scrape pools", "err", err)
	}
	s.manager.Stop()
	cancel()
	wg.Wait()
	s.gate.close()
	return nil
}

// start makes the discovery manager and gives both managers their first
// configuration.
func (s *Scraper) start(ctx context.Context) (*discovery.Manager, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.started {
		return nil, errors.New("BUG: scrape.Scraper: Run called twice")
	}
	s.mu.started = true
	sd := discovery.NewManager(ctx, s.logger, s.registry, s.sdMetrics, discovery.Name("scrape"))
	if sd == nil {
		return nil, errors.New("make service discovery manager: its metrics are already registered")
	}
	if err := s.swapLocked(sd, s.mu.cfg); err != nil {
		return nil, err
	}
	s.mu.discovery = sd
	s.metrics.lastReload.SetToCurrentTime()
	return sd, nil
}

// Apply replaces the configuration. What cannot be built is refused before
// anything changes. Pools whose section did not change keep their targets,
// timing and state. Before Run it only remembers cfg. StartTimestamps and
// DiscoveryReloadInterval take effect at the next start.
func (s *Scraper) Apply(cfg Config) error {
	if err := s.apply(cfg); err != nil {
		s.metrics.reloads.WithLabelValues("refused").Inc()
		return err
	}
	s.metrics.reloads.WithLabelValues("applied").Inc()
	s.metrics.lastReload.SetToCurrentTime()
	return nil
}

func (s *Scraper) apply(cfg Config) error {
	if err := check(cfg); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.mu.cfg
	if old.StartTimestamps != cfg.StartTimestamps || old.DiscoveryReloadInterval != cfg.DiscoveryReloadInterval {
		s.logger.Warn("start_timestamps and discovery_reload_interval take effect at the next start")
	}
	if s.mu.discovery != nil {
		if err := s.swapLocked(s.mu.discovery, cfg); err != nil {
			if back := s.swapLocked(s.mu.discovery, old); back != nil {
				err = fmt.Errorf("%w (and going back failed: %w)", err, back)
			}
			return err
		}
	} else {
		id := tenant.ID(cfg.Tenant)
		s.gate.tenant.Store(&id)
	}
	s.mu.cfg = cfg
	return nil
}

// swapLocked gives cfg to the running managers: scraping first, because it must
// know a job before discovery sends targets of it.
func (s *Scraper) swapLocked(sd *discovery.Manager, cfg Config) error {
	jobs := cfg.jobs()
	if err := s.manager.ApplyConfig(jobs); err != nil {
		return fmt.Errorf("apply scrape configuration: %w", err)
	}
	id := tenant.ID(cfg.Tenant)
	s.gate.tenant.Store(&id)
	found := make(map[string]discovery.Configs, len(jobs.ScrapeConfigs))
	for _, job := range jobs.ScrapeConfigs {
		found[job.JobName] = job.ServiceDiscoveryConfigs
	}
	if err := sd.ApplyConfig(found); err != nil {
		return fmt.Errorf("apply service discovery configuration: %w", err)
	}
	return nil
}

// check builds what cfg names and throws it away: options, HTTP clients (their
// TLS and secret files), failure logs and discoverers. Errors are Invalid and
// name the job.
func check(cfg Config) error {
	if _, err := cfg.Validate(); err != nil {
		return fault.New(fault.Invalid, "scrape configuration: %w", err)
	}
	sdMetrics, err := discovery.CreateAndRegisterSDMetrics(prometheus.NewRegistry())
	if err != nil {
		return fmt.Errorf("register service discovery metrics: %w", err)
	}
	var errs []error
	for _, job := range cfg.jobs().ScrapeConfigs {
		if err := checkJob(job, sdMetrics); err != nil {
			errs = append(errs, fmt.Errorf("scrape_configs: job %q: %w", job.JobName, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fault.New(fault.Invalid, "%w", err)
	}
	return nil
}
