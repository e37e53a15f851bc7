package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"signalbox/internal/fault"
)

// metrics count what leaves the pipelines and what happens to them. What enters
// and what processors drop is counted by the Collector itself, as otelcol_*.
type metrics struct {
	items       *prometheus.CounterVec // by signal
	failedItems *prometheus.CounterVec // by signal, class, reason
	lastSuccess *prometheus.GaugeVec   // by signal
	duration    prometheus.Histogram
	reloads     *prometheus.CounterVec // by outcome
	pipelines   prometheus.Gauge
	failures    prometheus.Counter
	logDropped  prometheus.Counter
	inner       *relay
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	m := &metrics{
		items: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_collector_items_total",
			Help: "Data points, spans and log records that pipelines of the Collector handed to the stores.",
		}, []string{"signal"}),
		failedItems: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_collector_failed_items_total",
			Help: "Data points, spans and log records in batches that a store refused, by the class and reason of the error.",
		}, []string{"signal", "class", "reason"}),
		lastSuccess: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "signalbox_collector_last_success_timestamp_seconds",
			Help: "Unix time of the last batch that a store took.",
		}, []string{"signal"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "signalbox_collector_store_duration_seconds",
			Help:    "Time a store took for one batch.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9),
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_collector_reloads_total",
			Help: "Applied configurations by outcome: unchanged, changed, invalid (nothing was touched), failed (the old one was started again).",
		}, []string{"outcome"}),
		pipelines: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "signalbox_collector_pipelines",
			Help: "Pipelines that run.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "signalbox_collector_component_failures_total",
			Help: "Receivers and processors that reported that they cannot go on.",
		}),
		logDropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "signalbox_collector_log_lines_dropped_total",
			Help: "Repeated log lines of receivers and processors that were not written.",
		}),
		inner: &relay{},
	}
	for _, s := range []string{signalMetrics, signalTraces, signalLogs} {
		m.items.WithLabelValues(s)
	}
	for _, o := range []string{outcomeUnchanged, outcomeChanged, outcomeInvalid, outcomeFailed} {
		m.reloads.WithLabelValues(o)
	}
	reg.MustRegister(m.items, m.failedItems, m.lastSuccess, m.duration, m.reloads, m.pipelines, m.failures, m.logDropped, m.inner)
	return m
}

const (
	outcomeUnchanged = "unchanged"
	outcomeChanged   = "changed"
	outcomeInvalid   = "invalid"
	outcomeFailed    = "failed"
)

func (m *metrics) accepted(signal string, items int) {
	m.items.WithLabelValues(signal).Add(float64(items))
	m.lastSuccess.WithLabelValues(signal).SetToCurrentTime()
}

func (m *metrics) failed(signal string, err error, items int) {
	reason := fault.ReasonOf(err)
	if reason == "" {
		reason = "other"
	}
	m.failedItems.WithLabelValues(signal, fault.ClassOf(err).String(), reason).Add(float64(items))
}
