package self

import (
	"errors"
	"math"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"

	"signalbox/internal/fault"
)

// batch is the appender of one round. After an error that is not about one
// sample alone it does nothing more.
type batch struct {
	w        *Writer
	app      storage.AppenderV2
	t        int64 // ms
	appended int
	err      error
	meta     metadata.Metadata
	family   string
}

// source appends everything that a source gave, its health, and stale markers
// for what it no longer has.
func (a *batch) source(s *source) {
	scraped := a.appended
	for _, f := range s.families {
		a.meta, a.family = metadataOf(f), f.GetName()
		for _, m := range f.GetMetric() {
			a.metric(s, f, m)
			if a.err != nil {
				return
			}
		}
	}
	scraped = a.appended - scraped
	a.health(s, scraped)
	s.gone(a.w.round, func(e *entry) {
		if e.stored {
			a.stale(e.series)
		}
	})
}

func (a *batch) health(s *source, scraped int) {
	up := 1.0
	if s.failed {
		up = 0
	}
	for i, v := range [len(healthFamilies)]float64{up, s.took.Seconds(), float64(scraped)} {
		f := healthFamilies[i]
		a.family, a.meta = f.name, metadata.Metadata{Type: model.MetricTypeGauge, Help: f.help}
		a.float(&s.health[i].series[0], 0, v, nil)
	}
}

func (a *batch) metric(s *source, f *dto.MetricFamily, m *dto.Metric) {
	name, typ := f.GetName(), f.GetType()
	e, sum := s.find(name, m)
	switch {
	case e == nil:
		e = s.add(name, m, sum)
		e.shape = shapeOf(typ, m)
		e.series = s.build(name, m, e.shape)
	case !e.shape.fits(typ, m):
		old := e.series
		e.shape = shapeOf(typ, m)
		e.series = s.build(name, m, e.shape)
		if e.stored {
			a.stale(without(old, e.series))
		}
	}
	e.seen = a.w.round

	switch typ {
	case dto.MetricType_COUNTER:
		c := m.GetCounter()
		a.float(&e.series[0], millis(c.GetCreatedTimestamp()), c.GetValue(), c.GetExemplar())
	case dto.MetricType_GAUGE:
		a.float(&e.series[0], 0, m.GetGauge().GetValue(), nil)
	case dto.MetricType_SUMMARY:
		a.summary(e, m.GetSummary())
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		a.histogram(e, m.GetHistogram())
	default:
		a.float(&e.series[0], 0, m.GetUntyped().GetValue(), nil)
	}
}

func (a *batch) summary(e *entry, s *dto.Summary) {
	st := millis(s.GetCreatedTimestamp())
	n := len(s.GetQuantile())
	for i, q := range s.GetQuantile() {
		a.float(&e.series[i], 0, q.GetValue(), nil)
	}
	a.float(&e.series[n], st, s.GetSampleSum(), nil)
	a.float(&e.series[n+1], st, float64(s.GetSampleCount()), nil)
}

func (a *batch) histogram(e *entry, h *dto.Histogram) {
	st := millis(h.GetCreatedTimestamp())
	i := 0
	if e.shape.native {
		ih, fh := nativeHistogram(h)
		a.append(&e.series[0], st, 0, ih, fh, nil)
		i++
	}
	if !e.shape.classic {
		return
	}
	count := h.GetSampleCountFloat()
	if count == 0 {
		count = float64(h.GetSampleCount())
	}
	for _, b := range h.GetBucket() {
		v := b.GetCumulativeCountFloat()
		if v == 0 {
			v = float64(b.GetCumulativeCount())
		}
		a.float(&e.series[i], st, v, b.GetExemplar())
		i++
	}
	if !e.shape.hasInf() {
		a.float(&e.series[i], st, count, nil)
		i++
	}
	a.float(&e.series[i], st, h.GetSampleSum(), nil)
	a.float(&e.series[i+1], st, count, nil)
}

func (a *batch) stale(gone []series) {
	a.family, a.meta = "", metadata.Metadata{}
	for i := range gone {
		a.float(&gone[i], 0, math.Float64frombits(value.StaleNaN), nil)
	}
}

func (a *batch) float(s *series, st int64, v float64, e *dto.Exemplar) {
	a.append(s, st, v, nil, nil, e)
}

func (a *batch) append(s *series, st int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, e *dto.Exemplar) {
	if a.err != nil {
		return
	}
	opts := storage.AOptions{MetricFamilyName: a.family, Metadata: a.meta}
	if e != nil && e != s.exemplar {
		opts.Exemplars = a.w.exemplars.convert(e, a.t)
	}
	ref, err := a.app.Append(s.ref, s.labels, st, a.t, v, h, fh, opts)
	if err != nil && !errors.Is(err, &storage.AppendPartialError{}) {
		reason := refusal(err)
		if reason == "" {
			a.err = err
			return
		}
		a.w.metrics.refused.WithLabelValues(reason).Inc()
		return
	}
	s.ref, s.exemplar = ref, e
	a.appended++
}

// refusal returns the counted reason if err is about one sample alone, "" if
// the round failed.
func refusal(err error) string {
	switch {
	case errors.Is(err, storage.ErrOutOfOrderSample):
		return "out_of_order"
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		return "duplicate_timestamp"
	case errors.Is(err, storage.ErrOutOfBounds):
		return "out_of_bounds"
	case errors.Is(err, storage.ErrTooOldSample):
		return "too_old"
	case errors.Is(err, storage.ErrNativeHistogramsDisabled):
		return "native_histograms_disabled"
	case fault.Is(err, fault.Invalid):
		if reason := fault.ReasonOf(err); reason != "" {
			return reason
		}
		return "other"
	}
	if _, bad := errors.AsType[histogram.Error](err); bad {
		return "bad_histogram"
	}
	return ""
}

// without returns the series of old that are not in now.
func without(old, now []series) (gone []series) {
	kept := make(map[uint64][]labels.Labels, len(now))
	for _, s := range now {
		kept[s.labels.Hash()] = append(kept[s.labels.Hash()], s.labels)
	}
next:
	for _, s := range old {
		for _, l := range kept[s.labels.Hash()] {
			if labels.Equal(l, s.labels) {
				continue next
			}
		}
		gone = append(gone, s)
	}
	return gone
}
