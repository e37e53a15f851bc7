package promql

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	finished *prometheus.CounterVec
	rejected prometheus.Counter
	duration prometheus.Histogram
	queue    prometheus.Histogram
	series   prometheus.Counter
	samples  prometheus.Counter
	running  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, waiting func() float64, limit int) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	const ns, sub = "signalbox", "query"
	// Tenths of milliseconds for a dashboard's instant query, minutes for a report.
	buckets := prometheus.ExponentialBuckets(0.0005, 4, 10)
	m := &metrics{
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Subsystem: sub, Name: "finished_total",
			Help: "PromQL queries that have ended, by outcome: success, or what stopped the query.",
		}, []string{"outcome"}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: ns, Subsystem: sub, Name: "rejected_total",
			Help: "PromQL queries that did not parse or were too long.",
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: sub, Name: "duration_seconds", Buckets: buckets,
			Help: "Time of PromQL queries from arrival to result, queueing included.",
		}),
		queue: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: sub, Name: "queue_duration_seconds", Buckets: buckets,
			Help: "Time PromQL queries waited for a slot.",
		}),
		series: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: ns, Subsystem: sub, Name: "series_total",
			Help: "Series that the selectors of PromQL queries have found.",
		}),
		samples: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: ns, Subsystem: sub, Name: "samples_total",
			Help: "Samples that PromQL queries have read.",
		}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: ns, Subsystem: sub, Name: "running",
			Help: "PromQL queries that run now.",
		}),
	}
	waitingGauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: ns, Subsystem: sub, Name: "waiting",
		Help: "PromQL queries that wait for a slot now.",
	}, waiting)
	limitGauge := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: ns, Subsystem: sub, Name: "running_limit",
		Help: "PromQL queries that may run at once.",
	})
	limitGauge.Set(float64(limit))
	reg.MustRegister(m.finished, m.rejected, m.duration, m.queue, m.series, m.samples, m.running, waitingGauge, limitGauge)
	return m
}
