package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"
)

// freePort returns a port that nobody listens on at the moment, for programs
// that cannot be told to choose one.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestOpenTelemetrySDK(t *testing.T) {
	s := start(t, t.TempDir(), "")
	ctx := context.Background()
	f := func(name string, exp sdk.Exporter) {
		res := resource.NewSchemaless(attribute.String("service.name", name), attribute.String("service.namespace", "shop"),
			attribute.String("service.instance.id", "i-1"), attribute.String("host.name", "h1"))
		provider := sdk.NewMeterProvider(
			sdk.WithReader(sdk.NewPeriodicReader(exp, sdk.WithInterval(200*time.Millisecond))),
			sdk.WithResource(res),
			sdk.WithView(sdk.NewView(sdk.Instrument{Name: "http.server.duration"}, sdk.Stream{Aggregation: sdk.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}})),
		)
		meter := provider.Meter("shop/checkout")
		orders, err := meter.Int64Counter("orders", metric.WithDescription("Orders placed."))
		require.NoError(t, err)
		depth, err := meter.Float64Gauge("queue.depth", metric.WithUnit("By"))
		require.NoError(t, err)
		classic, err := meter.Float64Histogram("db.wait", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(0.1, 1))
		require.NoError(t, err)
		duration, err := meter.Float64Histogram("http.server.duration", metric.WithUnit("s"))
		require.NoError(t, err)
		sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4, 5}, TraceFlags: trace.FlagsSampled})
		traced := trace.ContextWithSpanContext(ctx, sc)
		for i := range 10 {
			orders.Add(traced, 3, metric.WithAttributes(attribute.String("country", "ch")))
			depth.Record(ctx, 17.5)
			classic.Record(traced, 0.5)
			duration.Record(traced, 0.01*float64(i+1))
		}
		require.NoError(t, provider.ForceFlush(ctx))

		job := `job="shop/` + name + `",instance="i-1"`
		a := s.await(`orders_total{`+job+`,country="ch"}`, 1)
		require.Equal(t, "30", a.Data.Result[0].Value[1])
		require.Equal(t, "17.5", s.await(`queue_depth_bytes{`+job+`}`, 1).Data.Result[0].Value[1])
		require.Len(t, s.await(`db_wait_seconds_bucket{`+job+`}`, 3).Data.Result, 3)
		require.Equal(t, "10", s.await(`histogram_count(http_server_duration_seconds{`+job+`})`, 1).Data.Result[0].Value[1])
		require.NotEmpty(t, s.await(`http_server_duration_seconds{`+job+`}`, 1).Data.Result[0].Histogram)
		require.NotEmpty(t, s.await(`target_info{`+job+`,host_name="h1"}`, 1).Data.Result)

		// Exemplars lead to the trace.
		now := time.Now()
		_, body := s.get(fmt.Sprintf("/api/v1/query_exemplars?query=%s&start=%d&end=%d", url.QueryEscape(`orders_total{`+job+`}`), now.Add(-time.Hour).Unix(), now.Add(time.Hour).Unix()))
		require.Contains(t, body, `"trace_id":"01020300000000000000000000000000"`)
		require.NoError(t, provider.Shutdown(ctx))
	}
	grpcExp, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(s.otlpGRPC), otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithCompressor("gzip"))
	require.NoError(t, err)
	f("grpc", grpcExp)
	mainExp, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(s.http), otlpmetricgrpc.WithInsecure())
	require.NoError(t, err)
	f("grpc-on-main-port", mainExp)
	httpExp, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(s.otlpHTTP), otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
	require.NoError(t, err)
	f("http", httpExp)

	_, body := s.get("/api/v1/metadata?metric=orders_total")
	require.JSONEq(t, `{"status":"success","data":{"orders_total":[{"type":"counter","help":"Orders placed.","unit":""}]}}`, body)
}

func TestDebianPrometheusWritesToUsAndScrapesUs(t *testing.T) {
	s := start(t, t.TempDir(), "")
	listen := freePort(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 1s, external_labels: {from: debian}}
scrape_configs:
- job_name: prometheus
  static_configs: [{targets: [%q]}]
- job_name: signalbox
  static_configs: [{targets: [%q]}]
remote_write:
- url: http://%s/api/v1/write
  send_exemplars: true
  send_native_histograms: true
  queue_config: {batch_send_deadline: 200ms}
  metadata_config: {send_interval: 1s}
`, listen, s.http, s.http), 0o600))
	program(t, "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+listen,
		"--enable-feature=exemplar-storage,native-histograms")

	require.NotEmpty(t, s.await(`up{job="signalbox",from="debian"} == 1`, 1), "it scrapes us")
	require.NotEmpty(t, s.await(`up{job="prometheus",from="debian"} == 1`, 1))
	s.await(`count_over_time(prometheus_tsdb_head_samples_appended_total{from="debian"}[10m]) > 5`, 1)

	// What it keeps and what we keep is the same, sample by sample.
	peer := &server{t: t, http: listen, log: s.log}
	end := time.Now().Add(-2 * time.Second)
	rng := func(srv *server, sel string) answer {
		return srv.ask(fmt.Sprintf("/api/v1/query?query=%s&time=%d", url.QueryEscape(sel+"[10m]"), end.Unix()))
	}
	for _, metric := range []string{"prometheus_http_requests_total", "go_memstats_alloc_bytes", "prometheus_target_interval_length_seconds"} {
		want := rng(peer, metric+`{job="prometheus"}`)
		require.NotEmpty(t, want.Data.Result)
		s.eventually(func() bool {
			got := rng(s, metric+`{job="prometheus",from="debian"}`)
			return sameSamples(want, got)
		}, metric+" equals Prometheus' own")
	}
	s.eventually(func() bool {
		_, body := s.get("/api/v1/metadata?metric=prometheus_http_requests_total")
		return body == `{"status":"success","data":{"prometheus_http_requests_total":[{"type":"counter","help":"Counter of HTTP requests.","unit":""}]}}`
	}, "metadata came by remote write")
	require.Zero(t, s.counter("signalbox_ingest_samples_refused_total", "door", "remote_write"))
}

// sameSamples compares two results, the label "from" aside.
func sameSamples(a, b answer) bool {
	index := func(x answer) map[string]string {
		m := map[string]string{}
		for _, r := range x.Data.Result {
			delete(r.Metric, "from")
			k, _ := json.Marshal(r.Metric)
			v, _ := json.Marshal(r.Values)
			m[string(k)] = string(v)
		}
		return m
	}
	x, y := index(a), index(b)
	if len(x) != len(y) {
		return false
	}
	for k, v := range x {
		if y[k] != v {
			return false
		}
	}
	return true
}

func TestWeScrapeNodeExporter(t *testing.T) {
	listen := freePort(t)
	program(t, "prometheus-node-exporter", "--web.listen-address="+listen)
	s := start(t, t.TempDir(), fmt.Sprintf(`
scrape_configs:
- job_name: debian
  scrape_interval: 1s
  static_configs: [{targets: [%q], labels: {rack: r1}}]
  metric_relabel_configs:
  - {source_labels: [__name__], regex: go_.*, action: drop}
`, listen))
	s.await(`up{job="debian",rack="r1"} == 1`, 1)
	s.await(`rate(node_cpu_seconds_total{job="debian",mode="idle"}[1m])`, 1)
	require.Empty(t, s.query(`go_goroutines{job="debian"}`).Data.Result, "dropped by relabeling")
	_, body := s.get("/api/v1/targets?state=active")
	require.Contains(t, body, `"health":"up"`)
	require.Contains(t, body, `"scrapePool":"debian"`)
	_, body = s.get("/api/v1/targets/metadata?metric=node_cpu_seconds_total&limit=1")
	require.Contains(t, body, `"type":"counter"`)

	// Our own collector has the same names for the same machine.
	own := s.await(`node_memory_MemTotal_bytes{job="node"}`, 1)
	other := s.await(`node_memory_MemTotal_bytes{job="debian"}`, 1)
	require.Equal(t, other.Data.Result[0].Value[1], own.Data.Result[0].Value[1])
}

func TestCollectorPipelineEndsInTheStore(t *testing.T) {
	listen := freePort(t)
	s := start(t, t.TempDir(), fmt.Sprintf(`
collector:
  receivers:
    statsd: {endpoint: %q, aggregation_interval: 200ms}
  processors:
    batch: {timeout: 100ms}
    transform:
      metric_statements:
      - set(datapoint.attributes["team"], "checkout")
  service:
    pipelines:
      metrics: {receivers: [statsd], processors: [transform, batch]}
`, listen))
	conn, err := net.Dial("udp", listen)
	require.NoError(t, err)
	defer conn.Close()
	s.eventually(func() bool {
		_, err := conn.Write([]byte("queue.depth:42|g|#shop:zurich"))
		require.NoError(t, err)
		a := s.query(`queue_depth{shop="zurich",team="checkout"}`)
		return len(a.Data.Result) == 1 && a.Data.Result[0].Value[1] == "42"
	}, "a StatsD gauge through transform and batch")
}

func TestOwnMetricsAreThereAtOnce(t *testing.T) {
	s := start(t, t.TempDir(), "")
	s.await(`signalbox_build_info{job="signalbox"}`, 1)
	s.await(`signalbox_ingest_samples_accepted_total{door="self"}`, 1)
	s.await(`node_load1{job="node"}`, 1)
	_, body := s.get("/api/v1/metadata?metric=signalbox_ingest_samples_accepted_total")
	require.Contains(t, body, `"type":"counter"`)
}

func TestTenantsOnEveryDoor(t *testing.T) {
	s := start(t, t.TempDir(), "tenants: {limited: {max_series: 1}}")
	now := time.Now().UnixMilli()
	for _, id := range []string{"a", "b"} {
		code, body, _ := s.do("POST", "/api/v1/write", protobuf, encode(t, series("m", 1, now, "of", id)), "Content-Encoding", "snappy", "X-Scope-OrgID", id)
		require.Equal(t, 204, code, body)
	}
	require.Len(t, s.query("m", "X-Scope-OrgID", "a").Data.Result, 1)
	require.Len(t, s.query("m", "X-Scope-OrgID", "a|b").Data.Result, 2)
	require.Empty(t, s.query("m").Data.Result)
	code, body, _ := s.do("GET", "/api/v1/query?query=m", "", nil, "X-Scope-OrgID", "a/../b")
	require.Equal(t, 400, code, body)
	code, body, _ = s.do("POST", "/v1/metrics", "application/json", []byte(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"x","gauge":{"dataPoints":[{"asDouble":1,"timeUnixNano":"`+fmt.Sprint(time.Now().UnixNano())+`"}]}},{"name":"y","gauge":{"dataPoints":[{"asDouble":1,"timeUnixNano":"`+fmt.Sprint(time.Now().UnixNano())+`"}]}}]}]}]}`), "X-Scope-OrgID", "limited")
	require.Equal(t, 200, code, body)
	require.Contains(t, body, `"rejectedDataPoints":"1"`)
	require.Contains(t, body, "limits.max_series")
	require.Len(t, s.query("x or y", "X-Scope-OrgID", "limited").Data.Result, 1)
}
