package remotewrite

import (
	"fmt"
	"strings"
)

// maxProblems is how many refused records an answer names.
const maxProblems = 10

// tally counts what became of a request's records.
type tally struct {
	samples, histograms, exemplars, metadata int // stored
	misses                                   int // series whose labels were parsed
	refused                                  map[string]int

	problems  []string // the first maxProblems that the sender is told of
	nProblems int
	unlisted  bool // there are more than problems says
}

func (t *tally) reset() {
	if t.refused == nil {
		t.refused = map[string]int{}
	}
	clear(t.refused)
	clear(t.problems)
	*t = tally{refused: t.refused, problems: t.problems[:0]}
}

// count counts n records refused for a reason.
func (t *tally) count(reason string, n int) { t.refused[reason] += n }

// problem adds to what the sender is told. text is called only when it is shown.
func (t *tally) problem(n int, text func() string) {
	t.nProblems += n
	if len(t.problems) < maxProblems {
		t.problems = append(t.problems, text())
		return
	}
	t.unlisted = true
}

// answer is the body of a 400: what was refused, and that the rest was not.
func (t *tally) answer() string {
	var b strings.Builder
	fmt.Fprintf(&b, "refused %d, stored %d samples, %d histograms, %d exemplars; do not send again\n",
		t.nProblems, t.samples, t.histograms, t.exemplars)
	for _, p := range t.problems {
		b.WriteString(p)
		b.WriteByte('\n')
	}
	if t.unlisted {
		b.WriteString("and more\n")
	}
	return b.String()
}
