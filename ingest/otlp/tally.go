package otlp

import (
	"fmt"
	"strings"

	"signalbox/internal/fault"
)

// tally gathers the refusals of one request: how many points by reason, and
// for each reason the first explanation, which is what the sender gets to see.
type tally struct {
	points  int
	reasons []reasonTally
}

type reasonTally struct {
	reason string
	points int
	first  string
}

const (
	maxTold      = 3   // reasons named in an answer
	maxToldBytes = 400 // of each explanation
)

// add counts one refused data point of a metric.
func (t *tally) add(metric string, err error) {
	t.points++
	reason := fault.ReasonOf(err)
	if reason == "" {
		reason = "invalid"
	}
	for i := range t.reasons {
		if t.reasons[i].reason == reason {
			t.reasons[i].points++
			return
		}
	}
	text := fmt.Sprintf("metric %q: %v", clean(metric, maxShownBytes), err)
	t.reasons = append(t.reasons, reasonTally{reason: reason, points: 1, first: clean(text, maxToldBytes)})
}

// message is the text of a partial success, "" when nothing was refused.
func (t *tally) message() string {
	if t.points == 0 {
		return ""
	}
	var sb strings.Builder
	for i, r := range t.reasons {
		if i == maxTold {
			fmt.Fprintf(&sb, "; and %d more reasons", len(t.reasons)-i)
			break
		}
		if i > 0 {
			sb.WriteString("; ")
		}
		fmt.Fprintf(&sb, "%s (%d): %s", r.reason, r.points, r.first)
	}
	return sb.String()
}

func (t *tally) reset() {
	t.points = 0
	clear(t.reasons)
	t.reasons = t.reasons[:0]
}

// clean makes text fit for a protobuf string: valid UTF-8 of at most n bytes.
func clean(text string, n int) string {
	if len(text) > n {
		text = text[:n] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
