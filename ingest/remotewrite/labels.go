package remotewrite

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/prometheus/prometheus/model/labels"

	"signalbox/internal/fault"
)

// maxLabelBytes bounds a label name or value. Operators set a lower bound for
// each tenant; this one keeps labels.Labels, whose lengths have 24 bits, from
// panicking.
const maxLabelBytes = 1 << 20

// maxLabels bounds the labels of a series in the same spirit: it keeps a series
// of a million empty labels from growing our buffers.
const maxLabels = 1 << 12

// borrow makes a string of bytes that belong to the request's body. It must not
// outlive the request: labels.ScratchBuilder copies what it is given (in its
// default build, which a test checks), everything else is cloned.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// labelSet gathers the labels of one series or exemplar. Its strings are
// borrowed from the body until labels copies them.
type labelSet struct {
	pairs   []labels.Label
	builder labels.ScratchBuilder
}

func (s *labelSet) reset() { s.pairs = s.pairs[:0] }

// forget drops the borrowed strings.
func (s *labelSet) forget() {
	clear(s.pairs[:cap(s.pairs)])
	if s.reset(); cap(s.pairs) > maxKept {
		s.pairs = nil
	}
	s.builder = labels.ScratchBuilder{}
}

// addMessage adds one Label message of version 1. Of more than maxLabels it
// keeps one, by which labels knows.
func (s *labelSet) addMessage(msg []byte) error {
	if len(s.pairs) > maxLabels {
		return nil
	}
	var name, value []byte
	f := fields{b: msg}
	for f.next() {
		switch f.num {
		case 1:
			if f.want(typBytes) {
				name = f.data
			}
		case 2:
			if f.want(typBytes) {
				value = f.data
			}
		}
	}
	s.pairs = append(s.pairs, labels.Label{Name: borrow(name), Value: borrow(value)})
	return f.err
}

// addFields adds a run of Label fields of version 1, whatever their number is.
func (s *labelSet) addFields(src []byte) error {
	f := fields{b: src}
	for len(s.pairs) <= maxLabels && f.next() {
		if err := s.addMessage(f.data); err != nil {
			return err
		}
	}
	return f.err
}

// addRefs adds pairs of symbol references, which the caller has checked.
func (s *labelSet) addRefs(t *symbols, refs []uint32) {
	for i := 1; i < len(refs); i += 2 {
		s.pairs = append(s.pairs, labels.Label{Name: t.borrow(refs[i-1]), Value: t.borrow(refs[i])})
	}
}

// labels validates, sorts and copies what was added; empty values are dropped.
func (s *labelSet) labels() (labels.Labels, *fault.Error) {
	if len(s.pairs) > maxLabels {
		return labels.EmptyLabels(), fault.Refuse("too_many_labels", "there are more than %d labels", maxLabels)
	}
	slices.SortStableFunc(s.pairs, func(a, b labels.Label) int { return strings.Compare(a.Name, b.Name) })
	for i, l := range s.pairs {
		switch {
		case l.Name == "":
			return labels.EmptyLabels(), fault.Refuse("invalid_label_name", "a label has no name")
		case len(l.Name) > maxLabelBytes || len(l.Value) > maxLabelBytes:
			return labels.EmptyLabels(), fault.Refuse("label_too_long", "a label has more than %d bytes: %q", maxLabelBytes, short(l.Name))
		case !utf8.ValidString(l.Name):
			return labels.EmptyLabels(), fault.Refuse("invalid_label_name", "label name %q is not valid UTF-8", short(l.Name))
		case !utf8.ValidString(l.Value):
			return labels.EmptyLabels(), fault.Refuse("invalid_label_value", "the value of label %q is not valid UTF-8", short(l.Name))
		case i > 0 && s.pairs[i-1].Name == l.Name:
			return labels.EmptyLabels(), fault.Refuse("duplicate_label", "label %q is there twice", short(l.Name))
		}
	}
	s.builder.Reset()
	for _, l := range s.pairs {
		if l.Value != "" {
			s.builder.Add(l.Name, l.Value)
		}
	}
	return s.builder.Labels(), nil
}

// metricLabels is labels for a series, which needs a name.
func (s *labelSet) metricLabels() (labels.Labels, *fault.Error) {
	ls, refused := s.labels()
	if refused == nil && ls.Get(labels.MetricName) == "" {
		return ls, fault.Refuse("missing_metric_name", "the series has no metric name")
	}
	return ls, refused
}

// maxShown is how many bytes of a sender's text an answer repeats.
const maxShown = 200

// short cuts s to what fits an answer.
func short(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return s[:maxShown] + "…"
}

// describe names the series for a person, whether it is valid or not.
func (s *labelSet) describe() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, l := range s.pairs {
		if b.Len() > 2*maxShown {
			b.WriteString(", …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(short(l.Name))
		b.WriteByte('=')
		b.WriteString(strconv.Quote(short(l.Value)))
	}
	b.WriteByte('}')
	return b.String()
}
