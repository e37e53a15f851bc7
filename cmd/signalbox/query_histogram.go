package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"github.com/prometheus/common/model"
)

// maxDrawn is the number of histograms up to which their buckets are drawn.
const maxDrawn = 4

// histogramLine is a native histogram in one line.
func histogramLine(h *model.SampleHistogram) string {
	count, sum := float64(h.Count), float64(h.Sum)
	line := fmt.Sprintf("count=%s sum=%s", short(count), short(sum))
	if count > 0 {
		line += " avg=" + short(sum/count)
	}
	return line
}

// renderHistograms draws the buckets of the native histograms of an answer,
// when there are few enough to look at.
func renderHistograms(b *bytes.Buffer, v model.Vector) {
	var with []*model.Sample
	for _, s := range v {
		if s.Histogram != nil && len(s.Histogram.Buckets) > 0 {
			with = append(with, s)
		}
	}
	if len(with) > maxDrawn {
		return
	}
	for _, s := range with {
		fmt.Fprintf(b, "\n%s\n", seriesName(s.Metric))
		renderBuckets(b, s.Histogram.Buckets)
	}
}

func renderBuckets(b *bytes.Buffer, buckets model.HistogramBuckets) {
	const width = 40
	most := 0.0
	for _, k := range buckets {
		most = max(most, float64(k.Count))
	}
	t := table{indent: "  ", right: []bool{true, true, false}}
	for _, k := range buckets {
		bar := ""
		if n := float64(k.Count); most > 0 && n > 0 && !math.IsInf(most, 0) {
			bar = strings.Repeat("█", max(1, int(math.Round(n/most*width))))
		}
		t.row(bounds(k), short(float64(k.Count)), bar)
	}
	t.write(b)
}

// bounds writes a bucket's interval with the ends that belong to it.
func bounds(k *model.HistogramBucket) string {
	left, right := "(", ")"
	if k.Boundaries == 1 || k.Boundaries == 3 {
		left = "["
	}
	if k.Boundaries == 0 || k.Boundaries == 3 {
		right = "]"
	}
	return left + short(float64(k.Lower)) + ", " + short(float64(k.Upper)) + right
}
