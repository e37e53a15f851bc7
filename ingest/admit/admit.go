package admit

import (
	"context"
	"errors"
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
	ap := &appender{door: d, app: app, id: id, limits: l, newest: 1<<63 - 1, oldest: -1 << 63, now: now}
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

// bucket returns the tenant's token bucket, brought up to date with its limits.
func (a *Admitter) bucket(id tenant.ID, l Limits) *rate.Limiter {
	burst := max(l.SamplesBurst, int(l.SamplesPerSecond), 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.buckets[id]
	if b == nil {
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
	now            time.Time
	bucket         *rate.Limiter
	tokens         int   // taken from the bucket and not used yet
	stop           error // why the request as a whole fails

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
			a.stop = err
			return 0, err
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
	a.received++
	if fault.Is(err, fault.Invalid) {
		return 0, a.refuse(err)
	}
	a.stop = err
	return 0, err
}

// AppendExemplar implements storage.ExemplarAppender where the store does.
func (a *appender) AppendExemplar(ref storage.SeriesRef, ls labels.Labels, e exemplar.Exemplar) (storage.SeriesRef, error) {
	if a.stop != nil {
		return 0, a.stop
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

func (a *appender) take() error {
	if a.tokens == 0 {
		n := min(tokenChunk, a.bucket.Burst())
		if !a.bucket.AllowN(a.now, n) {
			if n == 1 || !a.bucket.AllowN(a.now, 1) {
				return fault.New(fault.Limited, "tenant %s sends more than limits.samples_per_second of %g samples a second (burst %d)", a.id, a.limits.SamplesPerSecond, a.bucket.Burst()).
					WithReason("rate").WithRetryAfter(time.Second)
			}
			n = 1
		}
		a.tokens = n
	}
	a.tokens--
	return nil
}

func (a *appender) refuse(err error) error {
	reason := fault.ReasonOf(err)
	if reason == "" {
		reason = "invalid"
	}
	a.note(reason, 1)
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
	err := a.app.Commit()
	if err != nil {
		a.fail(err)
	} else {
		a.door.accepted.Add(float64(a.accepted))
	}
	a.count()
	return err
}

// Rollback implements storage.AppenderV2.
func (a *appender) Rollback() error {
	if a.stop != nil {
		a.fail(a.stop)
	} else {
		a.note("rolled_back", a.accepted)
	}
	a.count()
	return a.app.Rollback()
}

// fail counts the samples that were good but fell with their request.
func (a *appender) fail(err error) {
	reason := fault.ReasonOf(err)
	if reason == "" {
		reason = fault.ClassOf(err).String()
	}
	a.note(reason, max(a.accepted, 1))
}

func (a *appender) count() {
	a.door.received.Add(float64(a.received))
	for reason, n := range a.refused {
		if n > 0 {
			a.door.a.metrics.refused.WithLabelValues(a.door.name, reason).Add(float64(n))
		}
	}
	a.returnTokens()
	a.received, a.accepted, a.refused = 0, 0, nil
}

// returnTokens gives back what was taken and not used.
func (a *appender) returnTokens() {
	if a.bucket != nil && a.tokens > 0 {
		a.bucket.AllowN(a.now, -a.tokens)
		a.tokens = 0
	}
}
