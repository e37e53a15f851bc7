package otlp

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"signalbox/internal/fault"
)

// A body is scanned before it is decoded (guard_*.go), because the decoder has
// no limits: it recurses as deep as a sender nests, and a stack overflow ends
// the whole process; and an empty message of two bytes becomes a struct of up
// to 250.
const (
	// maxNesting bounds lists and maps inside an attribute value.
	maxNesting = 64
	// maxMessages bounds the messages in one request that the decoder makes a
	// struct of: metrics, points, attributes, exemplars and so on.
	maxMessages = 2_000_000
	// numbersPerMessage is how many bucket counts, which may take a byte on the
	// wire and eight in memory, count as one message.
	numbersPerMessage = 8
)

var (
	errTooDeep   = fault.Refuse("nested_too_deep", "the request nests values more than %d deep", maxNesting)
	errTooMany   = fault.Refuse("too_many_messages", "the request has more than %d metrics, points, attributes and the like: send smaller ones", maxMessages)
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
