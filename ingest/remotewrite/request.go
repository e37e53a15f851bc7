package remotewrite

import (
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"signalbox/internal/tenant"
)

// request is the state of one request and the buffers it works with. It is
// pooled by the Handler; the goroutine of ServeHTTP owns it in between.
type request struct {
	h       *Handler
	version int // 1 or 2
	schema  schema
	tenant  tenant.ID
	app     storage.AppenderV2

	now, before view // this tenant's part of the two generations of the cache
	metaCache   *metaCache
	pending     []cached // cached after Commit, in the order of the request

	cur      series
	labels   labelSet
	exLabels labelSet
	exRefs   []uint32
	carried  []exemplar.Exemplar // of cur
	symbols  symbols             // version 2
	loose    []looseExemplars
	meta     metaBatch
	records  int // seen so far

	tally
}

// schema is where the two versions' TimeSeries differ.
type schema struct {
	inRequest                   int32 // field number of TimeSeries
	sample, histogram, exemplar int32
}

var schemas = [...]schema{
	1: {inRequest: 1, sample: 2, exemplar: 3, histogram: 4},
	2: {inRequest: 5, sample: 2, histogram: 3, exemplar: 4},
}

// series is the TimeSeries at hand.
type series struct {
	key key
	// src are version 1's label fields, in the body or in gathered; refs are
	// version 2's references.
	src, gathered []byte
	refs          []uint32

	ref    storage.SeriesRef // 0 until known
	cached storage.SeriesRef // what the current generation says
	ls     labels.Labels     // empty until parsed
	parsed bool
}

// reset prepares q for a request.
func (q *request) reset(h *Handler, version int, id tenant.ID) {
	q.h, q.version, q.schema, q.tenant = h, version, schemas[version], id
	cur, prev := h.cache.generations()
	q.now, q.before, q.metaCache = view{}, view{}, nil
	if t := cur.tenant(id); t != nil {
		q.now, q.metaCache = t.series.view(), t.meta.Load()
	}
	if t := prev.tenant(id); t != nil {
		q.before = t.series.view()
	}
	q.records = 0
	q.tally.reset()
}

// maxKept is how many entries a pooled buffer may have.
const maxKept = 64 << 10

// forget drops everything that points into the body or the store, and buffers
// that one giant request has grown.
func (q *request) forget() {
	q.app = nil
	q.now, q.before, q.metaCache = view{}, view{}, nil
	q.labels.forget()
	q.exLabels.forget()
	q.symbols.forget()
	q.meta = metaBatch{} // rare, and the maps are the sink's
	q.cur = series{gathered: q.cur.gathered[:0], refs: q.cur.refs[:0]}
	if cap(q.cur.gathered) > maxKept {
		q.cur.gathered = nil
	}
	clear(q.carried[:cap(q.carried)])
	clear(q.loose[:cap(q.loose)])
	q.carried, q.loose = q.carried[:0], q.loose[:0]
	if q.pending = q.pending[:0]; cap(q.pending) > maxKept {
		q.pending = nil
	}
	if cap(q.carried) > maxKept || cap(q.loose) > maxKept {
		q.carried, q.loose = nil, nil
	}
}
