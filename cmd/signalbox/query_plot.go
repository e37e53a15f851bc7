package main

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/guptarohit/asciigraph"
	"github.com/prometheus/common/model"
)

const (
	plotHeight = 12
	maxPlotted = 8 // lines in one plot that can still be told apart
)

var plotColours = []asciigraph.AnsiColor{
	asciigraph.Green, asciigraph.Blue, asciigraph.Red, asciigraph.Yellow,
	asciigraph.Magenta, asciigraph.Cyan, asciigraph.Orange, asciigraph.Gray,
}

// plotMarks tell series apart where there are no colours.
var plotMarks = []string{"", "*", "+", "x", "o", "#", "@", "%"}

// line is one series, a value for each column of the plot (NaN for a gap).
type line struct {
	name string
	mark string
	ys   []float64
	max  float64
}

// renderPlot draws the series of a range, the ones with the largest values when
// there are too many. It draws nothing when no series has a finite value.
func renderPlot(b *bytes.Buffer, scr screen, q promqlQuery, m model.Matrix) {
	const axis = 14 // columns that the labels of the y axis may take
	cols := max(20, scr.width-axis)
	var lines []line
	for _, s := range m {
		l := line{name: seriesName(s.Metric), ys: columns(s.Values, q, cols), max: math.Inf(-1)}
		for _, y := range l.ys {
			if !math.IsNaN(y) {
				l.max = max(l.max, y)
			}
		}
		if !math.IsInf(l.max, -1) {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return
	}
	left := len(lines) - maxPlotted
	if left > 0 {
		slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(b.max, a.max) })
		lines = lines[:maxPlotted]
	}
	draw(b, scr, q, lines)
	b.WriteByte('\n')
	legend(b, scr, lines)
	if left > 0 {
		fmt.Fprintf(b, "(the %d series with the largest values of %d)\n", maxPlotted, maxPlotted+left)
	}
	b.WriteByte('\n')
}

// draw hands the lines to the plotter, scaled to its rows: the plotter computes
// with the values as they come and would not survive large ones.
func draw(b *bytes.Buffer, scr screen, q promqlQuery, lines []line) {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, y := range l.ys {
			if !math.IsNaN(y) {
				lo, hi = min(lo, y), max(hi, y)
			}
		}
	}
	span := hi/2 - lo/2 // half of it, which cannot overflow
	data := make([][]float64, len(lines))
	for i, l := range lines {
		data[i] = make([]float64, len(l.ys))
		for j, y := range l.ys {
			if data[i][j] = 0; math.IsNaN(y) {
				data[i][j] = math.NaN()
			} else if span > 0 {
				data[i][j] = (y/2 - lo/2) / span * plotHeight
			}
		}
	}
	label := axisLabels(lo, hi)
	opts := []asciigraph.Option{
		asciigraph.Height(plotHeight),
		asciigraph.LowerBound(0),
		asciigraph.YAxisValueFormatter(func(y float64) string { return label(lo + y/plotHeight*span*2) }),
		asciigraph.XAxisRange(float64(q.start.UnixMilli()), float64(q.end.UnixMilli())),
		asciigraph.XAxisTickCount(max(2, min(7, scr.width/16))),
		asciigraph.XAxisValueFormatter(clock(q)),
	}
	if span > 0 {
		opts = append(opts, asciigraph.UpperBound(plotHeight))
	}
	if scr.colour {
		opts = append(opts, asciigraph.SeriesColors(plotColours[:len(lines)]...))
	} else if len(lines) > 1 {
		sets := make([]asciigraph.CharSet, len(lines))
		for i := range lines {
			if lines[i].mark = plotMarks[i]; lines[i].mark != "" {
				sets[i] = asciigraph.CreateCharSet(lines[i].mark)
			}
		}
		opts = append(opts, asciigraph.SeriesChars(sets...))
	}
	for row := range strings.SplitSeq(asciigraph.PlotMany(data, opts...), "\n") {
		b.WriteString(strings.TrimRight(row, " "))
		b.WriteByte('\n')
	}
}

// columns takes one value a column: the last point not older than a step, as
// far as the column is wide.
func columns(points []model.SamplePair, q promqlQuery, n int) []float64 {
	ys := make([]float64, n)
	width := float64(q.end.Sub(q.start).Milliseconds()) / float64(max(1, n-1))
	reach := max(width, float64(q.step.Milliseconds()))
	next := 0
	for i := range ys {
		ys[i] = math.NaN()
		t := float64(q.start.UnixMilli()) + float64(i)*width
		for next < len(points) && float64(points[next].Timestamp) <= t+0.5 {
			next++
		}
		if next == 0 {
			continue
		}
		p := points[next-1]
		if y := float64(p.Value); t-float64(p.Timestamp) < reach && !math.IsInf(y, 0) {
			ys[i] = y
		}
	}
	return ys
}

// axisLabels formats values so that neighbours of one plot differ.
func axisLabels(lo, hi float64) func(float64) string {
	digits := 4
	if m := max(math.Abs(lo), math.Abs(hi)); hi > lo && m > 0 {
		digits = min(12, max(4, int(math.Ceil(math.Log10(m/(hi/2-lo/2))))+2))
	}
	return func(f float64) string {
		if math.Abs(f) < (hi/2-lo/2)*1e-9 {
			f = 0
		}
		return strconv.FormatFloat(f, 'g', digits, 64)
	}
}

// clock labels the time axis as finely as the range needs.
func clock(q promqlQuery) func(float64) string {
	layout := "15:04"
	switch d := q.end.Sub(q.start); {
	case d < 10*time.Minute:
		layout = "15:04:05"
	case d > 48*time.Hour:
		layout = "01-02 15:04"
	}
	return func(ms float64) string { return time.UnixMilli(int64(ms)).Local().Format(layout) }
}

// legend names the lines, each on a row of its own: series names are long.
func legend(b *bytes.Buffer, scr screen, lines []line) {
	for i, l := range lines {
		mark := "─"
		if l.mark != "" {
			mark = l.mark
		}
		if scr.colour {
			mark = plotColours[i].String() + "■" + asciigraph.Default.String()
		}
		name := l.name
		if room := scr.width - 4; utf8.RuneCountInString(name) > room {
			name = string([]rune(name)[:room-1]) + "…"
		}
		fmt.Fprintf(b, "  %s %s\n", mark, name)
	}
}
