package otlp

import (
	"errors"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"signalbox/internal/fault"
)

// planned is one data point that passed the checks.
type planned struct {
	samples int               // that the translation makes of it
	touch   *touch            // of its delta stream, nil for others
	end     pcommon.Timestamp // of a delta point, ns
}

// recorder stands between the translation and the sink. The translation gives
// up the rest of a metric at the first error of Append, so refusals are noted
// here, against the data point that the sample belongs to, and not passed on;
// only errors that concern the whole request are.
type recorder struct {
	storage.AppenderV2 // the sink's; Commit and Rollback are its caller's

	h        *Handler
	refusals *tally
	plan     []planned // points of the current resource, in order
	next     int       // index in plan of the point whose samples arrive now
	samples  int       // of that point that have arrived
	bad      error     // first refusal of a sample of that point
	fatal    error     // error of the sink that ends the request

	accepted    int   // points of the current resource
	first, last int64 // their earliest and latest time, in ms
	targets     map[targetKey]struct{}
}

func (r *recorder) init(h *Handler) {
	r.h = h
	r.targets = make(map[targetKey]struct{})
}

func (r *recorder) begin(app storage.AppenderV2, t *tally) {
	r.AppenderV2, r.refusals = app, t
}

func (r *recorder) beginResource() {
	r.next, r.samples, r.bad = 0, 0, nil
	r.accepted, r.first, r.last = 0, 0, 0
}

// maxPooledPlan keeps one giant request from pinning its plan.
const maxPooledPlan = 1 << 16

func (r *recorder) reset() {
	r.AppenderV2, r.refusals, r.fatal, r.bad = nil, nil, nil, nil
	clear(r.plan)
	if cap(r.plan) > maxPooledPlan {
		r.plan = nil
	}
	if len(r.targets) > 1024 {
		r.targets = make(map[targetKey]struct{})
	}
	clear(r.targets)
	r.plan = r.plan[:0]
	r.beginResource()
}

// Append implements storage.AppenderV2 for the translation.
func (r *recorder) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	if r.fatal != nil {
		return 0, r.fatal
	}
	if r.next >= len(r.plan) {
		return 0, r.targetInfo(ls, opts)
	}
	ref, err := r.AppenderV2.Append(ref, ls, st, t, v, h, fh, opts)
	if err != nil {
		if err = r.judge(err); err != nil {
			if r.fatal != nil {
				return 0, r.fatal
			}
			if r.bad == nil {
				r.bad = err
			}
		}
	}
	r.samples++
	if p := &r.plan[r.next]; r.samples >= p.samples {
		r.finish(p, t, opts.MetricFamilyName)
	}
	return ref, nil
}

// finish closes the current point, whose time is t ms.
func (r *recorder) finish(p *planned, t int64, metric string) {
	if r.bad != nil {
		r.refusals.add(metric, r.bad)
	} else {
		if r.accepted == 0 {
			r.first, r.last = t, t
		}
		r.first, r.last = min(r.first, t), max(r.last, t)
		r.accepted++
	}
	if p.touch != nil {
		p.touch.settle(r.bad == nil, p.end)
	}
	r.next++
	r.samples, r.bad = 0, nil
}

// judge returns nil for a sample that is in, and the refusal for one that is
// not. Anything else it puts into r.fatal.
func (r *recorder) judge(err error) error {
	var partial *storage.AppendPartialError
	if errors.As(err, &partial) {
		r.h.m.exemplars.Add(float64(len(partial.ExemplarErrors)))
		return nil
	}
	if refusal := refusalOf(err); refusal != nil {
		return refusal
	}
	r.fatal = err
	return err
}

// refusalOf returns err as an Invalid error with a reason, or nil when it
// concerns more than one sample.
func refusalOf(err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		if e.Class != fault.Invalid {
			return nil
		}
		return err
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return fault.Refuse(s.reason, "%w", err)
		}
	}
	if _, ok := errors.AsType[histogram.Error](err); ok {
		return fault.Refuse("invalid_histogram", "%w", err)
	}
	return nil
}

var sentinels = []struct {
	err    error
	reason string
}{
	{storage.ErrOutOfOrderSample, "out_of_order"},
	{storage.ErrOutOfBounds, "out_of_bounds"},
	{storage.ErrTooOldSample, "too_old"},
	{storage.ErrDuplicateSampleForTimestamp, "duplicate_timestamp"},
	{storage.ErrNativeHistogramsDisabled, "native_histograms_disabled"},
}
