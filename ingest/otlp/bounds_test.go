package otlp

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Texts that no label can hold cost their points, not the batch nor the store:
// the storage under the rig closes at the end of the test.
func TestTextsAreBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<24)
	point := func(edit func(pcommon.Map)) func(pmetric.Metrics) {
		return func(md pmetric.Metrics) {
			m := another(md)
			gauge("bad", 1, 2)(m)
			edit(m.Gauge().DataPoints().At(0).Attributes())
			edit(m.Gauge().DataPoints().At(1).Attributes())
		}
	}
	metric := func(edit func(pmetric.Metric)) func(pmetric.Metrics) {
		return func(md pmetric.Metrics) {
			m := another(md)
			gauge("bad", 1, 2)(m)
			edit(m)
		}
	}
	elsewhere := func(edit func(pmetric.ResourceMetrics)) func(pmetric.Metrics) {
		return func(md pmetric.Metrics) {
			bad := one(gauge("bad", 1, 2))
			edit(bad.ResourceMetrics().At(0))
			bad.ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
		}
	}
	many := func(n, size int) func(pcommon.Map) {
		return func(m pcommon.Map) {
			for i := range n {
				m.PutStr(fmt.Sprintf("a%d", i), long[:size])
			}
		}
	}
	for _, c := range []struct {
		name, reason string
		add          func(pmetric.Metrics)
	}{
		{"value", "attribute_too_long", point(func(m pcommon.Map) { m.PutStr("k", long) })},
		{"name", "attribute_too_long", point(func(m pcommon.Map) { m.PutStr(long, "v") })},
		{"bytes", "attribute_too_long", point(func(m pcommon.Map) { m.PutEmptyBytes("k").FromRaw([]byte(long)) })},
		{"bytes that grow", "attribute_too_long", point(func(m pcommon.Map) { m.PutEmptyBytes("k").FromRaw(make([]byte, 900_000)) })},
		{"list", "attribute_too_long", point(func(m pcommon.Map) { m.PutEmptySlice("k").AppendEmpty().SetStr(long) })},
		{"map", "attribute_too_long", point(func(m pcommon.Map) { m.PutEmptyMap("k").PutStr(long, "") })},
		{"map that grows", "attribute_too_long", point(func(m pcommon.Map) { m.PutEmptyMap("k").PutStr("x", strings.Repeat("\x01", 900_000)) })},
		{"long list", "attribute_too_long", point(func(m pcommon.Map) {
			s := m.PutEmptySlice("k")
			for range maxTextBytes / 2 {
				s.AppendEmpty().SetInt(1)
			}
		})},
		{"names that become one", "attributes_too_long", point(func(m pcommon.Map) {
			for _, k := range []string{"a.", "a-", "a/", "a!", "a:", "a?", "a#", "a+", "a=", "a(", "a)", "a[", "a]", "a{", "a}", "a|"} {
				m.PutStr(k, long[:maxTextBytes])
			}
		})},
		{"together", "attributes_too_long", point(many(9, maxTextBytes))},
		{"number", "too_many_attributes", point(many(maxAttributes+1, 1))},
		{"metric name", "metric_name_too_long", metric(func(m pmetric.Metric) { m.SetName(long) })},
		{"unit", "metric_name_too_long", metric(func(m pmetric.Metric) { m.SetUnit(long) })},
		{"resource value", "attribute_too_long", elsewhere(func(rm pmetric.ResourceMetrics) { rm.Resource().Attributes().PutStr("host.name", long) })},
		{"resource name", "attribute_too_long", elsewhere(func(rm pmetric.ResourceMetrics) { rm.Resource().Attributes().PutStr(long, "") })},
		{"resource", "attributes_too_long", elsewhere(func(rm pmetric.ResourceMetrics) { many(9, maxTextBytes)(rm.Resource().Attributes()) })},
		{"scope value", "attribute_too_long", elsewhere(func(rm pmetric.ResourceMetrics) { rm.ScopeMetrics().At(0).Scope().Attributes().PutStr("k", long) })},
		{"scope name", "scope_too_long", elsewhere(func(rm pmetric.ResourceMetrics) { rm.ScopeMetrics().At(0).Scope().SetName(long) })},
		{"scope version", "scope_too_long", elsewhere(func(rm pmetric.ResourceMetrics) { rm.ScopeMetrics().At(0).Scope().SetVersion(long) })},
		{"scope schema", "scope_too_long", elsewhere(func(rm pmetric.ResourceMetrics) { rm.ScopeMetrics().At(0).SetSchemaUrl(long) })},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.PromoteScopeMetadata, c.PromoteAllResourceAttributes = true, true })
			md := one(gauge("good.before", 1))
			c.add(md)
			gauge("good.after", 2)(another(md))
			message := r.refusing(t, md, map[string]int{c.reason: 2})
			require.Less(t, len(message), 1000)
			require.Len(t, r.names(t), 2)
		})
	}
}

func TestLongestTextsAreTaken(t *testing.T) {
	long := strings.Repeat("x", maxTextBytes)
	r := newRig(t)
	md := one(gauge(long, 1), "service.name", long, "service.namespace", long)
	p := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0)
	p.Attributes().PutStr("a."+long[2:], long)
	p.Attributes().PutStr("a-"+long[2:], long)
	p.Attributes().PutEmptySlice("list").AppendEmpty().SetStr(long[:maxTextBytes-4])
	r.mustConsume(t, md)
}

// One point may stand for millions of series, each with all the labels.
func TestLabelsOfARequestAreBounded(t *testing.T) {
	const buckets = 100_000
	bounds := make([]float64, buckets)
	for i := range bounds {
		bounds[i] = float64(i)
	}
	h := New(discard{}, DefaultConfig(), Options{})
	md := one(gauge("good", 1), "service.name", strings.Repeat("x", maxTextBytes))
	explicitHistogram("huge", cumulative, 0, 1, bounds, make([]uint64, buckets+1)...)(another(md))
	n, err := h.Consume(t.Context(), md)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	r := &rig{Handler: h}
	require.Equal(t, 1.0, r.counter(t, h.m.refused.WithLabelValues("too_many_label_bytes")))
	require.Equal(t, 1.0, r.counter(t, h.m.accepted))
	r.mustConsume(t, one(gauge("good", 1))) // the next request starts from nothing
}

func TestExemplarTextsAreBounded(t *testing.T) {
	r := newRig(t)
	md := one(sum("c", "1", true, cumulative, 0, 1, 5))
	es := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0).Exemplars()
	for _, text := range []string{strings.Repeat("x", 1<<24), "fine"} {
		e := es.AppendEmpty()
		e.SetDoubleValue(1)
		e.SetTimestamp(at(1))
		e.FilteredAttributes().PutStr("k", text)
	}
	r.mustConsume(t, md)
	require.Len(t, r.exemplars(t, "c_total"), 1)
	require.Equal(t, 1.0, r.counter(t, r.m.exemplars))
}

// panicking is a sink that panics at one of its methods while at says so.
type panicking struct {
	at         string
	rolledBack int
}

func (p *panicking) panicAt(method string) {
	if p.at == method {
		panic("BUG: " + method)
	}
}

func (p *panicking) AppenderV2(context.Context) storage.AppenderV2 { p.panicAt("appender"); return p }
func (p *panicking) Append(storage.SeriesRef, labels.Labels, int64, int64, float64, *histogram.Histogram, *histogram.FloatHistogram, storage.AOptions) (storage.SeriesRef, error) {
	p.panicAt("append")
	return 1, nil
}
func (p *panicking) Commit() error   { p.panicAt("commit"); return nil }
func (p *panicking) Rollback() error { p.rolledBack++; p.panicAt("rollback"); return nil }

func TestPanicEndsTheTransaction(t *testing.T) {
	for at, rolledBack := range map[string]int{"appender": 0, "append": 1, "commit": 1} {
		sink := &panicking{at: at}
		h := New(sink, DefaultConfig(), Options{})
		send := func() error {
			_, err := h.Consume(t.Context(), one(sum("c", "", true, delta, 0, 1, 5)))
			return err
		}
		require.PanicsWithValue(t, "BUG: "+at, func() { _ = send() })
		require.Equal(t, rolledBack, sink.rolledBack, at)
		require.Zero(t, h.deltas.used.Load(), "no stream is kept of what was not stored")
		sink.at = ""
		require.NoError(t, send(), "the same delta again is the first, and the lock is free")
		require.EqualValues(t, 1, h.deltas.used.Load())
		require.Equal(t, rolledBack, sink.rolledBack)
	}
}
