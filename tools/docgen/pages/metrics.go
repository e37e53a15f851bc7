package pages

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Registry is what Metrics reads: *prometheus.Registry is one.
type Registry interface {
	prometheus.Gatherer
	Describe(ch chan<- *prometheus.Desc)
}

// metric is one row of the page.
type metric struct {
	name, typ, help string
	labels          []string
}

// Metrics renders the reference of the metrics about ourselves. Families that
// have no series yet are known by their description only, which has no type:
// theirs is stated when the name gives it away. Only names for which keep is
// true are listed; nil keeps all.
func Metrics(reg Registry, keep func(name string) bool) ([]byte, error) {
	families, err := reg.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather: %w", err)
	}
	all, err := described(reg)
	if err != nil {
		return nil, err
	}
	for _, f := range families {
		m, ok := all[f.GetName()]
		if !ok { // an unchecked collector describes nothing
			m = metric{name: f.GetName(), help: f.GetHelp(), labels: labelsOf(f)}
		}
		m.typ = strings.ToLower(f.GetType().String())
		if f.GetType() == dto.MetricType_HISTOGRAM && isNative(f) {
			m.typ = "native histogram"
		}
		all[f.GetName()] = m
	}
	var b bytes.Buffer
	fmt.Fprint(&b, "# Metrics of this program\n\nMade from the sources by `go run ./tools/docgen`; do not edit.\n\n")
	fmt.Fprint(&b, "| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if keep != nil && !keep(name) {
			continue
		}
		m := all[name]
		labels := make([]string, len(m.labels))
		for i, l := range m.labels {
			labels[i] = "`" + l + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, cmp.Or(m.typ, guessType(name)), strings.Join(labels, ", "), cell(m.help))
	}
	return b.Bytes(), nil
}

func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

// descText takes a Desc apart: its fields are private, its text is stable.
var descText = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"),(?: unit: "[^"]*",)? constLabels: \{(.*)\}, variableLabels: \{(.*?)\}`)

var constLabel = regexp.MustCompile(`(?:^|,)([A-Za-z_]\w*)="`)

// described reads the descriptions of all checked collectors.
func described(reg Registry) (map[string]metric, error) {
	ch := make(chan *prometheus.Desc)
	go func() {
		defer close(ch)
		reg.Describe(ch)
	}()
	all := map[string]metric{}
	var bad error
	for d := range ch { // to the end also after an error, so that the sender ends
		m, err := parseDesc(d.String())
		if err != nil {
			bad = cmp.Or(bad, err)
			continue
		}
		all[m.name] = m
	}
	return all, bad
}

func parseDesc(s string) (metric, error) {
	g := descText.FindStringSubmatch(s)
	if g == nil {
		return metric{}, fmt.Errorf("a metric's description has an unknown form: %s", s)
	}
	var m metric
	var err error
	if m.name, err = strconv.Unquote(g[1]); err != nil {
		return m, fmt.Errorf("%s: %w", s, err)
	}
	if m.help, err = strconv.Unquote(g[2]); err != nil {
		return m, fmt.Errorf("%s: %w", s, err)
	}
	for _, l := range constLabel.FindAllStringSubmatch(g[3], -1) {
		m.labels = append(m.labels, l[1])
	}
	for l := range strings.SplitSeq(g[4], ",") {
		// A constrained label is written as "c(name)".
		if l = strings.TrimSuffix(strings.TrimPrefix(l, "c("), ")"); l != "" {
			m.labels = append(m.labels, l)
		}
	}
	return m, nil
}

func labelsOf(f *dto.MetricFamily) []string {
	names := map[string]bool{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			names[l.GetName()] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// isNative says whether a histogram has native buckets, whatever else it has.
func isNative(f *dto.MetricFamily) bool {
	return len(f.GetMetric()) > 0 && f.GetMetric()[0].GetHistogram().Schema != nil
}

func guessType(name string) string {
	if strings.HasSuffix(name, "_total") {
		return "counter"
	}
	return ""
}
