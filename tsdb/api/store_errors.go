package api

import (
	"context"
	"errors"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	prompql "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"signalbox/tsdb/promql"
)

// markedStore marks the store's errors (promql.StorageError), so that the
// library answers them with errorType "internal" and not as a failed query.
type markedStore struct{ Store }

func (s markedStore) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := s.Store.Querier(mint, maxt)
	if err != nil {
		return nil, promql.StorageError(err)
	}
	if searcher, ok := q.(storage.Searcher); ok {
		return struct {
			markedQuerier
			storage.Searcher
		}{markedQuerier{q}, searcher}, nil
	}
	return markedQuerier{q}, nil
}

// ExemplarQuerier also turns "none" into an empty list: clients do not expect null.
func (s markedStore) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	q, err := s.Store.ExemplarQuerier(ctx)
	if err != nil {
		return nil, promql.StorageError(err)
	}
	return markedExemplars{q}, nil
}

type markedQuerier struct{ storage.Querier }

func (q markedQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	values, warnings, err := q.Querier.LabelValues(ctx, name, hints, ms...)
	return values, warnings, promql.StorageError(err)
}

func (q markedQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	names, warnings, err := q.Querier.LabelNames(ctx, hints, ms...)
	return names, warnings, promql.StorageError(err)
}

func (q markedQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	return markedSet{q.Querier.Select(ctx, sorted, hints, ms...)}
}

type markedSet struct{ storage.SeriesSet }

func (s markedSet) Err() error { return promql.StorageError(s.SeriesSet.Err()) }

type markedExemplars struct{ storage.ExemplarQuerier }

func (q markedExemplars) Select(start, end int64, ms ...[]*labels.Matcher) ([]exemplar.QueryResult, error) {
	res, err := q.ExemplarQuerier.Select(start, end, ms...)
	if res == nil {
		res = []exemplar.QueryResult{}
	}
	return res, promql.StorageError(err)
}

// engineError says whether err has a status in Prometheus' own table.
func engineError(err error) bool {
	_, canceled := errors.AsType[prompql.ErrQueryCanceled](err)
	_, timeout := errors.AsType[prompql.ErrQueryTimeout](err)
	_, samples := errors.AsType[prompql.ErrTooManySamples](err)
	return canceled || timeout || samples
}
