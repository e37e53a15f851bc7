package api

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"

	"signalbox/internal/tenant"
	"signalbox/tsdb"
	"signalbox/tsdb/promql"
)

// fuzzAPI is the API over a store with a few samples, without a network.
func fuzzAPI(f *testing.F) http.Handler {
	f.Helper()
	db, err := tsdb.Open(f.TempDir(), tsdb.DefaultConfig(), tsdb.Options{})
	require.NoError(f, err)
	require.NoError(f, db.Load(context.Background()))
	f.Cleanup(func() { require.NoError(f, db.Close()) })
	app := db.AppenderV2(tenant.NewContext(f.Context(), tenant.Default))
	for i := range int64(10) {
		_, err := app.Append(0, upLabels, 0, base().UnixMilli()+i*15000, float64(i), nil, nil, appendOptions)
		require.NoError(f, err)
	}
	require.NoError(f, app.Commit())
	qcfg := promql.DefaultConfig()
	qcfg.MaxSamples, qcfg.Experimental = 10_000, true
	cfg := DefaultConfig()
	cfg.MaxBodyBytes = 1 << 16
	mux := http.NewServeMux()
	New(cfg, Options{Store: db, Metadata: db, Inspector: db, Engine: promql.New(qcfg, promql.Options{})}).Register(mux)
	return mux
}

func FuzzRemoteReadBody(f *testing.F) {
	h := fuzzAPI(f)
	for _, kind := range []prompb.ReadRequest_ResponseType{0, 1} {
		b, err := proto.Marshal(&prompb.ReadRequest{
			Queries:               []*prompb.Query{readQuery(0, base().UnixMilli()+60000, &prompb.LabelMatcher{Name: "__name__", Value: "up"})},
			AcceptedResponseTypes: []prompb.ReadRequest_ResponseType{kind},
		})
		require.NoError(f, err)
		f.Add(b, true)
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0}, false)
	f.Add([]byte{}, true)
	f.Fuzz(func(t *testing.T, body []byte, encode bool) {
		if encode {
			body = snappy.Encode(nil, body)
		}
		req := httptest.NewRequest(http.MethodPost, "/api/v1/read", bytes.NewReader(body))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		require.Contains(t, []int{200, 400, 413}, rec.Code, rec.Body.String())
	})
}

func FuzzParameters(f *testing.F) {
	h := fuzzAPI(f)
	paths := []string{
		"/api/v1/query", "/api/v1/query_range", "/api/v1/query_exemplars", "/api/v1/labels", "/api/v1/series", "/api/v1/label/x/values",
		"/api/v1/format_query", "/api/v1/parse_query", "/api/v1/metadata", "/api/v1/status/tsdb", "/federate",
	}
	for i, form := range []string{
		"query=up&time=1760000000", "query=rate(up[1m])&start=1760000000&end=1760000060&step=15&stats=all", "query=up&start=1760000000000&end=1760000000000",
		"match[]=up&limit=1", "match[]={__name__=~\".%2B\"}&start=-1&end=1e15", "match[]=up", "query=sum(x)by(a)", "query=-(1)^2",
		"metric=up&limit=0&limit_per_metric=-1", "limit=10000", "match[]=up&match[]=x",
		"query=max_over_time(vector(1)[100y:1ms])&time=9e15&stats=all", "query=1&start=-9e15&end=9e15&step=9e8", "query=\"\xff\"",
	} {
		f.Add(uint8(i), form)
	}
	f.Fuzz(func(t *testing.T, which uint8, form string) {
		path := paths[int(which)%len(paths)]
		req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if !strings.HasPrefix(path, "/api/v1/query") && !strings.HasSuffix(path, "_query") {
			req = httptest.NewRequest(http.MethodGet, path, nil)
			req.URL = &url.URL{Path: path, RawQuery: form}
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		require.NotContains(t, []int{500, 502}, rec.Code, rec.Body.String())
		require.NotContains(t, rec.Body.String(), "unexpected error", "a panic inside the engine")
	})
}
