package scrape

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	refused    *prometheus.CounterVec
	reloads    *prometheus.CounterVec
	lastReload prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_scrape_samples_refused_total",
			Help: "Scraped samples that the store refused one by one, by reason; the rest of their scrape was kept.",
		}, []string{"reason"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_scrape_reloads_total",
			Help: "Scrape configurations that were applied, by result.",
		}, []string{"result"}),
		lastReload: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "signalbox_scrape_last_reload_success_timestamp_seconds",
			Help: "Unix time at which a scrape configuration was last applied.",
		}),
	}
	m.reloads.WithLabelValues("applied")
	m.reloads.WithLabelValues("refused")
	for _, c := range []prometheus.Collector{m.refused, m.reloads, m.lastReload} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// replacingRegistry lets a new Scraper take over the metrics of an older one
// on the same registry. Prometheus' packages register at construction and
// treat a second registration as an error.
type replacingRegistry struct{ prometheus.Registerer }

func (r replacingRegistry) Register(c prometheus.Collector) error {
	err := r.Registerer.Register(c)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		r.Unregister(already.ExistingCollector)
		return r.Registerer.Register(c)
	}
	return err
}

func (r replacingRegistry) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			panic("BUG: " + err.Error())
		}
	}
}
