package hostmetrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	errors *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, parts []part) (*metrics, error) {
	m := &metrics{errors: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "signalbox_hostmetrics_errors_total",
		Help: "Measurements of this machine that failed, by part.",
	}, []string{"part"})}
	for _, p := range parts {
		m.errors.WithLabelValues(p.name)
	}
	return m, reg.Register(m.errors)
}
