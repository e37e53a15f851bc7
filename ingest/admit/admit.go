package admit

import (
	"context"
	"errors"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"golang.org/x/time/rate"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

// Admitter applies limits in front of a store. It is safe for concurrent use.
type Admitter struct {
	sink    storage.AppendableV2
	limits  func(tenant.ID) Limits
	metrics *metrics

	mu      sync.Mutex
	buckets map[tenant.ID]*rate.Limiter // one a tenant with a rate; tenants are few
}

// New makes an Admitter that writes to sink. limits may answer differently
// over time (a reload); reg may be nil.
func New(sink storage.AppendableV2, limits func(tenant.ID) Limits, reg prometheus.Registerer) *Admitter {
	return &Admitter{sink: sink, limits: limits, metrics: newMetrics(reg), buckets: map[tenant.ID]*rate.Limiter{}}
}

// Door returns the sink for one way in; name is the value of the label "door".
func (a *Admitter) Door(name string) storage.AppendableV2 {
	return &door{a: a, name: name, received: a.metrics.received.WithLabelValues(name), accepted: a.metrics.accepted.WithLabelValues(name)}
}

type door struct {
	a                  *Admitter
	name               string
	received, accepted prometheus.Counter
}

// AppenderV2 implements storage.AppendableV2.
func (d *door) AppenderV2(ctx context.Context) storage.AppenderV2 {
	app := d.a.sink.AppenderV2(ctx)
	id, err := tenant.One(ctx)
	if err != nil {
		return &appender{door: d, app: app, stop: err}
	}
	now := time.Now()
	l := d.a.limits(id)
	// Far enough from the ends that a store may add and subtract.
	ap := &appender{door: d, app: app, id: id, limits: l, newest: math.MaxInt64 / 2, oldest: math.MinInt64 / 2}
	if l.MaxSampleAhead > 0 {
		ap.newest = now.Add(l.MaxSampleAhead).UnixMilli()
	}
	if l.MaxSampleAge > 0 {
		ap.oldest = now.Add(-l.MaxSampleAge).UnixMilli()
	}
	if l.SamplesPerSecond > 0 {
		ap.bucket = d.a.bucket(id, l)
	}
	return ap
}

// maxBuckets is how many are kept before those that are full are dropped: a
// tenant's name costs its sender nothing.
const maxBuckets = 10_000

// bucket returns the tenant's token bucket, brought up to date with its limits.
func (a *Admitter) bucket(id tenant.ID, l Limits) *rate.Limiter {
	burst := max(l.SamplesBurst, int(l.SamplesPerSecond), 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.buckets[id]
	if b == nil {
		if len(a.buckets) >= maxBuckets {
			// A full bucket is as good as a new one.
			maps.DeleteFunc(a.buckets, func(_ tenant.ID, b *rate.Limiter) bool { return b.Tokens() >= float64(b.Burst()) })
		}
		b = rate.NewLimiter(rate.Limit(l.SamplesPerSecond), burst)
		a.buckets[id] = b
	}
	if b.Limit() != rate.Limit(l.SamplesPerSecond) {
		b.SetLimit(rate.Limit(l.SamplesPerSecond))
	}
	if b.Burst() != burst {
		b.SetBurst(burst)
	}
	return b
}

// appender checks one request. It is used by one goroutine.
type appender struct {
	door           *door
	app            storage.AppenderV2
	id             tenant.ID
	limits         Limits
	oldest, newest int64 // Unix milliseconds
	bucket         *rate.Limiter
	tokens         int   // reserved and not used yet
	taken          int   // reserved by this request
	stop           error // why the request as a whole fails
	done           bool  // Commit or Rollback was called

	received, accepted int
	refused            map[string]int
}

// tokenChunk is how many samples are taken from the bucket at a time.
const tokenChunk = 64

// Append implements storage.AppenderV2.
func (a *appender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	if a.stop != nil {
		return 0, a.stop
	}
	if t > a.newest || t < a.oldest {
		a.received++
		return 0, a.refuse(a.outside(t, ls))
	}
	if !ls.IsEmpty() && ref == 0 {
		if err := a.checkLabels(ls); err != nil {
			a.received++
			return 0, a.refuse(err)
		}
	}
	if a.bucket != nil {
		if err := a.take(); err != nil {
			return 0, a.halt(err)
		}
	}
	got, err := a.app.Append(ref, ls, st, t, v, h, fh, opts)
	if err == nil {
		a.received++
		a.accepted++
		return got, nil
	}
	var partial *storage.AppendPartialError
	if errors.As(err, &partial) {
		a.received++
		a.accepted++
		a.note("exemplar", len(partial.ExemplarErrors))
		return got, err
	}
	err = Classify(err)
	if fault.ReasonOf(err) == "unknown_ref" {
		return 0, err // the door comes again with labels
	}
	if !fault.Is(err, fault.Invalid) {
		return 0, a.halt(err)
	}
	a.received++
	return 0, a.refuse(err)
}

// halt ends the request at a sample that it cannot go past.
func (a *appender) halt(err error) error {
	a.received++
	a.stop = err
	a.note(reasonOf(err), 1)
	return err
}

func reasonOf(err error) string {
	if reason := fault.ReasonOf(err); reason != "" {
		return reason
	}
	return fault.ClassOf(err).String()
}

// AppendExemplar implements storage.ExemplarAppender where the store does.
func (a *appender) AppendExemplar(ref storage.SeriesRef, ls labels.Labels, e exemplar.Exemplar) (storage.SeriesRef, error) {
	if a.stop != nil {
		return 0, a.stop
	}
	if e.Ts > a.newest || e.Ts < a.oldest {
		a.note("exemplar", 1)
		return 0, fault.Refuse("exemplar", "exemplar of a time outside limits.max_sample_age and limits.max_sample_ahead")
	}
	x, ok := a.app.(storage.ExemplarAppender)
	if !ok {
		a.note("exemplar", 1)
		return 0, fault.Refuse("exemplar", "the store takes no exemplar without its sample")
	}
	got, err := x.AppendExemplar(ref, ls, e)
	if err == nil {
		return got, nil
	}
	if err = Classify(err); fault.Is(err, fault.Invalid) && fault.ReasonOf(err) != "unknown_ref" {
		a.note("exemplar", 1)
	}
	return 0, err
}

// take uses one token. A request is refused only at its start, when the bucket
// is empty; one that has begun goes through and leaves the bucket in debt, so
// that a request larger than the burst can pass at all.
func (a *appender) take() error {
	if a.tokens == 0 {
		now := time.Now()
		if a.taken == 0 && a.bucket.TokensAt(now) < 1 {
			return fault.New(fault.Limited, "tenant %s sends more than limits.samples_per_second of %g samples a second (burst %d)", a.id, a.limits.SamplesPerSecond, a.bucket.Burst()).
				WithReason("rate").WithRetryAfter(time.Second)
		}
		n := min(tokenChunk, a.bucket.Burst())
		a.bucket.ReserveN(now, n)
		a.tokens, a.taken = n, a.taken+n
	}
	a.tokens--
	return nil
}

func (a *appender) refuse(err error) error {
	a.note(reasonOf(err), 1)
	return err
}

func (a *appender) note(reason string, n int) {
	if a.refused == nil {
		a.refused = map[string]int{}
	}
	a.refused[reason] += n
}

// Commit implements storage.AppenderV2.
func (a *appender) Commit() error {
	if a.stop != nil {
		return errors.Join(a.stop, a.Rollback())
	}
	a.done = true
	err := a.app.Commit()
	if err != nil {
		a.note(reasonOf(err), a.accepted)
		a.giveBack(a.taken)
	} else {
		a.door.accepted.Add(float64(a.accepted))
		a.giveBack(a.tokens)
	}
	a.count()
	return err
}

// Rollback implements storage.AppenderV2; after Commit it does nothing.
func (a *appender) Rollback() error {
	if a.done {
		return nil
	}
	a.done = true
	// The samples that were good fall with their request.
	if a.stop != nil {
		a.note(reasonOf(a.stop), a.accepted)
	} else {
		a.note("rolled_back", a.accepted)
	}
	a.giveBack(a.taken)
	a.count()
	return a.app.Rollback()
}

func (a *appender) count() {
	a.door.received.Add(float64(a.received))
	for reason, n := range a.refused {
		if n > 0 {
			a.door.a.metrics.refused.WithLabelValues(a.door.name, reason).Add(float64(n))
		}
	}
}

// giveBack returns tokens to the bucket.
func (a *appender) giveBack(n int) {
	if a.bucket != nil && n > 0 {
		a.bucket.ReserveN(time.Now(), -n)
	}
}
