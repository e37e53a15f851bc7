package api

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"signalbox/internal/tenant"
	"signalbox/tsdb"
	"signalbox/tsdb/promql"
)

// server is the API with a real store, served on loopback.
type server struct {
	*httptest.Server
	api    *API
	db     *tsdb.DB
	engine *promql.Engine
	reg    *prometheus.Registry
}

// serve starts the API over a store of its own. change may be nil.
func serve(t *testing.T, change func(*Config, *promql.Config, *Options)) *server {
	t.Helper()
	db, err := tsdb.Open(t.TempDir(), tsdb.DefaultConfig(), tsdb.Options{})
	require.NoError(t, err)
	require.NoError(t, db.Load(context.Background()))
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return serveStore(t, db, change)
}

func serveStore(t *testing.T, db *tsdb.DB, change func(*Config, *promql.Config, *Options)) *server {
	t.Helper()
	s := &server{db: db, reg: prometheus.NewRegistry()}
	cfg, qcfg := DefaultConfig(), promql.DefaultConfig()
	opts := Options{
		Registry: s.reg, Store: db, Metadata: db, Admin: db, Inspector: db,
		Build: Build{Revision: "x", Branch: "x", User: "x", Date: "x"},
	}
	if change != nil {
		change(&cfg, &qcfg, &opts)
	}
	warnings, err := qcfg.Validate()
	require.NoError(t, err)
	require.Empty(t, warnings)
	_, err = cfg.Validate()
	require.NoError(t, err)
	s.engine = promql.New(qcfg, promql.Options{Registry: s.reg})
	opts.Engine = s.engine
	s.api = New(cfg, opts)
	mux := http.NewServeMux()
	s.api.Register(mux)
	s.api.RegisterSystem(mux)
	s.Server = httptest.NewServer(withTenant(mux))
	t.Cleanup(s.Close)
	return s
}

// withTenant does what the program's server does with the header.
func withTenant(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := r.Header.Get(tenant.Header); h != "" {
			ids, err := tenant.ParseList(h)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			r = r.WithContext(tenant.NewContext(r.Context(), ids...))
		}
		next.ServeHTTP(w, r)
	})
}

type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request; form goes into the body of a POST or PUT, into the URL otherwise.
func (s *server) do(t *testing.T, method, path string, form url.Values, header ...string) answer {
	t.Helper()
	var body io.Reader
	target := s.URL + path
	if form != nil && (method == http.MethodPost || method == http.MethodPut) {
		body = strings.NewReader(form.Encode())
	} else if form != nil {
		target += "?" + form.Encode()
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, body)
	require.NoError(t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return s.send(t, req)
}

func (s *server) send(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := s.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (s *server) get(t *testing.T, pathAndQuery string, header ...string) answer {
	t.Helper()
	return s.do(t, http.MethodGet, pathAndQuery, nil, header...)
}

// sample is one value to store; h is nil for a float.
type sample struct {
	lset labels.Labels
	t    int64 // Unix milliseconds
	v    float64
	h    *histogram.Histogram
	fh   *histogram.FloatHistogram
	ex   []exemplar.Exemplar
}

func write(t *testing.T, db storage.AppendableV2, id tenant.ID, samples ...sample) {
	t.Helper()
	app := db.AppenderV2(tenant.NewContext(context.Background(), id))
	for _, s := range samples {
		_, err := app.Append(0, s.lset, 0, s.t, s.v, s.h, s.fh, storage.AOptions{Exemplars: s.ex})
		require.NoError(t, err)
	}
	require.NoError(t, app.Commit())
}

func (s *server) meta(t *testing.T, name string, m metadata.Metadata) {
	t.Helper()
	require.NoError(t, s.db.SetMetadata(t.Context(), map[string][]metadata.Metadata{name: {m}}))
}

// base is a full minute in the recent past, so that nothing is out of bounds.
func base() time.Time { return time.Unix(1_760_000_000, 0).UTC() }

var (
	upLabels      = labels.FromStrings("__name__", "up", "instance", "a")
	appendOptions = storage.AOptions{}
)
