package otlp

import (
	"encoding/base64"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"signalbox/internal/fault"
)

// These bounds protect us; operators set lower ones for each tenant. The
// translation joins values whose names become equal, and labels.Labels panics
// at 16 MiB, so both a text and the sum of all are bounded. Joining and looking
// names up take quadratic time in the number.
const (
	maxTextBytes   = 1 << 20 // of a name or value
	maxEntityBytes = 8 << 20 // of all attributes of one point, exemplar, resource or scope
	maxAttributes  = 1 << 10 // of the same
	// maxLabelBytes bounds the labels that one request makes us build, each
	// sample's counted anew: a resource of megabytes over a million points, or a
	// histogram of a million buckets, would keep us busy for hours.
	maxLabelBytes = 32 << 30
)

// sizes are the bytes that the labels of the point at hand come from.
type sizes struct{ resource, scope, metric, point int }

// build counts the labels of a point's samples.
func (b *batch) build(samples int) *fault.Error {
	b.built += int64(samples) * int64(b.sizes.resource+b.sizes.scope+b.sizes.metric+b.sizes.point)
	if b.built > maxLabelBytes {
		return fault.Refuse("too_many_label_bytes", "the samples of the request have more than %d bytes of labels: send smaller ones", int64(maxLabelBytes))
	}
	return nil
}

// maxShownBytes is how much of a sender's name a refusal repeats.
const maxShownBytes = 100

// checkEntity checks the attributes of a resource, which are part of the
// identity of all points under it. A name that no label can be made of is
// dropped.
func (b *batch) checkEntity(attrs pcommon.Map) *fault.Error {
	sum, bad := checkTexts(attrs)
	b.sizes.resource = sum
	attrs.RemoveIf(func(k string, _ pcommon.Value) bool { return len(k) > maxTextBytes || !b.canBeLabel(k) })
	return bad
}

// checkScope checks a scope, which may become labels, too.
func (b *batch) checkScope(sm pmetric.ScopeMetrics) *fault.Error {
	s, texts := sm.Scope(), 0
	for _, text := range []string{s.Name(), s.Version(), sm.SchemaUrl()} {
		if len(text) > maxTextBytes {
			return fault.Refuse("scope_too_long", "the name, version or schema URL of the scope has %d bytes, the limit is %d", len(text), maxTextBytes)
		}
		if !utf8.ValidString(text) {
			return fault.Refuse("invalid_utf8", "the scope is not valid UTF-8")
		}
		texts += len(text)
	}
	sum, bad := checkTexts(s.Attributes())
	b.sizes.scope = texts + sum
	return bad
}

// checkAttributes checks the attributes of a data point.
func (b *batch) checkAttributes(attrs pcommon.Map) *fault.Error {
	sum, e := checkTexts(attrs)
	if e != nil {
		return e
	}
	b.sizes.point = sum
	for k := range attrs.All() {
		if !b.canBeLabel(k) {
			return fault.Refuse("bad_attribute_name", "no label name can be made of the attribute %q", clean(k, maxShownBytes))
		}
	}
	if b.h.settings.AllowUTF8 {
		return checkUnique(attrs)
	}
	return nil
}

// checkUnique refuses repeated keys. With escaping the translation joins them,
// as it joins names that become equal; without, the label set would be invalid.
func checkUnique(attrs pcommon.Map) *fault.Error {
	i := 0
	for k := range attrs.All() {
		j := 0
		for other := range attrs.All() {
			if j == i {
				break
			}
			if other == k {
				return fault.Refuse("duplicate_attribute", "the attribute %q is there twice", clean(k, maxShownBytes))
			}
			j++
		}
		i++
	}
	return nil
}

// checkTexts checks the names and values of attributes, and how many they are.
// It returns the sum of their bytes as text.
func checkTexts(attrs pcommon.Map) (sum int, bad *fault.Error) {
	if attrs.Len() > maxAttributes {
		return 0, fault.Refuse("too_many_attributes", "there are %d attributes, the limit is %d", attrs.Len(), maxAttributes)
	}
	for k, v := range attrs.All() {
		size, e := checkText(k, v)
		if e != nil {
			return 0, e
		}
		if sum += len(k) + size; sum > maxEntityBytes {
			return 0, fault.Refuse("attributes_too_long", "the attributes have more than %d bytes together", maxEntityBytes)
		}
	}
	return sum, nil
}

// checkText checks one attribute and returns the length of its value as text.
func checkText(k string, v pcommon.Value) (int, *fault.Error) {
	if len(k) > maxTextBytes {
		return 0, fault.Refuse("attribute_too_long", "an attribute name has %d bytes, the limit is %d", len(k), maxTextBytes)
	}
	if !utf8.ValidString(k) {
		return 0, fault.Refuse("invalid_utf8", "the attribute name %q is not valid UTF-8", clean(k, maxShownBytes))
	}
	var size int
	switch v.Type() {
	case pcommon.ValueTypeStr:
		size = len(v.Str())
		if size <= maxTextBytes && !utf8.ValidString(v.Str()) {
			return 0, fault.Refuse("invalid_utf8", "the attribute %q is not valid UTF-8", clean(k, maxShownBytes))
		}
	case pcommon.ValueTypeBytes:
		size = base64.StdEncoding.EncodedLen(v.Bytes().Len())
	case pcommon.ValueTypeMap, pcommon.ValueTypeSlice:
		if !shallow(v, maxNesting) {
			return 0, fault.Refuse("nested_too_deep", "the attribute %q is nested more than %d deep", clean(k, maxShownBytes), maxNesting)
		}
		// It becomes JSON, which is made here only if that can be short enough.
		if size = leastJSON(v); size <= maxTextBytes {
			size = len(v.AsString())
		}
	default:
		const number = 24 // at most
		size = number
	}
	if size > maxTextBytes {
		return 0, fault.Refuse("attribute_too_long", "the attribute %q has %d bytes or more, the limit is %d", clean(k, maxShownBytes), size, maxTextBytes)
	}
	return size, nil
}

// leastJSON is a lower bound of the length of v as JSON, in bytes. v is shallow.
func leastJSON(v pcommon.Value) int {
	n := 1
	switch v.Type() {
	case pcommon.ValueTypeStr:
		n += len(v.Str())
	case pcommon.ValueTypeBytes:
		n += v.Bytes().Len()
	case pcommon.ValueTypeSlice:
		for _, e := range v.Slice().All() {
			n += 1 + leastJSON(e)
		}
	case pcommon.ValueTypeMap:
		for k, e := range v.Map().All() {
			n += len(k) + leastJSON(e)
		}
	default:
	}
	return n
}

// canBeLabel reports whether the translation makes a label name of k. Almost
// all names have a letter, which settles it.
func (b *batch) canBeLabel(k string) bool {
	if hasAlnum(k) {
		return true
	}
	_, err := b.h.labels.Build(k)
	return err == nil
}

func hasAlnum(s string) bool {
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			return true
		}
	}
	return false
}
