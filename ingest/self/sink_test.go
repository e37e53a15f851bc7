package self

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"go.uber.org/goleak"

	"signalbox/internal/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type sample struct {
	Tenant    tenant.ID
	ST, T     int64
	V         float64
	H         *histogram.Histogram
	FH        *histogram.FloatHistogram
	Exemplars []exemplar.Exemplar
	Meta      metadata.Metadata
	Family    string
}

func (s sample) stale() bool { return value.IsStaleNaN(s.V) }

// memorySink keeps what is committed, by series.
type memorySink struct {
	mu        sync.Mutex
	series    map[string][]sample
	refs      map[string]storage.SeriesRef
	refuse    func(ls labels.Labels) error // nil: take everything
	commitErr error
	wrongRefs int
}

func newMemorySink() *memorySink {
	return &memorySink{series: map[string][]sample{}, refs: map[string]storage.SeriesRef{}}
}

func (s *memorySink) AppenderV2(ctx context.Context) storage.AppenderV2 {
	id, err := tenant.One(ctx)
	if err != nil {
		panic(err)
	}
	return &memoryAppender{sink: s, tenant: id, pending: map[string][]sample{}}
}

func (s *memorySink) get(series string) []sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.series[series])
}

type memoryAppender struct {
	sink    *memorySink
	tenant  tenant.ID
	pending map[string][]sample
}

func (a *memoryAppender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	a.sink.mu.Lock()
	defer a.sink.mu.Unlock()
	if a.sink.refuse != nil {
		if err := a.sink.refuse(ls); err != nil {
			return 0, err
		}
	}
	if h != nil {
		if err := h.Validate(); err != nil {
			return 0, err
		}
	}
	key := ls.String()
	if a.sink.refs[key] == 0 {
		a.sink.refs[key] = storage.SeriesRef(len(a.sink.refs) + 1)
	}
	if ref != 0 && ref != a.sink.refs[key] {
		a.sink.wrongRefs++
	}
	a.pending[key] = append(a.pending[key], sample{
		Tenant: a.tenant, ST: st, T: t, V: v, H: h, FH: fh,
		Exemplars: slices.Clone(opts.Exemplars), Meta: opts.Metadata, Family: strings.Clone(opts.MetricFamilyName),
	})
	return a.sink.refs[key], nil
}

func (a *memoryAppender) Commit() error {
	a.sink.mu.Lock()
	defer a.sink.mu.Unlock()
	if a.sink.commitErr != nil {
		return a.sink.commitErr
	}
	for key, samples := range a.pending {
		a.sink.series[key] = append(a.sink.series[key], samples...)
	}
	return nil
}

func (a *memoryAppender) Rollback() error { return nil }

func values(samples []sample) (out []any) {
	for _, s := range samples {
		switch {
		case s.stale():
			out = append(out, "stale")
		case math.IsNaN(s.V):
			out = append(out, "NaN")
		default:
			out = append(out, s.V)
		}
	}
	return out
}
