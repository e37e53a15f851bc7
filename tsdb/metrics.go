package tsdb

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

type metrics struct {
	reg         prometheus.Registerer
	logFailures *prometheus.CounterVec
	logRepairs  *prometheus.CounterVec
	all         []prometheus.Collector
}

func newMetrics(reg prometheus.Registerer, db *DB) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	m := &metrics{
		reg: reg,
		logFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_tsdb_log_failures_total",
			Help: "Times that the write-ahead log could not be written and the store stopped taking writes.",
		}, []string{"tenant"}),
		logRepairs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_tsdb_log_repairs_total",
			Help: "Times that a write-ahead log had a damaged end when its store was opened and was cut there.",
		}, []string{"tenant"}),
	}
	m.all = []prometheus.Collector{m.logFailures, m.logRepairs, newStoreCollector(db)}
	for _, c := range m.all {
		reg.MustRegister(c)
	}
	return m
}

// unregister makes room for another DB on the same registry.
func (m *metrics) unregister() {
	for _, c := range m.all {
		m.reg.Unregister(c)
	}
}

// shown are the figures of Prometheus' TSDB that are worth a series of ours:
// its name there, without prometheus_tsdb_, and our sentence.
var shown = map[string]string{
	"head_chunks":                              "Chunks in memory.",
	"head_gc_duration_seconds":                 "Time spent on removing old series from memory.",
	"head_samples_appended_total":              "Samples appended.",
	"head_series_created_total":                "Series that became active.",
	"head_series_removed_total":                "Series that ceased to be active.",
	"head_out_of_order_samples_appended_total": "Samples appended that were older than the newest of their series.",
	"out_of_order_samples_total":               "Samples refused because they were older than the newest of their series and out of order was off.",
	"too_old_samples_total":                    "Samples refused because they were older than the out-of-order window.",
	"out_of_bound_samples_total":               "Samples refused because they were older than what is still in memory.",
	"compactions_total":                        "Compactions done.",
	"compactions_failed_total":                 "Compactions that failed.",
	"wal_corruptions_total":                    "Damaged records found in the write-ahead log.",
	"wal_truncations_failed_total":             "Truncations of the write-ahead log that failed.",
	"wal_storage_size_bytes":                   "Bytes of the write-ahead log.",
	"storage_blocks_bytes":                     "Bytes of the blocks on disk.",
	"blocks_loaded":                            "Blocks on disk.",
	"mmap_chunk_corruptions_total":             "Damaged chunk files found.",
	"exemplar_exemplars_in_storage":            "Exemplars kept.",
	"exemplar_exemplars_appended_total":        "Exemplars appended.",
	"time_retentions_total":                    "Blocks deleted because of their age.",
	"size_retentions_total":                    "Blocks deleted because of the space they took.",
}

// storeCollector shows each tenant's store under our names.
type storeCollector struct {
	db     *DB
	active *prometheus.Desc
	free   *prometheus.Desc
	state  *prometheus.Desc
}

func newStoreCollector(db *DB) *storeCollector {
	return &storeCollector{
		db:     db,
		active: prometheus.NewDesc("signalbox_tsdb_active_series", "Series in memory.", []string{"tenant"}, nil),
		state:  prometheus.NewDesc("signalbox_tsdb_writable", "Whether the tenant's store takes writes (1) or waits for the disk (0).", []string{"tenant"}, nil),
		free:   prometheus.NewDesc("signalbox_tsdb_disk_free_bytes", "Free bytes on the disk of the data folder.", nil, nil),
	}
}

// Describe implements prometheus.Collector; the families of a store depend on
// the library, so the collector is unchecked.
func (*storeCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *storeCollector) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(c.free, prometheus.GaugeValue, float64(c.db.space.freeBytes()))
	for _, t := range c.db.all() {
		id := string(t.id)
		writable := 1.0
		if t.writable() != nil {
			writable = 0
		}
		out <- prometheus.MustNewConstMetric(c.state, prometheus.GaugeValue, writable, id)
		out <- prometheus.MustNewConstMetric(c.active, prometheus.GaugeValue, float64(t.series.active.Load()), id)
		s, err := t.acquire()
		if err != nil {
			continue
		}
		fams, err := s.reg.Gather()
		t.release()
		if err != nil {
			t.db.log.Debug("gathering metrics of a store", "tenant", t.id, "err", err)
		}
		for _, f := range fams {
			emit(out, f, id)
		}
	}
}

func emit(out chan<- prometheus.Metric, f *dto.MetricFamily, id string) {
	name, ok := strings.CutPrefix(f.GetName(), "prometheus_tsdb_")
	help := shown[name]
	if !ok || help == "" {
		return
	}
	name = "signalbox_tsdb_" + strings.TrimPrefix(name, "storage_")
	for _, m := range f.GetMetric() {
		names, values := []string{"tenant"}, []string{id}
		for _, l := range m.GetLabel() {
			names, values = append(names, l.GetName()), append(values, l.GetValue())
		}
		d := prometheus.NewDesc(name, help, names, nil)
		switch {
		case m.GetCounter() != nil:
			out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, m.GetCounter().GetValue(), values...)
		case m.GetGauge() != nil:
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, m.GetGauge().GetValue(), values...)
		case m.GetSummary() != nil:
			out <- prometheus.MustNewConstSummary(d, m.GetSummary().GetSampleCount(), m.GetSummary().GetSampleSum(), nil, values...)
		}
	}
}

// gaugeOf reads one gauge of a registry, 0 when it is not there.
func gaugeOf(reg *prometheus.Registry, name string) float64 {
	return firstOf(reg, name).GetGauge().GetValue()
}

// counterOf reads one counter of a registry, 0 when it is not there.
func counterOf(reg *prometheus.Registry, name string) float64 {
	return firstOf(reg, name).GetCounter().GetValue()
}

func firstOf(reg *prometheus.Registry, name string) *dto.Metric {
	fams, _ := reg.Gather() // what could be gathered is returned beside the error
	for _, f := range fams {
		if f.GetName() == name && len(f.GetMetric()) > 0 {
			return f.GetMetric()[0]
		}
	}
	return nil
}
