package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"signalbox/internal/httpserver"
	"signalbox/internal/testkit"
	"signalbox/tools/docgen/pages"
)

// TestMetricsPage fails when docs/generated/metrics.md is not what a program
// with all doors in use has; -update rewrites it.
func TestMetricsPage(t *testing.T) {
	targets := exporter(t)
	socket := filepath.Join(t.TempDir(), "otlp.sock")
	cfg := testConfig(t, everyDoor(targets.URL, socket, "job_name: own")...)
	a := start(t, cfg, Options{})
	a.useEveryDoor(socket)
	require.NoError(t, a.Reload(with(t, cfg, everyDoor(targets.URL, socket, "job_name: own, sample_limit: 1000")...)))
	a.await("prometheus_target_reload_length_seconds")

	page, err := pages.Metrics(a.reg, documented)
	require.NoError(t, err)
	require.Empty(t, untyped.FindAllString(string(page), -1), "use what they count in useEveryDoor: only then is their type known")
	testkit.Golden(t, "../../../docs/generated/metrics.md", page)
}

// documented leaves out what the Go toolchain decides.
func documented(name string) bool {
	return !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_")
}

var untyped = regexp.MustCompile("(?m)^\\| `signalbox_[^`]*` \\|  \\|")

// exporter serves a page of metrics, and a list of itself for http_sd_configs.
func exporter(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, "# TYPE scraped gauge\nscraped 7\n")
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	mux.HandleFunc("GET /targets", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `[{"targets": [%q]}]`, strings.TrimPrefix(srv.URL, "http://"))
	})
	return srv
}

// everyDoor is a configuration in which everything that stores metrics runs.
func everyDoor(targets, socket, job string) []string {
	return []string{
		"self_metrics: {interval: 1s}",
		"host_metrics: {interval: 1s}",
		"collector:",
		"  receivers: {otlp: {protocols: {grpc: {endpoint: " + socket + ", transport: unix}}}}",
		"  processors: {batch: {timeout: 10ms}, memory_limiter: {check_interval: 1s, limit_mib: 100000}}",
		"  service: {pipelines: {metrics: {receivers: [otlp], processors: [memory_limiter, batch]}}}",
		"global: {scrape_interval: 200ms, scrape_timeout: 200ms}",
		"scrape: {discovery_reload_interval: 100ms}",
		"scrape_configs:",
		"  - {" + job + ", http_sd_configs: [{url: '" + targets + "/targets', refresh_interval: 200ms}]}",
	}
}

// useEveryDoor sends, scrapes and asks until every door has done its work once.
func (r *running) useEveryDoor(socket string) {
	t := r.t
	r.remoteWrite("written", 1)
	md := gauge("sent", 2)
	body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	require.NoError(t, err)
	code, text := r.do(http.MethodPost, "http://"+r.Addrs()[httpserver.OTLPHTTP].String()+"/v1/metrics", body, "Content-Type", "application/x-protobuf")
	require.Equal(t, http.StatusOK, code, text)
	r.export(r.Addrs()[httpserver.OTLPGRPC].String(), md)
	r.export("unix://"+socket, md)
	r.query("written")
	r.get("/federate?match[]=written")
	r.get("/metrics")
	for _, door := range []string{"remote_write", "otlp", "collector", "self", "host", "scrape"} {
		r.await("signalbox_ingest_samples_accepted_total", `"`+door+`"`)
	}
	// Some are counted after the answer, or after the batch was stored.
	for _, name := range []string{
		"otelcol_processor_batch_batch_send_size",
		"otelcol_processor_batch_timeout_trigger_send",
		"otelcol_processor_outgoing_items",
		"otelcol_receiver_accepted_metric_points",
		"prometheus_sd_refresh_duration_seconds",
		"prometheus_target_interval_length_seconds", // needs two scrapes
		"prometheus_target_sync_length_seconds",
		"signalbox_grpc_request_duration_seconds",
		"signalbox_http_request_duration_seconds",
		"signalbox_self_rounds_total",
	} {
		r.await(name)
	}
}
