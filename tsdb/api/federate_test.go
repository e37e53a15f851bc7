package api

import (
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"

	"signalbox/internal/tenant"
	"signalbox/tsdb/promql"
)

func customBuckets() *histogram.FloatHistogram {
	return &histogram.FloatHistogram{
		Schema: histogram.CustomBucketsSchema, Count: 10, Sum: 7.5, CustomValues: []float64{1, 2, 5},
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 1}, {Offset: 1, Length: 2}}, PositiveBuckets: []float64{3, 5, 2},
	}
}

func federated(t *testing.T, change func(*Config, *promql.Config, *Options)) *server {
	t.Helper()
	s := serve(t, change)
	s.api.now = func() time.Time { return base().Add(time.Minute) }
	at := base().UnixMilli()
	write(t, s.db, tenant.Default,
		sample{lset: labels.FromStrings("__name__", "b_metric", "A", "first", "instance", "i"), t: at, v: 1},
		sample{lset: labels.FromStrings("__name__", "b_metric", "A", "first", "instance", "i"), t: at + 1000, v: 2},
		sample{lset: labels.FromStrings("__name__", "b_metric", "A", "first", "instance", "i"), t: at + 120_000, v: 99}, // in the future
		sample{lset: labels.FromStrings("__name__", "a.metric", "zone", "own"), t: at, v: math.Inf(1)},
		sample{lset: labels.FromStrings("__name__", "gone"), t: at, v: 1},
		sample{lset: labels.FromStrings("__name__", "gone"), t: at + 1, v: math.Float64frombits(value.StaleNaN)},
		sample{lset: labels.FromStrings("__name__", "old"), t: at - 600_000, v: 1},
		sample{lset: labels.FromStrings("__name__", "lat"), t: at, h: sampleHistogram()},
		sample{lset: labels.FromStrings("__name__", "custom"), t: at, fh: customBuckets()},
	)
	return s
}

// series is what a parser of Prometheus makes of an exposition.
type series struct {
	t     int64
	v     float64
	kind  string
	count float64
}

func parse(t *testing.T, body, contentType string) map[string]series {
	t.Helper()
	p, err := textparse.New([]byte(body), contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	require.NoError(t, err)
	out := map[string]series{}
	kind := ""
	for {
		et, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err, body)
		var lset labels.Labels
		switch et {
		case textparse.EntryType:
			_, mt := p.Type()
			kind = string(mt)
		case textparse.EntrySeries:
			_, ts, v := p.Series()
			p.Labels(&lset)
			require.NotNil(t, ts)
			out[lset.String()] = series{t: *ts, v: v, kind: kind}
		case textparse.EntryHistogram:
			_, ts, h, fh := p.Histogram()
			p.Labels(&lset)
			require.NotNil(t, ts)
			if h != nil {
				fh = h.ToFloat(nil)
			}
			out[lset.String()] = series{t: *ts, v: fh.Sum, kind: kind, count: fh.Count}
		}
	}
}

// The answer in each format is read back by Prometheus' own parsers.
func TestFederate(t *testing.T) {
	s := federated(t, func(_ *Config, _ *promql.Config, o *Options) {
		o.ExternalLabels = func() map[string]string { return map[string]string{"zone": "z"} }
	})
	at := base().UnixMilli()
	native := series{t: at, v: 3.5, kind: "histogram", count: 6}
	for _, c := range []struct {
		name, accept, kind, untyped string
		native                      bool
	}{
		{"default", "", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "unknown", false},
		{"text", "text/plain;version=0.0.4;escaping=allow-utf-8", "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8", "unknown", false},
		{"openmetrics", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8", "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8", "unknown", false},
		{"protobuf", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8", "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=allow-utf-8", "unknown", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := []string{}
			if c.accept != "" {
				header = []string{"Accept", c.accept}
			}
			got := s.do(t, http.MethodGet, "/federate", url.Values{"match[]": {`{__name__=~".+"}`, "b_metric"}}, header...)
			require.Equal(t, http.StatusOK, got.status, got.body)
			require.Equal(t, c.kind, got.header.Get("Content-Type"))
			a := `{__name__="a.metric", instance="", zone="own"}`
			if c.accept == "" {
				a = `{__name__="a_metric", instance="", zone="own"}`
			}
			want := map[string]series{
				`{A="first", __name__="b_metric", instance="i", zone="z"}`: {t: at + 1000, v: 2, kind: c.untyped},
				a: {t: at, v: math.Inf(1), kind: c.untyped},
				`{__name__="custom_count", instance="", zone="z"}`:             {t: at, v: 10, kind: "histogram"},
				`{__name__="custom_sum", instance="", zone="z"}`:               {t: at, v: 7.5, kind: "histogram"},
				`{__name__="custom_bucket", instance="", le="1.0", zone="z"}`:  {t: at, v: 3, kind: "histogram"},
				`{__name__="custom_bucket", instance="", le="2.0", zone="z"}`:  {t: at, v: 3, kind: "histogram"},
				`{__name__="custom_bucket", instance="", le="5.0", zone="z"}`:  {t: at, v: 8, kind: "histogram"},
				`{__name__="custom_bucket", instance="", le="+Inf", zone="z"}`: {t: at, v: 10, kind: "histogram"},
			}
			if c.native {
				want[`{__name__="lat", instance="", zone="z"}`] = native
			}
			require.Equal(t, want, parse(t, got.body, got.header.Get("Content-Type")))
		})
	}
}

func TestFederateEdges(t *testing.T) {
	s := federated(t, func(c *Config, _ *promql.Config, _ *Options) { c.FederateMaxSeries = 3 })
	got := s.get(t, "/federate")
	require.Equal(t, http.StatusOK, got.status)
	require.Empty(t, got.body)

	got = s.get(t, "/federate?match[]={")
	require.Equal(t, http.StatusBadRequest, got.status)
	require.Contains(t, got.body, "parse error")

	got = s.get(t, "/federate?match[]=b_metric")
	require.Equal(t, "# TYPE b_metric untyped\nb_metric{A=\"first\",instance=\"i\"} 2 1760000001000\n", got.body)

	got = s.get(t, "/federate?match[]="+url.QueryEscape(`{__name__=~"a.metric|b_metric|custom|gone|lat"}`), "Accept",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	require.Equal(t, http.StatusBadRequest, got.status)
	require.Contains(t, got.body, "federate_max_series")

	got = s.get(t, "/federate?match[]=gone&match[]=old&match[]=lat")
	require.Equal(t, http.StatusOK, got.status)
	require.Empty(t, got.body)

	require.Equal(t, "# TYPE b_metric untyped\n", s.get(t, "/federate?match[]=b_metric&match[]=up", "Accept", "text/plain;version=0.0.4").body[:24])
	require.Equal(t, http.StatusOK, s.get(t, "/federate?match[]=b_metric", tenant.Header, "other").status)
	require.Empty(t, s.get(t, "/federate?match[]=b_metric", tenant.Header, "other").body)
}
