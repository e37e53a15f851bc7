package app

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	v1 "github.com/prometheus/prometheus/web/api/v1"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"signalbox/ingest/otlp"
	"signalbox/internal/config"
	"signalbox/internal/httpserver"
	"signalbox/tsdb/api"
)

// makeAPI builds the Prometheus HTTP API over the store.
func (a *App) makeAPI(cfg *config.Config) *api.API {
	return api.New(cfg.API, api.Options{
		Logger: a.opts.Logger, Registry: a.reg, Gatherer: a.reg,
		Store: a.db, Engine: a.engine,
		Metadata: a.db, Inspector: a.db, Admin: a.db,
		Ready:                a.ready.Load,
		TargetRetriever:      a.scraper,
		ScrapePoolsRetriever: a.scraper,
		Build:                api.Build{Revision: a.opts.Build.Version + "-" + a.opts.Build.Revision, Branch: "signalbox", User: "signalbox", Date: a.opts.Build.Time},
		ConfigYAML:           a.configYAML,
		Flags:                a.opts.Flags,
		RuntimeInfo:          a.runtimeInfo,
		ExternalLabels:       a.externalLabels,
		Reload:               a.reloadOnRequest,
		Quit:                 a.requestQuit,
	})
}

func (a *App) configYAML() string {
	var b bytes.Buffer
	if err := a.cfg.Load().Print(&b); err != nil {
		return "# " + err.Error()
	}
	return b.String()
}

func (a *App) runtimeInfo(info *v1.RuntimeInfo) {
	info.ReloadConfigSuccess, info.LastConfigTime = a.reloads.get()
	l := a.cfg.Load().Limits.Store
	info.StorageRetention = l.Retention.String()
	if l.RetentionBytes > 0 {
		info.StorageRetention += fmt.Sprintf(" or %d bytes", l.RetentionBytes)
	}
}

func (a *App) externalLabels() map[string]string {
	return a.scraper.PrometheusConfig().GlobalConfig.ExternalLabels.Map()
}

func (a *App) requestQuit() {
	select {
	case a.quit <- struct{}{}:
	default:
	}
}

// consume fits the OTLP door to the embedded Collector.
func consume(door *otlp.Handler) func(context.Context, pmetric.Metrics) error {
	return func(ctx context.Context, md pmetric.Metrics) error {
		_, err := door.Consume(ctx, md)
		return err
	}
}

// registerPages puts up what belongs to no subsystem.
func (a *App) registerPages(mux httpserver.Mux) {
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.reg, promhttp.HandlerOpts{EnableOpenMetrics: true, Registry: a.reg}))
	mux.Handle("GET /{$}", http.HandlerFunc(a.index))
}

// index tells a person who opened the port in a browser what there is.
func (a *App) index(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	addrs := a.Addrs()
	var b strings.Builder
	fmt.Fprintf(&b, "Signalbox %s\n\n", a.opts.Build.Version)
	fmt.Fprintf(&b, "Prometheus data source and API   http://%s\n", r.Host)
	for _, d := range []struct{ name, text string }{
		{httpserver.OTLPGRPC, "OTLP over gRPC                   %s\n"},
		{httpserver.OTLPHTTP, "OTLP over HTTP                   http://%s\n"},
	} {
		if addr, ok := addrs[d.name]; ok {
			fmt.Fprintf(&b, d.text, addr)
		}
	}
	fmt.Fprintf(&b, "Prometheus remote write          http://%s/api/v1/write\n", r.Host)
	fmt.Fprintf(&b, "Own metrics                      http://%s/metrics\n", r.Host)
	_, _ = w.Write([]byte(b.String()))
}
