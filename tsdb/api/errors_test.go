package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
	"signalbox/tsdb/promql"
)

type errorAnswer struct{ Status, ErrorType, Error string }

func (a answer) asError(t *testing.T) errorAnswer {
	t.Helper()
	var e errorAnswer
	require.NoError(t, json.Unmarshal([]byte(a.body), &e), a.body)
	require.Equal(t, "error", e.Status)
	return e
}

// heldStore is a real store whose reads fail, or wait until their request ends.
type heldStore struct {
	Store
	err     error         // what reads answer; nil: they wait
	entered chan struct{} // one value for each read that waits
}

func (s *heldStore) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := s.Store.Querier(mint, maxt)
	return &heldQuerier{q, s}, err
}

func (s *heldStore) wait(ctx context.Context) error {
	if s.err != nil {
		return s.err
	}
	s.entered <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

type heldQuerier struct {
	storage.Querier
	s *heldStore
}

func (q *heldQuerier) Select(ctx context.Context, _ bool, _ *storage.SelectHints, _ ...*labels.Matcher) storage.SeriesSet {
	return &heldSet{ctx: ctx, s: q.s}
}

func (q *heldQuerier) LabelNames(ctx context.Context, _ *storage.LabelHints, _ ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, q.s.wait(ctx)
}

type heldSet struct {
	ctx context.Context //nolint:containedctx // a storage.SeriesSet has no other way to it
	s   *heldStore
	err error
}

func (s *heldSet) Next() bool                        { s.err = s.s.wait(s.ctx); return false }
func (s *heldSet) At() storage.Series                { return nil }
func (s *heldSet) Err() error                        { return s.err }
func (s *heldSet) Warnings() annotations.Annotations { return nil }

// Every way a parameter can be wrong, and what it is called.
func TestBadParameters(t *testing.T) {
	s := serve(t, nil)
	deep := strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000)
	for _, c := range []struct {
		path   string
		form   url.Values
		status int
		kind   string
		text   string // part of it
	}{
		{"/api/v1/query", nil, 400, "bad_data", `invalid parameter "query"`},
		{"/api/v1/query", url.Values{"query": {"up{"}}, 400, "bad_data", "parse error"},
		{"/api/v1/query", url.Values{"query": {"1"}, "time": {"x"}}, 400, "bad_data", `invalid parameter "time"`},
		{"/api/v1/query", url.Values{"query": {"1"}, "time": {"NaN"}}, 400, "bad_data", `invalid parameter "time"`},
		{"/api/v1/query", url.Values{"query": {"1"}, "time": {"1e300"}}, 400, "bad_data", `invalid parameter "time"`},
		{"/api/v1/query", url.Values{"query": {"1"}, "timeout": {"NaN"}}, 400, "bad_data", `invalid parameter "timeout"`},
		{"/api/v1/query", url.Values{"query": {"1"}, "limit": {"-1"}}, 400, "bad_data", `invalid parameter "limit"`},
		{"/api/v1/query", url.Values{"query": {"1"}, "lookback_delta": {"x"}}, 400, "bad_data", `invalid parameter "lookback_delta"`},
		{"/api/v1/query", url.Values{"query": {strings.Repeat("1+", 80000) + "1"}}, 400, "bad_data", "query.max_query_bytes"},
		{"/api/v1/query", url.Values{"query": {deep}}, 400, "bad_data", "nests deeper"},
		{"/api/v1/format_query", url.Values{"query": {deep}}, 400, "bad_data", "nests deeper"},
		{"/api/v1/query", url.Values{"query": {"mad_over_time(x[1m])"}}, 400, "bad_data", "is not enabled"},
		{"/api/v1/query_range", url.Values{"query": {"1"}, "start": {"2"}, "end": {"1"}, "step": {"1"}}, 400, "bad_data", "end timestamp must not be before start time"},
		{"/api/v1/query_range", url.Values{"query": {"1"}, "start": {"1"}, "end": {"2"}, "step": {"0"}}, 400, "bad_data", "zero or negative query resolution step widths are not accepted"},
		{"/api/v1/query_range", url.Values{"query": {"1"}, "start": {"0"}, "end": {"11001"}, "step": {"1"}}, 400, "bad_data", "exceeded maximum resolution of 11,000 points per timeseries"},
		{"/api/v1/query_range", url.Values{"query": {"1"}, "start": {"-9e15"}, "end": {"9e15"}, "step": {"900000"}, "stats": {"all"}}, 400, "bad_data", "exceeded maximum resolution of 11,000 points per timeseries"},
		{"/api/v1/query_range", url.Values{"query": {"1"}, "end": {"2"}, "step": {"1"}}, 400, "bad_data", `invalid parameter "start"`},
		{"/api/v1/query_range", url.Values{"query": {"x[1m]"}, "start": {"1"}, "end": {"2"}, "step": {"1"}}, 400, "bad_data", "invalid expression type"},
		{"/api/v1/series", url.Values{}, 400, "bad_data", "no match[] parameter provided"},
		{"/api/v1/series", url.Values{"match[]": {`{x=~".*"}`}}, 400, "bad_data", "match[] must contain at least one non-empty matcher"},
		{"/api/v1/labels", url.Values{"match[]": {`{`}}, 400, "bad_data", "parse error"},
		{"/api/v1/labels", url.Values{"limit": {"x"}}, 400, "bad_data", `invalid parameter "limit"`},
		{"/api/v1/label/%ff/values", nil, 400, "bad_data", "invalid label name"},
		{"/api/v1/query_exemplars", url.Values{"query": {"x"}, "start": {"2"}, "end": {"1"}}, 400, "bad_data", "end timestamp must not be before start"},
		{"/api/v1/metadata", url.Values{"limit": {"x"}}, 400, "bad_data", "limit must be a number"},
		{"/api/v1/status/tsdb", url.Values{"limit": {"0"}}, 400, "bad_data", "limit must be"},
		{"/api/v1/status/tsdb", url.Values{"limit": {"10001"}}, 400, "bad_data", "limit must be"},
		{"/api/v1/scrape_pools/config", nil, 400, "bad_data", "no scrapePool parameter"},
		{"/api/v1/scrape_pools/config", url.Values{"scrapePool": {"x"}}, 400, "bad_data", "unknown scrape pool"},
		{"/api/v1/rules", url.Values{"group_next_token": {"x"}}, 400, "bad_data", "group_limit"},
		{"/api/v1/query?query=%zz", nil, 400, "bad_data", "error parsing form values"},
		{"/api/v1/nosuch", nil, 404, "not_found", "no such endpoint"},
		{"/api/v1/", nil, 404, "not_found", "no such endpoint"},
		{"/api/nosuch", nil, 404, "not_found", "no such endpoint"},
		{"/api/v1/search/metric_names", nil, 404, "not_found", "no such endpoint"},
		{"/api/v1/query", url.Values{"query": {"up * on() group_left vector(1) + label_replace(vector(1), \"a\", \"$1\", \"b\", \"(\")"}}, 422, "execution", "regular expression"},
	} {
		t.Run(c.path+"?"+keep(c.form.Encode(), 60), func(t *testing.T) {
			method := http.MethodGet
			if len(c.form.Encode()) > 4000 {
				method = http.MethodPost
			}
			got := s.do(t, method, c.path, c.form)
			require.Equal(t, c.status, got.status, keep(got.body, 500))
			e := got.asError(t)
			require.Equal(t, c.kind, e.ErrorType)
			require.Contains(t, e.Error, c.text)
			require.Equal(t, "application/json", got.header.Get("Content-Type"))
		})
	}
}

func keep(s string, n int) string { return s[:min(len(s), n)] }

func TestMethods(t *testing.T) {
	s := serve(t, nil)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"DELETE", "/api/v1/query", 405, "GET, POST, HEAD, OPTIONS"},
		{"POST", "/api/v1/rules", 405, "GET, HEAD, OPTIONS"},
		{"POST", "/api/v1/label/x/values", 405, "GET, HEAD, OPTIONS"},
		{"GET", "/api/v1/admin/tsdb/snapshot", 405, "POST, PUT, OPTIONS"},
		{"GET", "/api/v1/read", 405, "POST, OPTIONS"},
		{"GET", "/api/v1/write", 405, "POST, OPTIONS"},
		{"GET", "/-/reload", 405, "POST, PUT, OPTIONS"},
		{"POST", "/-/healthy", 405, "GET, HEAD, OPTIONS"},
		{"OPTIONS", "/api/v1/query", 204, "GET, POST, HEAD, OPTIONS"},
		{"HEAD", "/api/v1/query?query=1", 200, ""},
		{"HEAD", "/-/healthy", 200, ""},
		{"HEAD", "/-/ready", 200, ""},
		{"GET", "/-/ready", 200, ""},
		{"GET", "/version", 200, ""},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			got := s.do(t, c.method, c.path, nil)
			require.Equal(t, c.status, got.status, got.body)
			require.Equal(t, c.allow, got.header.Get("Allow"))
			if c.method == http.MethodHead || c.method == http.MethodOptions {
				require.Empty(t, got.body)
			}
		})
	}
	require.Positive(t, testutil.ToFloat64(s.api.metrics.refused.WithLabelValues("method")))
}

func TestBodyTooLarge(t *testing.T) {
	s := serve(t, func(c *Config, _ *promql.Config, _ *Options) { c.MaxBodyBytes = 100 })
	got := s.do(t, http.MethodPost, "/api/v1/query", url.Values{"query": {strings.Repeat("1", 200)}})
	require.Equal(t, http.StatusRequestEntityTooLarge, got.status)
	require.Equal(t, "bad_data", got.asError(t).ErrorType)
}

func TestNotReady(t *testing.T) {
	s := serve(t, func(_ *Config, _ *promql.Config, o *Options) {
		o.Ready = func() bool { return false }
		o.WALReplay = func() WALReplay { return WALReplay{1, 9, 4} }
	})
	for path, status := range map[string]int{
		"/api/v1/query?query=1": 503, "/api/v1/labels": 503, "/api/v1/status/buildinfo": 503, "/federate": 503, "/-/ready": 503,
		"/-/healthy": 200, "/api/v1/status/walreplay": 200, "/api/v1/notifications": 200, "/version": 200,
	} {
		got := s.get(t, path)
		require.Equal(t, status, got.status, path)
		if status == 503 {
			require.Equal(t, "Service Unavailable\n", got.body)
		}
	}
	require.JSONEq(t, `{"status":"success","data":{"min":1,"max":9,"current":4}}`, s.get(t, "/api/v1/status/walreplay").body)
}

// The class of a store's error decides the status, for queries and for listings.
func TestStoreErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		status int
		kind   string
	}{
		{"internal", errors.New("disk on fire"), 500, "internal"},
		{"corrupt", fault.New(fault.Corrupt, "bad checksum"), 500, "internal"},
		{"unavailable", fault.New(fault.Unavailable, "starting"), 503, "internal"},
		{"limited", fault.New(fault.Limited, "slow down"), 429, "execution"},
		{"invalid", fault.New(fault.Invalid, "no"), 422, "execution"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, func(_ *Config, _ *promql.Config, o *Options) { o.Store = &heldStore{Store: o.Store, err: c.err} })
			for _, path := range []string{"/api/v1/query?query=up", "/api/v1/labels", "/api/v1/series?match[]=up"} {
				got := s.get(t, path)
				require.Equal(t, c.status, got.status, "%s: %s", path, got.body)
				e := got.asError(t)
				if strings.HasPrefix(path, "/api/v1/labels") {
					require.Equal(t, "execution", e.ErrorType) // Prometheus' label endpoints know no other
				} else {
					require.Equal(t, c.kind, e.ErrorType, path)
				}
				require.Contains(t, e.Error, c.err.Error())
			}
		})
	}
}

func TestBudgetsNameTheirOption(t *testing.T) {
	for _, c := range []struct {
		name, query string
		change      func(*promql.Config)
		want        string
	}{
		{"samples", "up", func(q *promql.Config) { q.MaxSamples = 1 }, "query.max_samples (1)"},
		{"series", "up", func(q *promql.Config) { q.MaxSeries = 1 }, "query.max_series (1)"},
		{"bytes", "up", func(q *promql.Config) { q.MaxBytes = 400 }, "query.max_bytes (400)"},
		{"read", "sum_over_time(many[1h])", func(q *promql.Config) { q.MaxSamplesRead = 100 }, "query.max_samples_read (100)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, func(_ *Config, q *promql.Config, _ *Options) { c.change(q) })
			fill(t, s)
			var many []sample
			for i := range int64(200) {
				many = append(many, sample{lset: labels.FromStrings("__name__", "many"), t: base().UnixMilli() - i*1000, v: 1})
			}
			write(t, s.db, tenant.Default, many...)
			got := s.get(t, "/api/v1/query?time=1760000000&query="+url.QueryEscape(c.query))
			require.Equal(t, http.StatusUnprocessableEntity, got.status, got.body)
			e := got.asError(t)
			require.Equal(t, "execution", e.ErrorType)
			require.Contains(t, e.Error, c.want)
			// Nobody else is worse off.
			got = s.get(t, "/api/v1/query?time=1760000000&query="+url.QueryEscape(`up{instance="a"}`))
			require.Equal(t, http.StatusOK, got.status, got.body)
		})
	}
}

func TestTimeouts(t *testing.T) {
	s := serve(t, func(_ *Config, q *promql.Config, o *Options) {
		q.Timeout, q.QueueTimeout = 50e6, 10e6
		o.Store = &heldStore{Store: o.Store, entered: make(chan struct{}, 10)}
	})
	got := s.get(t, "/api/v1/query?query=up")
	require.Equal(t, http.StatusServiceUnavailable, got.status, got.body)
	e := got.asError(t)
	require.Equal(t, "timeout", e.ErrorType)
	require.Contains(t, e.Error, "query.timeout (50ms)")

	got = s.get(t, "/api/v1/query?query=up&timeout=10ms")
	require.Equal(t, http.StatusServiceUnavailable, got.status, got.body)
	e = got.asError(t)
	require.Equal(t, "timeout", e.ErrorType)
	require.NotContains(t, e.Error, "query.timeout")
}

// A query that is cancelled by its id tells its client; the queue in front of
// it answers at once when it is full.
func TestCancelAndQueue(t *testing.T) {
	store := &heldStore{entered: make(chan struct{}, 1)}
	s := serve(t, func(_ *Config, q *promql.Config, o *Options) {
		q.MaxConcurrent, q.MaxQueued = 1, 0
		store.Store = o.Store
		o.Store = store
	})
	running := make(chan answer)
	go func() { running <- s.get(t, "/api/v1/query_range?query=up&start=0&end=60&step=15") }() //nolint:testifylint // a failure there fails the wait below
	<-store.entered

	got := s.get(t, "/api/v1/query?query=up")
	require.Equal(t, http.StatusServiceUnavailable, got.status, got.body)
	e := got.asError(t)
	require.Equal(t, "timeout", e.ErrorType)
	require.Contains(t, e.Error, "query.max_concurrent and query.max_queued")

	var env struct {
		Data struct{ Queries []promql.ActiveQuery }
	}
	require.NoError(t, json.Unmarshal([]byte(s.get(t, "/api/v1/status/active_queries").body), &env))
	require.Len(t, env.Data.Queries, 1)
	q := env.Data.Queries[0]
	require.Equal(t, "running", q.State)
	require.Equal(t, "up", q.Query)
	require.InDelta(t, 15, q.StepSeconds, 0)

	path := "/api/v1/status/active_queries/" + q.ID + "/cancel"
	require.Equal(t, http.StatusNotFound, s.do(t, http.MethodPost, path, nil, tenant.Header, "other").status, "another tenant's query")
	require.Equal(t, http.StatusNotFound, s.do(t, http.MethodPost, "/api/v1/status/active_queries/999/cancel", nil).status)
	require.Equal(t, http.StatusOK, s.do(t, http.MethodPost, path, nil).status)
	got = <-running
	require.Equal(t, 499, got.status, got.body)
	require.Equal(t, "canceled", got.asError(t).ErrorType)
	require.JSONEq(t, `{"status":"success","data":{"queries":[]}}`, s.get(t, "/api/v1/status/active_queries").body)
}
