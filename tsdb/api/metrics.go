package api

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	refused            *prometheus.CounterVec
	remoteReadQueries  prometheus.Counter
	remoteReadRunning  prometheus.Gauge
	federateSeries     prometheus.Counter
	federateErrors     prometheus.Counter
	federateSkipped    *prometheus.CounterVec
	lifecycleRequested *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	const ns, sub = "signalbox", "prometheus_api"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help})
	}
	counters := func(name, label, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		refused: counters("refused_total", "reason",
			"Requests that were refused before they reached the store: not_found, method, not_ready, form, too_large, parameter, remote_read, disabled."),
		remoteReadQueries: counter("remote_read_queries_total", "Queries of remote read requests."),
		remoteReadRunning: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: ns, Subsystem: sub, Name: "remote_read_running",
			Help: "Remote read requests that run or wait now.",
		}),
		federateSeries: counter("federate_series_total", "Series that federation has answered."),
		federateErrors: counter("federate_errors_total", "Federation requests that failed."),
		federateSkipped: counters("federate_skipped_total", "reason",
			"Series that federation left out: stale, nameless, histogram (one that the format of the request has no place for)."),
		lifecycleRequested: counters("lifecycle_requests_total", "action",
			"Accepted requests of /-/reload and /-/quit."),
	}
	reg.MustRegister(m.refused, m.remoteReadQueries, m.remoteReadRunning, m.federateSeries, m.federateErrors, m.federateSkipped, m.lifecycleRequested)
	return m
}
