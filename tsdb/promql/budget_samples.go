package promql

import (
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// sampleBatch is how many samples are read between two charges: about a chunk.
const sampleBatch = 128

// budgetSeries is in use only while query.max_samples_read is set, so that
// nobody else pays for a second call a sample.
type budgetSeries struct {
	storage.Series
	b *budget
}

func (s *budgetSeries) Iterator(reuse chunkenc.Iterator) chunkenc.Iterator {
	it, ok := reuse.(*budgetIterator)
	if !ok {
		it = &budgetIterator{}
	}
	// What the last series left uncharged stays in it.n, the query is the same.
	it.Iterator, it.b, it.err = s.Series.Iterator(it.Iterator), s.b, nil
	it.n++ // the sample that a Seek finds
	return it
}

// budgetIterator counts what Next returns; a Seek goes through uncounted, and
// whoever reads a range goes on with Next.
type budgetIterator struct {
	chunkenc.Iterator
	b   *budget
	n   int64 // read and not yet charged
	err error
}

func (it *budgetIterator) Next() chunkenc.ValueType {
	vt := it.Iterator.Next()
	if vt == chunkenc.ValNone || it.err != nil {
		return chunkenc.ValNone
	}
	if it.n++; it.n >= sampleBatch {
		it.err = it.b.chargeSamples(it.n)
		it.n = 0
		if it.err != nil {
			return chunkenc.ValNone
		}
	}
	return vt
}

func (it *budgetIterator) Err() error {
	if it.err != nil {
		return it.err
	}
	return StorageError(it.Iterator.Err())
}
