package scrape

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	v1 "github.com/prometheus/prometheus/web/api/v1"
	"github.com/stretchr/testify/require"

	"signalbox/internal/fault"
)

var (
	_ v1.TargetRetriever      = (*Scraper)(nil)
	_ v1.ScrapePoolsRetriever = (*Scraper)(nil)
)

// parse loads a configuration and makes its discovery quick.
func parse(t *testing.T, doc string) Config {
	t.Helper()
	cfg, err := ParseConfig([]byte(doc), t.TempDir())
	require.NoError(t, err)
	cfg.DiscoveryReloadInterval = 10 * time.Millisecond
	return cfg
}

// run starts a Scraper and stops it when the test ends.
func run(t *testing.T, sink storage.AppendableV2, cfg Config, opts Options) *Scraper {
	t.Helper()
	s, err := New(sink, cfg, opts)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return s
}

// serve starts a target and returns its host:port.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func text(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte(body))
	})
}

// job renders one static job; extra is indented below it.
func job(name, target, extra string) string {
	return fmt.Sprintf("global: {scrape_interval: 50ms, scrape_timeout: 50ms}\nscrape_configs:\n- job_name: %s\n  static_configs: [{targets: [%q]}]\n%s", name, target, extra)
}

// instrumented is a target made with client_golang, as most are.
func instrumented(t *testing.T) string {
	t.Helper()
	reg := prometheus.NewRegistry()
	requests := prometheus.NewCounter(prometheus.CounterOpts{Name: "app_requests_total", Help: "Requests served."})
	requests.(prometheus.ExemplarAdder).AddWithExemplar(3, prometheus.Labels{"trace_id": "abc"})
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "app_latency_seconds", Help: "Latency.", Buckets: []float64{0.1, 1},
		NativeHistogramBucketFactor: 1.1,
	})
	latency.Observe(0.25)
	temperature := prometheus.NewGauge(prometheus.GaugeOpts{Name: "app_temperature_celsius", Help: "Heat."})
	temperature.Set(36.6)
	reg.MustRegister(requests, latency, temperature)
	return serve(t, promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true, EnableOpenMetricsTextCreatedSamples: true}))
}

func TestFormats(t *testing.T) {
	t.Parallel()
	target := instrumented(t)
	tests := []struct {
		name, extra    string
		startTimes     bool
		native         bool
		exemplars      bool
		createdSeries  bool
		counterHasTime bool
	}{
		{name: "openmetrics", exemplars: true, createdSeries: true},
		{name: "openmetrics with start times", startTimes: true, exemplars: true, counterHasTime: true},
		{name: "text", extra: "  scrape_protocols: [PrometheusText0.0.4]"},
		{name: "protobuf for native histograms", extra: "  scrape_native_histograms: true", native: true, exemplars: true},
		{name: "protobuf with start times", extra: "  scrape_native_histograms: true", startTimes: true, native: true, exemplars: true, counterHasTime: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sink := &memorySink{}
			cfg := parse(t, job("app", target, tt.extra))
			cfg.StartTimestamps = tt.startTimes
			cfg.Tenant = "team-a"
			run(t, sink, cfg, Options{})

			up := sink.await(t, is(1), "up", "job", "app", "instance", target)
			require.EqualValues(t, "team-a", up.Tenant)
			got := sink.await(t, anySample, "app_requests_total", "job", "app", "instance", target)
			require.EqualValues(t, 3, got.V)
			require.Equal(t, "Requests served.", got.Meta.Help)
			require.Equal(t, model.MetricTypeCounter, got.Meta.Type)
			require.Equal(t, tt.counterHasTime, got.ST > 0 && got.ST < got.T)
			require.Equal(t, tt.exemplars, len(got.Exemplars) == 1 && got.Exemplars[0].Labels.Get("trace_id") == "abc")
			require.Equal(t, tt.createdSeries, len(sink.find("app_requests_created")) > 0)
			require.InDelta(t, 36.6, sink.find("app_temperature_celsius")[0].V, 1e-9)

			if !tt.native {
				require.EqualValues(t, 1, sink.find("app_latency_seconds_bucket", "le", "1.0")[0].V)
				return
			}
			h := sink.find("app_latency_seconds")
			require.NotEmpty(t, h)
			require.NotNil(t, h[0].H)
			require.EqualValues(t, 1, h[0].H.Count)
			require.InDelta(t, 0.25, h[0].H.Sum, 1e-9)
			require.Equal(t, model.MetricTypeHistogram, h[0].Meta.Type)
		})
	}
}

func TestLabelsAndLimits(t *testing.T) {
	t.Parallel()
	const body = "a 1\nb{job=\"theirs\"} 2\nc{secret=\"x\"} 3\n"
	tests := []struct {
		name, extra string
		up          float64
		want        []string // name, label pairs: must be there
		absent      string
		lastError   string
	}{
		{name: "plain", up: 1, want: []string{"b", "job", "j", "exported_job", "theirs"}},
		{name: "honor_labels", extra: "  honor_labels: true", up: 1, want: []string{"b", "job", "theirs", "exported_job", ""}},
		{name: "relabel target", extra: "  relabel_configs: [{target_label: zone, replacement: north}]", up: 1, want: []string{"a", "zone", "north"}},
		{name: "metric relabel drop", extra: "  metric_relabel_configs: [{source_labels: [__name__], regex: a, action: drop}]", up: 1, want: []string{"b"}, absent: "a"},
		{name: "metric relabel labeldrop", extra: "  metric_relabel_configs: [{regex: secret, action: labeldrop}]", up: 1, want: []string{"c", "secret", ""}},
		{name: "sample_limit kept", extra: "  sample_limit: 3", up: 1, want: []string{"c"}},
		{name: "sample_limit", extra: "  sample_limit: 2", up: 0, absent: "a", lastError: "sample limit exceeded"},
		{name: "body_size_limit", extra: "  body_size_limit: 10B", up: 0, absent: "a", lastError: "body size limit exceeded"},
		{name: "label_limit", extra: "  label_limit: 3", up: 0, absent: "a", lastError: "label_limit exceeded"},
		{name: "label_name_length_limit", extra: "  label_name_length_limit: 8", up: 0, absent: "a", lastError: "label_name_length_limit exceeded"},
		{name: "label_value_length_limit", extra: "  label_value_length_limit: 5", up: 0, absent: "a", lastError: "label_value_length_limit exceeded"},
		{name: "target_limit", extra: "  target_limit: 1", up: 1, want: []string{"a"}},
		{name: "wrong path", extra: "  metrics_path: /nope", up: 0, absent: "a", lastError: "404"},
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", text(body))
	target := serve(t, mux)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sink := &memorySink{}
			s := run(t, sink, parse(t, job("j", target, tt.extra)), Options{})
			sink.await(t, is(tt.up), "up", "job", "j")
			if tt.want != nil {
				require.NotEmpty(t, sink.find(tt.want[0], tt.want[1:]...))
			}
			if tt.absent != "" {
				require.Empty(t, sink.find(tt.absent))
			}
			targets := s.TargetsActive()["j"]
			require.Len(t, targets, 1)
			if tt.lastError == "" {
				require.NoError(t, targets[0].LastError())
			} else {
				require.ErrorContains(t, targets[0].LastError(), tt.lastError)
			}
		})
	}
}

func TestBadBodyCostsOnlyItsScrape(t *testing.T) {
	t.Parallel()
	good, bad := serve(t, text("a 1\n")), serve(t, text("a{ 1\n"))
	sink := &memorySink{}
	run(t, sink, parse(t, fmt.Sprintf("global: {scrape_interval: 50ms, scrape_timeout: 50ms}\nscrape_configs:\n- job_name: j\n  static_configs: [{targets: [%q, %q]}]", good, bad)), Options{})
	sink.await(t, is(1), "up", "instance", good)
	sink.await(t, is(0), "up", "instance", bad)
	sink.await(t, is(1), "a", "instance", good)
}

func TestRefusedSampleKeepsTheScrape(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		err    error
		up     float64
		kept   bool
		reason string
	}{
		{"refused by us", fault.Refuse("label_value_too_long", "too long"), 1, true, "label_value_too_long"},
		{"too old", storage.ErrTooOldSample, 1, true, "too_old"},
		{"out of order", storage.ErrOutOfOrderSample, 1, true, "out_of_order"},
		{"duplicate", storage.ErrDuplicateSampleForTimestamp, 1, true, "duplicate_timestamp"},
		{"store full", fault.New(fault.Unavailable, "disk is full"), 0, false, ""},
	}
	target := serve(t, text("before 1\nbad 2\nafter 3\n"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sink := &memorySink{refuse: func(ls labels.Labels) error {
				if ls.Get("__name__") == "bad" {
					return tt.err
				}
				return nil
			}}
			reg := prometheus.NewRegistry()
			run(t, sink, parse(t, job("j", target, "")), Options{Registry: reg})
			sink.await(t, is(tt.up), "up")
			sink.await(t, is(tt.up), "up", "job", "j")
			require.Equal(t, tt.kept, len(sink.find("before")) > 0)
			require.Equal(t, tt.kept, len(sink.find("after")) > 0)
			require.Empty(t, sink.find("bad"))
			if tt.reason != "" {
				require.GreaterOrEqual(t, gathered(t, reg, "signalbox_scrape_samples_refused_total", "reason", tt.reason), 1.0)
			}
		})
	}
}

// gathered returns the value of one counter or gauge, 0 when absent.
func gathered(t *testing.T, reg prometheus.Gatherer, name string, pair ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	metric:
		for _, m := range f.GetMetric() {
			for i := 0; i < len(pair); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == pair[i] && l.GetValue() == pair[i+1]
				}
				if !found {
					continue metric
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return 0
}
