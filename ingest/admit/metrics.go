package admit

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	received, accepted, refused *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	m := &metrics{
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_ingest_samples_received_total",
			Help: "Samples that arrived, by the door they came through.",
		}, []string{"door"}),
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_ingest_samples_accepted_total",
			Help: "Samples that were stored and acknowledged.",
		}, []string{"door"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_ingest_samples_refused_total",
			Help: "Samples (for reason exemplar: exemplars) that were not stored, by reason.",
		}, []string{"door", "reason"}),
	}
	reg.MustRegister(m.received, m.accepted, m.refused)
	return m
}
