package pages

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"signalbox/internal/testkit"
)

const root = "../../.."

// TestConfigPage fails when docs/generated/config.md is not what the sources
// say; -update rewrites it.
func TestConfigPage(t *testing.T) {
	page, err := Config(root)
	require.NoError(t, err)
	testkit.Golden(t, "../"+root+"/docs/generated/config.md", page)
}

func TestConfigPageShowsDefaults(t *testing.T) {
	page, err := Config(root)
	require.NoError(t, err)
	for _, want := range []string{
		"\n## `storage`\n",
		"| `retention` | duration | `15d` | Age at which metrics are deleted. |\n",
		"| `min_free_bytes` | size | `256MiB` |",
		"| `grpc_listen` | text | `127.0.0.1:4317` |",
		"| `max_concurrent` | integer | by the number of CPUs |",
		"| `scrape_configs` | YAML | none |",
		"| `tenants` | mapping of `limits` | none |",
		"\n### `http.tenancy`\n",
	} {
		require.Contains(t, string(page), want)
	}
}

func TestConfigPageNeedsSentences(t *testing.T) {
	_, err := Config(t.TempDir())
	require.ErrorContains(t, err, "storage: ")
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	never := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sb_never_total", Help: `Not "yet" seen.`, ConstLabels: prometheus.Labels{"door": "a,b=\"c\""}}, []string{"reason", "code"})
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sb_gauge_bytes", Help: "One\ntwo | three."})
	native := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sb_took_seconds", Help: "Time.", NativeHistogramBucketFactor: 1.1})
	reg.MustRegister(never, gauge, native, unchecked{})
	native.Observe(1)
	page, err := Metrics(reg, func(name string) bool { return strings.HasPrefix(name, "sb_") })
	require.NoError(t, err)
	_, rows, _ := strings.Cut(string(page), "|---|---|---|---|\n")
	require.Equal(t, "| `sb_gauge_bytes` | gauge |  | One two \\| three. |\n"+
		"| `sb_never_total` | counter | `door`, `reason`, `code` | Not \"yet\" seen. |\n"+
		"| `sb_took_seconds` | native histogram |  | Time. |\n"+
		"| `sb_unchecked` | gauge | `x` | Free. |\n", rows)
}

// unchecked describes nothing, as collectors with changing metrics do.
type unchecked struct{}

func (unchecked) Describe(chan<- *prometheus.Desc) {}
func (unchecked) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("sb_unchecked", "Free.", []string{"x"}, nil), prometheus.GaugeValue, 1, "y")
}
