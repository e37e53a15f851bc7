package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"signalbox/internal/tenant"
)

// parse decodes a document that must be right.
func parse(t *testing.T, doc string) *Config {
	t.Helper()
	c, _, err := Parse("", []byte(doc))
	require.NoError(t, err)
	return c
}

// faults decodes a document that must be wrong.
func faults(t *testing.T, doc string) []string {
	t.Helper()
	c, _, err := Parse("f.yaml", []byte(doc))
	require.Error(t, err)
	require.Nil(t, c)
	var out []string
	for _, f := range Faults(err) {
		out = append(out, f.Error())
	}
	return out
}

func TestDefaultIsValidAndQuiet(t *testing.T) {
	c, warnings, err := Load("")
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, "127.0.0.1:4319", c.HTTP.Listen)
	require.Equal(t, "127.0.0.1:4317", c.OTLP.GRPCListen)
	require.Equal(t, "127.0.0.1:4318", c.OTLP.HTTPListen)
	require.True(t, c.HostMetrics.Enabled)
	require.Nil(t, c.ScrapeDocument())
}

func TestEmptyDocumentsAreDefaults(t *testing.T) {
	for _, doc := range []string{"", "\n", "# only a comment\n", "---\n", "{}", "storage:\nlimits:\n", "storage: ~\ntenants:\n"} {
		c, _, err := Parse("", []byte(doc))
		require.NoError(t, err, doc)
		require.Equal(t, Default().Storage, c.Storage, doc)
		require.Equal(t, Default().Limits, c.Limits, doc)
	}
}

func TestFaults(t *testing.T) {
	for _, tc := range []struct {
		name, doc string
		want      []string // a part of each fault, in order
	}{
		{"misspelt key", "storage:\n  pth: x\n", []string{`f.yaml:2: storage.pth: unknown key, did you mean "path"?`}},
		{"separator", "storage:\n  wal-sync: page\n", []string{`f.yaml:2: storage.wal-sync: unknown key, did you mean "wal_sync"?`}},
		{"swapped letters", "qurey: {}\n", []string{`f.yaml:1: qurey: unknown key, did you mean "query"?`}},
		{"key of another section", "storage:\n  retention: 15d\n", []string{`f.yaml:2: storage.retention: unknown key here, did you mean "limits.retention"?`}},
		{"key of nothing", "storage:\n  zzzzzz: 1\n", []string{"f.yaml:2: storage.zzzzzz: unknown key; known here: path, wal_sync"}},
		{"Prometheus' rules", "rule_files: [a]\n", []string{"f.yaml:1: rule_files: unknown key: recording and alerting rules are not part"}},
		{"twice", "storage:\n  path: a\n  path: b\n", []string{"f.yaml:3: storage.path: this key stands twice"}},
		{"twice at the top", "query: {}\nquery: {}\n", []string{"f.yaml:2: query: this key stands twice"}},
		{"list for mapping", "storage: [a]\n", []string{"f.yaml:1: storage: want a mapping, got a list"}},
		{"text for mapping", "storage: a\n", []string{`f.yaml:1: storage: want a mapping, got "a"`}},
		{"root is a list", "- a\n", []string{"f.yaml:1: want a mapping, got a list"}},
		{"root is a text", "a\n", []string{`f.yaml:1: want a mapping, got "a"`}},
		{"duration without unit", "storage:\n  out_of_order_window: 90\n", []string{`f.yaml:2: storage.out_of_order_window: the duration "90" needs a unit, as in 90s`}},
		{"no duration", "limits:\n  retention: soon\n", []string{`f.yaml:2: limits.retention: "soon" is not a duration`}},
		{"no integer", "limits:\n  max_series: many\n", []string{`f.yaml:2: limits.max_series: want a whole number, got "many"`}},
		{"half an integer", "limits:\n  max_series: 1.5\n", []string{`limits.max_series: want a whole number, got "1.5"`}},
		{"no bool", "host_metrics:\n  enabled: maybe\n", []string{`f.yaml:2: host_metrics.enabled: want true or false, got "maybe"`}},
		{"no size", "storage:\n  min_free_bytes: 3 apples\n", []string{`f.yaml:2: storage.min_free_bytes: "3 apples" is not a size`}},
		{"negative size", "storage:\n  min_free_bytes: -1\n", []string{`f.yaml:2: storage.min_free_bytes: must not be negative`}},
		{"validated by the subsystem", "storage:\n  wal_sync: never\n", []string{`f.yaml:2: storage.wal_sync: "never" is neither`}},
		{"validated limit of a tenant", "tenants:\n  a:\n    max_labels: -1\n", []string{`f.yaml:3: tenants.a.max_labels: must not be negative`}},
		{"key of a tenant", "tenants:\n  a:\n    max_lables: 1\n", []string{`f.yaml:3: tenants.a.max_lables: unknown key, did you mean "max_labels"?`}},
		{"name of a tenant", "tenants:\n  a/b: {}\n", []string{`f.yaml:2: tenants.a/b: `}},
		{"tenants as a list", "tenants: [a]\n", []string{"f.yaml:1: tenants: want a mapping of tenant names"}},
		{"short interval", "self_metrics:\n  interval: 15ms\n", []string{"f.yaml:2: self_metrics.interval: 15ms is too short"}},
		{"same address twice", "otlp:\n  http_listen: 127.0.0.1:4317\n", []string{"f.yaml:2: otlp.http_listen: 127.0.0.1:4317 is also the address of otlp.grpc_listen"}},
		{"bad address", "http:\n  listen: nowhere\n", []string{`f.yaml:2: http.listen: "nowhere" is not an address`}},
		{"not YAML", "a: [\n", []string{"f.yaml:1: not valid YAML: "}},
		{"tab", "storage:\n\tpath: a\n", []string{"f.yaml:2: not valid YAML: "}},
		{"second document", "query: {}\n---\nquery: {}\n", []string{"f.yaml:2: a second YAML document starts here"}},
		{"key that is a list", "? [a]\n: 1\n", []string{"f.yaml:1: a key must be a plain word"}},
		{"unknown alias", "query: *x\n", []string{"not valid YAML: unknown anchor 'x' referenced"}},
		{"alias of itself", "a: &a [*a]\n", []string{"nested too deeply or its aliases repeat"}},
		{
			"all at once", "storage:\n  pth: x\n  wal_sync: never\nlimits:\n  max_series: many\nself_metrics: {interval: 10ms}\n",
			[]string{"f.yaml:2: storage.pth", "f.yaml:3: storage.wal_sync", "f.yaml:5: limits.max_series", "f.yaml:6: self_metrics.interval"},
		},
		{"scrape job", "query: {}\nscrape_configs:\n  - job_name: a\n    scrape_intervall: 5s\n", []string{`f.yaml:4: unknown key "scrape_intervall"`}},
		{"collector's own path", "collector:\n  receivers:\n    nosuch: {}\n  service:\n    pipelines:\n      metrics:\n        receivers: [nosuch]\n", []string{"f.yaml:3: collector.receivers.nosuch: "}},
		{"collector's key", "collector:\n  reciever: {}\n", []string{`f.yaml:2: collector.reciever: unknown key, did you mean "receivers"?`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := faults(t, tc.doc)
			require.Len(t, got, len(tc.want), strings.Join(got, "\n"))
			for i, w := range tc.want {
				require.Contains(t, got[i], w)
			}
		})
	}
}

func TestTenantsStartFromLimits(t *testing.T) {
	// tenants before limits: the order in the file must not matter.
	c := parse(t, `
tenants:
  small:
    max_series: 10
    retention: 1d
  silent:
limits:
  max_series: 5000
  samples_per_second: 1e3
  retention_bytes: 10GB
`)
	small := c.LimitsOf("small")
	require.Equal(t, 10, small.Store.MaxSeries)
	require.Equal(t, 24*time.Hour, small.Store.Retention)
	require.Equal(t, int64(10<<30), small.Store.RetentionBytes)
	require.InEpsilon(t, 1000.0, small.Admit.SamplesPerSecond, 1e-12)
	require.Equal(t, Default().Limits.Admit.MaxLabels, small.Admit.MaxLabels)
	require.Equal(t, c.Limits, c.LimitsOf("silent"))
	require.Equal(t, c.Limits, c.LimitsOf(tenant.Default))
	require.Equal(t, 15*24*time.Hour, c.Limits.Store.Retention)
}

func TestEnvironment(t *testing.T) {
	t.Setenv("SB_DIR", "/data")
	t.Setenv("SB_N", "77")
	t.Setenv("SB_EMPTY", "")
	t.Setenv("SB_EVIL", "x\nquery: {max_samples: 1}")
	c := parse(t, `
storage: {path: "${env:SB_DIR}/metrics"}
limits:
  max_series: ${env:SB_N}
  max_labels: ${env:SB_UNSET_NAME:-12}
  max_label_name_bytes: ${env:SB_EMPTY:-2KiB}
log: {level: info}
http: {cors_origin: "${env:SB_EVIL}"}
otlp: {promote_resource_attributes: ['$${env:SB_DIR}']}
`)
	require.Equal(t, "/data/metrics", c.Storage.Path)
	require.Equal(t, 77, c.Limits.Store.MaxSeries)
	require.Equal(t, 12, c.Limits.Admit.MaxLabels)
	require.Equal(t, 2048, c.Limits.Admit.MaxLabelNameBytes)
	require.Equal(t, []string{"${env:SB_DIR}"}, c.OTLP.PromoteResourceAttributes)
	require.Equal(t, "x\nquery: {max_samples: 1}", c.HTTP.CORSOrigin, "a value is never YAML")
	require.Equal(t, Default().Query.MaxSamples, c.Query.MaxSamples)

	require.Contains(t, faults(t, "storage:\n  path: ${env:SB_UNSET_NAME}\n")[0], "f.yaml:2: storage.path: the environment variable SB_UNSET_NAME is not set")
	require.Contains(t, faults(t, "storage:\n  path: ${env:A B}\n")[0], "is not the name of an environment variable")

	_, warnings, err := Parse("", []byte("storage: {path: '${SB_DIR}/x'}"))
	require.NoError(t, err)
	require.Equal(t, []string{"storage.path: ${SB_DIR} is not replaced; write ${env:SB_DIR} for the environment variable"}, warnings)
}

func TestAnchorsAndMerge(t *testing.T) {
	c := parse(t, `
limits: &base
  max_series: 100
  max_labels: 9
tenants:
  a:
    <<: *base
    max_labels: 3
  b: *base
`)
	require.Equal(t, 100, c.Tenants["a"].Store.MaxSeries)
	require.Equal(t, 3, c.Tenants["a"].Admit.MaxLabels)
	require.Equal(t, 9, c.Tenants["b"].Admit.MaxLabels)
}

func TestAliasBombIsRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 12; i++ {
		prev := strings.Repeat("*a"+string(rune('a'+i-2))+",", 10)
		if i == 1 {
			prev = strings.Repeat("*a0,", 10)
		}
		b.WriteString("k" + string(rune('a'+i-1)) + ": &a" + string(rune('a'+i-1)) + " [" + strings.TrimSuffix(prev, ",") + "]\n")
	}
	require.Contains(t, faults(t, b.String())[0], "aliases repeat too much")
}

func TestOverridesComeBeforeValidation(t *testing.T) {
	c, _, err := Parse("", []byte("http: {listen: nowhere}\n"), func(c *Config) { c.HTTP.Listen = "127.0.0.1:0" })
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:0", c.HTTP.Listen)
	_, _, err = Parse("f.yaml", nil, func(c *Config) { c.Storage.Path = "" })
	require.ErrorContains(t, err, "f.yaml: storage.path: must name a folder")
}

func TestLoadReadsPathsBesideTheFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("web.yml", "{}\n")
	write("more.yml", "scrape_configs: [{job_name: from-file}]\n")
	write("sb.yaml", "http: {web_config_file: web.yml}\nscrape: {tenant: t1}\nscrape_config_files: [more.yml, 'none*.yml']\n")
	c, warnings, err := Load(filepath.Join(dir, "sb.yaml"))
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "scrape_config_files: no file matches")
	require.Equal(t, filepath.Join(dir, "web.yml"), c.HTTP.WebConfigFile)
	require.Equal(t, dir, c.BaseDir())
	sc, err := c.ScrapeConfig()
	require.NoError(t, err)
	require.Equal(t, "t1", sc.Tenant)
	jobs, err := sc.PrometheusConfig().GetScrapeConfigs()
	require.NoError(t, err)
	require.Len(t, jobs, 1)
	require.Equal(t, "from-file", jobs[0].JobName)

	write("web.yml", "basic_auth_usres: {}\n")
	_, _, err = Load(filepath.Join(dir, "sb.yaml"))
	require.ErrorContains(t, err, "sb.yaml:1: http.web_config_file: ")
	_, _, err = Load(filepath.Join(dir, "absent.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "--config.file")
	_, _, err = Load(dir)
	require.ErrorContains(t, err, "--config.file")
}

func TestScrapeDocumentKeepsLines(t *testing.T) {
	doc := `# a comment
storage: {path: x}
scrape_configs: # jobs
  - job_name: a
    static_configs: [{targets: ["h:1"]}]

query: {}
global:
  scrape_interval: 20s
`
	c := parse(t, doc)
	want := "\n\nscrape_configs: # jobs\n  - job_name: a\n    static_configs: [{targets: [\"h:1\"]}]\n\n\nglobal:\n  scrape_interval: 20s\n"
	require.Empty(t, cmp.Diff(want, string(c.ScrapeDocument())))

	t.Setenv("SB_TARGET", "h:2")
	for name, doc := range map[string]string{
		"environment": "scrape_configs: [{job_name: a, static_configs: [{targets: ['${env:SB_TARGET}']}]}]\n",
		"alias":       "query: &q {}\nglobal: *q\nscrape_configs: [{job_name: a, static_configs: [{targets: ['h:2']}]}]\n",
		"flow root":   "{scrape_configs: [{job_name: a, static_configs: [{targets: ['h:2']}]}]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := parse(t, doc)
			sc, err := c.ScrapeConfig()
			require.NoError(t, err)
			require.Contains(t, string(c.ScrapeDocument()), "h:2")
			require.Equal(t, "a", sc.PrometheusConfig().ScrapeConfigs[0].JobName)
		})
	}
}
