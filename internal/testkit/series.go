package testkit

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Label is a label of a series. Its shape is that of Prometheus' labels.Label,
// so one converts to the other.
type Label struct{ Name, Value string }

// Sample is a value at a time in milliseconds.
type Sample struct {
	T int64
	V float64
}

// Series is a series with its samples in order of time.
type Series struct {
	Labels  []Label // sorted by name, __name__ among them
	Samples []Sample
}

// Pairs returns names and values in turns, as labels.FromStrings takes them.
func (s Series) Pairs() []string {
	out := make([]string, 0, 2*len(s.Labels))
	for _, l := range s.Labels {
		out = append(out, l.Name, l.Value)
	}
	return out
}

// Get returns the value of a label, or "".
func (s Series) Get(name string) string {
	for _, l := range s.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// SeriesOptions says what NewSeries makes. Zero fields mean the default stated.
type SeriesOptions struct {
	// Seed makes the data; the same options give the same data.
	Seed uint64
	// Series is how many; 100. All have different labels.
	Series int
	// Samples is how many each has; 120.
	Samples int
	// Labels is how many labels each has, with __name__; 10, at least 4.
	Labels int
	// Start is the time of the first samples in milliseconds; 2026-01-01 UTC.
	Start int64
	// Step is the time between samples in milliseconds; 15 s.
	Step int64
	// Jitter, in milliseconds, shifts each sample by up to that much either way. It
	// must be less than half of Step.
	Jitter int64
	// Gaps is the probability that a sample is missing. A series may then have
	// fewer samples than asked for, or none.
	Gaps float64
	// Kinds are the patterns of values, given to the series in turns; all.
	Kinds []Kind
}

func (o SeriesOptions) withDefaults() SeriesOptions {
	o.Series = cmp.Or(o.Series, 100)
	o.Samples = cmp.Or(o.Samples, 120)
	o.Labels = max(cmp.Or(o.Labels, 10), 4)
	o.Start = cmp.Or(o.Start, 1767225600000)
	o.Step = cmp.Or(o.Step, 15_000)
	if len(o.Kinds) == 0 {
		o.Kinds = Kinds()
	}
	if 2*o.Jitter >= o.Step {
		panic(fmt.Sprintf("BUG: a jitter of %d ms would put samples %d ms apart out of order", o.Jitter, o.Step))
	}
	return o
}

// NewSeries makes series as a fleet of hosts has them: some labels are the same
// everywhere, some per host, some per series.
func NewSeries(o SeriesOptions) []Series {
	o = o.withDefaults()
	out := make([]Series, o.Series)
	for i := range out {
		kind := o.Kinds[i%len(o.Kinds)]
		// A source of its own: the number of samples does not change other series.
		r := rand.New(rand.NewPCG(o.Seed, uint64(i)))
		out[i] = Series{Labels: makeLabels(i, o.Labels, kind), Samples: makeSamples(r, o, kind)}
	}
	return out
}

// perHost is how many series a host of the fleet has.
const perHost = 50

func makeLabels(i, n int, kind Kind) []Label {
	ls := []Label{
		{"__name__", fmt.Sprintf("test_%s_%d%s", kind, i%perHost/len(Kinds()), kind.suffix())},
		{"instance", fmt.Sprintf("host-%04d:9100", i/perHost)},
		{"job", "node"},
		{"series", fmt.Sprintf("s%d", i)},
	}
	for j := len(ls); j < n; j++ {
		// Few values for the first, more for the later ones.
		ls = append(ls, Label{fmt.Sprintf("label_%02d", j), fmt.Sprintf("value-%d", i%(1<<min(j-2, 16)))})
	}
	slices.SortFunc(ls, func(a, b Label) int { return cmp.Compare(a.Name, b.Name) })
	return ls
}

func makeSamples(r *rand.Rand, o SeriesOptions, kind Kind) []Sample {
	next := kind.values(r)
	out := make([]Sample, 0, o.Samples)
	for k := range o.Samples {
		t := o.Start + int64(k)*o.Step
		if o.Jitter > 0 {
			t += r.Int64N(2*o.Jitter+1) - o.Jitter
		}
		v := next()
		if o.Gaps > 0 && r.Float64() < o.Gaps {
			continue
		}
		out = append(out, Sample{T: t, V: v})
	}
	return out
}
