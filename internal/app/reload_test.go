package app

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"signalbox/internal/config"
	"signalbox/internal/httpserver"
	"signalbox/internal/telemetry"
	"signalbox/internal/testkit"
)

const lastReload = "signalbox_config_last_reload_successful"

// lines is the quiet configuration with more.
func lines(more ...string) []string { return append(quiet[:len(quiet):len(quiet)], more...) }

// job is a scrape configuration of one job, which finds target through a file.
func job(t *testing.T, name, target string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "targets.json")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `[{"targets": [%q]}]`, target), 0o600))
	return "scrape_configs: [{job_name: " + name + ", scrape_interval: 200ms, scrape_timeout: 200ms, file_sd_configs: [{files: ['" + file + "']}]}]"
}

const fastDiscovery = "scrape: {discovery_reload_interval: 100ms}"

func TestReloadTakesOver(t *testing.T) {
	target := exporter(t).Listener.Addr().String()
	cfg := testConfig(t, lines(fastDiscovery, job(t, "before", target))...)
	var out logText
	log, err := telemetry.NewLog(&out, cfg.Log)
	require.NoError(t, err)
	a := start(t, cfg, Options{Logger: log.Logger, Log: log})
	testkit.Eventually(t, patience, func() bool { return hasResult(a.query(`scraped{job="before"}`)) })
	a.remoteWrite("one", 1, "X-Scope-OrgID", "small")
	a.remoteWrite("two", 1, "X-Scope-OrgID", "small")

	next := lines(fastDiscovery, job(t, "after", target), "tenants: {small: {max_series: 2}}", "log: {level: debug}", "query: {timeout: 7s}")
	require.NoError(t, a.Reload(with(t, cfg, next...)))
	require.Contains(t, a.get("/api/v1/status/config"), "job_name: after")
	require.NotContains(t, a.get("/api/v1/status/config"), "job_name: before")
	testkit.Eventually(t, patience, func() bool { return hasResult(a.query(`scraped{job="after"}`)) })
	require.Equal(t, 1.0, a.value(lastReload))
	require.Contains(t, a.get("/api/v1/status/runtimeinfo"), `"reloadConfigSuccess":true`)

	code, body := a.tryRemoteWrite("three", 1, "X-Scope-OrgID", "small")
	require.Equal(t, http.StatusBadRequest, code, body)
	require.Contains(t, body, "max_series")
	a.remoteWrite("two", 2, "X-Scope-OrgID", "small")

	require.True(t, log.Enabled(t.Context(), slog.LevelDebug))
	require.Regexp(t, `takes effect at the next start only.*section=query`, out.String())
	require.NotRegexp(t, `next start only.*section=http`, out.String(), "it did not change")
}

// TestBadReloadKeepsTheOld gives reloads that can fail only when they are
// applied: whatever was applied before is put back.
func TestBadReloadKeepsTheOld(t *testing.T) {
	target := exporter(t).Listener.Addr().String()
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before.sock"), filepath.Join(dir, "after.sock")
	old := lines(fastDiscovery, job(t, "before", target), otlpAt(before, "unix"))
	cfg := testConfig(t, old...)
	a := start(t, cfg, Options{})
	testkit.Eventually(t, patience, func() bool { return hasResult(a.query(`scraped{job="before"}`)) })

	var taken string
	take(t, &taken)
	ca := filepath.Join(dir, "ca.pem")
	noCA := "scrape_configs: [{job_name: after, tls_config: {ca_file: '" + ca + "'}, static_configs: [{targets: ['" + target + "']}]}]"
	for _, tc := range []struct {
		name, want string
		lines      []string
	}{
		{"a file is gone", "scrape: .*ca.pem", lines(fastDiscovery, noCA, otlpAt(after, "unix"))},
		{"a port is taken", "collector: .*" + taken, lines(fastDiscovery, job(t, "after", target), otlpAt(taken, "tcp"))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bad := with(t, cfg, append(tc.lines, "limits: {max_series: 1}")...)
			err := a.Reload(bad)
			require.Error(t, err)
			require.Regexp(t, tc.want, err.Error())
			require.Zero(t, a.value(lastReload))
			require.Contains(t, a.get("/api/v1/status/runtimeinfo"), `"reloadConfigSuccess":false`)
			require.Contains(t, a.get("/api/v1/status/config"), "job_name: before")
			require.Contains(t, a.get("/api/v1/status/config"), before)

			scrapes := a.value("prometheus_target_interval_length_seconds")
			testkit.Eventually(t, patience, func() bool { return a.value("prometheus_target_interval_length_seconds") > scrapes }, "the old job scrapes on")
			a.export("unix://"+before, gauge("sent_after", 1))
			testkit.Eventually(t, patience, func() bool { return hasResult(a.query("sent_after")) }, "the old receiver listens, no new limit is in force")

			require.NoError(t, a.Reload(with(t, cfg, old...)))
			require.Equal(t, 1.0, a.value(lastReload))
		})
	}
}

// otlpAt is a Collector with an OTLP receiver at an address.
func otlpAt(addr, transport string) string {
	return "collector: {receivers: {otlp: {protocols: {grpc: {endpoint: '" + addr + "', transport: " + transport + "}}}}, " +
		"service: {pipelines: {metrics: {receivers: [otlp]}}}}"
}

func TestReloadOverHTTP(t *testing.T) {
	withAPI := lines("api: {enable_lifecycle: true}")
	post := func(a *running) (int, string) { return a.do(http.MethodPost, "/-/reload", nil) }

	t.Run("reads the file", func(t *testing.T) {
		cfg := testConfig(t, withAPI...)
		next, fault := with(t, cfg, append(withAPI, "scrape_configs: [{job_name: after}]")...), error(nil)
		a := start(t, cfg, Options{ReadConfig: func() (*config.Config, error) { return next, fault }})
		code, body := post(a)
		require.Equal(t, http.StatusOK, code, body)
		require.Contains(t, a.get("/api/v1/status/config"), "job_name: after")

		next, fault = nil, errors.New("f.yml:3: no such key")
		code, body = post(a)
		require.Equal(t, http.StatusInternalServerError, code, "as Prometheus answers")
		require.Contains(t, body, "f.yml:3: no such key")
		require.Zero(t, a.value(lastReload))
		require.Contains(t, a.get("/api/v1/status/config"), "job_name: after")
	})
	t.Run("without a file", func(t *testing.T) {
		a := start(t, testConfig(t, withAPI...), Options{})
		code, body := post(a)
		require.Equal(t, http.StatusInternalServerError, code)
		require.Contains(t, body, "without a configuration file")
		require.Equal(t, 1.0, a.value(lastReload), "there was nothing to fail")
	})
	t.Run("is off by default", func(t *testing.T) {
		a := start(t, testConfig(t, quiet...), Options{})
		code, _ := post(a)
		require.Equal(t, http.StatusForbidden, code)
	})
}

func TestReloadsAtOnceAreOneAfterTheOther(t *testing.T) {
	cfg := testConfig(t, quiet...)
	a := start(t, cfg, Options{})
	var wg sync.WaitGroup
	for i := range 8 {
		next := with(t, cfg, lines(fmt.Sprintf("scrape_configs: [{job_name: job%d}]", i))...)
		wg.Go(func() {
			if err := a.Reload(next); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	sc, err := a.cfg.Load().ScrapeConfig()
	require.NoError(t, err)
	jobs := a.scraper.PrometheusConfig().ScrapeConfigs
	require.Len(t, jobs, 1)
	require.Equal(t, sc.PrometheusConfig().ScrapeConfigs[0].JobName, jobs[0].JobName, "what is shown is what runs")
	require.NotNil(t, a.Addrs()[httpserver.Main])
}

// logText collects log lines of several goroutines.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
