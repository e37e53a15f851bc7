package otlp

import (
	"encoding/binary"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"signalbox/internal/fault"
)

// maxNesting bounds lists and maps inside an attribute value.
const maxNesting = 64

// unguarded is the body size up to which no nesting can exhaust the stack: a
// level of nesting costs four bytes or more, and a body of this size cannot
// hold enough levels to matter. Larger bodies are scanned before decoding,
// because the decoder recurses without a limit, and a stack overflow ends the
// whole process.
const unguarded = 1 << 20

var (
	errTooDeep   = fault.Refuse("nested_too_deep", "the request nests values more than %d deep", maxNesting)
	errMalformed = fault.Refuse("malformed", "the request is not valid protobuf")
)

// shallow reports whether v nests at most n levels.
func shallow(v pcommon.Value, n int) bool {
	switch v.Type() {
	case pcommon.ValueTypeMap:
		if n == 0 {
			return false
		}
		for _, e := range v.Map().All() {
			if !shallow(e, n-1) {
				return false
			}
		}
	case pcommon.ValueTypeSlice:
		if n == 0 {
			return false
		}
		for _, e := range v.Slice().All() {
			if !shallow(e, n-1) {
				return false
			}
		}
	default:
	}
	return true
}

// guardJSON refuses JSON whose brackets nest deeper than OTLP and maxNesting need.
func guardJSON(body []byte) error {
	const max = 16 + 4*maxNesting
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > max {
				return errTooDeep
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// guardProto refuses a protobuf body whose attribute values nest too deep. It
// follows only length-delimited fields that can lead to an AnyValue, and
// refuses what no encoder writes, so that it
// and the decoder cannot disagree.
func guardProto(body []byte) error {
	if len(body) <= unguarded {
		return nil
	}
	return walkProto(body, protoRequest, 0)
}

// protoNode says which fields of a message lead on to which messages.
type protoNode struct {
	next map[int32]*protoNode
	// value: the message is an AnyValue, and counts as a level.
	value bool
}

var protoRequest = func() *protoNode {
	anyValue := &protoNode{value: true}
	keyValue := &protoNode{next: map[int32]*protoNode{2: anyValue}}
	list := &protoNode{next: map[int32]*protoNode{1: anyValue}}
	kvlist := &protoNode{next: map[int32]*protoNode{1: keyValue}}
	anyValue.next = map[int32]*protoNode{5: list, 6: kvlist}

	exemplar := &protoNode{next: map[int32]*protoNode{7: keyValue}}
	point := func(attributes, exemplars int32) *protoNode {
		p := &protoNode{next: map[int32]*protoNode{attributes: keyValue}}
		if exemplars != 0 {
			p.next[exemplars] = exemplar
		}
		return p
	}
	data := func(p *protoNode) *protoNode { return &protoNode{next: map[int32]*protoNode{1: p}} }
	metric := &protoNode{next: map[int32]*protoNode{
		5:  data(point(7, 5)),
		7:  data(point(7, 5)),
		9:  data(point(9, 8)),
		10: data(point(1, 11)),
		11: data(point(7, 0)),
		12: keyValue,
	}}
	scope := &protoNode{next: map[int32]*protoNode{3: keyValue}}
	scopeMetrics := &protoNode{next: map[int32]*protoNode{1: scope, 2: metric}}
	resource := &protoNode{next: map[int32]*protoNode{1: keyValue}}
	resourceMetrics := &protoNode{next: map[int32]*protoNode{1: resource, 2: scopeMetrics}}
	return &protoNode{next: map[int32]*protoNode{1: resourceMetrics}}
}()

func walkProto(b []byte, node *protoNode, depth int) error {
	if node.value {
		if depth++; depth > maxNesting+1 {
			return errTooDeep
		}
	}
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return errMalformed
		}
		b = b[n:]
		switch tag & 7 {
		case 0:
			_, n := binary.Uvarint(b)
			if n <= 0 {
				return errMalformed
			}
			b = b[n:]
		case 1:
			b = b[min(8, len(b)):]
		case 2:
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return errMalformed
			}
			field := b[n : n+int(size)]
			b = b[n+int(size):]
			// The decoder truncates field numbers in this way, too.
			if next := node.next[int32(tag>>3)]; next != nil {
				if err := walkProto(field, next, depth); err != nil {
					return err
				}
			}
		case 3, 4: // groups: the decoder skips them field by field, without recursion
		case 5:
			b = b[min(4, len(b)):]
		default:
			return errMalformed
		}
	}
	return nil
}
