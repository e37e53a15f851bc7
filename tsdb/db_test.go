package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
	"signalbox/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string, edit func(*Config), opts Options) *DB {
	t.Helper()
	cfg := DefaultConfig()
	cfg.MinFreeBytes = 0
	if edit != nil {
		edit(&cfg)
	}
	db, err := Open(dir, cfg, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.Load(context.Background()))
	return db
}

func in(id tenant.ID) context.Context { return tenant.NewContext(context.Background(), id) }

type point struct {
	T int64
	V uint64 // bits
}

// put writes floats at the given times, value = time.
func put(t *testing.T, db *DB, ctx context.Context, ls labels.Labels, times ...int64) {
	t.Helper()
	app := db.AppenderV2(ctx)
	for _, ts := range times {
		_, err := app.Append(0, ls, 0, ts, float64(ts), nil, nil, storage.AOptions{})
		require.NoError(t, err)
	}
	require.NoError(t, app.Commit())
}

// read returns all float samples by series.
func read(t testing.TB, db *DB, ctx context.Context, ms ...*labels.Matcher) map[string][]point {
	t.Helper()
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer q.Close()
	if len(ms) == 0 {
		ms = []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".+")}
	}
	set := q.Select(ctx, true, nil, ms...)
	out := map[string][]point{}
	for set.Next() {
		it := set.At().Iterator(nil)
		var ps []point
		for it.Next() == chunkenc.ValFloat {
			ts, v := it.At()
			ps = append(ps, point{ts, math.Float64bits(v)})
		}
		require.NoError(t, it.Err())
		out[set.At().Labels().String()] = ps
	}
	require.NoError(t, set.Err())
	return out
}

func count(m map[string][]point) (n int) {
	for _, ps := range m {
		n += len(ps)
	}
	return n
}

func TestValuesComeBackBitForBit(t *testing.T) {
	dir := t.TempDir()
	bits := []uint64{
		math.Float64bits(1.5), value.StaleNaN, value.NormalNaN, 0x7ff8dead_beef0001, math.Float64bits(math.Inf(1)),
		math.Float64bits(math.Inf(-1)), math.Float64bits(math.Copysign(0, -1)), math.Float64bits(5e-324), math.Float64bits(1e15 + 0.5),
	}
	now := time.Now().UnixMilli()
	ls := labels.FromStrings("__name__", "m", "a", "b")
	db := open(t, dir, nil, Options{})
	app := db.AppenderV2(context.Background())
	var want []point
	for i, b := range bits {
		_, err := app.Append(0, ls, 0, now+int64(i), math.Float64frombits(b), nil, nil, storage.AOptions{})
		require.NoError(t, err)
		want = append(want, point{now + int64(i), b})
	}
	require.NoError(t, app.Commit())
	require.Empty(t, cmp.Diff(map[string][]point{ls.String(): want}, read(t, db, context.Background())))

	require.NoError(t, db.Close())
	db = open(t, dir, nil, Options{})
	require.Empty(t, cmp.Diff(map[string][]point{ls.String(): want}, read(t, db, context.Background())), "after a restart")
}

func TestTenantsAreApartAndMergeOnRequest(t *testing.T) {
	db := open(t, t.TempDir(), nil, Options{})
	now := time.Now().UnixMilli()
	ls := labels.FromStrings("__name__", "m")
	put(t, db, in("a"), ls, now)
	put(t, db, in("b"), ls, now, now+1)
	require.Equal(t, 1, count(read(t, db, in("a"))))
	require.Equal(t, 2, count(read(t, db, in("b"))))
	require.Empty(t, read(t, db, in("nobody")))

	both := tenant.NewContext(context.Background(), "a", "b", "nobody")
	got := read(t, db, both)
	require.Len(t, got, 2)
	require.Len(t, got[`{__name__="m", __tenant_id__="b"}`], 2)
	got = read(t, db, both, labels.MustNewMatcher(labels.MatchEqual, "__name__", "m"), labels.MustNewMatcher(labels.MatchEqual, TenantLabel, "a"))
	require.Len(t, got, 1)

	q, err := db.Querier(0, math.MaxInt64)
	require.NoError(t, err)
	defer q.Close()
	names, _, err := q.LabelNames(both, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"__name__", TenantLabel}, names)
	vals, _, err := q.LabelValues(both, TenantLabel, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "nobody"}, vals)

	cq, err := db.ChunkQuerier(0, math.MaxInt64)
	require.NoError(t, err)
	defer cq.Close()
	set := cq.Select(both, true, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "m"))
	n := 0
	for set.Next() {
		n++
	}
	require.NoError(t, set.Err())
	require.Equal(t, 2, n)

	_, err = db.AppenderV2(both).Append(0, ls, 0, now, 1, nil, nil, storage.AOptions{})
	require.Equal(t, "bad_tenant", fault.ReasonOf(err))
}

func TestReferencesAreSafeToKeep(t *testing.T) {
	db := open(t, t.TempDir(), nil, Options{})
	ctx := context.Background()
	now := time.Now().UnixMilli()
	ls := labels.FromStrings("__name__", "m")
	app := db.AppenderV2(ctx)
	_, err := app.Append(0, labels.EmptyLabels(), 0, now, 1, nil, nil, storage.AOptions{})
	require.Equal(t, "unknown_ref", fault.ReasonOf(err), "no reference and no labels")
	ref, err := app.Append(0, ls, 0, now, 1, nil, nil, storage.AOptions{})
	require.NoError(t, err)
	require.NoError(t, app.Commit())

	app = db.AppenderV2(ctx)
	again, err := app.Append(ref, labels.EmptyLabels(), 0, now+1, 2, nil, nil, storage.AOptions{})
	require.NoError(t, err)
	require.Equal(t, ref, again)
	_, err = app.Append(ref+1, labels.EmptyLabels(), 0, now+1, 2, nil, nil, storage.AOptions{})
	require.Equal(t, "unknown_ref", fault.ReasonOf(err), "a reference nobody gave")
	require.NoError(t, app.Commit())
	require.Equal(t, 2, count(read(t, db, ctx)))

	// The same number from another opening of the store names nothing.
	ts, err := db.tenant(tenant.Default, false)
	require.NoError(t, err)
	_ = ts.fail(errors.New("pulled out for the test"))
	ts.mend()
	app = db.AppenderV2(ctx)
	_, err = app.Append(ref, labels.EmptyLabels(), 0, now+2, 2, nil, nil, storage.AOptions{})
	require.Equal(t, "unknown_ref", fault.ReasonOf(err))
	got, err := app.Append(ref, ls, 0, now+2, 2, nil, nil, storage.AOptions{})
	require.NoError(t, err, "with labels a stale reference is no obstacle")
	require.NotEqual(t, ref, got)
	require.NoError(t, app.Commit())
	require.Equal(t, 3, count(read(t, db, ctx)))
}

func TestSeriesOfTwoRequestsAtOnceSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, nil, Options{})
	ctx := context.Background()
	now := time.Now().UnixMilli()
	for round := range int64(3) { // the first meets an empty head
		ls := labels.FromStrings("__name__", "m", "round", fmt.Sprint(round))
		first, second := db.AppenderV2(ctx), db.AppenderV2(ctx)
		_, err := first.Append(0, ls, 0, now, float64(now), nil, nil, storage.AOptions{})
		require.NoError(t, err)
		_, err = second.Append(0, ls, 0, now+1, float64(now+1), nil, nil, storage.AOptions{})
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() { done <- second.Commit() }()
		select { // give it the time to be wrong
		case err = <-done:
			done <- err
		case <-time.After(20 * time.Millisecond):
		}
		if round == 1 {
			require.NoError(t, first.Rollback())
		} else {
			require.NoError(t, first.Commit())
		}
		require.NoError(t, <-done)
	}
	require.NoError(t, db.Close())
	db = open(t, dir, nil, Options{})
	for round := range 3 {
		require.Contains(t, read(t, db, ctx)[labels.FromStrings("__name__", "m", "round", fmt.Sprint(round)).String()],
			point{now + 1, math.Float64bits(float64(now + 1))}, "what the second was told is stored")
	}
}

func TestHistogramsExemplarsAndLateSamples(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, nil, Options{})
	ctx := context.Background()
	now := time.Now().UnixMilli()
	ls := labels.FromStrings("__name__", "h")
	h := tsdbutil.GenerateTestHistogram(3)
	ex := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "abc"), Value: 3, Ts: now, HasTs: true}
	app := db.AppenderV2(ctx)
	_, err := app.Append(0, ls, 0, now, 0, h, nil, storage.AOptions{Exemplars: []exemplar.Exemplar{ex}})
	require.NoError(t, err)
	fh := tsdbutil.GenerateTestFloatHistogram(4)
	_, err = app.Append(0, labels.FromStrings("__name__", "fh"), 0, now, 0, nil, fh, storage.AOptions{})
	require.NoError(t, err)
	bad := h.Copy()
	bad.Count = 1
	_, err = app.Append(0, ls, 0, now+1, 0, bad, nil, storage.AOptions{})
	require.ErrorAs(t, err, new(histogram.Error))
	require.NoError(t, app.Commit())

	// One more comes alone, after its sample, as Prometheus' remote write sends them.
	lone := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "def"), Value: 4, Ts: now + 1, HasTs: true}
	app = db.AppenderV2(ctx)
	_, err = app.(storage.ExemplarAppender).AppendExemplar(0, labels.FromStrings("__name__", "never seen"), lone)
	require.Error(t, err)
	_, err = app.(storage.ExemplarAppender).AppendExemplar(0, ls, lone)
	require.NoError(t, err)
	require.NoError(t, app.Commit())

	check := func(db *DB) {
		q, err := db.Querier(0, math.MaxInt64)
		require.NoError(t, err)
		defer q.Close()
		set := q.Select(ctx, false, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "h"))
		require.True(t, set.Next())
		it := set.At().Iterator(nil)
		require.Equal(t, chunkenc.ValHistogram, it.Next())
		_, got := it.AtHistogram(nil)
		require.True(t, h.Equals(got))
		eq, err := db.ExemplarQuerier(ctx)
		require.NoError(t, err)
		es, err := eq.Select(0, now+1, []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", "h")})
		require.NoError(t, err)
		require.Len(t, es, 1)
		require.Len(t, es[0].Exemplars, 2)
		require.True(t, ex.Equals(es[0].Exemplars[0]))
		require.True(t, lone.Equals(es[0].Exemplars[1]))
	}
	check(db)

	// Late samples are kept within the window and refused beyond it.
	late := labels.FromStrings("__name__", "late")
	put(t, db, ctx, late, now)
	put(t, db, ctx, late, now-30*60*1000)
	app = db.AppenderV2(ctx)
	_, err = app.Append(0, late, 0, now-2*3600*1000, 1, nil, nil, storage.AOptions{})
	require.ErrorIs(t, err, storage.ErrTooOldSample)
	_, err = app.Append(0, late, 0, now, 17, nil, nil, storage.AOptions{})
	require.ErrorIs(t, err, storage.ErrDuplicateSampleForTimestamp)
	_, err = app.Append(0, late, 0, now, float64(now), nil, nil, storage.AOptions{})
	require.NoError(t, err, "the same sample again is no error: senders repeat")
	require.NoError(t, app.Commit())
	require.Len(t, read(t, db, ctx)[late.String()], 2)

	require.NoError(t, db.Close())
	db = open(t, dir, nil, Options{})
	check(db)
	require.Len(t, read(t, db, ctx)[late.String()], 2)
}

func TestSeriesLimitsRefuseOnlyNewSeries(t *testing.T) {
	dir := t.TempDir()
	lim := DefaultLimits()
	lim.MaxSeries, lim.MaxSeriesPerMetric = 10, 6
	opts := Options{Limits: func(tenant.ID) Limits { return lim }}
	db := open(t, dir, nil, opts)
	ctx := context.Background()
	now := time.Now().UnixMilli()
	app := db.AppenderV2(ctx)
	series := func(metric string, i int) labels.Labels {
		return labels.FromStrings("__name__", metric, "pod", fmt.Sprint(i), "zone", fmt.Sprint(i%2))
	}
	for i := range 6 {
		_, err := app.Append(0, series("a", i), 0, now, 1, nil, nil, storage.AOptions{})
		require.NoError(t, err)
	}
	_, err := app.Append(0, series("a", 6), 0, now, 1, nil, nil, storage.AOptions{})
	require.Equal(t, "metric_series_limit", fault.ReasonOf(err))
	require.Contains(t, err.Error(), `metric "a"`)
	require.Contains(t, err.Error(), `"pod" (6 values)`)
	require.Contains(t, err.Error(), "limits.max_series_per_metric")
	for i := range 4 {
		_, err := app.Append(0, series("b", i), 0, now, 1, nil, nil, storage.AOptions{})
		require.NoError(t, err)
	}
	_, err = app.Append(0, series("c", 0), 0, now, 1, nil, nil, storage.AOptions{})
	require.Equal(t, "series_limit", fault.ReasonOf(err))
	require.Equal(t, fault.Invalid, fault.ClassOf(err))
	_, err = app.Append(0, series("a", 3), 0, now+1, 1, nil, nil, storage.AOptions{})
	require.NoError(t, err, "a known series goes on")
	require.NoError(t, app.Commit())
	require.Len(t, read(t, db, ctx), 10)
	require.NoError(t, db.Close())

	// What was acknowledged comes back under a lower limit too, and still counts.
	lim.MaxSeries = 5
	db = open(t, dir, nil, opts)
	require.Len(t, read(t, db, ctx), 10)
	app = db.AppenderV2(ctx)
	_, err = app.Append(0, series("d", 0), 0, now, 1, nil, nil, storage.AOptions{})
	require.Equal(t, "series_limit", fault.ReasonOf(err))
	require.NoError(t, app.Rollback())
}

func TestTenantLimit(t *testing.T) {
	db := open(t, t.TempDir(), func(c *Config) { c.MaxTenants = 1 }, Options{})
	put(t, db, in("a"), labels.FromStrings("__name__", "m"), time.Now().UnixMilli())
	_, err := db.AppenderV2(in("b")).Append(0, labels.FromStrings("__name__", "m"), 0, 1, 1, nil, nil, storage.AOptions{})
	require.Equal(t, "tenant_limit", fault.ReasonOf(err))
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, nil, Options{})
	_, err := Open(dir, DefaultConfig(), Options{})
	require.ErrorIs(t, err, vfs.ErrLocked)
	require.Contains(t, err.Error(), dir)
	require.Contains(t, err.Error(), "storage.path")
}

func TestMetadataSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, nil, Options{})
	ctx := context.Background()
	m1 := metadata.Metadata{Type: model.MetricTypeCounter, Help: "Requests.", Unit: "1"}
	m2 := metadata.Metadata{Type: model.MetricTypeGauge, Help: "Depth."}
	app := db.AppenderV2(ctx)
	_, err := app.Append(0, labels.FromStrings("__name__", "req_total"), 0, time.Now().UnixMilli(), 1, nil, nil, storage.AOptions{MetricFamilyName: "req", Metadata: m1})
	require.NoError(t, err)
	got, err := db.Metadata(ctx, "")
	require.NoError(t, err)
	require.Empty(t, got, "not before it is acknowledged")
	require.NoError(t, app.Commit())
	require.NoError(t, db.SetMetadata(ctx, map[string][]metadata.Metadata{"depth": {m2, m1}}))
	want := map[string][]metadata.Metadata{"req": {m1}, "depth": {m1, m2}}
	got, err = db.Metadata(ctx, "")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got))
	got, err = db.Metadata(ctx, "req")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(map[string][]metadata.Metadata{"req": {m1}}, got))
	require.NoError(t, db.Close())
	db = open(t, dir, nil, Options{})
	got, err = db.Metadata(ctx, "")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got))
}

func TestAdministration(t *testing.T) {
	reg := prometheus.NewRegistry()
	db := open(t, t.TempDir(), nil, Options{Registry: reg})
	ctx := context.Background()
	now := time.Now().UnixMilli()
	put(t, db, ctx, labels.FromStrings("__name__", "a", "x", "1"), now, now+1)
	put(t, db, ctx, labels.FromStrings("__name__", "a", "x", "2"), now)
	put(t, db, ctx, labels.FromStrings("__name__", "b", "x", "2"), now)

	st, err := db.Stats(ctx, labels.MetricName, 1)
	require.NoError(t, err)
	require.EqualValues(t, 3, st.Series)
	require.Equal(t, []Stat{{"a", 2}}, st.SeriesByMetric)
	require.Equal(t, now, st.MinTime)
	require.Equal(t, now+1, st.MaxTime)
	st, err = db.Stats(in("nobody"), labels.MetricName, 1)
	require.NoError(t, err)
	require.Zero(t, st.Series)

	name, err := db.Snapshot(ctx, false)
	require.NoError(t, err)
	names, err := (vfs.OS{}).List(db.dir + "/tenants/default/snapshots/" + name)
	require.NoError(t, err)
	require.NotEmpty(t, names)

	require.NoError(t, db.Delete(ctx, math.MinInt64, math.MaxInt64, labels.MustNewMatcher(labels.MatchEqual, "x", "2")))
	require.NoError(t, db.CleanTombstones(ctx))
	require.Equal(t, 2, count(read(t, db, ctx)), "two samples of one series are left")
	blocks, err := db.Blocks(ctx)
	require.NoError(t, err)
	require.Empty(t, blocks)

	fams, err := reg.Gather()
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, f := range fams {
		seen[f.GetName()] = true
	}
	for _, want := range []string{"signalbox_tsdb_active_series", "signalbox_tsdb_writable", "signalbox_tsdb_head_chunks", "signalbox_tsdb_head_samples_appended_total", "signalbox_tsdb_blocks_bytes", "signalbox_tsdb_wal_storage_size_bytes"} {
		require.True(t, seen[want], want)
	}
}

func TestLimitsAreReloaded(t *testing.T) {
	lim := DefaultLimits()
	db := open(t, t.TempDir(), nil, Options{Limits: func(tenant.ID) Limits { return lim }})
	put(t, db, in("a"), labels.FromStrings("__name__", "m"), time.Now().UnixMilli())
	lim.Retention = time.Hour
	lim.MaxSeries = 1
	require.NoError(t, db.ApplyLimits())
	app := db.AppenderV2(in("a"))
	_, err := app.Append(0, labels.FromStrings("__name__", "n"), 0, time.Now().UnixMilli(), 1, nil, nil, storage.AOptions{})
	require.Equal(t, "series_limit", fault.ReasonOf(err))
	require.NoError(t, app.Rollback())
}

func TestBeforeLoadItAnswersUnavailable(t *testing.T) {
	db, err := Open(t.TempDir(), DefaultConfig(), Options{})
	require.NoError(t, err)
	defer db.Close()
	_, err = db.AppenderV2(context.Background()).Append(0, labels.FromStrings("__name__", "m"), 0, 1, 1, nil, nil, storage.AOptions{})
	require.Equal(t, fault.Unavailable, fault.ClassOf(err))
	require.Positive(t, fault.RetryAfter(err))
	_, err = db.Metadata(context.Background(), "")
	require.Equal(t, fault.Unavailable, fault.ClassOf(err))
}

func TestClosedStoreAnswersUnavailable(t *testing.T) {
	db := open(t, t.TempDir(), nil, Options{})
	require.NoError(t, db.Close())
	_, err := db.AppenderV2(context.Background()).Append(0, labels.FromStrings("__name__", "m"), 0, 1, 1, nil, nil, storage.AOptions{})
	require.Equal(t, fault.Unavailable, fault.ClassOf(err))
}
