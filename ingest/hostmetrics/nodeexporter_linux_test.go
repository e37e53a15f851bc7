package hostmetrics

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// startNodeExporter runs the real one with the filters of cfg and returns the
// address of its metrics.
func startNodeExporter(t *testing.T, cfg Config) string {
	t.Helper()
	binary, err := exec.LookPath("prometheus-node-exporter")
	require.NoError(t, err, "install the package prometheus-node-exporter")
	// It has no way to tell which port it took, so a free one is found for it.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())

	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "--web.listen-address="+addr,
		"--collector.filesystem.mount-points-exclude="+cfg.MountPointsExclude,
		"--collector.filesystem.fs-types-exclude="+cfg.FSTypesExclude,
		"--collector.diskstats.device-exclude="+cfg.DisksExclude,
		"--collector.netdev.device-exclude="+cfg.NetworkDevicesExclude,
		"--collector.netclass.ignored-devices="+cfg.NetworkDevicesExclude,
		"--collector.netclass.ignore-invalid-speed",
		"--collector.netstat.fields="+netstatFields.String(),
	)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	url := "http://" + addr + "/metrics"
	require.Eventually(t, func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil
	}, 30*time.Second, 50*time.Millisecond)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return url
}

func fetch(t *testing.T, url string) map[string]*dto.MetricFamily {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	require.NoError(t, err)
	return families
}

func gather(t *testing.T, reg *prometheus.Registry) map[string]*dto.MetricFamily {
	t.Helper()
	list, err := reg.Gather()
	require.NoError(t, err)
	families := map[string]*dto.MetricFamily{}
	for _, f := range list {
		families[f.GetName()] = f
	}
	return families
}

// flat turns a family into values by label set.
func flat(f *dto.MetricFamily) map[string]float64 {
	values := map[string]float64{}
	for _, m := range f.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
		}
		slices.Sort(labels)
		values[strings.Join(labels, ",")] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
	}
	return values
}

func keys(m map[string]float64) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// notOurs are metrics of the parts we have that we leave out, with the reason.
var notOurs = map[string]string{
	"node_disk_info":                        "needs the database of udev",
	"node_network_receive_nohandler_total":  "only netlink tells it",
	"node_time_clocksource_available_info":  "no dashboard asks for it",
	"node_time_clocksource_current_info":    "no dashboard asks for it",
	"node_disk_ata_write_cache":             "needs the database of udev",
	"node_disk_ata_write_cache_enabled":     "needs the database of udev",
	"node_disk_ata_rotation_rate_rpm":       "needs the database of udev",
	"node_disk_device_mapper_info":          "needs the database of udev",
	"node_disk_filesystem_info":             "needs the database of udev",
	"node_os_support_end_timestamp_seconds": "depends on the distribution",
	"node_filesystem_mount_info":            "newer than most dashboards",
}

// covered are the prefixes of everything we claim to measure.
var covered = []string{
	"node_cpu_seconds", "node_cpu_guest", "node_memory_", "node_load", "node_filesystem_", "node_disk_", "node_network_",
	"node_netstat_", "node_sockstat_", "node_softnet_", "node_arp_", "node_nf_conntrack_entries", "node_vmstat_", "node_filefd_",
	"node_entropy_", "node_pressure_", "node_time_", "node_uname_", "node_os_", "node_boot_", "node_intr_", "node_context_",
	"node_forks_", "node_procs_",
}

// constant are gauges that do not move while the test runs.
var constant = []string{
	"node_memory_MemTotal_bytes", "node_memory_SwapTotal_bytes", "node_memory_HugePages_Total", "node_memory_CommitLimit_bytes",
	"node_filesystem_size_bytes", "node_filesystem_files", "node_filesystem_readonly", "node_filesystem_device_error",
	"node_boot_time_seconds", "node_uname_info", "node_os_info", "node_os_version", "node_filefd_maximum",
	"node_network_up", "node_network_info", "node_network_mtu_bytes", "node_network_speed_bytes", "node_network_carrier",
	"node_network_flags", "node_network_iface_id", "node_network_protocol_type", "node_network_transmit_queue_length",
	"node_entropy_pool_size_bits", "node_nf_conntrack_entries_limit", "node_time_zone_offset_seconds",
	"node_timex_tick_seconds", "node_timex_sync_status", "node_timex_loop_time_constant", "node_timex_status",
}

// slack is how far a counter of theirs may lie outside of our two readings
// around it: kernel counters of processors fall by ticks and per-CPU sums lag.
const slack = 0.02

func TestAgreesWithNodeExporter(t *testing.T) {
	cfg := DefaultConfig()
	url := startNodeExporter(t, cfg)
	c, err := New(cfg, Options{})
	require.NoError(t, err)
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)

	before := gather(t, reg)
	theirs := fetch(t, url)
	after := gather(t, reg)

	shared := 0
	for name, their := range theirs {
		our := before[name]
		if our == nil {
			for _, prefix := range covered {
				if strings.HasPrefix(name, prefix) && notOurs[name] == "" {
					t.Errorf("%s: node_exporter has it and we do not", name)
				}
			}
			continue
		}
		if strings.HasPrefix(name, "node_scrape_collector_") {
			continue // our parts, not theirs
		}
		shared++
		require.Equal(t, their.GetType(), our.GetType(), name)
		was, is, want := flat(our), flat(after[name]), flat(their)
		require.Equal(t, keys(want), keys(was), name)
		if slices.Contains(constant, name) {
			require.Equal(t, want, was, name)
		}
		if their.GetType() != dto.MetricType_COUNTER {
			continue
		}
		for labels, v := range want {
			low, high := was[labels], is[labels]
			tolerance := math.Max(1, high*slack)
			require.GreaterOrEqual(t, v, low-tolerance, "%s{%s}", name, labels)
			require.LessOrEqual(t, v, high+tolerance, "%s{%s}", name, labels)
		}
	}
	require.Greater(t, shared, 150)
	for _, part := range flatPart(before["node_scrape_collector_success"]) {
		require.NotContains(t, []string{"cpu", "meminfo", "filesystem", "diskstats", "netdev", "netclass", "netstat", "sockstat", "vmstat"}, part, "part fails")
	}
}

// flatPart returns the parts that did not succeed.
func flatPart(f *dto.MetricFamily) (failed []string) {
	for _, m := range f.GetMetric() {
		if m.GetGauge().GetValue() == 0 {
			failed = append(failed, m.GetLabel()[0].GetValue())
		}
	}
	return failed
}

// TestPortableAgrees compares the parts for other systems with those for Linux,
// by the metrics that both have.
func TestPortableAgrees(t *testing.T) {
	read := func(p []part) map[string]*dto.MetricFamily {
		c, err := New(DefaultConfig(), Options{})
		require.NoError(t, err)
		c.parts = p
		reg := prometheus.NewRegistry()
		reg.MustRegister(c)
		return gather(t, reg)
	}
	linux, other := read(parts), read(portable)
	for _, name := range []string{
		"node_boot_time_seconds", "node_load1", "node_time_zone_offset_seconds", "node_cpu_seconds_total", "node_filesystem_size_bytes",
		"node_disk_reads_completed_total", "node_network_receive_bytes_total", "node_network_transmit_drop_total",
	} {
		require.NotNil(t, other[name], name)
		want, got := flat(linux[name]), flat(other[name])
		for labels, v := range got {
			require.Contains(t, want, labels, name)
			if name == "node_filesystem_size_bytes" || name == "node_time_zone_offset_seconds" {
				require.InDelta(t, want[labels], v, 0.5, "%s{%s}", name, labels)
			}
		}
		require.NotEmpty(t, got, name)
	}
	require.InDelta(t, flat(linux["node_memory_MemTotal_bytes"])[""], flat(other["node_memory_total_bytes"])[""], 1)
	require.InDelta(t, flat(linux["node_boot_time_seconds"])[""], flat(other["node_boot_time_seconds"])[""], 2)
	require.Empty(t, flatPart(other["node_scrape_collector_success"]))
}
