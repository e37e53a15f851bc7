package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/route"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	prompql "github.com/prometheus/prometheus/promql"
	v1 "github.com/prometheus/prometheus/web/api/v1"

	"signalbox/internal/fault"
)

// newLibrary mounts Prometheus' own API with paths relative to /api/v1. Only
// endpoints that know the tenant from their request's context may be routed to
// it; the others are ours, so it gets no store to administer.
func newLibrary(cfg Config, opts Options, log *slog.Logger) http.Handler {
	always := func(h http.HandlerFunc) http.HandlerFunc { return h } // readiness is checked before
	external := func() promconfig.Config {
		return promconfig.Config{GlobalConfig: promconfig.GlobalConfig{ExternalLabels: labels.FromMap(opts.ExternalLabels())}}
	}
	api := v1.NewAPI(
		opts.Engine,
		markedStore{opts.Store},
		nil, nil, // writing has doors of its own
		markedStore{opts.Store},
		func(context.Context) v1.ScrapePoolsRetriever { return opts.ScrapePoolsRetriever },
		func(context.Context) v1.TargetRetriever { return opts.TargetRetriever },
		func(context.Context) v1.AlertmanagerRetriever { return opts.AlertmanagerRetriever },
		external,
		opts.Flags,
		v1.GlobalURLOptions{},
		always,
		nil, "", false, // the store's administration is ours
		cfg.EnableSearch, cfg.MaxListed,
		log,
		opts.RulesRetriever,
		cfg.RemoteReadMaxSamples, cfg.RemoteReadMaxConcurrent, cfg.RemoteReadMaxFrameBytes,
		false, // not an agent
		nil,   // CORS is the server's
		opts.runtimeInfo,
		&v1.PrometheusVersion{
			Version:   EmulatedVersion,
			Revision:  opts.Build.Revision,
			Branch:    opts.Build.Branch,
			BuildUser: opts.Build.User,
			BuildDate: opts.Build.Date,
			GoVersion: runtime.Version(),
		},
		opts.Notifications.Get,
		opts.Notifications.Sub,
		opts.Gatherer,
		prometheus.NewRegistry(), // its one metric is counted by ours
		nil,                      // the default statistics
		false, nil,               // no remote write
		false, false, false, // no OTLP
		false,
		opts.Engine.LookbackDelta(),
		false, false,
		statusOverride,
		opts.features(cfg),
		v1.OpenAPIOptions{Version: EmulatedVersion, MaxSearchLimit: cfg.MaxListed},
		opts.Engine.Parser(),
	)
	router := route.New()
	api.Register(router)
	return router
}

// statusOverride gives an error of ours the status of its class where
// Prometheus has a less telling one. Its type parameter is Prometheus' error
// number, a type without a public name.
func statusOverride[T any](_ T, err error) (int, bool) {
	if engineError(err) {
		return 0, false
	}
	switch fault.ClassOf(err) {
	case fault.Limited:
		return http.StatusTooManyRequests, true
	case fault.Unavailable:
		return http.StatusServiceUnavailable, true
	case fault.Corrupt:
		return http.StatusInternalServerError, true
	}
	// The label endpoints call every error "execution", with 422.
	if _, ok := errors.AsType[prompql.ErrStorage](err); ok {
		return http.StatusInternalServerError, true
	}
	return 0, false
}
