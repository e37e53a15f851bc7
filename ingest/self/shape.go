package self

import (
	"math"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/labels"
)

// shape is what the number and labels of a metric's series depend on.
type shape struct {
	typ dto.MetricType
	// Upper bounds of the classic buckets, or quantiles.
	bounds []float64
	// classic: has buckets, sum and count as series; native: has a native histogram.
	classic, native bool
}

// fits reports whether a metric still has the shape, without allocating.
func (s *shape) fits(typ dto.MetricType, m *dto.Metric) bool {
	if s.typ != typ {
		return false
	}
	switch typ {
	case dto.MetricType_SUMMARY:
		return slices.EqualFunc(s.bounds, m.GetSummary().GetQuantile(), func(b float64, q *dto.Quantile) bool { return b == q.GetQuantile() })
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		h := m.GetHistogram()
		native := isNative(h)
		return s.native == native && s.classic == isClassic(h, native) &&
			slices.EqualFunc(s.bounds, h.GetBucket(), func(b float64, x *dto.Bucket) bool { return b == x.GetUpperBound() })
	default:
		return true
	}
}

func shapeOf(typ dto.MetricType, m *dto.Metric) shape {
	s := shape{typ: typ}
	switch typ {
	case dto.MetricType_SUMMARY:
		for _, q := range m.GetSummary().GetQuantile() {
			s.bounds = append(s.bounds, q.GetQuantile())
		}
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		h := m.GetHistogram()
		s.native = isNative(h)
		s.classic = isClassic(h, s.native)
		for _, b := range h.GetBucket() {
			s.bounds = append(s.bounds, b.GetUpperBound())
		}
	}
	return s
}

// isNative tells a histogram with native buckets, even while it has no observation.
func isNative(h *dto.Histogram) bool {
	return len(h.GetPositiveSpan()) > 0 || len(h.GetNegativeSpan()) > 0 || h.GetZeroThreshold() > 0 ||
		h.GetZeroCount() > 0 || h.GetZeroCountFloat() > 0
}

func isClassic(h *dto.Histogram, native bool) bool { return !native || len(h.GetBucket()) > 0 }

// hasInf reports whether the last bound is +Inf; if not, that bucket is made
// from the count.
func (s *shape) hasInf() bool { return len(s.bounds) > 0 && math.IsInf(s.bounds[len(s.bounds)-1], 1) }

// build makes the series of a metric, in the order in which batch.metric fills them.
func (s *source) build(name string, m *dto.Metric, sh shape) []series {
	var out []series
	add := func(name, extra, value string) {
		out = append(out, series{labels: s.labels(name, m, extra, value)})
	}
	switch sh.typ {
	case dto.MetricType_SUMMARY:
		for _, q := range sh.bounds {
			add(name, "quantile", formatBound(q))
		}
		add(name+"_sum", "", "")
		add(name+"_count", "", "")
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		if sh.native {
			add(name, "", "")
		}
		if !sh.classic {
			break
		}
		for _, le := range sh.bounds {
			add(name+"_bucket", labels.BucketLabel, formatBound(le))
		}
		if !sh.hasInf() {
			add(name+"_bucket", labels.BucketLabel, "+Inf")
		}
		add(name+"_sum", "", "")
		add(name+"_count", "", "")
	default:
		add(name, "", "")
	}
	return out
}

// formatBound writes a bound as scraping does: always as a float.
func formatBound(f float64) string {
	if math.IsInf(f, 1) {
		return "+Inf"
	}
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if strings.ContainsAny(s, "e.nN") {
		return s
	}
	return s + ".0"
}
