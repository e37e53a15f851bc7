package otlp

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"github.com/prometheus/prometheus/util/annotations"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

// batch is the working set of one request. It is pooled: release gives it back
// without any reference to the request's data. One that saw a panic is not.
type batch struct {
	h        *Handler
	conv     *prometheusremotewrite.PrometheusConverter
	rec      recorder
	tx       *deltaTx // nil when the request has no delta metric that is added up
	received int      // data points seen
	sizes    sizes    // of the point that is being checked
	built    int64    // bytes of labels that the points kept so far need
	refusals tally
}

func newBatch(h *Handler) *batch {
	b := &batch{h: h, conv: prometheusremotewrite.NewPrometheusConverter(nil)}
	b.rec.init(h)
	return b
}

func (b *batch) release() {
	b.conv.Reset(nil)
	b.rec.reset()
	b.refusals.reset()
	b.received, b.built, b.sizes, b.tx = 0, 0, sizes{}, nil
	b.h.batches.Put(b)
}

// store checks, translates and commits md. An error means that nothing is in
// the sink and that no delta stream has moved. So does a panic: an appender left
// open would hold back its store for ever, and a lock of a stream its senders.
func (b *batch) store(ctx context.Context, id tenant.ID, md pmetric.Metrics) (err error) {
	if b.h.cfg.Delta == DeltaCumulative {
		if b.tx, err = b.h.deltas.begin(ctx, id, md); err != nil {
			return err
		}
	}
	var open storage.AppenderV2
	committed := false
	defer func() {
		defer b.tx.end(committed) // also when Rollback panics
		if open != nil {
			b.rollback(open)
		}
	}()

	app := b.h.sink.AppenderV2(ctx)
	open = app
	b.rec.begin(app, &b.refusals)
	b.conv.Reset(&b.rec)
	if err := b.translate(ctx, md); err != nil {
		return err
	}
	err = app.Commit()
	open = nil // Commit ends the appender, whatever it returns
	committed = err == nil
	return err
}

func (b *batch) rollback(app storage.AppenderV2) {
	if err := app.Rollback(); err != nil {
		b.h.log.Error("rollback failed", "err", err)
	}
}

// translate appends md resource by resource, so that the recorder can tell the
// samples of points from those of target_info.
func (b *batch) translate(ctx context.Context, md pmetric.Metrics) error {
	all := md.ResourceMetrics()
	if all.Len() == 1 {
		return b.resource(ctx, md)
	}
	for i := range all.Len() {
		one := pmetric.NewMetrics()
		all.At(i).MoveTo(one.ResourceMetrics().AppendEmpty())
		if err := b.resource(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

// resource handles metrics that have exactly one resource.
func (b *batch) resource(ctx context.Context, md pmetric.Metrics) error {
	b.rec.plan = b.rec.plan[:0]
	b.check(md.ResourceMetrics().At(0))
	if len(b.rec.plan) == 0 {
		return nil
	}
	b.rec.beginResource()
	annots, err := b.conv.FromMetrics(ctx, md, b.h.settings)
	b.warn(annots)
	if b.rec.fatal != nil {
		return b.rec.fatal
	}
	if cerr := ctx.Err(); cerr != nil {
		return cerr
	}
	if left := len(b.rec.plan) - b.rec.next; left > 0 {
		// The checks let something through that the translation refuses.
		refusal := fault.Refuse("untranslatable", "cannot be translated: %w", translationError(err))
		for range left {
			b.refusals.add("", refusal)
		}
		b.h.log.Warn("translation refused points that passed the checks", "points", left, "err", err)
	}
	return nil
}

func translationError(err error) error {
	if err == nil {
		return errors.New("no sample was produced")
	}
	return err
}

func (b *batch) warn(annots annotations.Annotations) {
	for category, n := range prometheusremotewrite.CountWarningsByCategory(annots) {
		b.h.m.warnings.WithLabelValues(string(category)).Add(float64(n))
	}
}

// count publishes the tallies of a request that was stored.
func (b *batch) count() {
	m := b.h.m
	for _, r := range b.refusals.reasons {
		m.refused.WithLabelValues(r.reason).Add(float64(r.points))
	}
	accepted := b.received - b.refusals.points
	if accepted > 0 {
		m.accepted.Add(float64(accepted))
		m.success.Set(float64(time.Now().UnixMilli()) / 1000)
	}
}
