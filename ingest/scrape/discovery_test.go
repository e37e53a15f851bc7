package scrape

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// writeFile replaces a file in one step, as file_sd expects.
func writeFile(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte(content), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

func groups(t *testing.T, targets ...string) string {
	t.Helper()
	b, err := json.Marshal([]map[string]any{{"targets": targets, "labels": map[string]string{"zone": "north"}}})
	require.NoError(t, err)
	return string(b)
}

func TestFileDiscoveryFollowsTheFile(t *testing.T) {
	t.Parallel()
	first, second := serve(t, text("a 1\n")), serve(t, text("a 2\n"))
	dir := t.TempDir()
	file := filepath.Join(dir, "targets.json")
	writeFile(t, file, groups(t, first))
	cfg, err := ParseConfig([]byte("global: {scrape_interval: 50ms, scrape_timeout: 50ms}\nscrape_configs:\n- job_name: j\n  file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]\n"), dir)
	require.NoError(t, err)
	cfg.DiscoveryReloadInterval = 10 * time.Millisecond
	sink := &memorySink{}
	s := run(t, sink, cfg, Options{})
	sink.await(t, is(1), "a", "instance", first, "zone", "north")

	writeFile(t, file, groups(t, second))
	sink.await(t, is(2), "a", "instance", second)
	// The target that vanished ends with a stale marker, its health too.
	sink.await(t, stale, "a", "instance", first)
	sink.await(t, stale, "up", "instance", first)
	require.Empty(t, staleOf(sink, "a", second))
	require.Len(t, s.TargetsActive()["j"], 1)
}

func staleOf(sink *memorySink, name, instance string) (out []sample) {
	for _, s := range sink.find(name, "instance", instance) {
		if s.stale() {
			out = append(out, s)
		}
	}
	return out
}

func TestHTTPDiscovery(t *testing.T) {
	t.Parallel()
	target := serve(t, text("a 1\n"))
	sd := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, groups(t, target))
	}))
	sink := &memorySink{}
	run(t, sink, parse(t, fmt.Sprintf("global: {scrape_interval: 50ms, scrape_timeout: 50ms}\nscrape_configs:\n- job_name: j\n  http_sd_configs: [{url: \"http://%s/sd\"}]\n", sd)), Options{})
	sink.await(t, is(1), "a", "instance", target, "zone", "north")
}

func TestFailingTargetAndVanishingSeries(t *testing.T) {
	t.Parallel()
	var mode atomic.Int32
	target := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch mode.Load() {
		case 0:
			text("stays 1\ngoes 1\n").ServeHTTP(w, r)
		case 1:
			text("stays 1\n").ServeHTTP(w, r)
		default:
			http.Error(w, "broken", http.StatusInternalServerError)
		}
	}))
	sink := &memorySink{}
	run(t, sink, parse(t, job("j", target, "")), Options{})
	sink.await(t, fresh, "goes")
	mode.Store(1)
	sink.await(t, stale, "goes")
	require.Empty(t, staleOf(sink, "stays", target))
	mode.Store(2)
	sink.await(t, is(0), "up")
	sink.await(t, stale, "stays")
}

func TestDroppedTargetsAreReported(t *testing.T) {
	t.Parallel()
	target := serve(t, text("a 1\n"))
	s := run(t, &memorySink{}, parse(t, job("j", target, "  relabel_configs: [{source_labels: [__address__], regex: '.*', action: drop}]")), Options{})
	eventually(t, func() bool { return s.TargetsDroppedCounts()["j"] == 1 }, "target is not dropped")
	require.Len(t, s.TargetsDropped()["j"], 1)
	require.Empty(t, s.TargetsActive()["j"])
	require.Equal(t, []string{"j"}, s.ScrapePools())
	pool, err := s.ScrapePoolConfig("j")
	require.NoError(t, err)
	require.Equal(t, "j", pool.JobName)
	_, err = s.ScrapePoolConfig("none")
	require.Error(t, err)
}

func TestReload(t *testing.T) {
	t.Parallel()
	one, two := serve(t, text("a 1\n")), serve(t, text("a 2\n"))
	doc := func(path, extra string) string {
		return fmt.Sprintf(`
global: {scrape_interval: 50ms, scrape_timeout: 50ms}
scrape_configs:
- job_name: kept
  static_configs: [{targets: [%q]}]
- job_name: changed
  metrics_path: %s
  static_configs: [{targets: [%q]}]
%s`, one, path, two, extra)
	}
	sink, reg := &memorySink{}, prometheus.NewRegistry()
	s := run(t, sink, parse(t, doc("/metrics", "")), Options{Registry: reg})
	sink.await(t, is(1), "up", "job", "kept")
	sink.await(t, is(1), "up", "job", "changed")
	kept := s.TargetsActive()["kept"][0]
	before := s.PrometheusConfig()

	// What cannot be built changes nothing.
	err := s.Apply(parse(t, doc("/other", "- job_name: bad\n  tls_config: {ca_file: /does/not/exist}\n")))
	require.ErrorContains(t, err, `job "bad"`)
	require.Same(t, before, s.PrometheusConfig())
	require.InDelta(t, 1, gathered(t, reg, "signalbox_scrape_reloads_total", "result", "refused"), 0)
	pool, err := s.ScrapePoolConfig("changed")
	require.NoError(t, err)
	require.Equal(t, "/metrics", pool.MetricsPath)

	// A good one changes what it names and keeps the rest running.
	require.NoError(t, s.Apply(parse(t, doc("/other", "- job_name: added\n  static_configs: [{targets: ["+one+"]}]\n"))))
	sink.await(t, is(1), "up", "job", "added")
	pool, err = s.ScrapePoolConfig("changed")
	require.NoError(t, err)
	require.Equal(t, "/other", pool.MetricsPath)
	require.Same(t, kept, s.TargetsActive()["kept"][0])
	require.Empty(t, staleOf(sink, "a", one))

	// And a job can go.
	require.NoError(t, s.Apply(parse(t, "")))
	require.Empty(t, s.ScrapePools())
	require.InDelta(t, 2, gathered(t, reg, "signalbox_scrape_reloads_total", "result", "applied"), 0)
}
