package promql

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// What the evaluator keeps for each series besides its labels: the series with
// its iterator, and in the list of its chunks about two chunks of 48 bytes an
// hour at one sample every 15 seconds.
const (
	bytesPerSeries     = 256
	bytesPerSeriesHour = 96
)

// budget is what one query may read. Its counters are atomic because a storage
// may fetch several selectors at once.
type budget struct {
	cfg     *Config
	series  atomic.Int64
	bytes   atomic.Int64
	samples atomic.Int64
}

func (b *budget) chargeSeries(lset labels.Labels, perSeries int64) error {
	n := b.series.Add(1)
	if limit := int64(b.cfg.MaxSeries); limit > 0 && n > limit {
		return overBudget(reasonMaxSeries, "the query selects more series than query.max_series (%d)", limit)
	}
	size := b.bytes.Add(perSeries + int64(lset.ByteSize()))
	if limit := b.cfg.MaxBytes; limit > 0 && size > limit {
		return overBudget(reasonMaxBytes, "the series of the query take more memory than query.max_bytes (%d), at %d series", limit, n)
	}
	return nil
}

func (b *budget) chargeSamples(n int64) error {
	if total := b.samples.Add(n); total > b.cfg.MaxSamplesRead {
		return overBudget(reasonMaxSamplesRead, "the query reads more samples than query.max_samples_read (%d)", b.cfg.MaxSamplesRead)
	}
	return nil
}

// budgetQueryable charges what is read through it to one query.
type budgetQueryable struct {
	storage.Queryable
	b *budget
}

func (q budgetQueryable) Querier(mint, maxt int64) (storage.Querier, error) {
	inner, err := q.Queryable.Querier(mint, maxt)
	if err != nil {
		return nil, StorageError(err)
	}
	return &budgetQuerier{Querier: inner, b: q.b, mint: mint, maxt: maxt}, nil
}

type budgetQuerier struct {
	storage.Querier
	b          *budget
	mint, maxt int64 // Unix milliseconds
}

func (q *budgetQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	mint, maxt := q.mint, q.maxt
	if hints != nil {
		mint, maxt = max(mint, hints.Start), min(maxt, hints.End)
	}
	// Beyond a few years a series has gaps rather than chunks.
	const maxHours = 5 * 365 * 24
	hours := min(maxHours, max(0, maxt-mint)/time.Hour.Milliseconds())
	return &budgetSeriesSet{
		SeriesSet: q.Querier.Select(ctx, sorted, hints, ms...),
		b:         q.b,
		perSeries: bytesPerSeries + hours*bytesPerSeriesHour,
	}
}

type budgetSeriesSet struct {
	storage.SeriesSet
	b         *budget
	perSeries int64
	cur       storage.Series
	err       error
}

func (s *budgetSeriesSet) Next() bool {
	if s.err != nil || !s.SeriesSet.Next() {
		return false
	}
	s.cur = s.SeriesSet.At()
	if s.err = s.b.chargeSeries(s.cur.Labels(), s.perSeries); s.err != nil {
		return false
	}
	if s.b.cfg.MaxSamplesRead > 0 {
		s.cur = &budgetSeries{Series: s.cur, b: s.b}
	}
	return true
}

func (s *budgetSeriesSet) At() storage.Series { return s.cur }

func (s *budgetSeriesSet) Err() error {
	if s.err != nil {
		return s.err
	}
	return StorageError(s.SeriesSet.Err())
}
