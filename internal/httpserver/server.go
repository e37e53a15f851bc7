package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
)

// Names of the listeners, as Addr takes them and as the label "listener" of the
// metrics has them.
const (
	Main     = "http"
	OTLPHTTP = "otlp_http"
	OTLPGRPC = "otlp_grpc"
)

// Options is what the program hands in. Zero values work in tests.
type Options struct {
	Logger     *slog.Logger          // nil: discard
	Registerer prometheus.Registerer // nil: a private one
	OTLP       OTLPConfig            // zero: no OTLP listeners
}

// Server is all listeners of the program. Register routes and services, then
// Listen, then Serve.
type Server struct {
	cfg      Config
	log      *slog.Logger
	m        *metrics
	web      *webConfig // nil without a web_config_file
	origin   *regexp.Regexp
	slots    slots
	budget   *budget
	inflight *tracker

	main, otlpHTTP *httpListener // otlpHTTP is nil when off
	otlpGRPC       *grpcListener // nil when off

	mu struct {
		sync.Mutex
		listening, serving bool
		cancel             context.CancelFunc // ends the contexts of requests
		shutdown           chan struct{}      // closed when the first Shutdown is done; nil before it began
		shutdownErr        error
	}
}

// New makes a server that does not listen yet. It reads web_config_file. The
// error joins every fault of the configuration.
func New(cfg Config, opts Options) (*Server, error) {
	_, err := cfg.Validate()
	_, oerr := opts.OTLP.Validate()
	if err = errors.Join(err, oerr); err != nil {
		return nil, err
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg:      cfg,
		log:      opts.Logger.With("component", "httpserver"),
		m:        newMetrics(opts.Registerer),
		slots:    slots{max: int64(cfg.MaxConcurrentRequests)},
		inflight: newTracker(),
	}
	s.budget = &budget{max: cfg.MaxBodyMemory, used: s.m.bodyMemory}
	if s.origin, err = compileOrigin(cfg.CORSOrigin); err != nil {
		return nil, fmt.Errorf("cors_origin: %w", err)
	}
	if cfg.WebConfigFile != "" {
		if s.web, err = openWebConfig(cfg.WebConfigFile, s.log, s.m.webConfigFailures); err != nil {
			return nil, fmt.Errorf("web_config_file: %w", err)
		}
	}
	s.main = newHTTPListener(s, Main, "http.listen", cfg.Listen)
	s.main.rpc = newEmbeddedGRPC(s)
	if opts.OTLP.HTTPListen != "" {
		s.otlpHTTP = newHTTPListener(s, OTLPHTTP, "otlp.http_listen", opts.OTLP.HTTPListen)
	}
	if opts.OTLP.GRPCListen != "" {
		s.otlpGRPC = newGRPCListener(s, "otlp.grpc_listen", opts.OTLP.GRPCListen)
	}
	return s, nil
}

// Handle registers a route of the main port that belongs to a tenant and counts
// against max_concurrent_requests. It panics on a pattern that is malformed or
// taken, as http.ServeMux does.
func (s *Server) Handle(pattern string, h http.Handler) { s.main.handle(pattern, h, true) }

// System is for routes of the main port that belong to no tenant and answer
// under any load: health, metrics, the web interface's files.
func (s *Server) System() Mux {
	return muxFunc(func(pattern string, h http.Handler) { s.main.handle(pattern, h, false) })
}

// OTLPHTTP is for the routes of the OTLP/HTTP port, which has no others. When
// that port is off, what is registered is never called.
func (s *Server) OTLPHTTP() Mux {
	return muxFunc(func(pattern string, h http.Handler) {
		if s.otlpHTTP != nil {
			s.otlpHTTP.handle(pattern, h, true)
		}
	})
}

// GRPC is for the gRPC services of the main port.
func (s *Server) GRPC() grpc.ServiceRegistrar { return s.main.rpc }

// OTLPGRPC is for the gRPC services of the OTLP/gRPC port. When that port is
// off, what is registered is never called.
func (s *Server) OTLPGRPC() grpc.ServiceRegistrar {
	if s.otlpGRPC == nil {
		return nopRegistrar{}
	}
	return s.otlpGRPC.rpc
}

// Addr returns the address that the named listener is bound to, nil before
// Listen or when it is off.
func (s *Server) Addr(name string) net.Addr {
	for _, l := range s.listeners() {
		if b := l.base(); b.name == name && b.ln != nil {
			return b.ln.Addr()
		}
	}
	return nil
}

// server is one listener with what answers on it.
type server interface {
	base() *binding
	// serve blocks until the listener closes; nil when that was a shutdown.
	serve(ctx context.Context) error
	// drain refuses new work and waits for what is in flight until ctx ends.
	drain(ctx context.Context) error
	// close ends what is left.
	close()
}

func (s *Server) listeners() []server {
	all := []server{s.main}
	if s.otlpHTTP != nil {
		all = append(all, s.otlpHTTP)
	}
	if s.otlpGRPC != nil {
		all = append(all, s.otlpGRPC)
	}
	return all
}

type muxFunc func(pattern string, h http.Handler)

func (f muxFunc) Handle(pattern string, h http.Handler) { f(pattern, h) }
