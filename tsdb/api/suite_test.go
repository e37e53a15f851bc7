package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	prompql "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/stats"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"

	"signalbox/tsdb"
	"signalbox/tsdb/promql"
)

func suiteConfig(q *promql.Config) {
	q.Experimental, q.DelayedNameRemoval, q.UseStartTimestamps = true, true, true
}

// Prometheus' acceptance suites run through our HTTP API, with POST and with
// GET, on our store.
func TestBuiltinSuitesOverHTTP(t *testing.T) {
	current := &currentStore{}
	qcfg := promql.DefaultConfig()
	suiteConfig(&qcfg)
	engine := promql.New(qcfg, promql.Options{})
	api := New(DefaultConfig(), Options{Store: current, Engine: engine})
	mux := http.NewServeMux()
	api.Register(mux)
	srv := httptest.NewServer(mux)
	defer srv.Close()
	h := &httpEngine{url: srv.URL, client: srv.Client(), current: current, direct: engine}
	promqltest.RunBuiltinTestsWithStorage(t, h, openSuiteStore)
	require.Positive(t, h.histograms.Load(), "no histogram was compared")
}

// Through the engine without HTTP, so that a failure above can be told apart.
func TestBuiltinSuitesOnOurStore(t *testing.T) {
	qcfg := promql.DefaultConfig()
	suiteConfig(&qcfg)
	promqltest.RunBuiltinTestsWithStorage(t, promql.New(qcfg, promql.Options{}), openSuiteStore)
}

// suiteStore is a store that the suites can write and the API can read.
type suiteStore interface {
	storage.Storage
	Store
}

// ourStore gives a tsdb.DB the methods that the suites do not call.
type ourStore struct {
	*tsdb.DB
	storage.Appendable
}

func (ourStore) StartTime() (int64, error) { return 0, nil }

// openSuiteStore opens our store. The suite of start times runs on
// Prometheus': ours does not keep them (it has start_time_zero_samples).
func openSuiteStore(t testing.TB) storage.Storage {
	if strings.HasSuffix(t.Name(), "start_timestamps.test") {
		return teststorage.New(t, func(opt *promtsdb.Options) {
			opt.EnableSTStorage = true
			opt.FloatChunkEncoding = chunkenc.EncXOR2
			opt.EnableHistogramSTEncoding = true
		})
	}
	cfg := tsdb.DefaultConfig()
	cfg.OutOfOrderWindow = 10 * 365 * 24 * time.Hour // some suites write series after series
	db, err := tsdb.Open(t.TempDir(), cfg, tsdb.Options{})
	require.NoError(t, err)
	require.NoError(t, db.Load(context.Background()))
	return ourStore{DB: db}
}

// currentStore is the store of the suite that runs.
type currentStore struct{ s atomic.Pointer[suiteStore] }

func (c *currentStore) Querier(mint, maxt int64) (storage.Querier, error) {
	return (*c.s.Load()).Querier(mint, maxt)
}

func (c *currentStore) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	return (*c.s.Load()).ChunkQuerier(mint, maxt)
}

func (c *currentStore) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	return (*c.s.Load()).ExemplarQuerier(ctx)
}

// httpEngine is a client of our API in the shape of an engine.
//
// What JSON does not carry: a histogram's schema, spans, zero threshold, reset
// hint and empty buckets. So a result with histograms is computed a second time
// without HTTP; count, sum and buckets are compared with the JSON, and the
// suite gets the second result. Annotations come as text with their class.
type httpEngine struct {
	url        string
	client     *http.Client
	current    *currentStore
	direct     *promql.Engine
	calls      atomic.Int64
	histograms atomic.Int64 // results compared
}

func (e *httpEngine) NewInstantQuery(ctx context.Context, q storage.Queryable, opts prompql.QueryOpts, qs string, ts time.Time) (prompql.Query, error) {
	direct, err := e.direct.NewInstantQuery(ctx, q, opts, qs, ts)
	if err != nil {
		return nil, err
	}
	return &httpQuery{Query: direct, e: e, q: q, path: "/api/v1/query", form: url.Values{"query": {qs}, "time": {stamp(ts)}}}, nil
}

func (e *httpEngine) NewRangeQuery(ctx context.Context, q storage.Queryable, opts prompql.QueryOpts, qs string, start, end time.Time, step time.Duration) (prompql.Query, error) {
	direct, err := e.direct.NewRangeQuery(ctx, q, opts, qs, start, end, step)
	if err != nil {
		return nil, err
	}
	return &httpQuery{Query: direct, e: e, q: q, path: "/api/v1/query_range", form: url.Values{
		"query": {qs}, "start": {stamp(start)}, "end": {stamp(end)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	}}, nil
}

func stamp(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', -1, 64)
}

type httpQuery struct {
	prompql.Query
	e    *httpEngine
	q    storage.Queryable
	path string
	form url.Values
}

func (q *httpQuery) Stats() *stats.Statistics { return q.Query.Stats() }

func (q *httpQuery) Exec(ctx context.Context) *prompql.Result {
	store := q.q.(suiteStore)
	q.e.current.s.Store(&store)
	res, hasHistograms, err := q.e.call(ctx, q.path, q.form)
	if err != nil {
		return &prompql.Result{Err: err}
	}
	if hasHistograms {
		direct := q.Query.Exec(ctx)
		if direct.Err != nil {
			return direct
		}
		if err := compareHistograms(res.Value, direct.Value); err != nil {
			return &prompql.Result{Err: err}
		}
		q.e.histograms.Add(1)
		res.Value = direct.Value
	}
	return res
}

// call alternates between POST and GET.
func (e *httpEngine) call(ctx context.Context, p string, form url.Values) (*prompql.Result, bool, error) {
	method, target, body := http.MethodPost, e.url+p, io.Reader(strings.NewReader(form.Encode()))
	if e.calls.Add(1)%2 == 0 {
		method, target, body = http.MethodGet, target+"?"+form.Encode(), nil
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, false, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	var env struct {
		Status, ErrorType, Error string
		Warnings, Infos          []string
		Data                     struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&env); err != nil {
		return nil, false, fmt.Errorf("status %d: %w", resp.StatusCode, err)
	}
	if env.Status != "success" {
		return nil, false, errors.New(env.Error)
	}
	v, hasHistograms, err := decodeValue(env.Data.ResultType, env.Data.Result)
	if err != nil {
		return nil, false, err
	}
	res := &prompql.Result{Value: v, Warnings: annotations.Annotations{}}
	for _, w := range env.Warnings {
		res.Warnings.Add(annotation{w, annotations.PromQLWarning})
	}
	for _, i := range env.Infos {
		res.Warnings.Add(annotation{i, annotations.PromQLInfo})
	}
	return res, hasHistograms, nil
}

// annotation has the text that came over HTTP and the class it came under.
type annotation struct {
	text  string
	class error
}

func (a annotation) Error() string { return a.text }
func (a annotation) Unwrap() error { return a.class }

type jsonSeries struct {
	Metric     labels.Labels
	Value      *jsonPoint
	Histogram  *jsonPoint
	Values     []jsonPoint
	Histograms []jsonPoint
}

// jsonPoint is [t, "v"] or [t, {histogram}].
type jsonPoint struct {
	t int64
	v string
	h *jsonHistogram
}

type jsonHistogram struct {
	Count, Sum string
	Buckets    [][4]any
}

func (p *jsonPoint) UnmarshalJSON(b []byte) error {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	sec, err := strconv.ParseFloat(string(pair[0]), 64)
	if err != nil {
		return err
	}
	p.t = int64(math.Round(sec * 1000))
	if strings.HasPrefix(string(pair[1]), `"`) {
		return json.Unmarshal(pair[1], &p.v)
	}
	p.h = &jsonHistogram{}
	return json.Unmarshal(pair[1], p.h)
}

func (p *jsonPoint) float() (float64, error) { return strconv.ParseFloat(p.v, 64) }

func decodeValue(kind string, raw json.RawMessage) (v parser.Value, hasHistograms bool, err error) {
	switch kind {
	case "scalar", "string":
		var p jsonPoint
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, false, err
		}
		if kind == "string" {
			return prompql.String{T: p.t, V: p.v}, false, nil
		}
		f, err := p.float()
		return prompql.Scalar{T: p.t, V: f}, false, err
	}
	var list []jsonSeries
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, false, err
	}
	if kind == "vector" {
		return decodeVector(list)
	}
	return decodeMatrix(list)
}

func decodeVector(list []jsonSeries) (parser.Value, bool, error) {
	out, has := prompql.Vector{}, false
	for _, s := range list {
		p := s.Value
		if p == nil {
			p, has = s.Histogram, true
			out = append(out, prompql.Sample{Metric: s.Metric, T: p.t, H: p.h.shell()})
			continue
		}
		f, err := p.float()
		if err != nil {
			return nil, false, err
		}
		out = append(out, prompql.Sample{Metric: s.Metric, T: p.t, F: f})
	}
	return out, has, nil
}

func decodeMatrix(list []jsonSeries) (parser.Value, bool, error) {
	out, has := prompql.Matrix{}, false
	for _, s := range list {
		series := prompql.Series{Metric: s.Metric}
		for _, p := range s.Values {
			f, err := p.float()
			if err != nil {
				return nil, false, err
			}
			series.Floats = append(series.Floats, prompql.FPoint{T: p.t, F: f})
		}
		for _, p := range s.Histograms {
			has = true
			series.Histograms = append(series.Histograms, prompql.HPoint{T: p.t, H: p.h.shell()})
		}
		out = append(out, series)
	}
	return out, has, nil
}

// shell carries the parts of JSON in a histogram: bucket bounds as custom
// values, in pairs, and counts.
func (j *jsonHistogram) shell() *histogram.FloatHistogram {
	num := func(v any) float64 {
		f, err := strconv.ParseFloat(v.(string), 64)
		if err != nil {
			panic(err)
		}
		return f
	}
	h := &histogram.FloatHistogram{Count: num(j.Count), Sum: num(j.Sum)}
	for _, b := range j.Buckets {
		h.CustomValues = append(h.CustomValues, b[0].(float64), num(b[1]), num(b[2]))
		h.PositiveBuckets = append(h.PositiveBuckets, num(b[3]))
	}
	return h
}

// shellOf is what shell would find in the JSON of h.
func shellOf(h *histogram.FloatHistogram) *histogram.FloatHistogram {
	s := &histogram.FloatHistogram{Count: h.Count, Sum: h.Sum}
	for it := h.AllBucketIterator(); it.Next(); {
		b := it.At()
		if b.Count == 0 {
			continue
		}
		rule := map[[2]bool]float64{{false, true}: 0, {true, false}: 1, {false, false}: 2, {true, true}: 3}[[2]bool{b.LowerInclusive, b.UpperInclusive}]
		s.CustomValues = append(s.CustomValues, rule, b.Lower, b.Upper)
		s.PositiveBuckets = append(s.PositiveBuckets, b.Count)
	}
	return s
}

// compareHistograms compares everything JSON carries, floats included.
func compareHistograms(got, want parser.Value) error {
	render := func(v parser.Value, conv func(*histogram.FloatHistogram) *histogram.FloatHistogram) string {
		var sb strings.Builder
		hist := func(t int64, h *histogram.FloatHistogram) {
			s := conv(h)
			fmt.Fprintf(&sb, " %d:{%v %v %v %v}", t, s.Count, s.Sum, s.CustomValues, s.PositiveBuckets)
		}
		switch v := v.(type) {
		case prompql.Vector:
			for _, s := range v {
				fmt.Fprintf(&sb, "%s", s.Metric)
				if s.H != nil {
					hist(s.T, s.H)
				} else {
					fmt.Fprintf(&sb, " %d:%v", s.T, s.F)
				}
				sb.WriteByte('\n')
			}
		case prompql.Matrix:
			for _, s := range v {
				fmt.Fprintf(&sb, "%s", s.Metric)
				for _, p := range s.Floats {
					fmt.Fprintf(&sb, " %d:%v", p.T, p.F)
				}
				for _, p := range s.Histograms {
					hist(p.T, p.H)
				}
				sb.WriteByte('\n')
			}
		}
		return sb.String()
	}
	same := func(h *histogram.FloatHistogram) *histogram.FloatHistogram { return h }
	if g, w := render(got, same), render(want, shellOf); g != w {
		return fmt.Errorf("JSON differs from the engine's result\n got %s\nwant %s", g, w)
	}
	return nil
}
