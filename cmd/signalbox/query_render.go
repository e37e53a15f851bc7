package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
)

// render writes an answer in the format that was asked for, or in the one that
// suits it.
func render(w io.Writer, format string, q promqlQuery, ans *answer) error {
	var b bytes.Buffer
	switch format {
	case "json":
		if err := json.Indent(&b, ans.Data, "", "  "); err != nil {
			return fmt.Errorf("the answer is not valid JSON: %w", err)
		}
		b.WriteByte('\n')
	case "csv":
		if err := renderCSV(&b, ans.value); err != nil {
			return err
		}
	default:
		m, isMatrix := ans.value.(model.Matrix)
		switch {
		case isMatrix && q.isRange:
			if format != "table" {
				renderPlot(&b, screenOf(w), q, m)
			}
			renderSummary(&b, m)
		case isMatrix:
			renderPoints(&b, m)
		default:
			renderInstant(&b, ans.value)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// renderInstant is one line a series.
func renderInstant(b *bytes.Buffer, v model.Value) {
	switch v := v.(type) {
	case *model.Scalar:
		fmt.Fprintln(b, v.Value)
	case *model.String:
		fmt.Fprintln(b, v.Value)
	case model.Vector:
		if len(v) == 0 {
			fmt.Fprintln(b, "no series")
			return
		}
		t := table{right: []bool{false, true}}
		t.row("SERIES", "VALUE")
		for _, s := range v {
			if s.Histogram != nil {
				t.row(seriesName(s.Metric), histogramLine(s.Histogram))
			} else {
				t.row(seriesName(s.Metric), s.Value.String())
			}
		}
		t.write(b)
		renderHistograms(b, v)
	}
}

// renderPoints is the answer to an instant query of a range: every point.
func renderPoints(b *bytes.Buffer, m model.Matrix) {
	if len(m) == 0 {
		fmt.Fprintln(b, "no series")
	}
	for i, s := range m {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintln(b, seriesName(s.Metric))
		t := table{indent: "  ", right: []bool{false, true}}
		for _, p := range s.Values {
			t.row(stamp(p.Timestamp.Time()), p.Value.String())
		}
		for _, p := range s.Histograms {
			t.row(stamp(p.Timestamp.Time()), histogramLine(p.Histogram))
		}
		t.write(b)
	}
}

// renderSummary is one line a series of a range: how it ended and its bounds.
func renderSummary(b *bytes.Buffer, m model.Matrix) {
	if len(m) == 0 {
		fmt.Fprintln(b, "no series")
		return
	}
	t := table{right: []bool{false, true, true, true, true}}
	t.row("SERIES", "LAST", "MIN", "MAX", "POINTS")
	for _, s := range m {
		if n := len(s.Histograms); n > 0 {
			t.row(seriesName(s.Metric), histogramLine(s.Histograms[n-1].Histogram), "", "", strconv.Itoa(n+len(s.Values)))
			continue
		}
		if len(s.Values) == 0 {
			continue
		}
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, p := range s.Values {
			lo, hi = min(lo, nonNaN(p.Value, lo)), max(hi, nonNaN(p.Value, hi))
		}
		if lo > hi {
			lo, hi = math.NaN(), math.NaN()
		}
		t.row(seriesName(s.Metric), short(float64(s.Values[len(s.Values)-1].Value)), short(lo), short(hi), strconv.Itoa(len(s.Values)))
	}
	t.write(b)
}

func nonNaN(v model.SampleValue, instead float64) float64 {
	if math.IsNaN(float64(v)) {
		return instead
	}
	return float64(v)
}

// seriesName is the metric as PromQL writes it.
func seriesName(m model.Metric) string { return clean(m.String()) }

// clean keeps what a server sends from driving the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || (r >= 0x7f && r < 0xa0) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// short is a value with six digits, for people; csv and json give all of them.
func short(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }

// table aligns columns by the width of what stands in them.
type table struct {
	indent string
	right  []bool // columns aligned to the right
	rows   [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(b *bytes.Buffer) {
	var widths []int
	for _, r := range t.rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, r := range t.rows {
		var line strings.Builder
		line.WriteString(t.indent)
		for i, c := range r {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i < len(t.right) && t.right[i] {
				line.WriteString(pad + c)
			} else {
				line.WriteString(c + pad)
			}
			if i < len(r)-1 {
				line.WriteString("  ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
}
