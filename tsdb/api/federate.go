package api

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"signalbox/internal/fault"
	"signalbox/internal/httpserver"
	"signalbox/tsdb/promql"
)

// fedSample is the newest sample of a series.
type fedSample struct {
	name   string
	lset   labels.Labels
	t      int64 // Unix milliseconds
	f      float64
	h      *histogram.FloatHistogram // nil for a float
	custom bool                      // h has custom buckets
}

// federate answers the newest sample of each selected series in an exposition
// format, for a Prometheus that scrapes us.
func (a *API) federate(w http.ResponseWriter, r *http.Request) {
	sets, err := a.opts.Engine.Parser().ParseMetricSelectors(r.Form["match[]"])
	if err != nil {
		a.metrics.refused.WithLabelValues("parameter").Inc()
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	format := expfmt.NegotiateIncludingOpenMetrics(r.Header) //nolint:staticcheck // the formats that federation has always offered
	samples, err := a.newestSamples(r, sets, format)
	if err != nil {
		a.metrics.federateErrors.Inc()
		httpserver.WriteError(w, err)
		return
	}
	a.metrics.federateSeries.Add(float64(len(samples)))
	w.Header().Set("Content-Type", string(format))
	if err := a.writeFamilies(w, format, samples); err != nil {
		a.metrics.federateErrors.Inc()
		a.log.Warn("federation answer was cut short", "err", err)
	}
}

// carries says whether a format has a place for the sample: exponential buckets
// exist in protobuf only, fractional counts everywhere but in OpenMetrics.
func carries(format expfmt.Format, s fedSample) bool {
	switch format.FormatType() {
	case expfmt.TypeProtoDelim, expfmt.TypeProtoText, expfmt.TypeProtoCompact:
		return true
	case expfmt.TypeOpenMetrics:
		return s.h == nil || s.custom && wholeCounts(s.h)
	default:
		return s.h == nil || s.custom
	}
}

// newestSamples is sorted by metric name, and by labels within one.
func (a *API) newestSamples(r *http.Request, sets [][]*labels.Matcher, format expfmt.Format) ([]fedSample, error) {
	if len(sets) == 0 {
		return nil, nil
	}
	now := a.now()
	mint, maxt := now.Add(-a.opts.Engine.LookbackDelta()).UnixMilli(), now.UnixMilli()
	q, err := a.opts.Store.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	defer func() { _ = q.Close() }()

	hints := &storage.SelectHints{Start: mint, End: maxt}
	var selected []storage.SeriesSet
	for _, ms := range sets {
		selected = append(selected, q.Select(r.Context(), true, hints, ms...))
	}
	merged := storage.NewMergeSeriesSet(selected, 0, storage.ChainedSeriesMerge)
	var (
		out []fedSample
		it  chunkenc.Iterator
	)
	for merged.Next() {
		s := merged.At()
		name := s.Labels().Get(model.MetricNameLabel)
		if name == "" {
			a.metrics.federateSkipped.WithLabelValues("nameless").Inc()
			continue
		}
		it = s.Iterator(it)
		sample, ok := newest(it, mint, maxt)
		if err := it.Err(); err != nil {
			return nil, promql.StorageError(err)
		}
		if !ok {
			continue
		}
		if value.IsStaleNaN(sample.f) || sample.h != nil && value.IsStaleNaN(sample.h.Sum) {
			// The formats have no stale marker; leaving the series out says the same.
			a.metrics.federateSkipped.WithLabelValues("stale").Inc()
			continue
		}
		if !carries(format, sample) {
			a.metrics.federateSkipped.WithLabelValues("histogram").Inc()
			continue
		}
		sample.name, sample.lset = name, s.Labels()
		out = append(out, sample)
		if len(out) > a.cfg.FederateMaxSeries {
			return nil, fault.Refuse("federate_max_series", "the selectors match more series than api.federate_max_series (%d)", a.cfg.FederateMaxSeries)
		}
	}
	if err := merged.Err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b fedSample) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// newest reads the last sample from mint to maxt; false when there is none.
func newest(it chunkenc.Iterator, mint, maxt int64) (fedSample, bool) {
	var s fedSample
	found := false
	for vt := it.Seek(mint); vt != chunkenc.ValNone && it.AtT() <= maxt; vt = it.Next() {
		found = true
		switch vt {
		case chunkenc.ValFloat:
			s.t, s.f = it.At()
			s.h = nil
		default:
			s.t, s.h = it.AtFloatHistogram(s.h)
			s.f = 0
		}
	}
	s.custom = s.h != nil && s.h.UsesCustomBuckets()
	return s, found
}

// extraLabels are added where a series does not have them. The empty instance
// keeps a scraper with honor_labels from putting its own there.
func (a *API) extraLabels() ([]string, map[string]string) {
	extra := maps.Clone(a.opts.ExternalLabels())
	if extra == nil {
		extra = map[string]string{}
	}
	if _, ok := extra[model.InstanceLabel]; !ok {
		extra[model.InstanceLabel] = ""
	}
	return slices.Sorted(maps.Keys(extra)), extra
}

func (a *API) writeFamilies(w io.Writer, format expfmt.Format, samples []fedSample) error {
	enc := expfmt.NewEncoder(w, format)
	names, extra := a.extraLabels()
	var family *familyBuilder
	flush := func() error {
		if family == nil {
			return nil
		}
		if err := enc.Encode(family.mf); err != nil {
			return fmt.Errorf("encode %s: %w", family.mf.GetName(), err)
		}
		return nil
	}
	for _, s := range samples {
		if family == nil || !family.fits(s) {
			if err := flush(); err != nil {
				return err
			}
			family = newFamily(s)
		}
		family.add(s, names, extra)
	}
	err := flush()
	if closer, ok := enc.(expfmt.Closer); ok {
		err = errors.Join(err, closer.Close()) // OpenMetrics ends with # EOF
	}
	return err
}
