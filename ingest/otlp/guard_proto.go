package otlp

import "encoding/binary"

// guardProto refuses a protobuf body whose attribute values nest too deep or
// that has too many messages. It follows only length-delimited fields that can
// lead to what it looks for, and refuses what no encoder writes, so that it and
// the decoder cannot disagree.
func guardProto(body []byte) error {
	g := protoGuard{left: maxMessages * numbersPerMessage}
	if err := g.walk(body, protoRequest, 0); err != nil {
		return err
	}
	if g.left < 0 {
		return errTooMany
	}
	return nil
}

// protoNode says which fields of a message lead on to which messages.
type protoNode struct {
	next       [13]*protoNode
	deprecated *protoNode // field 1000
	// value: the message is an AnyValue, and counts as a level.
	value bool
	// repeated: the field may occur more than once, and each becomes a struct.
	repeated bool
	// leaf: there is nothing to look for below it, it may not even be a message.
	leaf bool
	// numbers: the field is a list of varints, packed or not.
	numbers bool
}

func (n *protoNode) field(tag uint64) *protoNode {
	// The decoder truncates field numbers in this way, too.
	switch num := int32(tag >> 3); {
	case 0 <= num && int(num) < len(n.next):
		return n.next[num]
	case num == 1000:
		return n.deprecated
	}
	return nil
}

// many returns n as the target of a repeated field.
func (n *protoNode) many() *protoNode {
	c := *n
	c.repeated = true
	return &c
}

var protoRequest = func() *protoNode {
	type fields map[int32]*protoNode
	set := func(n *protoNode, fs fields) *protoNode {
		for num, to := range fs {
			n.next[num] = to
		}
		return n
	}
	node := func(fs fields) *protoNode { return set(&protoNode{}, fs) }
	leaf := &protoNode{leaf: true, repeated: true}

	// Values hold lists and maps of values; these are made first and filled last.
	anyValue, element := &protoNode{value: true}, &protoNode{value: true, repeated: true}
	keyValue := node(fields{2: anyValue}).many()
	nested := fields{5: node(fields{1: element}), 6: node(fields{1: keyValue})}
	set(anyValue, nested)
	set(element, nested)

	exemplar := node(fields{7: keyValue}).many()
	number := node(fields{7: keyValue, 5: exemplar}).many()
	explicit := node(fields{9: keyValue, 8: exemplar}).many()
	buckets := node(fields{2: {leaf: true, numbers: true}})
	exponential := node(fields{1: keyValue, 11: exemplar, 8: buckets, 9: buckets}).many()
	summary := node(fields{7: keyValue, 6: leaf}).many()
	data := func(point *protoNode) *protoNode { return node(fields{1: point}) }
	metric := node(fields{
		5: data(number), 7: data(number), 9: data(explicit), 10: data(exponential), 11: data(summary), 12: keyValue,
	}).many()

	scopeMetrics := node(fields{1: node(fields{3: keyValue}), 2: metric}).many()
	entity := node(fields{3: leaf, 4: leaf}).many()
	resourceMetrics := node(fields{1: node(fields{1: keyValue, 3: entity}), 2: scopeMetrics}).many()
	resourceMetrics.deprecated = scopeMetrics
	return node(fields{1: resourceMetrics})
}()

// protoGuard is one scan.
type protoGuard struct{ left int } // numbers that the request may still have

// walk scans the message b. The depth of its own recursion is bounded by
// maxNesting, as only values nest.
func (g *protoGuard) walk(b []byte, node *protoNode, depth int) error {
	switch {
	case node.repeated:
		g.left -= numbersPerMessage
	case node.numbers:
		g.left -= len(b) // at most so many
	}
	if g.left < 0 {
		return errTooMany
	}
	if node.leaf {
		return nil
	}
	if node.value {
		if depth++; depth > maxNesting+1 {
			return errTooDeep
		}
	}
	for len(b) > 0 {
		tag, n := uvarint(b)
		if n <= 0 {
			return errMalformed
		}
		b = b[n:]
		switch tag & 7 {
		case 0:
			_, n := uvarint(b)
			if n <= 0 {
				return errMalformed
			}
			b = b[n:]
			if next := node.field(tag); next != nil && next.numbers {
				g.left--
			}
		case 1:
			b = b[min(8, len(b)):]
		case 2:
			size, n := uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return errMalformed
			}
			field := b[n : n+int(size)]
			b = b[n+int(size):]
			if next := node.field(tag); next != nil && !(next.value && !next.repeated && isText(field)) {
				if err := g.walk(field, next, depth); err != nil {
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

// isText reports whether an AnyValue is just a string of less than 128 bytes,
// as most are.
func isText(b []byte) bool {
	return len(b) > 1 && b[0] == 1<<3|2 && int(b[1]) == len(b)-2 && b[1] < 0x80
}

// uvarint is binary.Uvarint with the common case in line.
func uvarint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return binary.Uvarint(b)
}
