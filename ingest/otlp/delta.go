package otlp

import (
	"context"
	"hash/maphash"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

const stripeCount = 64

// deltas adds delta streams up. A request holds the stripes of its resources
// from begin to end, that is until the sink has committed, so a retry of a
// request that failed finds the streams as they were. All streams of a resource
// are in one stripe; an SDK sends its requests one after the other anyway.
type deltas struct {
	max       int64 // of used
	stale     time.Duration
	seeds     [2]maphash.Seed
	used      atomic.Int64 // weight of all streams
	lastSweep atomic.Int64 // Unix ns of the last sweep of all stripes
	stripes   [stripeCount]stripe
}

type stripe struct {
	lock    chan struct{} // holds a token while free; a channel, so that waiting ends with the context
	streams map[hash128]*stream
	swept   int64 // Unix ns
}

// stream is the cumulative state of one delta stream.
type stream struct {
	start, last pcommon.Timestamp // of what is added up, ns
	seen        int64             // Unix ns by our clock
	weight      int64             // what it counts in deltas.used
	num         number
	hist        *explicit
	exp         *exponential
	touch       *touch // of the request that holds the stripe
}

func newDeltas(limit int64, stale time.Duration) *deltas {
	d := &deltas{max: limit, stale: stale, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	for i := range d.stripes {
		d.stripes[i].lock = make(chan struct{}, 1)
		d.stripes[i].lock <- struct{}{}
		d.stripes[i].streams = make(map[hash128]*stream)
	}
	return d
}

// deltaTx is what one request does to the streams. It is nil for a request
// without deltas, which only end accepts.
type deltaTx struct {
	d       *deltas
	now     int64
	held    []int // stripes, ascending
	touches []*touch
	hash    hasher
	// The place in the request that is being walked.
	stripe                  *stripe
	resource, scope, metric hash128
	tenant                  tenant.ID
}

// touch remembers a stream as it was before the request.
type touch struct {
	tx       *deltaTx
	stripe   *stripe
	id       hash128
	s        *stream
	before   stream
	created  bool
	accepted bool
	last     pcommon.Timestamp // of the accepted points
}

// begin locks the stripes that the delta metrics of md need. It returns nil when
// there are none, and the context's error if that ends while another request
// holds a stripe.
func (d *deltas) begin(ctx context.Context, id tenant.ID, md pmetric.Metrics) (*deltaTx, error) {
	var tx *deltaTx
	var need []int
	for _, rm := range md.ResourceMetrics().All() {
		if !hasDelta(rm) {
			continue
		}
		if tx == nil {
			tx = &deltaTx{d: d, now: time.Now().UnixNano(), tenant: id, hash: newHasher(d.seeds)}
		}
		need = append(need, tx.stripeOf(rm.Resource().Attributes()))
	}
	slices.Sort(need)
	for _, i := range slices.Compact(need) {
		s := &d.stripes[i]
		select {
		case <-s.lock:
		case <-ctx.Done():
			tx.unlock()
			return nil, ctx.Err()
		}
		tx.held = append(tx.held, i)
		if tx.now-s.swept > int64(d.stale) {
			d.sweep(s, tx.now)
		}
	}
	return tx, nil
}

func hasDelta(rm pmetric.ResourceMetrics) bool {
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			var t pmetric.AggregationTemporality
			switch m.Type() {
			case pmetric.MetricTypeSum:
				t = m.Sum().AggregationTemporality()
			case pmetric.MetricTypeHistogram:
				t = m.Histogram().AggregationTemporality()
			case pmetric.MetricTypeExponentialHistogram:
				t = m.ExponentialHistogram().AggregationTemporality()
			default:
			}
			if t == pmetric.AggregationTemporalityDelta {
				return true
			}
		}
	}
	return false
}

// end keeps or undoes what the request did, and unlocks. A nil tx is fine.
func (tx *deltaTx) end(committed bool) {
	if tx == nil {
		return
	}
	for _, t := range tx.touches {
		t.close(committed)
	}
	tx.unlock()
}

func (tx *deltaTx) unlock() {
	for _, i := range tx.held {
		tx.d.stripes[i].lock <- struct{}{}
	}
	tx.held = nil
}

// settle notes what the store said of a point of the stream that ended at end.
func (t *touch) settle(accepted bool, end pcommon.Timestamp) {
	if accepted {
		t.accepted, t.last = true, end
	}
}

// close undoes a stream that got no sample in. One that did keeps its value,
// what a refused point added to it included: those increments were observed and
// the next sample carries them. Its time is that of the last accepted point, so
// a refused one from the far future does not shut the stream.
func (t *touch) close(committed bool) {
	t.s.touch = nil
	switch {
	case committed && t.accepted:
		t.s.last = t.last
	case t.created:
		t.tx.d.used.Add(-t.s.weight)
		delete(t.stripe.streams, t.id)
	default:
		t.tx.d.used.Add(t.before.weight - t.s.weight)
		*t.s = t.before
	}
}

// advance finds or makes the stream id for a point over (start, end], checks
// that the point follows what is added up already, and remembers the stream's
// state. weight is what it will count.
func (tx *deltaTx) advance(id hash128, start, end pcommon.Timestamp, weight int64) (*touch, *fault.Error) {
	if start > end {
		return nil, fault.Refuse("delta_bad_interval", "the delta starts %v after its end", time.Duration(start-end))
	}
	s := tx.stripe.streams[id]
	fresh := s == nil || tx.now-s.seen > int64(tx.d.stale)
	if !fresh && (end <= s.last || start != 0 && start < s.last) {
		return nil, fault.Refuse("delta_out_of_order", "the delta from %v to %v begins before %v, where the last one ended",
			start.AsTime(), end.AsTime(), s.last.AsTime())
	}
	grow := weight
	if s != nil {
		grow -= s.weight
	}
	if grow > 0 && !tx.d.reserve(grow, tx) {
		return nil, fault.Refuse("delta_limit", "there are %d delta series already; see otlp.max_delta_series", tx.d.max)
	}
	if grow <= 0 {
		tx.d.used.Add(grow)
	}
	if s == nil {
		s = &stream{}
		tx.stripe.streams[id] = s
		s.touch = tx.remember(&touch{id: id, s: s, created: true})
	} else if s.touch == nil {
		s.touch = tx.remember(&touch{id: id, s: s, before: *s})
		s.hist, s.exp = s.hist.clone(), s.exp.clone()
	}
	s.weight = weight
	if fresh {
		s.restart(start)
	}
	s.last, s.seen = end, tx.now
	return s.touch, nil
}

func (tx *deltaTx) remember(t *touch) *touch {
	t.tx, t.stripe = tx, tx.stripe
	tx.touches = append(tx.touches, t)
	return t
}

// restart begins a new cumulative series.
func (s *stream) restart(start pcommon.Timestamp) {
	s.start = start
	s.num, s.hist, s.exp = number{}, nil, nil
}

// weigh is what a stream with so many buckets counts.
func weigh(buckets int) int64 { return 1 + int64(buckets)/16 }

// reserve takes n of the limit, after a sweep if that is needed.
func (d *deltas) reserve(n int64, tx *deltaTx) bool {
	if d.used.Add(n) <= d.max {
		return true
	}
	const pause = int64(10 * time.Second)
	if last := d.lastSweep.Load(); tx.now-last > pause && d.lastSweep.CompareAndSwap(last, tx.now) {
		d.sweepFree(tx)
		if d.used.Load() <= d.max {
			return true
		}
	}
	d.used.Add(-n)
	return false
}

// sweepFree forgets stale streams of all stripes that no other request holds.
func (d *deltas) sweepFree(tx *deltaTx) {
	for i := range d.stripes {
		s := &d.stripes[i]
		if slices.Contains(tx.held, i) {
			d.sweep(s, tx.now)
			continue
		}
		select {
		case <-s.lock:
			d.sweep(s, tx.now)
			s.lock <- struct{}{}
		default:
		}
	}
}

// sweep forgets stale streams of a stripe that the caller holds.
func (d *deltas) sweep(s *stripe, now int64) {
	s.swept = now
	for id, st := range s.streams {
		if st.touch == nil && now-st.seen > int64(d.stale) {
			d.used.Add(-st.weight)
			delete(s.streams, id)
		}
	}
}
