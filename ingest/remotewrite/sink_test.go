package remotewrite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"
	"go.uber.org/goleak"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// row is one appended sample, in a form that compares: the value as bits.
type row struct {
	Tenant    tenant.ID
	Series    string
	ST, T     int64
	Bits      uint64
	Histogram string
	Exemplars []string
}

// recorder is a store that keeps what was committed and hands out references
// as the real one does, each of them valid for one tenant.
type recorder struct {
	mu      sync.Mutex
	refs    map[string]storage.SeriesRef // tenant + labels
	names   map[storage.SeriesRef]labels.Labels
	rows    []row
	meta    map[string]metadata.Metadata
	metaN   int // entries of metadata
	calls   int // of SetMetadata
	parsed  int // appends that came with labels
	ended   int // appenders committed or rolled back
	begun   int
	verdict func(r row) error // of an Append
	commit  error
	metaErr error
	loose   bool // appenders are storage.ExemplarAppenders too
}

func newRecorder() *recorder {
	return &recorder{refs: map[string]storage.SeriesRef{}, names: map[storage.SeriesRef]labels.Labels{}, meta: map[string]metadata.Metadata{}}
}

// forgetAll makes every reference unknown, as after a store's cleanup.
func (r *recorder) forgetAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.names)
	clear(r.refs)
}

func (r *recorder) take() []row {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows := r.rows
	r.rows = nil
	return rows
}

func (r *recorder) SetMetadata(ctx context.Context, families map[string][]metadata.Metadata) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.metaErr != nil {
		return r.metaErr
	}
	id, err := tenant.One(ctx)
	if err != nil {
		return err
	}
	for family, ms := range families {
		r.meta[string(id)+"/"+family] = ms[len(ms)-1]
		r.metaN += len(ms)
	}
	return nil
}

func (r *recorder) AppenderV2(ctx context.Context) storage.AppenderV2 {
	id, err := tenant.One(ctx)
	if err != nil {
		panic(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun++
	a := &recording{r: r, tenant: id}
	if r.loose {
		return looseRecording{a}
	}
	return a
}

type recording struct {
	r      *recorder
	tenant tenant.ID
	rows   []row
}

var refCount storage.SeriesRef = 1000

func (a *recording) find(ref storage.SeriesRef, ls labels.Labels) (storage.SeriesRef, labels.Labels, error) {
	if known, ok := a.r.names[ref]; ok {
		return ref, known, nil
	}
	if ls.IsEmpty() {
		return 0, ls, fault.Refuse(unknownRef, "unknown reference %d", ref)
	}
	a.r.parsed++
	id := string(a.tenant) + ls.String()
	ref = a.r.refs[id]
	if ref == 0 {
		refCount++
		ref = refCount
		a.r.refs[id], a.r.names[ref] = ref, ls
	}
	return ref, ls, nil
}

func (a *recording) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AppendV2Options) (storage.SeriesRef, error) {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	ref, ls, err := a.find(ref, ls)
	if err != nil {
		return 0, err
	}
	w := row{Tenant: a.tenant, Series: ls.String(), ST: st, T: t}
	switch {
	case h != nil:
		w.Histogram = fmt.Sprintf("int %v %x %+v", h.CounterResetHint, math.Float64bits(h.Sum), h)
	case fh != nil:
		w.Histogram = fmt.Sprintf("float %v %x %+v", fh.CounterResetHint, math.Float64bits(fh.Sum), fh)
	default:
		w.Bits = math.Float64bits(v)
	}
	for _, e := range opts.Exemplars {
		w.Exemplars = append(w.Exemplars, exemplarText(e))
	}
	if a.r.verdict != nil {
		if err := a.r.verdict(w); err != nil {
			if _, partial := errors.AsType[*storage.AppendPartialError](err); !partial {
				return 0, err
			}
			a.rows = append(a.rows, w)
			return ref, err
		}
	}
	a.rows = append(a.rows, w)
	return ref, nil
}

func exemplarText(e exemplar.Exemplar) string {
	return fmt.Sprintf("%s %x %d %v", e.Labels, math.Float64bits(e.Value), e.Ts, e.HasTs)
}

func (a *recording) Commit() error {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.r.ended++
	if a.r.commit != nil {
		return a.r.commit
	}
	a.r.rows = append(a.r.rows, a.rows...)
	return nil
}

func (a *recording) Rollback() error {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.r.ended++
	return nil
}

// looseRecording also takes exemplars that come without a sample.
type looseRecording struct{ *recording }

func (a looseRecording) AppendExemplar(ref storage.SeriesRef, ls labels.Labels, e exemplar.Exemplar) (storage.SeriesRef, error) {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	ref, ls, err := a.find(ref, ls)
	if err != nil {
		return 0, err
	}
	a.rows = append(a.rows, row{Tenant: a.tenant, Series: ls.String(), Exemplars: []string{exemplarText(e)}})
	return ref, nil
}

// seriesOf lists the distinct series of rows, for short comparisons.
func seriesOf(rows []row) string {
	set := map[string]bool{}
	for _, r := range rows {
		set[r.Series] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(set)), " ")
}

// nopSink accepts everything at no cost, for benchmarks.
type nopSink struct{ n storage.SeriesRef }

func (s *nopSink) AppenderV2(context.Context) storage.AppenderV2 { return s }
func (s *nopSink) Commit() error                                 { return nil }
func (s *nopSink) Rollback() error                               { return nil }
func (s *nopSink) Append(ref storage.SeriesRef, _ labels.Labels, _, _ int64, _ float64, _ *histogram.Histogram, _ *histogram.FloatHistogram, _ storage.AppendV2Options) (storage.SeriesRef, error) {
	if ref == 0 {
		s.n++
		return s.n, nil
	}
	return ref, nil
}
