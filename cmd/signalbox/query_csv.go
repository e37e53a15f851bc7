package main

import (
	"bytes"
	"encoding/csv"
	"maps"
	"slices"
	"strconv"

	"github.com/prometheus/common/model"
)

// renderCSV writes a row a point: the labels, the time in seconds since 1970,
// the value. Histograms have no single value; they fill count and sum instead,
// columns that are there only with histograms.
func renderCSV(b *bytes.Buffer, v model.Value) error {
	w := csv.NewWriter(b)
	var rows []csvRow
	switch v := v.(type) {
	case *model.Scalar:
		rows = append(rows, csvRow{t: v.Timestamp, value: v.Value.String()})
	case *model.String:
		rows = append(rows, csvRow{t: v.Timestamp, value: v.Value})
	case model.Vector:
		for _, s := range v {
			rows = append(rows, newCSVRow(s.Metric, s.Timestamp, s.Value, s.Histogram))
		}
	case model.Matrix:
		for _, s := range v {
			for _, p := range s.Values {
				rows = append(rows, newCSVRow(s.Metric, p.Timestamp, p.Value, nil))
			}
			for _, p := range s.Histograms {
				rows = append(rows, newCSVRow(s.Metric, p.Timestamp, 0, p.Histogram))
			}
		}
	}
	if err := writeCSV(w, rows); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

type csvRow struct {
	metric            model.Metric
	t                 model.Time
	value, count, sum string
}

func newCSVRow(m model.Metric, t model.Time, v model.SampleValue, h *model.SampleHistogram) csvRow {
	if h != nil {
		return csvRow{metric: m, t: t, count: h.Count.String(), sum: h.Sum.String()}
	}
	return csvRow{metric: m, t: t, value: v.String()}
}

func writeCSV(w *csv.Writer, rows []csvRow) error {
	names := map[model.LabelName]bool{}
	histograms := false
	for _, r := range rows {
		for n := range r.metric {
			names[n] = true
		}
		histograms = histograms || r.count != ""
	}
	labels := slices.Sorted(maps.Keys(names))
	head := make([]string, 0, len(labels)+4)
	for _, n := range labels {
		head = append(head, string(n))
	}
	head = append(head, "timestamp", "value")
	if histograms {
		head = append(head, "count", "sum")
	}
	if err := w.Write(head); err != nil {
		return err
	}
	for _, r := range rows {
		rec := head[:0:0]
		for _, n := range labels {
			rec = append(rec, string(r.metric[n]))
		}
		rec = append(rec, strconv.FormatFloat(float64(r.t)/1e3, 'f', -1, 64), r.value)
		if histograms {
			rec = append(rec, r.count, r.sum)
		}
		if err := w.Write(rec); err != nil {
			return err
		}
	}
	return nil
}
