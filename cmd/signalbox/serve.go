package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"signalbox/internal/app"
	"signalbox/internal/config"
	"signalbox/internal/telemetry"
)

// stopTimeout bounds a graceful stop beyond http.shutdown_timeout: time for
// loops to end and stores to close.
const stopTimeout = 30 * time.Second

func newServe() *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server until SIGINT or SIGTERM; a second signal stops it at once.

SIGHUP reads the configuration file again. A file with faults changes nothing.`,
		Example: `  signalbox serve
  signalbox serve --config.file /etc/signalbox.yaml --storage.path /var/lib/signalbox
  signalbox serve --http.listen 0.0.0.0:4319 --log.level debug`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), &flags, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags.register(cmd)
	return cmd
}

func serve(ctx context.Context, flags *configFlags, stdout, stderr io.Writer) error {
	// First of all, so that no signal is lost while the server starts.
	sigs := make(chan os.Signal, 4)
	signal.Notify(sigs, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(sigs)

	cfg, warnings, err := flags.load()
	if err != nil {
		return err
	}
	log, err := telemetry.NewLog(stderr, cfg.Log)
	if err != nil {
		return err
	}
	warn(log.Logger, warnings)
	opts := app.Options{Logger: log.Logger, Log: log, Build: telemetry.ReadBuild(version), Flags: given(flags.set)}
	opts.ReadConfig = func() (*config.Config, error) {
		c, warnings, err := flags.load()
		warn(log.Logger, warnings)
		return c, err
	}
	a, err := app.New(cfg, opts)
	if err != nil {
		return err
	}
	srv := server{app: a, log: telemetry.Component(log.Logger, "main"), sigs: sigs, read: opts.ReadConfig,
		grace: cfg.HTTP.ShutdownTimeout + stopTimeout}
	return srv.run(ctx, func() {
		ready(srv.log, a.Addrs())
		if isTerminal(stdout) {
			banner(stdout, cfg, a.Addrs())
		}
	})
}

// server is a running app with the signals that steer it.
type server struct {
	app   *app.App
	log   *slog.Logger
	sigs  chan os.Signal
	read  func() (*config.Config, error)
	grace time.Duration
}

// run starts the app, calls started, and returns when the app has stopped.
func (s *server) run(ctx context.Context, started func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Reading a long log takes time; a signal must be able to end it.
	up := make(chan error, 1)
	go func() { up <- s.app.Start(ctx) }()
	var err error
	starting := up
	for run := true; run; {
		select {
		case err = <-starting:
			starting = nil
			if run = err == nil; run {
				started()
			}
		case sig := <-s.sigs:
			run = s.signal(sig)
		case err = <-s.app.Err():
			run = false
		case <-s.app.Quit():
			s.log.Info("asked over HTTP to stop")
			run = false
		case <-ctx.Done():
			run = false
		}
	}
	cancel()
	if starting != nil {
		if serr := s.wait(up); serr != nil {
			return errors.Join(err, serr)
		}
	}
	return errors.Join(err, s.stop())
}

// signal acts on a signal and says whether the server goes on.
func (s *server) signal(sig os.Signal) bool {
	if sig != syscall.SIGHUP {
		s.log.Info("stopping; a second signal stops at once", "signal", sig.String())
		return false
	}
	cfg, err := s.read()
	if err != nil {
		for _, f := range config.Faults(err) {
			s.log.Error("the configuration file has a fault; nothing was changed", "err", f)
		}
		return true
	}
	// The app logs how it went; a failed reload keeps the old configuration.
	_ = s.app.Reload(cfg)
	return true
}

// wait waits for Start, which was told to end, unless a second signal comes.
func (s *server) wait(up <-chan error) error {
	limit := time.NewTimer(s.grace)
	defer limit.Stop()
	for {
		select {
		case _ = <-up: //nolint:staticcheck // errcheck wants it written out
			return nil // why it ended is known: it was told to
		case <-limit.C:
			return errors.New("the write-ahead log was still being read; ended without waiting, which loses nothing")
		case sig := <-s.sigs:
			if sig != syscall.SIGHUP {
				return fmt.Errorf("stopped at once by a second signal (%s)", sig)
			}
		}
	}
}

// stop ends the app within the time it has; a second signal ends it at once.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.grace)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- s.app.Stop(ctx) }()
	for {
		select {
		case err := <-stopped:
			return err
		case sig := <-s.sigs:
			if sig != syscall.SIGHUP {
				return fmt.Errorf("stopped at once by a second signal (%s)", sig)
			}
		}
	}
}

// ready logs the bound addresses, the one line that scripts wait for.
func ready(log *slog.Logger, addrs map[string]net.Addr) {
	var args []any
	for _, name := range slices.Sorted(maps.Keys(addrs)) {
		args = append(args, name, addrs[name].String())
	}
	log.Info("ready", args...)
}

func warn(log *slog.Logger, warnings []string) {
	for _, w := range warnings {
		log.Warn("the configuration has an option that is probably not meant", "warning", w)
	}
}

// given lists all flags with their values, for /api/v1/status/flags.
func given(set *pflag.FlagSet) map[string]string {
	m := map[string]string{}
	set.VisitAll(func(f *pflag.Flag) { m[f.Name] = f.Value.String() })
	return m
}
