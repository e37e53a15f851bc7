package scrape

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"signalbox/internal/fault"
)

func TestParseConfig(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "more.yml"), []byte("scrape_configs: [{job_name: from_file}]"), 0o600))
	cfg, err := ParseConfig([]byte(`
global: {scrape_interval: 15s}
scrape_config_files: [more*.yml, none*.yml]
scrape_configs:
- job_name: main
  tls_config: {ca_file: ca.pem}
  file_sd_configs: [{files: [sd/*.json]}]
`), dir)
	require.NoError(t, err)

	prom := cfg.PrometheusConfig()
	require.Len(t, prom.ScrapeConfigs, 1, "as the user wrote it")
	require.Equal(t, filepath.Join(dir, "ca.pem"), prom.ScrapeConfigs[0].HTTPClientConfig.TLSConfig.CAFile)
	require.Contains(t, prom.String(), filepath.Join(dir, "sd/*.json"))
	jobs, err := cfg.jobs().GetScrapeConfigs()
	require.NoError(t, err)
	require.Len(t, jobs, 2)
	require.Equal(t, "from_file", jobs[1].JobName)
	require.Equal(t, model.Duration(15*time.Second), jobs[1].ScrapeInterval, "globals reach the files")

	warnings, err := cfg.Validate()
	require.NoError(t, err)
	require.Equal(t, []string{"scrape_config_files: no file matches " + filepath.Join(dir, "none*.yml")}, warnings)
}

func TestParseConfigRefuses(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "azure.yml"), []byte("scrape_configs: [{job_name: a, azure_sd_configs: [{}]}]"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "twice.yml"), []byte("scrape_configs: [{job_name: a}]"), 0o600))
	tests := []struct{ name, doc, want string }{
		{"not yaml", "a: [", "scrape configuration"},
		{"other section", "remote_write: []", `unknown key "remote_write"`},
		{"unknown field", "scrape_configs: [{job_name: a, sample_limits: 1}]", "sample_limits not found"},
		{"no job name", "scrape_configs: [{}]", "job_name is empty"},
		{"job twice", "scrape_configs: [{job_name: a}, {job_name: a}]", "multiple scrape configs"},
		{"job twice over files", "scrape_config_files: [twice.yml]\nscrape_configs: [{job_name: a}]", "multiple scrape configs"},
		{"timeout", "scrape_configs: [{job_name: a, scrape_interval: 1s, scrape_timeout: 2s}]", "timeout greater than scrape interval"},
		{"left out discovery", "scrape_configs: [{job_name: a, azure_sd_configs: [{}]}]", "azure_sd_configs: this build has no such service discovery; it has "},
		{"left out discovery in a file", "scrape_config_files: [azure.yml]", "azure_sd_configs: this build has no such service discovery; it has "},
		{"bad relabel", "scrape_configs: [{job_name: a, relabel_configs: [{action: fly}]}]", "unknown relabel action"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseConfig([]byte(tt.doc), dir)
			require.ErrorContains(t, err, tt.want)
			require.True(t, fault.Is(err, fault.Invalid))
		})
	}
}

func TestIncludedDiscoveries(t *testing.T) {
	for _, key := range []string{
		"static_configs", "file_sd_configs", "http_sd_configs", "dns_sd_configs", "consul_sd_configs", "docker_sd_configs",
		"dockerswarm_sd_configs", "ec2_sd_configs", "lightsail_sd_configs",
	} {
		require.Contains(t, includedDiscoveries(), key)
	}
}

func TestValidate(t *testing.T) {
	cfg := DefaultConfig()
	_, err := cfg.Validate()
	require.NoError(t, err)
	cfg.Tenant, cfg.DiscoveryReloadInterval = "a/b", 0
	_, err = cfg.Validate()
	require.ErrorContains(t, err, "tenant")
	require.ErrorContains(t, err, "discovery_reload_interval")
}

func TestNewRefusesWhatCannotBeBuilt(t *testing.T) {
	tests := []struct{ name, job, want string }{
		{"missing CA", "tls_config: {ca_file: nowhere.pem}", "nowhere.pem"},
		{"failure log in no folder", "scrape_failure_log_file: none/such.log", "scrape_failure_log_file"},
		{"discovery with a missing CA", "http_sd_configs: [{url: 'http://h/', tls_config: {ca_file: nowhere.pem}}]", "http_sd_configs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := ParseConfig([]byte("scrape_configs:\n- job_name: a\n  "+tt.job+"\n"), t.TempDir())
			require.NoError(t, err)
			_, err = New(&memorySink{}, cfg, Options{})
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, `job "a"`)
			require.True(t, fault.Is(err, fault.Invalid))
		})
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, doc := range []string{
		"", "global:", "scrape_configs: [{job_name: a}]", "scrape_configs: [null]", "global: {scrape_interval: 1s}",
		"scrape_configs: [{job_name: a, static_configs: [{targets: [x]}, null]}]", "&a [*a]", "scrape_config_files: ['*.yml']",
		"scrape_configs: [{job_name: a, http_sd_configs: [{url: x}]}]",
	} {
		f.Add(doc)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, doc string) {
		if strings.Contains(doc, "scrape_config_files") && strings.Contains(doc, "/") {
			return // leave files outside the folder alone
		}
		cfg, err := ParseConfig([]byte(doc), dir)
		if err != nil {
			require.True(t, fault.Is(err, fault.Invalid))
			return
		}
		_ = cfg.PrometheusConfig().String()
		_, _ = cfg.Validate()
	})
}
