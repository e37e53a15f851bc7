package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/ingest/admit"
	"signalbox/ingest/collector"
	"signalbox/ingest/otlp"
	"signalbox/ingest/remotewrite"
	"signalbox/ingest/scrape"
	"signalbox/internal/config"
	"signalbox/internal/httpserver"
	"signalbox/internal/lifecycle"
	"signalbox/internal/telemetry"
	"signalbox/internal/tenant"
	"signalbox/tsdb"
	"signalbox/tsdb/promql"
)

// Options is what the program hands in. Zero values work in tests.
type Options struct {
	Logger *slog.Logger    // nil: discard
	Log    *telemetry.Log  // nil: the level is not changed by a reload
	Build  telemetry.Build // zero: unknown
	// ReadConfig reads the configuration anew for POST /-/reload; nil: that endpoint reloads nothing.
	ReadConfig func() (*config.Config, error)
	Flags      map[string]string // for /api/v1/status/flags
}

// App is one running Signalbox.
type App struct {
	opts Options
	log  *slog.Logger
	reg  *prometheus.Registry
	cfg  atomic.Pointer[config.Config]

	server    *httpserver.Server
	db        *tsdb.DB
	admit     *admit.Admitter
	engine    *promql.Engine
	scraper   *scrape.Scraper
	collector *collector.Collector
	own       []lifecycle.Actor // what stores this process' and this machine's metrics

	ready   atomic.Bool
	reloads *reloads
	loops   *lifecycle.Running // nil until Start
	closers lifecycle.Group
	failed  chan error
	quit    chan struct{}
}

// New wires all subsystems and binds the ports; nothing is served yet. After an
// error everything that was opened is closed again.
func New(cfg *config.Config, opts Options) (_ *App, err error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	a := &App{
		opts: opts, log: opts.Logger.With("component", "app"),
		reg:    telemetry.NewRegistry(opts.Build),
		failed: make(chan error, 1),
		quit:   make(chan struct{}, 1),
	}
	a.cfg.Store(cfg)
	a.reloads = newReloads(a.reg)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.closers.Stop(context.Background()))
		}
	}()
	if err := a.openStores(cfg); err != nil {
		return nil, err
	}
	if err := a.makeDoors(cfg); err != nil {
		return nil, err
	}
	if err := a.makeServer(cfg); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *App) openStores(cfg *config.Config) (err error) {
	a.db, err = tsdb.Open(cfg.Storage.Path, cfg.Storage, tsdb.Options{
		Logger: a.opts.Logger, Registry: a.reg,
		Limits: func(id tenant.ID) tsdb.Limits { return a.cfg.Load().LimitsOf(id).Store },
	})
	if err != nil {
		return err
	}
	a.closers.AddCloser("tsdb", a.db)
	a.admit = admit.New(a.db, func(id tenant.ID) admit.Limits { return a.cfg.Load().LimitsOf(id).Admit }, a.reg)
	a.engine = promql.New(cfg.Query, promql.Options{Logger: a.opts.Logger, Registry: a.reg})
	return nil
}

// makeDoors builds what brings samples in without being asked over HTTP.
func (a *App) makeDoors(cfg *config.Config) error {
	sc, err := cfg.ScrapeConfig()
	if err != nil {
		return err
	}
	a.scraper, err = scrape.New(a.admit.Door("scrape"), sc, scrape.Options{Logger: a.opts.Logger, Registry: a.reg})
	return err
}

// makeServer registers every route and binds the ports.
func (a *App) makeServer(cfg *config.Config) (err error) {
	a.server, err = httpserver.New(cfg.HTTP, httpserver.Options{
		Logger: a.opts.Logger, Registerer: a.reg,
		OTLP: cfg.OTLP.OTLPConfig,
	})
	if err != nil {
		return err
	}
	rw := remotewrite.New(a.admit.Door("remote_write"), a.db, cfg.RemoteWriteReceiver, remotewrite.Options{Logger: a.opts.Logger, Registry: a.reg})
	rw.Register(a.server)
	door := otlp.New(a.admit.Door("otlp"), cfg.OTLP.Config, otlp.Options{Logger: a.opts.Logger, Registry: a.reg, LookbackDelta: cfg.Query.LookbackDelta})
	door.Register(a.server)
	door.Register(a.server.OTLPHTTP())
	door.RegisterGRPC(a.server.GRPC())
	door.RegisterGRPC(a.server.OTLPGRPC())
	prom := a.makeAPI(cfg)
	prom.Register(a.server)
	prom.RegisterSystem(a.server.System())
	a.registerPages(a.server.System())

	through := otlp.New(a.admit.Door("collector"), cfg.OTLP.Config, otlp.Options{Logger: a.opts.Logger, LookbackDelta: cfg.Query.LookbackDelta})
	a.collector, err = collector.New(cfg.Collector, collector.Sinks{Metrics: consume(through)}, collector.Options{Logger: a.opts.Logger, Registry: a.reg})
	if err != nil {
		return err
	}
	if err := a.server.Listen(); err != nil {
		return err
	}
	a.closers.Add("http server", a.server.Shutdown)
	return nil
}

// Start serves, reads the log, and then begins to scrape and to store its own
// metrics. While the log is read every request but health and metrics is
// answered 503. It returns when the program is ready.
func (a *App) Start(ctx context.Context) error {
	// Requests and loops outlive ctx: Stop ends them.
	serving := make(chan error, 1)
	go func() {
		err := a.server.Serve(context.WithoutCancel(ctx))
		if err != nil {
			a.fail(fmt.Errorf("http server: %w", err))
		}
		serving <- err
	}()
	a.closers.Add("http server", func(ctx context.Context) error {
		err := a.server.Shutdown(ctx)
		<-serving //nolint:errcheck // Serve reports through fail
		return err
	})
	if err := a.db.Load(ctx); err != nil {
		return err
	}
	if err := a.makeSelf(a.cfg.Load()); err != nil {
		return err
	}
	if err := a.collector.Start(ctx); err != nil {
		return fmt.Errorf("collector: %w", err)
	}
	a.closers.Add("collector", a.collector.Stop)
	a.loops = lifecycle.Start(append(a.own, lifecycle.Actor{Name: "scrape", Run: a.scraper.Run})...)
	go func() {
		<-a.loops.Done()
		if err := a.loops.Err(); err != nil {
			a.fail(err)
		}
	}()
	a.closers.Add("loops", a.loops.Stop)
	a.ready.Store(true)
	return nil
}

func (a *App) fail(err error) {
	select {
	case a.failed <- err:
	default: // one reason to stop is enough
	}
}

// Err delivers the error of a subsystem that ended when it should not have.
func (a *App) Err() <-chan error { return a.failed }

// Quit delivers a request to stop that came over HTTP.
func (a *App) Quit() <-chan struct{} { return a.quit }

// Ready reports whether queries and writes are answered.
func (a *App) Ready() bool { return a.ready.Load() }

// Stop refuses new requests, finishes those in flight, stops loops and closes
// the stores, all within ctx. It may be called again.
func (a *App) Stop(ctx context.Context) error {
	start := time.Now()
	a.ready.Store(false)
	err := a.closers.Stop(ctx)
	a.log.Info("stopped", "took", time.Since(start).Round(time.Millisecond), "err", err)
	return err
}

// Addrs returns the bound address of each listener: "http", "otlp_http" and
// "otlp_grpc"; one that is off is missing.
func (a *App) Addrs() map[string]net.Addr {
	m := map[string]net.Addr{}
	for _, name := range []string{httpserver.Main, httpserver.OTLPHTTP, httpserver.OTLPGRPC} {
		if addr := a.server.Addr(name); addr != nil {
			m[name] = addr
		}
	}
	return m
}

// Gatherer returns the metrics of this process.
func (a *App) Gatherer() prometheus.Gatherer { return a.reg }
