package self

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	rounds       *prometheus.CounterVec
	written      prometheus.Counter
	refused      *prometheus.CounterVec
	gatherErrors prometheus.Counter
	series       prometheus.Gauge
	duration     prometheus.Gauge
	lastSuccess  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		rounds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_self_rounds_total",
			Help: "Rounds of writing our own metrics, by result.",
		}, []string{"result"}),
		written: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "signalbox_self_samples_written_total",
			Help: "Samples of our own metrics that the store took.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_self_samples_refused_total",
			Help: "Samples of our own metrics that the store refused one by one, by reason.",
		}, []string{"reason"}),
		gatherErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "signalbox_self_gather_errors_total",
			Help: "Times that a source of our own metrics gave an error; what it gave besides was written.",
		}),
		series: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "signalbox_self_series",
			Help: "Series of our own metrics in the last round.",
		}),
		duration: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "signalbox_self_last_round_duration_seconds",
			Help: "Seconds that the last round took.",
		}),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "signalbox_self_last_success_timestamp_seconds",
			Help: "Unix time of the last round that was written.",
		}),
	}
	m.rounds.WithLabelValues("written")
	m.rounds.WithLabelValues("failed")
	for _, c := range []prometheus.Collector{m.rounds, m.written, m.refused, m.gatherErrors, m.series, m.duration, m.lastSuccess} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
