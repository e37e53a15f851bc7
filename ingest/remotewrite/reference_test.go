package remotewrite

import (
	"cmp"
	"math"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"signalbox/internal/tenant"
)

// The reference: the same request through Prometheus' own decoder and rules.
// ok is false for what the two do differently on purpose, exemplars without a
// sample and limits on sizes.

// validLabels applies the rules of Prometheus' receiver and head.
func validLabels(ls labels.Labels) (string, bool) {
	if !ls.Has(labels.MetricName) || !ls.IsValid(model.UTF8Validation) {
		return "", false
	}
	if _, dup := ls.HasDuplicateLabelNames(); dup {
		return "", false
	}
	return ls.WithoutEmpty().String(), true
}

func referenceV1(req *prompb.WriteRequest) (rows []row, refusedSeries int, ok bool) {
	b := labels.NewScratchBuilder(0)
	for _, ts := range req.Timeseries {
		if len(ts.Samples)+len(ts.Histograms) == 0 && len(ts.Exemplars) > 0 || len(ts.Labels) > maxLabels {
			return nil, 0, false
		}
		name, valid := validLabels(ts.ToLabels(&b, nil))
		if !valid {
			continue
		}
		r := referenceSeries{name: name}
		for _, s := range ts.Samples {
			r.sample(0, s.Timestamp, s.Value)
		}
		for _, h := range ts.Histograms {
			if h.Size() > maxHistogramBytes {
				return nil, 0, false
			}
			if h.IsFloatHistogram() {
				r.float(0, h.Timestamp, h.ToFloatHistogram())
			} else {
				r.int(0, h.Timestamp, h.ToIntHistogram())
			}
		}
		for _, e := range ts.Exemplars {
			r.exemplar(e.ToExemplar(&b, nil))
		}
		rows = append(rows, r.done()...)
		if len(ts.Samples)+len(ts.Histograms) == 0 {
			refusedSeries++
		}
	}
	return rows, refusedSeries, true
}

func referenceV2(req *writev2.Request) (rows []row, ok bool) {
	b := labels.NewScratchBuilder(0)
	for _, ts := range req.Timeseries {
		if len(ts.Samples)+len(ts.Histograms) == 0 && len(ts.Exemplars) > 0 || len(ts.LabelsRefs) > 2*maxLabels {
			return nil, false
		}
		ls, err := ts.ToLabels(&b, req.Symbols)
		if err != nil {
			continue
		}
		if ts.Metadata.Type != 0 || ts.Metadata.HelpRef != 0 || ts.Metadata.UnitRef != 0 {
			if _, err := ts.ToMetadata(req.Symbols); err != nil {
				continue
			}
		}
		name, valid := validLabels(ls)
		if !valid {
			continue
		}
		r := referenceSeries{name: name}
		for _, s := range ts.Samples {
			r.sample(s.StartTimestamp, s.Timestamp, s.Value)
		}
		for _, h := range ts.Histograms {
			if h.Size() > maxHistogramBytes {
				return nil, false
			}
			if h.IsFloatHistogram() {
				r.float(h.StartTimestamp, h.Timestamp, h.ToFloatHistogram())
			} else {
				r.int(h.StartTimestamp, h.Timestamp, h.ToIntHistogram())
			}
		}
		for _, e := range ts.Exemplars {
			if ex, err := e.ToExemplar(&b, req.Symbols); err == nil {
				r.exemplar(ex)
			}
		}
		rows = append(rows, r.done()...)
	}
	return rows, true
}

type referenceSeries struct {
	name      string
	rows      []row
	bad       bool // the last record is refused, and what rides on it
	exemplars []exemplar.Exemplar
}

func (r *referenceSeries) sample(st, t int64, v float64) {
	r.rows = append(r.rows, row{Tenant: tenant.Default, Series: r.name, ST: st, T: t, Bits: math.Float64bits(v)})
	r.bad = false
}

func (r *referenceSeries) int(st, t int64, h *histogram.Histogram) {
	r.bad = true
	if h.Schema > 8 && h.Schema <= 52 && h.ReduceResolution(8) != nil || h.Validate() != nil {
		return
	}
	w := intRow(st, t, h)
	w.Series = r.name
	r.rows, r.bad = append(r.rows, w), false
}

func (r *referenceSeries) float(st, t int64, h *histogram.FloatHistogram) {
	r.bad = true
	if h.Schema > 8 && h.Schema <= 52 && h.ReduceResolution(8) != nil || h.Validate() != nil {
		return
	}
	w := floatRow(st, t, h)
	w.Series = r.name
	r.rows, r.bad = append(r.rows, w), false
}

func (r *referenceSeries) exemplar(e exemplar.Exemplar) {
	valid := true
	e.Labels.Range(func(l labels.Label) {
		valid = valid && l.Name != "" && model.LabelValue(l.Name).IsValid() && model.LabelValue(l.Value).IsValid()
	})
	if _, dup := e.Labels.HasDuplicateLabelNames(); dup || !valid {
		return
	}
	e.Labels = e.Labels.WithoutEmpty()
	r.exemplars = append(r.exemplars, e)
}

func (r *referenceSeries) done() []row {
	slices.SortStableFunc(r.exemplars, func(a, b exemplar.Exemplar) int { return cmp.Compare(a.Ts, b.Ts) })
	if len(r.rows) > 0 && !r.bad {
		for _, e := range r.exemplars {
			last := &r.rows[len(r.rows)-1]
			last.Exemplars = append(last.Exemplars, exemplarText(e))
		}
	}
	return r.rows
}
