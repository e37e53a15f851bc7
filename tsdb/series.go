package tsdb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

// promErrInvalidSample is what the head says to an append without labels.
var promErrInvalidSample = promtsdb.ErrInvalidSample

var (
	errSeriesLimit       = errors.New("series limit")
	errMetricSeriesLimit = errors.New("metric series limit")
)

// seriesLimiter counts the active series of a tenant and refuses new ones over
// the limits. It is told of each series by Prometheus' TSDB.
type seriesLimiter struct {
	id     tenant.ID
	limits atomic.Pointer[func() Limits] // nil while the log is replayed: what was acknowledged is never refused
	active atomic.Int64

	mu        sync.Mutex
	perMetric map[string]int
}

func newSeriesLimiter(id tenant.ID) *seriesLimiter {
	return &seriesLimiter{id: id, perMetric: map[string]int{}}
}

// reset forgets all series and stops refusing, for a store about to be opened.
func (s *seriesLimiter) reset() {
	s.limits.Store(nil)
	s.active.Store(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.perMetric = map[string]int{}
}

// enforce starts refusing.
func (s *seriesLimiter) enforce(limits func() Limits) { s.limits.Store(&limits) }

// PreCreation implements promtsdb.SeriesLifecycleCallback. Two goroutines at
// once may overshoot a limit by one.
func (s *seriesLimiter) PreCreation(ls labels.Labels) error {
	f := s.limits.Load()
	if f == nil {
		return nil
	}
	lim := (*f)()
	if lim.MaxSeries > 0 && s.active.Load() >= int64(lim.MaxSeries) {
		return errSeriesLimit
	}
	if lim.MaxSeriesPerMetric > 0 {
		s.mu.Lock()
		n := s.perMetric[ls.Get(labels.MetricName)]
		s.mu.Unlock()
		if n >= lim.MaxSeriesPerMetric {
			return errMetricSeriesLimit
		}
	}
	return nil
}

// PostCreation implements promtsdb.SeriesLifecycleCallback.
func (s *seriesLimiter) PostCreation(ls labels.Labels) {
	s.active.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.perMetric[ls.Get(labels.MetricName)]++
}

// PostDeletion implements promtsdb.SeriesLifecycleCallback.
func (s *seriesLimiter) PostDeletion(gone map[chunks.HeadSeriesRef]labels.Labels) {
	s.active.Add(-int64(len(gone)))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ls := range gone {
		name := ls.Get(labels.MetricName)
		if s.perMetric[name]--; s.perMetric[name] <= 0 {
			delete(s.perMetric, name)
		}
	}
}

// explain turns the head's errors into refusals that a person understands.
// Prometheus' own sentinels pass through.
func (t *tenantStore) explain(err error, ls labels.Labels) error {
	metric := ls.Get(labels.MetricName)
	lim := t.limits()
	switch {
	case errors.Is(err, errSeriesLimit):
		return fault.Refuse("series_limit", "tenant %s has %d active series, the most that limits.max_series allows: new series of metric %q are refused%s",
			t.id, lim.MaxSeries, metric, t.widest(metric))
	case errors.Is(err, errMetricSeriesLimit):
		return fault.Refuse("metric_series_limit", "metric %q of tenant %s has %d active series, the most that limits.max_series_per_metric allows: new ones are refused%s",
			metric, t.id, lim.MaxSeriesPerMetric, t.widest(metric))
	case errors.Is(err, promtsdb.ErrInvalidSample):
		return fault.Refuse("invalid_labels", "%w", err)
	}
	return err
}

// widestLabels remembers for a while which label of a metric has most values,
// because every refused sample asks and the answer costs a walk.
type widestLabels struct {
	mu       sync.Mutex
	byMetric map[string]widestLabel
}

type widestLabel struct {
	text string
	at   time.Time
}

const (
	widestTTL    = 30 * time.Second
	widestSample = 20_000 // series looked at
	widestKept   = 1000   // metrics remembered
)

// widest says which label of a metric has most values, as a clause for a refusal.
func (t *tenantStore) widest(metric string) string {
	w := &t.widestLabels
	w.mu.Lock()
	defer w.mu.Unlock()
	if e, ok := w.byMetric[metric]; ok && time.Since(e.at) < widestTTL {
		return e.text
	}
	text := ""
	if name, n, err := t.findWidest(metric); err == nil && n > 0 {
		text = fmt.Sprintf("; its label with most values is %q (%d values)", name, n)
	}
	if w.byMetric == nil || len(w.byMetric) >= widestKept {
		w.byMetric = map[string]widestLabel{}
	}
	w.byMetric[metric] = widestLabel{text, time.Now()}
	return text
}

// findWidest looks at up to widestSample series of a metric in memory.
func (t *tenantStore) findWidest(metric string) (label string, values int, err error) {
	s, err := t.acquire()
	if err != nil {
		return "", 0, err
	}
	defer t.release()
	ir, err := s.Head().Index()
	if err != nil {
		return "", 0, err
	}
	defer ir.Close()
	p, err := ir.Postings(context.Background(), labels.MetricName, metric)
	if err != nil {
		return "", 0, err
	}
	seen := map[string]map[string]struct{}{}
	var b labels.ScratchBuilder
	for n := 0; n < widestSample && p.Next(); n++ {
		if err := ir.Series(p.At(), &b, nil); err != nil {
			if errors.Is(err, storage.ErrNotFound) {
				continue // gone meanwhile
			}
			return "", 0, err
		}
		b.Labels().Range(func(l labels.Label) {
			if l.Name == labels.MetricName {
				return
			}
			vs := seen[l.Name]
			if vs == nil {
				vs = map[string]struct{}{}
				seen[l.Name] = vs
			}
			vs[l.Value] = struct{}{}
		})
	}
	for name, vs := range seen {
		if len(vs) > values || len(vs) == values && name < label {
			label, values = name, len(vs)
		}
	}
	return label, values, p.Err()
}
