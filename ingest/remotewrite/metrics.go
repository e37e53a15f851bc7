package remotewrite

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	accepted    *prometheus.CounterVec // version, kind
	refused     *prometheus.CounterVec // reason
	failed      *prometheus.CounterVec // reason
	wireBytes   prometheus.Counter
	rawBytes    prometheus.Counter
	lookups     *prometheus.CounterVec // result
	lastSuccess prometheus.Gauge

	// Resolved once, because every request adds to them.
	kinds                    [3]kindCounters // by version
	predicted, found, parsed prometheus.Counter
}

type kindCounters struct{ samples, histograms, exemplars, metadata prometheus.Counter }

func newMetrics(reg prometheus.Registerer, c *cache) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	f := promauto.With(reg)
	m := &metrics{
		accepted: f.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_remotewrite_records_total",
			Help: "Records received by remote write and stored, by protocol version and kind.",
		}, []string{"version", "kind"}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_remotewrite_refused_records_total",
			Help: "Records received by remote write and refused one by one, by reason; what came with them was kept.",
		}, []string{"reason"}),
		failed: f.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_remotewrite_failed_requests_total",
			Help: "Remote write requests of which nothing was stored, by reason.",
		}, []string{"reason"}),
		wireBytes: f.NewCounter(prometheus.CounterOpts{
			Name: "signalbox_remotewrite_received_bytes_total",
			Help: "Bytes of remote write requests as they came over the network.",
		}),
		rawBytes: f.NewCounter(prometheus.CounterOpts{
			Name: "signalbox_remotewrite_decoded_bytes_total",
			Help: "Bytes of remote write requests after decompression.",
		}),
		lookups: f.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_remotewrite_series_lookups_total",
			Help: "Lookups of a series in the cache of references: predicted from the order, found by hash, or missed, so that labels were parsed.",
		}, []string{"result"}),
		lastSuccess: f.NewGauge(prometheus.GaugeOpts{
			Name: "signalbox_remotewrite_last_success_timestamp_seconds",
			Help: "Unix time at which a remote write request was last stored.",
		}),
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "signalbox_remotewrite_cached_series",
		Help: "Series that the cache of references has room for at present, in all tenants.",
	}, func() float64 { return float64(c.entries()) })
	f.NewCounterFunc(prometheus.CounterOpts{
		Name: "signalbox_remotewrite_cache_rotations_total",
		Help: "Times the cache of references dropped its older half because it was full.",
	}, func() float64 { return float64(c.rotations.Load()) })
	for version := 1; version <= 2; version++ {
		kind := func(k string) prometheus.Counter { return m.accepted.WithLabelValues(strconv.Itoa(version), k) }
		m.kinds[version] = kindCounters{kind("sample"), kind("histogram"), kind("exemplar"), kind("metadata")}
	}
	m.predicted = m.lookups.WithLabelValues("predicted")
	m.found = m.lookups.WithLabelValues("found")
	m.parsed = m.lookups.WithLabelValues("missed")
	return m
}

// observe adds what became of the request's records.
func (m *metrics) observe(q *request) {
	k := m.kinds[q.version]
	k.samples.Add(float64(q.samples))
	k.histograms.Add(float64(q.histograms))
	k.exemplars.Add(float64(q.exemplars))
	k.metadata.Add(float64(q.metadata))
	for reason, n := range q.refused {
		m.refused.WithLabelValues(reason).Add(float64(n))
	}
	m.predicted.Add(float64(q.now.predicted))
	m.found.Add(float64(q.now.hits + q.before.hits + q.before.predicted))
	m.parsed.Add(float64(q.misses))
	m.lastSuccess.SetToCurrentTime()
}
