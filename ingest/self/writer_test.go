package self

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"signalbox/internal/fault"
)

var jobLabels = map[string]string{"job": "signalbox", "instance": "here"}

func newWriter(t testing.TB, sink storage.AppendableV2, sources ...Source) *Writer {
	t.Helper()
	w, err := New(sink, sources, DefaultConfig(), Options{})
	require.NoError(t, err)
	return w
}

// at writes one round as of a number of seconds.
func (w *Writer) at(seconds int64) { w.writeRound(context.Background(), time.Unix(seconds, 0)) }

// everyKind is a registry with each kind of metric in it.
func everyKind() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "A counter."}, []string{"code"})
	counter.WithLabelValues("200").(prometheus.ExemplarAdder).AddWithExemplar(2, prometheus.Labels{"trace_id": "abc"})
	counter.WithLabelValues("500").Add(1)
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "A gauge."})
	gauge.Set(-1.5)
	untyped := prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: "u"}, func() float64 { return math.Inf(1) })
	summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "s", Objectives: map[float64]float64{0.5: 0.05, 1: 0}})
	summary.Observe(3)
	empty := prometheus.NewSummary(prometheus.SummaryOpts{Name: "s_empty", Objectives: map[float64]float64{0.5: 0.05}})
	classic := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Buckets: []float64{0.5, 1, 10, 1e6}})
	classic.Observe(0.7)
	classic.Observe(1e9)
	both := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "hb", Buckets: []float64{1}, NativeHistogramBucketFactor: 1.1})
	both.Observe(2)
	reg.MustRegister(counter, gauge, untyped, summary, empty, classic, both)
	return reg
}

// TestSameAsScraped: what is written equals what a scrape of the same registry
// would have stored.
func TestSameAsScraped(t *testing.T) {
	reg := everyKind()
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	p, err := textparse.New(rec.Body.Bytes(), rec.Header().Get("Content-Type"), labels.NewSymbolTable(), textparse.ParserOptions{})
	require.NoError(t, err)
	want := map[string]float64{}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if entry != textparse.EntrySeries {
			continue
		}
		_, _, v := p.Series()
		var ls labels.Labels
		p.Labels(&ls)
		b := labels.NewBuilder(ls)
		b.Set("job", "signalbox")
		b.Set("instance", "here")
		want[b.Labels().String()] = v
	}

	sink := newMemorySink()
	newWriter(t, sink, Source{reg, jobLabels}).at(100)
	got := map[string]float64{}
	for series, samples := range sink.series {
		require.Len(t, samples, 1, series)
		require.EqualValues(t, 100_000, samples[0].T)
		require.EqualValues(t, "default", samples[0].Tenant)
		if samples[0].H == nil {
			got[series] = samples[0].V
		}
	}
	for _, health := range []string{"up", "scrape_duration_seconds", "scrape_samples_scraped"} {
		key := `{__name__="` + health + `", instance="here", job="signalbox"}`
		require.Contains(t, got, key)
		delete(got, key)
	}
	require.Empty(t, cmp.Diff(want, got, cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })))
}

func TestMetadataExemplarsAndNativeHistograms(t *testing.T) {
	sink := newMemorySink()
	w := newWriter(t, sink, Source{everyKind(), jobLabels})
	w.at(100)
	w.at(115)

	c := sink.get(`{__name__="c_total", code="200", instance="here", job="signalbox"}`)
	require.Len(t, c, 2)
	require.Equal(t, model.MetricTypeCounter, c[0].Meta.Type)
	require.Equal(t, "A counter.", c[1].Meta.Help)
	require.Equal(t, "c_total", c[1].Family)
	require.Positive(t, c[0].ST)
	require.Len(t, c[0].Exemplars, 1)
	require.Equal(t, "abc", c[0].Exemplars[0].Labels.Get("trace_id"))
	require.Empty(t, c[1].Exemplars, "an exemplar is written once")

	h := sink.get(`{__name__="hb", instance="here", job="signalbox"}`)
	require.Len(t, h, 2)
	require.EqualValues(t, 1, h[0].H.Count)
	require.InDelta(t, 2, h[0].H.Sum, 0)
	require.Equal(t, model.MetricTypeHistogram, h[0].Meta.Type)
	require.Len(t, sink.get(`{__name__="hb_bucket", instance="here", job="signalbox", le="1.0"}`), 2, "classic buckets are there too")
	require.Zero(t, sink.wrongRefs)
}

func TestFloatNativeHistogram(t *testing.T) {
	one := 1.0
	ih, fh := nativeHistogram(&dto.Histogram{
		SampleCountFloat: &one, SampleSum: &one, ZeroCountFloat: &one,
		PositiveSpan: []*dto.BucketSpan{{Offset: new(int32), Length: new(uint32)}},
	})
	require.Nil(t, ih)
	require.InDelta(t, 1, fh.Count, 0)
	require.NoError(t, fh.Validate())
}

func TestVanishedSeriesEnd(t *testing.T) {
	reg := prometheus.NewRegistry()
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "g"}, []string{"x"})
	reg.MustRegister(vec)
	vec.WithLabelValues("a").Set(1)
	vec.WithLabelValues("b").Set(2)
	sink := newMemorySink()
	w := newWriter(t, sink, Source{reg, jobLabels})
	w.at(0)
	vec.DeleteLabelValues("a")
	w.at(15)
	w.at(30)
	vec.WithLabelValues("a").Set(3)
	w.at(45)
	require.Equal(t, []any{1.0, "stale", 3.0}, values(sink.get(`{__name__="g", instance="here", job="signalbox", x="a"}`)))
	require.Equal(t, []any{2.0, 2.0, 2.0, 2.0}, values(sink.get(`{__name__="g", instance="here", job="signalbox", x="b"}`)))
}

// changing gives what it is told to.
type changing struct {
	families []*dto.MetricFamily
	err      error
}

func (c *changing) Gather() ([]*dto.MetricFamily, error) { return c.families, c.err }

func histogramFamily(bounds ...float64) []*dto.MetricFamily {
	name, typ, one := "h", dto.MetricType_HISTOGRAM, uint64(1)
	h := &dto.Histogram{SampleCount: &one}
	for _, b := range bounds {
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &b, CumulativeCount: &one})
	}
	return []*dto.MetricFamily{{Name: &name, Type: &typ, Metric: []*dto.Metric{{Histogram: h}}}}
}

func TestChangedBuckets(t *testing.T) {
	g := &changing{families: histogramFamily(1, 2)}
	sink := newMemorySink()
	w := newWriter(t, sink, Source{g, nil})
	w.at(0)
	g.families = histogramFamily(1, 3, math.Inf(1))
	w.at(15)
	require.Equal(t, []any{1.0, 1.0}, values(sink.get(`{__name__="h_bucket", le="1.0"}`)))
	require.Equal(t, []any{1.0, "stale"}, values(sink.get(`{__name__="h_bucket", le="2.0"}`)))
	require.Equal(t, []any{1.0}, values(sink.get(`{__name__="h_bucket", le="3.0"}`)))
	require.Equal(t, []any{1.0, 1.0}, values(sink.get(`{__name__="h_bucket", le="+Inf"}`)))
	require.Equal(t, []any{1.0, 1.0}, values(sink.get(`{__name__="h_count"}`)))
}

func TestFailingSource(t *testing.T) {
	g := &changing{families: histogramFamily(1), err: errors.New("half of it failed")}
	sink := newMemorySink()
	w := newWriter(t, sink, Source{g, map[string]string{"job": "broken"}}, Source{everyKind(), jobLabels})
	w.at(0)
	require.Equal(t, []any{0.0}, values(sink.get(`{__name__="up", job="broken"}`)))
	require.Equal(t, []any{1.0}, values(sink.get(`{__name__="h_count", job="broken"}`)), "what it gave is kept")
	require.Equal(t, []any{1.0}, values(sink.get(`{__name__="up", instance="here", job="signalbox"}`)))
	require.InDelta(t, 1, testutil.ToFloat64(w.metrics.gatherErrors), 0)

	g.families, g.err = nil, errors.New("all of it failed")
	w.at(15)
	require.Equal(t, []any{1.0, "stale"}, values(sink.get(`{__name__="h_count", job="broken"}`)))
}

func TestLabelsOfTheSourceWin(t *testing.T) {
	reg := prometheus.NewRegistry()
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g", ConstLabels: prometheus.Labels{"job": "inner"}})
	reg.MustRegister(g)
	sink := newMemorySink()
	newWriter(t, sink, Source{reg, jobLabels}).at(0)
	require.Len(t, sink.get(`{__name__="g", exported_job="inner", instance="here", job="signalbox"}`), 1)
}

func TestRefusals(t *testing.T) {
	reg := prometheus.NewRegistry()
	for _, name := range []string{"a", "bad", "c"} {
		reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: name}))
	}
	tests := []struct {
		name   string
		err    error
		reason string // "": the round fails
	}{
		{"refused", fault.Refuse("too_many_series", "no"), "too_many_series"},
		{"out of order", storage.ErrOutOfOrderSample, "out_of_order"},
		{"too old", storage.ErrTooOldSample, "too_old"},
		{"full", fault.New(fault.Unavailable, "disk is full"), ""},
		{"limited", fault.New(fault.Limited, "slower"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sink := newMemorySink()
			sink.refuse = func(ls labels.Labels) error {
				if ls.Get("__name__") == "bad" {
					return tt.err
				}
				return nil
			}
			w := newWriter(t, sink, Source{reg, nil})
			w.at(0)
			if tt.reason != "" {
				require.InDelta(t, 1, testutil.ToFloat64(w.metrics.refused.WithLabelValues(tt.reason)), 0)
				require.InDelta(t, 1, testutil.ToFloat64(w.metrics.rounds.WithLabelValues("written")), 0)
				require.Len(t, sink.get(`{__name__="a"}`), 1)
				require.Len(t, sink.get(`{__name__="c"}`), 1)
				return
			}
			require.InDelta(t, 1, testutil.ToFloat64(w.metrics.rounds.WithLabelValues("failed")), 0)
			require.Empty(t, sink.series)
			sink.refuse = nil
			w.at(15)
			require.Len(t, sink.get(`{__name__="bad"}`), 1, "the next round is complete")
		})
	}
}

// TestFailedCommit: what ends while the store is away gets its marker later,
// and what the store never had gets none.
func TestFailedCommit(t *testing.T) {
	reg := prometheus.NewRegistry()
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "g"}, []string{"x"})
	reg.MustRegister(vec)
	vec.WithLabelValues("old").Set(1)
	sink := newMemorySink()
	w := newWriter(t, sink, Source{reg, nil})
	w.at(0)
	sink.commitErr = fault.New(fault.Unavailable, "away")
	vec.DeleteLabelValues("old")
	vec.WithLabelValues("brief").Set(2)
	w.at(15)
	vec.DeleteLabelValues("brief")
	w.at(30)
	sink.commitErr = nil
	w.at(45)
	w.at(60)
	require.Equal(t, []any{1.0, "stale"}, values(sink.get(`{__name__="g", x="old"}`)))
	require.Empty(t, sink.get(`{__name__="g", x="brief"}`))
	require.InDelta(t, 2, testutil.ToFloat64(w.metrics.rounds.WithLabelValues("failed")), 0)
}

func TestRunIsAligned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(7 * time.Second)
		start := time.Now()
		reg := prometheus.NewRegistry()
		reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "g"}))
		sink := newMemorySink()
		cfg := DefaultConfig()
		cfg.Tenant = "ops"
		w, err := New(sink, []Source{{Gatherer: reg}}, cfg, Options{})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		synctest.Wait()
		require.Len(t, sink.get(`{__name__="g"}`), 1, "the first round is not waited for")
		time.Sleep(40 * time.Second)
		cancel()
		require.NoError(t, <-done)

		got := sink.get(`{__name__="g"}`)
		require.Len(t, got, 4)
		require.Equal(t, start.UnixMilli(), got[0].T)
		for _, s := range got[1:] {
			require.Zero(t, s.T%15_000, "at multiples of the interval")
			require.EqualValues(t, "ops", s.Tenant)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	_, err := New(newMemorySink(), []Source{{everyKind(), jobLabels}, {everyKind(), jobLabels}}, DefaultConfig(), Options{})
	require.ErrorContains(t, err, "two sources")
	_, err = New(newMemorySink(), nil, Config{Tenant: "a/b"}, Options{})
	require.ErrorContains(t, err, "interval")
	require.ErrorContains(t, err, "tenant")
	require.True(t, fault.Is(err, fault.Invalid))
}

func BenchmarkRound(b *testing.B) {
	reg := prometheus.NewRegistry()
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"path", "code"})
	hist := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "latency_seconds", Help: "Latency."}, []string{"path"})
	for i := range 800 {
		vec.WithLabelValues("/api/v1/"+strconv.Itoa(i/4), strconv.Itoa(200+i%4)).Inc()
	}
	for i := range 50 {
		hist.WithLabelValues("/api/v1/" + strconv.Itoa(i)).Observe(0.1)
	}
	reg.MustRegister(vec, hist)
	b.Run("gather", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := reg.Gather()
			require.NoError(b, err)
		}
	})
	b.Run("gather and append", func(b *testing.B) {
		w := newWriter(b, discard{}, Source{reg, jobLabels})
		b.ReportAllocs()
		for t := int64(0); b.Loop(); t++ {
			w.at(t)
		}
		b.ReportMetric(testutil.ToFloat64(w.metrics.series), "series")
	})
}
