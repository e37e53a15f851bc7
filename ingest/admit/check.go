package admit

import (
	"errors"
	"time"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"signalbox/internal/fault"
)

// outside says in which direction t lies outside the allowed times.
func (a *appender) outside(t int64, ls labels.Labels) error {
	at := time.UnixMilli(t).UTC().Format(time.RFC3339Nano)
	if t > a.newest {
		return fault.Refuse("too_far_ahead", "%ssample of %s is more than limits.max_sample_ahead (%s) ahead of this machine's clock", seriesPrefix(ls), at, a.limits.MaxSampleAhead)
	}
	return fault.Refuse("too_old", "%ssample of %s is older than limits.max_sample_age (%s)", seriesPrefix(ls), at, a.limits.MaxSampleAge)
}

func seriesPrefix(ls labels.Labels) string {
	if ls.IsEmpty() {
		return ""
	}
	return "series " + clip(ls.String()) + ": "
}

// clip keeps an error readable whatever a sender puts into a label.
func clip(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// checkLabels looks at the labels of what may be a new series.
func (a *appender) checkLabels(ls labels.Labels) error {
	name := ls.Get(labels.MetricName)
	if name == "" {
		return fault.Refuse("no_metric_name", "series %s has no metric name", clip(ls.String()))
	}
	if dup, ok := ls.HasDuplicateLabelNames(); ok {
		return fault.Refuse("duplicate_label", "series of metric %q has the label %q twice", clip(name), clip(dup))
	}
	l := a.limits
	n := 0
	err := ls.Validate(func(lb labels.Label) error {
		n++
		switch {
		case lb.Name == "":
			return fault.Refuse("invalid_labels", "series of metric %q has a label without a name", clip(name))
		case !utf8.ValidString(lb.Name) || !utf8.ValidString(lb.Value):
			return fault.Refuse("invalid_utf8", "series of metric %q: label %q=%q is not UTF-8", clip(name), clip(lb.Name), clip(lb.Value))
		case l.MaxLabelNameBytes > 0 && len(lb.Name) > l.MaxLabelNameBytes:
			return fault.Refuse("label_name_too_long", "series of metric %q: label name %q has %d bytes, limits.max_label_name_bytes is %d", clip(name), clip(lb.Name), len(lb.Name), l.MaxLabelNameBytes)
		case l.MaxLabelValueBytes > 0 && len(lb.Value) > l.MaxLabelValueBytes:
			return fault.Refuse("label_value_too_long", "series of metric %q: the value of label %q has %d bytes, limits.max_label_value_bytes is %d", clip(name), clip(lb.Name), len(lb.Value), l.MaxLabelValueBytes)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if l.MaxLabels > 0 && n > l.MaxLabels {
		return fault.Refuse("too_many_labels", "series of metric %q has %d labels, limits.max_labels is %d", clip(name), n, l.MaxLabels)
	}
	return nil
}

// sentinels are what Prometheus' storage says about single samples.
var sentinels = []struct {
	err    error
	reason string
}{
	{storage.ErrOutOfOrderSample, "out_of_order"},
	{storage.ErrOutOfOrderExemplar, "out_of_order_exemplar"},
	{storage.ErrExemplarLabelLength, "exemplar_labels_too_long"},
	{storage.ErrDuplicateExemplar, "duplicate_exemplar"},
	{storage.ErrExemplarsDisabled, "exemplars_disabled"},
	{storage.ErrDuplicateSampleForTimestamp, "duplicate_timestamp"},
	{storage.ErrTooOldSample, "too_old"},
	{storage.ErrOutOfBounds, "out_of_bounds"},
	{storage.ErrOutOfOrderST, "out_of_order_start_time"},
}

// Classify gives Prometheus' errors about single samples the class Invalid and
// a reason; errors that have a class keep it.
func Classify(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
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
	return err
}
