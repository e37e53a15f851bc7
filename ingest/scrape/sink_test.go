package scrape

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"signalbox/internal/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type sample struct {
	Tenant    tenant.ID
	Series    labels.Labels
	ST, T     int64
	V         float64
	H         *histogram.Histogram
	FH        *histogram.FloatHistogram
	Exemplars []exemplar.Exemplar
	Meta      metadata.Metadata
	Family    string
}

func (s sample) stale() bool { return value.IsStaleNaN(s.V) }

// memorySink keeps what is committed, in order.
type memorySink struct {
	refuse func(ls labels.Labels) error // nil: take everything

	mu      sync.Mutex
	samples []sample
	refs    map[string]storage.SeriesRef
	open    int
}

func (s *memorySink) AppenderV2(ctx context.Context) storage.AppenderV2 {
	id, err := tenant.One(ctx)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	return &memoryAppender{sink: s, tenant: id}
}

type memoryAppender struct {
	sink    *memorySink
	tenant  tenant.ID
	pending []sample
}

func (a *memoryAppender) Append(_ storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	a.sink.mu.Lock()
	defer a.sink.mu.Unlock()
	if a.sink.refuse != nil {
		if err := a.sink.refuse(ls); err != nil {
			return 0, err
		}
	}
	a.pending = append(a.pending, sample{
		Tenant: a.tenant, Series: ls.Copy(), ST: st, T: t, V: v, H: h, FH: fh,
		Exemplars: slices.Clone(opts.Exemplars), Meta: opts.Metadata, Family: strings.Clone(opts.MetricFamilyName),
	})
	if a.sink.refs == nil {
		a.sink.refs = map[string]storage.SeriesRef{}
	}
	key := ls.String()
	if a.sink.refs[key] == 0 {
		a.sink.refs[key] = storage.SeriesRef(len(a.sink.refs) + 1)
	}
	return a.sink.refs[key], nil
}

func (a *memoryAppender) Commit() error {
	a.sink.mu.Lock()
	defer a.sink.mu.Unlock()
	a.sink.samples = append(a.sink.samples, a.pending...)
	a.pending = nil
	a.sink.open--
	return nil
}

func (a *memoryAppender) Rollback() error {
	a.sink.mu.Lock()
	defer a.sink.mu.Unlock()
	a.pending = nil
	a.sink.open--
	return nil
}

// find returns the samples of series that match "name" or `name{a="b"}` parts.
func (s *memorySink) find(name string, matchers ...string) []sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []sample
next:
	for _, smp := range s.samples {
		if smp.Series.Get("__name__") != name {
			continue
		}
		for i := 0; i < len(matchers); i += 2 {
			if smp.Series.Get(matchers[i]) != matchers[i+1] {
				continue next
			}
		}
		out = append(out, smp)
	}
	return out
}

func (s *memorySink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.samples)
}

// await returns the first sample of the series that satisfies ok.
func (s *memorySink) await(t *testing.T, ok func(sample) bool, name string, matchers ...string) sample {
	t.Helper()
	var got sample
	eventually(t, func() bool {
		i := 0
		all := s.find(name, matchers...)
		for i < len(all) && !ok(all[i]) {
			i++
		}
		if i < len(all) {
			got = all[i]
		}
		return i < len(all)
	}, "no such sample of %s %v", name, matchers)
	return got
}

func eventually(t *testing.T, cond func() bool, msg string, args ...any) {
	t.Helper()
	require.Eventually(t, cond, time.Minute, 5*time.Millisecond, append([]any{msg}, args...)...)
}

func anySample(sample) bool { return true }
func fresh(s sample) bool   { return !s.stale() }
func stale(s sample) bool   { return s.stale() }
func is(v float64) func(sample) bool {
	return func(s sample) bool { return math.Abs(s.V-v) < 1e-9 }
}
