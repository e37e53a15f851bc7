package otlp

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// base is a fixed instant, so that expectations can name times.
var base = time.UnixMilli(1_750_000_000_000)

func at(seconds int) pcommon.Timestamp {
	return pcommon.NewTimestampFromTime(base.Add(time.Duration(seconds) * time.Second))
}

// ms is at in the unit of the store.
func ms(seconds int) int64 { return base.UnixMilli() + int64(seconds)*1000 }

// sample is one stored sample; h is nil for a float.
type sample struct {
	T int64
	V float64
	H *histogram.FloatHistogram
}

// rig is a door over a real Prometheus TSDB.
type rig struct {
	*Handler
	db  *teststorage.TestStorage
	reg *prometheus.Registry
}

func newRig(t testing.TB, edit ...func(*Config)) *rig {
	t.Helper()
	db := teststorage.New(t, func(o *tsdb.Options) {
		o.EnableMetadataWALRecords = true
	})
	return newRigOver(t, db, edit...)
}

func newRigOver(t testing.TB, db *teststorage.TestStorage, edit ...func(*Config)) *rig {
	t.Helper()
	cfg := DefaultConfig()
	for _, f := range edit {
		f(&cfg)
	}
	_, err := cfg.Validate()
	require.NoError(t, err)
	reg := prometheus.NewRegistry()
	return &rig{Handler: New(db, cfg, Options{Registry: reg}), db: db, reg: reg}
}

// series reads everything back, by the text of the labels.
func (r *rig) series(t testing.TB) map[string][]sample {
	t.Helper()
	q, err := r.db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	set := q.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".*"))
	out := map[string][]sample{}
	for set.Next() {
		s := set.At()
		var list []sample
		it := s.Iterator(nil)
		for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
			if typ == chunkenc.ValFloat {
				ts, v := it.At()
				list = append(list, sample{T: ts, V: v})
				continue
			}
			ts, fh := it.AtFloatHistogram(nil)
			list = append(list, sample{T: ts, H: fh})
		}
		require.NoError(t, it.Err())
		out[s.Labels().String()] = list
	}
	require.NoError(t, set.Err())
	return out
}

func (r *rig) names(t testing.TB) []string {
	t.Helper()
	var names []string
	for name := range r.series(t) {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// exemplars are those of a metric name, as text of labels, value and time.
func (r *rig) exemplars(t testing.TB, metric string) []exemplarText {
	t.Helper()
	q, err := r.db.ExemplarQuerier(context.Background())
	require.NoError(t, err)
	found, err := q.Select(math.MinInt64/2, math.MaxInt64/2, []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, metric)})
	require.NoError(t, err)
	var out []exemplarText
	for _, f := range found {
		for _, e := range f.Exemplars {
			out = append(out, exemplarText{f.SeriesLabels.Get("le"), e.Labels.String(), e.Value})
		}
	}
	slices.SortFunc(out, func(a, b exemplarText) int { return cmp.Compare(a.Value, b.Value) })
	return out
}

type exemplarText struct {
	LE, Labels string
	Value      float64
}

func (r *rig) counter(t testing.TB, c prometheus.Collector) float64 {
	t.Helper()
	return testutil.ToFloat64(c)
}

// mustConsume stores md and expects that nothing is refused.
func (r *rig) mustConsume(t testing.TB, md pmetric.Metrics) {
	t.Helper()
	out, err := r.consume(context.Background(), md)
	require.NoError(t, err)
	require.Zero(t, out.refused, out.message)
}

// refusing stores md and expects these refusals, by reason.
func (r *rig) refusing(t testing.TB, md pmetric.Metrics, want map[string]int) string {
	t.Helper()
	before := map[string]float64{}
	for reason := range want {
		before[reason] = testutil.ToFloat64(r.m.refused.WithLabelValues(reason))
	}
	out, err := r.consume(context.Background(), md)
	require.NoError(t, err)
	total := 0
	for reason, n := range want {
		total += n
		got := testutil.ToFloat64(r.m.refused.WithLabelValues(reason)) - before[reason]
		require.Equal(t, float64(n), got, "%s: %s", reason, out.message)
	}
	require.Equal(t, total, out.refused, out.message)
	require.Zero(t, testutil.ToFloat64(r.m.refused.WithLabelValues("untranslatable")))
	return out.message
}

// post sends a body over HTTP, without a network.
func (r *rig) post(media, encoding string, body []byte) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/v1/metrics", bytes.NewReader(body))
	req.Header.Set("Content-Type", media)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

// one makes metrics with one metric of one resource and scope.
func one(edit func(m pmetric.Metric), resource ...string) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	for i := 0; i < len(resource); i += 2 {
		rm.Resource().Attributes().PutStr(resource[i], resource[i+1])
	}
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName("lib")
	edit(sm.Metrics().AppendEmpty())
	return md
}

// another adds a metric to the scope that one made.
func another(md pmetric.Metrics) pmetric.Metric {
	return md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().AppendEmpty()
}

func gauge(name string, values ...float64) func(pmetric.Metric) {
	return func(m pmetric.Metric) {
		m.SetName(name)
		points := m.SetEmptyGauge().DataPoints()
		for i, v := range values {
			p := points.AppendEmpty()
			p.SetTimestamp(at(i))
			p.SetDoubleValue(v)
		}
	}
}

func marshal(t testing.TB, md pmetric.Metrics) []byte {
	t.Helper()
	body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	require.NoError(t, err)
	return body
}

// discard is a sink that takes everything and keeps nothing.
type discard struct{}

func (discard) AppenderV2(context.Context) storage.AppenderV2 { return discard{} }
func (discard) Append(storage.SeriesRef, labels.Labels, int64, int64, float64, *histogram.Histogram, *histogram.FloatHistogram, storage.AOptions) (storage.SeriesRef, error) {
	return 1, nil
}
func (discard) Commit() error   { return nil }
func (discard) Rollback() error { return nil }
