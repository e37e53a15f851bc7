package otlp

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	bytes     *prometheus.CounterVec
	received  prometheus.Counter
	accepted  prometheus.Counter
	failed    prometheus.Counter
	refused   *prometheus.CounterVec
	exemplars prometheus.Counter
	targets   prometheus.Counter
	warnings  *prometheus.CounterVec
	success   prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_otlp_requests_total",
			Help: "OTLP metrics requests answered, by transport and status (HTTP status or gRPC code).",
		}, []string{"transport", "code"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "signalbox_otlp_request_duration_seconds",
			Help:    "Time from the start of an OTLP metrics request to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"transport"}),
		bytes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_otlp_received_bytes_total",
			Help: "Bytes of OTLP metrics requests: over HTTP as sent, over gRPC after decompression.",
		}, []string{"transport"}),
		received: f.NewCounter(prometheus.CounterOpts{
			Name: "signalbox_otlp_points_received_total",
			Help: "OTLP data points that were decoded.",
		}),
		accepted: f.NewCounter(prometheus.CounterOpts{
			Name: "signalbox_otlp_points_accepted_total",
			Help: "OTLP data points that were stored.",
		}),
		failed: f.NewCounter(prometheus.CounterOpts{
			Name: "signalbox_otlp_points_failed_total",
			Help: "OTLP data points of requests that failed as a whole and may be sent again.",
		}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_otlp_points_refused_total",
			Help: "OTLP data points that were refused for good, by reason.",
		}, []string{"reason"}),
		exemplars: f.NewCounter(prometheus.CounterOpts{
			Name: "signalbox_otlp_exemplars_refused_total",
			Help: "Exemplars that were refused while their data point was stored.",
		}),
		targets: f.NewCounter(prometheus.CounterOpts{
			Name: "signalbox_otlp_target_info_refused_total",
			Help: "Samples of target_info that the store refused.",
		}),
		warnings: f.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_otlp_translation_warnings_total",
			Help: "Warnings of the translation to Prometheus series, by category.",
		}, []string{"category"}),
		success: f.NewGauge(prometheus.GaugeOpts{
			Name: "signalbox_otlp_last_success_timestamp_seconds",
			Help: "Unix time at which OTLP metrics were last stored.",
		}),
	}
}

// registerDelta registers the gauge of delta series, which reads the tracker itself.
func registerDelta(reg prometheus.Registerer, d *deltas) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "signalbox_otlp_delta_series",
		Help: "Delta series that are being added up; a histogram counts one more for every 16 buckets.",
	}, func() float64 { return float64(d.used.Load()) })
}

func (m *metrics) answered(transport, code string, began time.Time) {
	m.requests.WithLabelValues(transport, code).Inc()
	m.duration.WithLabelValues(transport).Observe(time.Since(began).Seconds())
}
