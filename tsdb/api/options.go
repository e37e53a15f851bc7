package api

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/util/features"
	"github.com/prometheus/prometheus/util/notifications"
	v1 "github.com/prometheus/prometheus/web/api/v1"

	"signalbox/internal/httpserver"
	"signalbox/tsdb/promql"
)

// EmulatedVersion is the version of Prometheus whose API this is. Clients
// switch features by it, so it is never our own version.
const EmulatedVersion = "3.15.0"

// Build says what was built; only Revision is our own version.
type Build struct {
	Revision, Branch, User, Date string
}

// WALReplay is how far the store has come while it starts, in segments.
type WALReplay struct{ Min, Max, Current int }

// Options is what the program hands in. Store and Engine are needed, the rest
// may stay zero.
type Options struct {
	Logger   *slog.Logger          // nil: discard
	Registry prometheus.Registerer // nil: a private one
	Gatherer prometheus.Gatherer   // nil: empty; what /api/v1/status/self_metrics shows

	Store     Store
	Engine    *promql.Engine
	Metadata  MetadataSource // nil: no metadata
	Inspector Inspector      // nil: /api/v1/status/tsdb and .../blocks answer "unavailable"
	Admin     Admin          // nil: the admin endpoints answer "unavailable"

	// Ready says whether queries can be answered; nil: always. Until it does,
	// endpoints answer 503.
	Ready func() bool
	// WALReplay is asked before the program is ready; nil: zeros.
	WALReplay func() WALReplay

	TargetRetriever       v1.TargetRetriever       // nil: no targets
	ScrapePoolsRetriever  v1.ScrapePoolsRetriever  // nil: no pools
	AlertmanagerRetriever v1.AlertmanagerRetriever // nil: none
	// RulesRetriever is asked with the context of a request, which has the
	// tenant; nil: no rules.
	RulesRetriever func(context.Context) v1.RulesRetriever

	Build Build
	// ConfigYAML returns the configuration with secrets masked; nil: empty.
	ConfigYAML func() string
	// Flags of the command line, for /api/v1/status/flags.
	Flags map[string]string
	// RuntimeInfo fills what only the program knows (reloads, retention); nil: nothing.
	RuntimeInfo func(*v1.RuntimeInfo)
	// ExternalLabels are added to what leaves by federation and remote read; nil: none.
	ExternalLabels func() map[string]string
	// Notifications for the user interface; nil: a private, empty list.
	Notifications *notifications.Notifications

	Reload func(context.Context) error // nil: /-/reload answers 403
	Quit   func()                      // nil: /-/quit answers 403
}

// API serves the Prometheus HTTP API. All methods are safe for concurrent use.
type API struct {
	cfg     Config
	opts    Options
	log     *slog.Logger
	library http.Handler
	routes  *http.ServeMux
	metrics *metrics
	now     func() time.Time
}

// New makes the API. cfg has passed Validate.
func New(cfg Config, opts Options) *API {
	opts.fill()
	a := &API{
		cfg: cfg, opts: opts,
		log:     opts.Logger.With("component", "prometheus_api"),
		metrics: newMetrics(opts.Registry),
		now:     time.Now,
	}
	a.library = newLibrary(cfg, opts, a.log)
	a.routes = a.newRoutes()
	return a
}

// Register puts the endpoints on the mux. It takes the subtree /api/ too,
// where a path that nobody else has registered is answered 404.
func (a *API) Register(mux httpserver.Mux) {
	mux.Handle("/api/v1/", a)
	mux.Handle("/api/", http.HandlerFunc(notFound))
	a.registerEdge(mux)
}

func (o *Options) fill() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Gatherer == nil {
		o.Gatherer = prometheus.NewRegistry()
	}
	if o.Ready == nil {
		o.Ready = func() bool { return true }
	}
	if o.WALReplay == nil {
		o.WALReplay = func() WALReplay { return WALReplay{} }
	}
	if o.TargetRetriever == nil {
		o.TargetRetriever = noTargets{}
	}
	if o.ScrapePoolsRetriever == nil {
		o.ScrapePoolsRetriever = noTargets{}
	}
	if o.AlertmanagerRetriever == nil {
		o.AlertmanagerRetriever = noAlertmanagers{}
	}
	if o.RulesRetriever == nil {
		o.RulesRetriever = func(context.Context) v1.RulesRetriever { return noRules{} }
	}
	if o.ConfigYAML == nil {
		o.ConfigYAML = func() string { return "" }
	}
	if o.Flags == nil {
		o.Flags = map[string]string{}
	}
	if o.ExternalLabels == nil {
		o.ExternalLabels = func() map[string]string { return nil }
	}
	if o.Notifications == nil {
		o.Notifications = notifications.NewNotifications(maxNotificationSubscribers, nil)
	}
}

// maxNotificationSubscribers is Prometheus' own cap.
const maxNotificationSubscribers = 16

// features is what /api/v1/features answers: the engine's, and ours.
func (o *Options) features(cfg Config) features.Collector {
	f := o.Engine.Features()
	f.Set(features.API, "lifecycle", cfg.EnableLifecycle)
	f.Set(features.API, "admin", cfg.EnableAdmin)
	f.Set(features.API, "search", cfg.EnableSearch)
	for _, name := range []string{
		"remote_write_receiver", "otlp_write_receiver", "label_values_match", "query_warnings", "query_stats",
		"time_range_series", "time_range_labels", "exclude_alerts", "openapi_3.1", "openapi_3.2",
	} {
		f.Enable(features.API, name)
	}
	return f
}

var processStart = time.Now()

func (o *Options) runtimeInfo() (v1.RuntimeInfo, error) {
	info := v1.RuntimeInfo{
		StartTime:           processStart,
		ServerTime:          time.Now().UTC(),
		ReloadConfigSuccess: true,
		LastConfigTime:      processStart,
		GoroutineCount:      runtime.NumGoroutine(),
		GOMAXPROCS:          runtime.GOMAXPROCS(0),
		GOMEMLIMIT:          memoryLimit(),
		GODEBUG:             os.Getenv("GODEBUG"),
	}
	info.CWD, _ = os.Getwd()
	info.Hostname, _ = os.Hostname()
	if o.RuntimeInfo != nil {
		o.RuntimeInfo(&info)
	}
	return info, nil
}
