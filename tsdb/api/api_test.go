package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"

	"signalbox/internal/tenant"
	"signalbox/tsdb/promql"
)

// sampleHistogram has one bucket of each kind.
func sampleHistogram() *histogram.Histogram {
	return &histogram.Histogram{
		Count: 6, Sum: 3.5, ZeroThreshold: 0.001, ZeroCount: 1,
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{2, 0},
		NegativeSpans: []histogram.Span{{Offset: 1, Length: 1}}, NegativeBuckets: []int64{1},
	}
}

// fill stores what the tables below ask for, at base().
func fill(t *testing.T, s *server) {
	t.Helper()
	at := base().UnixMilli()
	up := func(instance string) labels.Labels {
		return labels.FromStrings("__name__", "up", "instance", instance, "job", "node")
	}
	ex := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "abc"), Value: 6, Ts: at, HasTs: true}
	write(t, s.db, tenant.Default,
		sample{lset: up("a"), t: at, v: 1},
		sample{lset: up("b"), t: at, v: 0},
		sample{lset: up("a"), t: at + 15000, v: 2},
		sample{lset: labels.FromStrings("__name__", "http.requests", "service.name", "a/b"), t: at, v: 5, ex: []exemplar.Exemplar{ex}},
		sample{lset: labels.FromStrings("__name__", "lat"), t: at, h: sampleHistogram()},
	)
	write(t, s.db, "other", sample{lset: labels.FromStrings("__name__", "secret"), t: at, v: 1})
	s.meta(t, "up", metadata.Metadata{Type: model.MetricTypeGauge, Help: "Is it up.", Unit: ""})
	s.meta(t, "http.requests", metadata.Metadata{Type: model.MetricTypeCounter, Help: "Requests.", Unit: "1"})
}

type request struct {
	name   string
	method string // GET when empty
	path   string
	form   url.Values
	header []string
	status int // 200 when 0
	want   string
}

func (rq request) run(t *testing.T, s *server) {
	t.Helper()
	method, status := rq.method, rq.status
	if method == "" {
		method = http.MethodGet
	}
	if status == 0 {
		status = http.StatusOK
	}
	got := s.do(t, method, rq.path, rq.form, rq.header...)
	require.Equal(t, status, got.status, got.body)
	require.Equal(t, rq.want, got.body)
	if rq.want != "" {
		require.Equal(t, "application/json", got.header.Get("Content-Type"))
	}
}

// What Grafana's data source sends, in its order, each by GET and, where the
// contract lists it, by POST, with exact answers.
func TestGrafanaSequence(t *testing.T) {
	s := serve(t, nil)
	fill(t, s)
	start, end := "1760000000", "1760000030"
	window := func(more ...string) url.Values {
		v := url.Values{"start": {start}, "end": {end}, "limit": {"40000"}}
		for i := 0; i < len(more); i += 2 {
			v.Add(more[i], more[i+1])
		}
		return v
	}
	build := `{"status":"success","data":{"version":"` + EmulatedVersion + `","revision":"x","branch":"x","buildUser":"x","buildDate":"x","goVersion":"` + runtime.Version() + `"}}`
	both := []request{
		{name: "health", path: "/api/v1/query", form: url.Values{"query": {"1+1"}, "time": {"4"}},
			want: `{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}`},
		{name: "exemplar probe", path: "/api/v1/query_exemplars", form: url.Values{"query": {"test"}, "start": {"1760000000000"}, "end": {"1760000000000"}},
			want: `{"status":"success","data":[]}`},
		{name: "exemplars", path: "/api/v1/query_exemplars", form: window("query", `rate({"http.requests"}[1m])`),
			want: `{"status":"success","data":[{"seriesLabels":{"__name__":"http.requests","service.name":"a/b"},"exemplars":[{"labels":{"trace_id":"abc"},"value":"6","timestamp":1760000000}]}]}`},
		{name: "exemplars without a selector", path: "/api/v1/query_exemplars", form: url.Values{"query": {"1"}}, status: 204},
		{name: "range", path: "/api/v1/query_range", form: url.Values{"query": {`up{instance="a"}`}, "start": {start}, "end": {end}, "step": {"15"}, "timeout": {"30s"}},
			want: `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","instance":"a","job":"node"},"values":[[1760000000,"1"],[1760000015,"2"],[1760000030,"2"]]}]}}`},
		{name: "instant", path: "/api/v1/query", form: url.Values{"query": {"sum(up)"}, "time": {"1760000015.5"}},
			want: `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1760000015.500,"2"]}]}}`},
		{name: "native histogram", path: "/api/v1/query", form: url.Values{"query": {"lat"}, "time": {start}},
			want: `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"lat"},"histogram":[1760000000,{"count":"6","sum":"3.5","buckets":[[1,"-2","-1","1"],[3,"-0.001","0.001","1"],[0,"0.5","1","2"],[0,"1","2","2"]]}]}]}}`},
		{name: "string", path: "/api/v1/query", form: url.Values{"query": {`"x"`}, "time": {"4"}},
			want: `{"status":"success","data":{"resultType":"string","result":[4,"x"]}}`},
		{name: "limit", path: "/api/v1/query", form: url.Values{"query": {"sort(up)"}, "time": {start}, "limit": {"1"}},
			want: `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","instance":"b","job":"node"},"value":[1760000000,"0"]}]},"warnings":["results truncated due to limit"]}`},
		{name: "label names", path: "/api/v1/labels", form: window(),
			want: `{"status":"success","data":["__name__","instance","job","service.name"]}`},
		{name: "label names of a metric", path: "/api/v1/labels", form: window("match[]", `{"http.requests"}`),
			want: `{"status":"success","data":["__name__","service.name"]}`},
		{name: "label names cut", path: "/api/v1/labels", form: url.Values{"limit": {"1"}},
			want: `{"status":"success","data":["__name__"],"warnings":["results truncated due to limit"]}`},
		{name: "series", path: "/api/v1/series", form: window("match[]", "up", "match[]", "nosuch"),
			want: `{"status":"success","data":[{"__name__":"up","instance":"a","job":"node"},{"__name__":"up","instance":"b","job":"node"}]}`},
		{name: "format", path: "/api/v1/format_query", form: url.Values{"query": {"sum  by(a)(x)"}},
			want: `{"status":"success","data":"sum by (a) (x)"}`},
		{name: "parse", path: "/api/v1/parse_query", form: url.Values{"query": {"1"}},
			want: `{"status":"success","data":{"type":"numberLiteral","val":"1"}}`},
	}
	for _, rq := range both {
		for _, m := range []string{http.MethodGet, http.MethodPost} {
			rq.method = m
			t.Run(m+" "+rq.name, func(t *testing.T) { rq.run(t, s) })
		}
	}
	for _, rq := range []request{
		{name: "build", path: "/api/v1/status/buildinfo", want: build},
		{name: "rules", path: "/api/v1/rules", want: `{"status":"success","data":{"groups":[]}}`},
		{name: "rules, paged", path: "/api/v1/rules?type=alert&group_limit=10&exclude_alerts=true", want: `{"status":"success","data":{"groups":[]}}`},
		{name: "alerts", path: "/api/v1/alerts", want: `{"status":"success","data":{"alerts":[]}}`},
		{name: "alertmanagers", path: "/api/v1/alertmanagers", want: `{"status":"success","data":{"activeAlertmanagers":[],"droppedAlertmanagers":[]}}`},
		{name: "metric names", path: "/api/v1/label/__name__/values", form: window(), want: `{"status":"success","data":["http.requests","lat","up"]}`},
		{name: "values with matcher", path: "/api/v1/label/instance/values", form: window("match[]", `{__name__="up"}`), want: `{"status":"success","data":["a","b"]}`},
		{name: "values of several matchers", path: "/api/v1/label/instance/values", form: window("match[]", `up{instance="b"}`, "match[]", `up`), want: `{"status":"success","data":["a","b"]}`},
		{name: "U__ name", path: "/api/v1/label/U__service_2e_name/values", want: `{"status":"success","data":["a/b"]}`},
		{name: "raw UTF-8 name", path: "/api/v1/label/service.name/values", want: `{"status":"success","data":["a/b"]}`},
		{name: "name with a slash", path: "/api/v1/label/no%2Fsuch%20name/values", want: `{"status":"success","data":[]}`},
		{name: "metadata", path: "/api/v1/metadata?limit=0", want: `{"status":"success","data":{"http.requests":[{"type":"counter","help":"Requests.","unit":"1"}],"up":[{"type":"gauge","help":"Is it up.","unit":""}]}}`},
		{name: "metadata of one", path: "/api/v1/metadata?metric=up&limit=40000", want: `{"status":"success","data":{"up":[{"type":"gauge","help":"Is it up.","unit":""}]}}`},
		{name: "metadata cut", path: "/api/v1/metadata?limit=1", want: `{"status":"success","data":{"http.requests":[{"type":"counter","help":"Requests.","unit":"1"}]}}`},
		{name: "targets", path: "/api/v1/targets", want: `{"status":"success","data":{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}}`},
		{name: "scrape pools", path: "/api/v1/scrape_pools", want: `{"status":"success","data":{"scrapePools":[]}}`},
		{name: "target metadata", path: "/api/v1/targets/metadata", want: `{"status":"success","data":[]}`},
		{name: "walreplay", path: "/api/v1/status/walreplay", want: `{"status":"success","data":{"min":0,"max":0,"current":0}}`},
		{name: "notifications", path: "/api/v1/notifications", want: `{"status":"success","data":[]}`},
		{name: "flags", path: "/api/v1/status/flags", want: `{"status":"success","data":{}}`},
		{name: "config", path: "/api/v1/status/config", want: `{"status":"success","data":{"yaml":""}}`},
		{name: "blocks", path: "/api/v1/status/tsdb/blocks", want: `{"status":"success","data":{"blocks":[]}}`},
		{name: "tenant", path: "/api/v1/label/__name__/values", header: []string{tenant.Header, "other"}, want: `{"status":"success","data":["secret"]}`},
		{name: "two tenants", path: "/api/v1/label/__name__/values", header: []string{tenant.Header, "other|default"}, want: `{"status":"success","data":["http.requests","lat","secret","up"]}`},
	} {
		t.Run(rq.name, func(t *testing.T) { rq.run(t, s) })
	}
}

// The body's parameters count before the URL's, and both are read.
func TestPostMergesURLAndBody(t *testing.T) {
	s := serve(t, nil)
	got := s.do(t, http.MethodPost, "/api/v1/query?time=4&query=1", url.Values{"query": {"2"}})
	require.JSONEq(t, `{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}`, got.body)
}

func TestTSDBStatus(t *testing.T) {
	s := serve(t, nil)
	fill(t, s)
	got := s.get(t, "/api/v1/status/tsdb?limit=1")
	require.Equal(t, http.StatusOK, got.status, got.body)
	var env struct{ Data tsdbStatus }
	require.NoError(t, json.Unmarshal([]byte(got.body), &env))
	require.Equal(t, uint64(4), env.Data.HeadStats.NumSeries)
	require.Equal(t, base().UnixMilli(), env.Data.HeadStats.MinTime)
	require.Equal(t, []nameValue{{"up", 2}}, env.Data.SeriesCountByMetricName)
}

func TestStatsAndFeatures(t *testing.T) {
	s := serve(t, func(_ *Config, q *promql.Config, _ *Options) { q.Experimental = true })
	fill(t, s)
	got := s.get(t, "/api/v1/query_range?query=up&start=1760000000&end=1760000015&step=15&stats=all")
	var env struct {
		Data struct {
			Stats struct {
				Timings map[string]float64
				Samples struct {
					TotalQueryableSamples        int64
					TotalQueryableSamplesPerStep [][2]float64
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got.body), &env), got.body)
	require.Len(t, env.Data.Stats.Timings, 6)
	require.Equal(t, int64(4), env.Data.Stats.Samples.TotalQueryableSamples)
	require.Equal(t, [][2]float64{{1760000000, 2}, {1760000015, 2}}, env.Data.Stats.Samples.TotalQueryableSamplesPerStep)

	got = s.get(t, "/api/v1/features")
	var features struct{ Data map[string]map[string]bool }
	require.NoError(t, json.Unmarshal([]byte(got.body), &features), got.body)
	require.True(t, features.Data["promql"]["per_step_stats"])
	require.True(t, features.Data["api"]["exclude_alerts"])
	require.False(t, features.Data["api"]["admin"])
}

func TestUTF8Selectors(t *testing.T) {
	s := serve(t, nil)
	fill(t, s)
	got := s.do(t, http.MethodPost, "/api/v1/query", url.Values{"query": {`{"http.requests", "service.name"="a/b"}`}, "time": {"1760000000"}})
	require.Equal(t, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"http.requests","service.name":"a/b"},"value":[1760000000,"5"]}]}}`, got.body)
}

func TestFarTimes(t *testing.T) {
	s := serve(t, nil)
	fill(t, s)
	for _, at := range []string{"-9223372036854775", "9223372036854775", "-1", "0", "9.223309901257974e+15", "292277025-08-18T07:12:54.999999999Z", "-292273086-05-16T16:47:06Z"} {
		for _, path := range []string{"/api/v1/labels?start=%s", "/api/v1/series?match[]=up&end=%s", "/api/v1/query?query=up&time=%s", "/api/v1/query_exemplars?query=up&end=%s"} {
			target := path[:len(path)-2] + url.QueryEscape(at)
			got := s.get(t, target)
			require.NotEqual(t, http.StatusInternalServerError, got.status, "%s: %s", target, got.body)
			require.Contains(t, got.body, `"status":"`, target)
		}
	}
}

func TestActiveAndSlowQueries(t *testing.T) {
	s := serve(t, nil)
	fill(t, s)
	require.Equal(t, `{"status":"success","data":{"queries":[]}}`, s.get(t, "/api/v1/status/active_queries").body)
	s.get(t, "/api/v1/query?query=up&time="+strconv.FormatInt(base().Unix(), 10))
	got := s.get(t, "/api/v1/status/slow_queries")
	var env struct {
		Data struct{ Queries []promql.SlowQuery }
	}
	require.NoError(t, json.Unmarshal([]byte(got.body), &env), got.body)
	require.Len(t, env.Data.Queries, 1)
	q := env.Data.Queries[0]
	require.Equal(t, "up", q.Query)
	require.Equal(t, []string{"default"}, q.Tenants)
	require.Equal(t, base(), q.Start)
	require.Equal(t, int64(2), q.Series)
	require.WithinDuration(t, time.Now(), q.StartedAt, time.Hour)
	require.Equal(t, `{"status":"success","data":{"queries":[]}}`, s.get(t, "/api/v1/status/slow_queries", tenant.Header, "other").body)
}
