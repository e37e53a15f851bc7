package tsdb

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"signalbox/internal/tenant"
)

// TenantLabel is added to series when a read covers several tenants.
const TenantLabel = "__tenant_id__"

// Querier returns a querier over the tenants that the contexts of its calls
// name. Times are Unix milliseconds, both ends included.
func (db *DB) Querier(mint, maxt int64) (storage.Querier, error) {
	return &querier{held: held[storage.Querier]{db: db, open: func(s *openStore) (storage.Querier, error) { return s.Querier(mint, maxt) }}}, nil
}

// ChunkQuerier is Querier for encoded chunks.
func (db *DB) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	q := &chunkQuerier{held: held[storage.ChunkQuerier]{db: db, open: func(s *openStore) (storage.ChunkQuerier, error) { return s.ChunkQuerier(mint, maxt) }}}
	q.samples.held = held[storage.Querier]{db: db, open: func(s *openStore) (storage.Querier, error) { return s.Querier(mint, maxt) }}
	return q, nil
}

// held opens one querier a tenant at first use and keeps its store open until Close.
type held[Q storage.LabelQuerier] struct {
	db   *DB
	open func(*openStore) (Q, error)

	mu     sync.Mutex
	opened []heldOne[Q]
}

type heldOne[Q any] struct {
	t *tenantStore
	q Q
}

// of returns the querier of a tenant; ok is false when the tenant has no data.
func (h *held[Q]) of(id tenant.ID) (q Q, ok bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.opened {
		if o.t.id == id {
			return o.q, true, nil
		}
	}
	t, err := h.db.tenant(id, false)
	if err != nil || t == nil {
		return q, false, err
	}
	s, err := t.acquire()
	if err != nil {
		return q, false, err
	}
	q, err = h.open(s)
	if err != nil {
		t.release()
		return q, false, err
	}
	h.opened = append(h.opened, heldOne[Q]{t, q})
	return q, true, nil
}

// Close implements storage.Querier.
func (h *held[Q]) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, o := range h.opened {
		errs = append(errs, o.q.Close())
		o.t.release()
	}
	h.opened = nil
	return errors.Join(errs...)
}

// LabelValues implements storage.LabelQuerier.
func (h *held[Q]) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	ids, ms := pickTenants(tenant.All(ctx), ms)
	if name == TenantLabel && len(tenant.All(ctx)) > 1 {
		var names []string
		for _, id := range ids {
			names = append(names, string(id))
		}
		slices.Sort(names)
		return names, nil, nil
	}
	return h.merge(ids, func(q Q) ([]string, annotations.Annotations, error) { return q.LabelValues(ctx, name, hints, ms...) })
}

// LabelNames implements storage.LabelQuerier.
func (h *held[Q]) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	ids, ms := pickTenants(tenant.All(ctx), ms)
	names, warn, err := h.merge(ids, func(q Q) ([]string, annotations.Annotations, error) { return q.LabelNames(ctx, hints, ms...) })
	if len(tenant.All(ctx)) > 1 && len(names) > 0 {
		names = append(names, TenantLabel)
		slices.Sort(names)
	}
	return names, warn, err
}

func (h *held[Q]) merge(ids []tenant.ID, f func(Q) ([]string, annotations.Annotations, error)) ([]string, annotations.Annotations, error) {
	var out []string
	var warn annotations.Annotations
	for _, id := range ids {
		q, ok, err := h.of(id)
		if err != nil {
			return nil, warn, err
		}
		if !ok {
			continue
		}
		vs, w, err := f(q)
		warn.Merge(w)
		if err != nil {
			return nil, warn, err
		}
		out = append(out, vs...)
	}
	if len(ids) > 1 {
		slices.Sort(out)
		out = slices.Compact(out)
	}
	return out, warn, nil
}

// pickTenants applies matchers on TenantLabel to the tenants and removes them.
// With one tenant the label means nothing and the matchers stay.
func pickTenants(ids []tenant.ID, ms []*labels.Matcher) ([]tenant.ID, []*labels.Matcher) {
	if len(ids) == 1 {
		return ids, ms
	}
	var rest []*labels.Matcher
	for _, m := range ms {
		if m.Name != TenantLabel {
			rest = append(rest, m)
			continue
		}
		ids = slices.DeleteFunc(slices.Clone(ids), func(id tenant.ID) bool { return !m.Matches(string(id)) })
	}
	return ids, rest
}

type querier struct{ held[storage.Querier] }

// Select implements storage.Querier.
func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	ids, rest := pickTenants(tenant.All(ctx), ms)
	if len(tenant.All(ctx)) == 1 {
		one, ok, err := q.of(ids[0])
		switch {
		case err != nil:
			return storage.ErrSeriesSet(err)
		case !ok:
			return storage.EmptySeriesSet()
		}
		return one.Select(ctx, sorted, hints, ms...)
	}
	var sets []storage.SeriesSet
	for _, id := range ids {
		one, ok, err := q.of(id)
		if err != nil {
			return storage.ErrSeriesSet(err)
		}
		if ok {
			sets = append(sets, &tenantSet{one.Select(ctx, sorted, hints, rest...), id})
		}
	}
	if !sorted {
		return &chain{sets: sets}
	}
	// Sorted sets stay sorted under one more label but for names that sort before
	// it and that not all series have; the order is for people, so that will do.
	return storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
}

type chunkQuerier struct {
	held[storage.ChunkQuerier]
	samples querier // for reads of several tenants, whose chunks are made anew
}

// Select implements storage.ChunkQuerier.
func (q *chunkQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.ChunkSeriesSet {
	ids := tenant.All(ctx)
	if len(ids) > 1 {
		return storage.NewSeriesSetToChunkSet(q.samples.Select(ctx, sorted, hints, ms...))
	}
	one, ok, err := q.of(ids[0])
	switch {
	case err != nil:
		return storage.ErrChunkSeriesSet(err)
	case !ok:
		return storage.EmptyChunkSeriesSet()
	}
	return one.Select(ctx, sorted, hints, ms...)
}

// Close implements storage.ChunkQuerier.
func (q *chunkQuerier) Close() error { return errors.Join(q.held.Close(), q.samples.Close()) }

func withTenant(ls labels.Labels, id tenant.ID) labels.Labels {
	b := labels.NewBuilder(ls)
	b.Set(TenantLabel, string(id))
	return b.Labels()
}

// tenantSet is the series of one tenant, with its label.
type tenantSet struct {
	storage.SeriesSet
	id tenant.ID
}

// At implements storage.SeriesSet.
func (s *tenantSet) At() storage.Series {
	in := s.SeriesSet.At()
	return tenantSeries{in, withTenant(in.Labels(), s.id)}
}

// tenantSeries is a series under labels with its tenant.
type tenantSeries struct {
	storage.Series
	ls labels.Labels
}

func (s tenantSeries) Labels() labels.Labels { return s.ls }

// chain is one set after the other.
type chain struct {
	sets []storage.SeriesSet
	at   int
}

func (c *chain) Next() bool {
	for ; c.at < len(c.sets); c.at++ {
		if c.sets[c.at].Next() {
			return true
		}
		if c.sets[c.at].Err() != nil {
			return false
		}
	}
	return false
}

func (c *chain) At() storage.Series { return c.sets[c.at].At() }

func (c *chain) Err() error {
	if c.at < len(c.sets) {
		return c.sets[c.at].Err()
	}
	return nil
}

func (c *chain) Warnings() annotations.Annotations {
	var all annotations.Annotations
	for _, s := range c.sets {
		all.Merge(s.Warnings())
	}
	return all
}

// ExemplarQuerier returns a querier over the exemplars of the tenants of ctx.
func (db *DB) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	return &exemplarQuerier{db: db, ctx: ctx}, nil
}

// exemplarQuerier keeps ctx because storage.ExemplarQuerier.Select has none;
// Prometheus makes one querier a request.
type exemplarQuerier struct {
	db  *DB
	ctx context.Context
}

// Select implements storage.ExemplarQuerier.
func (q *exemplarQuerier) Select(start, end int64, ms ...[]*labels.Matcher) ([]exemplar.QueryResult, error) {
	ids := tenant.All(q.ctx)
	var out []exemplar.QueryResult
	for _, id := range ids {
		t, err := q.db.tenant(id, false)
		if err != nil {
			return nil, err
		}
		if t == nil {
			continue
		}
		rs, err := t.exemplars(q.ctx, start, end, ms)
		if err != nil {
			return nil, err
		}
		for _, r := range rs {
			if len(ids) > 1 {
				r.SeriesLabels = withTenant(r.SeriesLabels, id)
			}
			out = append(out, r)
		}
	}
	return out, nil
}

func (t *tenantStore) exemplars(ctx context.Context, start, end int64, ms [][]*labels.Matcher) ([]exemplar.QueryResult, error) {
	s, err := t.acquire()
	if err != nil {
		return nil, err
	}
	defer t.release()
	q, err := s.ExemplarQuerier(ctx)
	if err != nil {
		return nil, err
	}
	return q.Select(start, end, ms...)
}
