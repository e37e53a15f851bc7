package self

import (
	"hash/maphash"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"
)

// source is a Source with what is remembered of it between rounds.
type source struct {
	gatherer prometheus.Gatherer
	base     labels.Labels
	seed     maphash.Seed
	entries  map[uint64]*entry // by identity of the metric; collisions are chained
	health   [len(healthFamilies)]*entry

	// What the last gather gave.
	families []*dto.MetricFamily
	took     time.Duration
	failed   bool
}

// entry is one metric of a source: its identity and its series.
type entry struct {
	family string
	pairs  []string // label names and values in turn, as gathered
	next   *entry   // same hash, other identity
	series []series
	shape  shape
	seen   uint64 // the round that had it last
	stored bool   // some commit had it, so its end needs a stale marker
}

type series struct {
	labels labels.Labels
	ref    storage.SeriesRef
	// The exemplar last written; an unchanged one is the same object.
	exemplar *dto.Exemplar
}

// healthFamilies are about the source, as Prometheus adds them to a scrape.
var healthFamilies = [...]struct{ name, help string }{
	{"up", "Health of the scrape target. 1 means the target is healthy, 0 if the scrape failed."},
	{"scrape_duration_seconds", "Duration of the last scrape in seconds."},
	{"scrape_samples_scraped", "Number of samples last scraped."},
}

func newSource(s Source) *source {
	src := &source{
		gatherer: s.Gatherer,
		base:     labels.FromMap(s.Labels),
		seed:     maphash.MakeSeed(),
		entries:  map[uint64]*entry{},
	}
	for i, f := range healthFamilies {
		src.health[i] = &entry{family: f.name, series: []series{{labels: src.labels(f.name, nil, "", "")}}}
	}
	return src
}

// gather asks the source. What comes beside an error is used.
func (s *source) gather() error {
	began := time.Now()
	families, err := s.gatherer.Gather()
	s.families, s.took, s.failed = families, time.Since(began), err != nil
	return err
}

// find returns what is remembered of a metric, or nil, and its hash.
func (s *source) find(family string, m *dto.Metric) (*entry, uint64) {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.WriteString(family)
	for _, l := range m.GetLabel() {
		_ = h.WriteByte(0xff)
		_, _ = h.WriteString(l.GetName())
		_ = h.WriteByte(0xff)
		_, _ = h.WriteString(l.GetValue())
	}
	sum := h.Sum64()
	for e := s.entries[sum]; e != nil; e = e.next {
		if e.is(family, m) {
			return e, sum
		}
	}
	return nil, sum
}

func (e *entry) is(family string, m *dto.Metric) bool {
	if e.family != family || len(e.pairs) != 2*len(m.GetLabel()) {
		return false
	}
	for i, l := range m.GetLabel() {
		if e.pairs[2*i] != l.GetName() || e.pairs[2*i+1] != l.GetValue() {
			return false
		}
	}
	return true
}

func (s *source) add(family string, m *dto.Metric, sum uint64) *entry {
	e := &entry{family: family, next: s.entries[sum]}
	for _, l := range m.GetLabel() {
		e.pairs = append(e.pairs, l.GetName(), l.GetValue())
	}
	s.entries[sum] = e
	return e
}

// labels builds the labels of one series; extra is le or quantile.
func (s *source) labels(name string, m *dto.Metric, extra, value string) labels.Labels {
	b := labels.NewBuilder(s.base)
	for _, l := range m.GetLabel() {
		key := l.GetName()
		for s.base.Has(key) {
			key = "exported_" + key
		}
		b.Set(key, l.GetValue())
	}
	if extra != "" {
		b.Set(extra, value)
	}
	b.Set(model.MetricNameLabel, name)
	return b.Labels()
}

// gone calls f for each entry that the round did not have.
func (s *source) gone(round uint64, f func(*entry)) {
	for _, chain := range s.entries {
		for e := chain; e != nil; e = e.next {
			if e.seen != round {
				f(e)
			}
		}
	}
}

// committed remembers that the round is in the store, forgets what it did not
// have and returns how many series it had.
func (s *source) committed(round uint64) (count int) {
	for sum, chain := range s.entries {
		var kept *entry
		for e := chain; e != nil; {
			next := e.next
			if e.seen == round {
				e.stored = true
				e.next, kept = kept, e
				count += len(e.series)
			}
			e = next
		}
		switch {
		case kept == nil:
			delete(s.entries, sum)
		case kept != chain:
			s.entries[sum] = kept
		}
	}
	return count + len(s.health)
}

func metadataOf(f *dto.MetricFamily) metadata.Metadata {
	m := metadata.Metadata{Help: f.GetHelp(), Unit: f.GetUnit()}
	switch f.GetType() {
	case dto.MetricType_COUNTER:
		m.Type = model.MetricTypeCounter
	case dto.MetricType_GAUGE:
		m.Type = model.MetricTypeGauge
	case dto.MetricType_SUMMARY:
		m.Type = model.MetricTypeSummary
	case dto.MetricType_HISTOGRAM:
		m.Type = model.MetricTypeHistogram
	case dto.MetricType_GAUGE_HISTOGRAM:
		m.Type = model.MetricTypeGaugeHistogram
	default:
		m.Type = model.MetricTypeUnknown
	}
	return m
}
