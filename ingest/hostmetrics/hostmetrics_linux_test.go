package hostmetrics

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"signalbox/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeProc writes files below a new /proc.
func fakeProc(t *testing.T, files map[string]string) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.ProcPath, cfg.SysPath = t.TempDir(), t.TempDir()
	for name, content := range files {
		path := filepath.Join(cfg.ProcPath, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return cfg
}

func TestOnePartFailsAlone(t *testing.T) {
	cfg := fakeProc(t, map[string]string{
		"meminfo": "MemTotal: many kB\n",
		"loadavg": "0.50 0.40 0.30 1/100 1234\n",
	})
	own := prometheus.NewRegistry()
	c, err := New(cfg, Options{Registry: own})
	require.NoError(t, err)
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)

	got := gather(t, reg)
	require.InDelta(t, 0.5, flat(got["node_load1"])[""], 1e-9)
	require.Nil(t, got["node_memory_MemTotal_bytes"])
	require.InDelta(t, 0, flat(got["node_scrape_collector_success"])[`collector="meminfo"`], 0)
	require.InDelta(t, 1, flat(got["node_scrape_collector_success"])[`collector="loadavg"`], 0)
	require.InDelta(t, 1, testutil.ToFloat64(c.metrics.errors.WithLabelValues("meminfo")), 0)
	require.InDelta(t, 0, testutil.ToFloat64(c.metrics.errors.WithLabelValues("loadavg")), 0)
	require.InDelta(t, 0, testutil.ToFloat64(c.metrics.errors.WithLabelValues("pressure")), 0, "a kernel without it is no error")

	require.NoError(t, os.WriteFile(filepath.Join(cfg.ProcPath, "meminfo"), []byte("MemTotal: 2 kB\n"), 0o600))
	require.InDelta(t, 2048, flat(gather(t, reg)["node_memory_MemTotal_bytes"])[""], 0)
}

func TestParsers(t *testing.T) {
	collect := func(parse func([]byte, func(string, float64)) error, in string) (map[string]float64, error) {
		got := map[string]float64{}
		err := parse([]byte(in), func(name string, v float64) { got[name] = v })
		return got, err
	}
	tests := []struct {
		name  string
		parse func([]byte, func(string, float64)) error
		in    string
		want  map[string]float64
		err   string
	}{
		{"meminfo", parseMeminfo, "Active(anon):  2 kB\nHugePages_Total: 3\n", map[string]float64{"Active_anon_bytes": 2048, "HugePages_Total": 3}, ""},
		{"meminfo broken", parseMeminfo, "MemTotal 5 kB\n", map[string]float64{}, "unexpected line"},
		{"netstat", parseNetstat, "Ip: Forwarding InHdr\nIp: 1 -1\nTcp: A\nTcp: 7\n", map[string]float64{"Ip_Forwarding": 1, "Ip_InHdr": -1, "Tcp_A": 7}, ""},
		{"netstat uneven", parseNetstat, "Ip: A B\nIp: 1\n", map[string]float64{}, "unexpected line"},
		{"netstat mixed", parseNetstat, "Ip: A\nTcp: 1\n", map[string]float64{}, "unexpected line"},
		{"snmp6", parseSNMP6, "Ip6InOctets  12\nUdpLite6InErrors 1\n", map[string]float64{"Ip6_InOctets": 12, "UdpLite6_InErrors": 1}, ""},
		{"snmp6 without a six", parseSNMP6, "Ip 1\n", map[string]float64{}, "unexpected line"},
		{"sockstat", parseSockstat, "sockets: used 5\nTCP: inuse 4 mem 2\n", map[string]float64{"sockets_used": 5, "TCP_inuse": 4, "TCP_mem": 2, "TCP_mem_bytes": 2 * float64(os.Getpagesize())}, ""},
		{"sockstat uneven", parseSockstat, "TCP: inuse\n", map[string]float64{}, "unexpected line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := collect(tt.parse, tt.in)
			require.Empty(t, cmp.Diff(tt.want, got))
			if tt.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tt.err)
			}
		})
	}
}

func TestParseMounts(t *testing.T) {
	got := parseMounts([]byte("/dev/sda1 / ext4 rw,relatime 0 0\n//srv/a\\040b /mnt/a\\040b cifs nosuid,ro 0 0\nshort\n"))
	want := []mount{{"/dev/sda1", "/", "ext4", false}, {`//srv/a\040b`, "/mnt/a b", "cifs", true}}
	require.Empty(t, cmp.Diff(want, got, cmp.AllowUnexported(mount{})))
}

func TestParseOSRelease(t *testing.T) {
	got := parseOSRelease([]byte("# comment\nID=debian\nNAME=\"Debian \\\"GNU\\\"\"\nVERSION='12 (x)'\nEMPTY=\n"))
	require.Empty(t, cmp.Diff(map[string]string{"ID": "debian", "NAME": `Debian "GNU"`, "VERSION": "12 (x)", "EMPTY": ""}, got))
}

func TestSteady(t *testing.T) {
	last := procfs.CPUStat{Idle: 100, Iowait: 10, User: 5}
	require.Equal(t, procfs.CPUStat{Idle: 100, Iowait: 10, User: 6}, steady(last, procfs.CPUStat{Idle: 99.5, Iowait: 9, User: 6}), "ticks backwards are hidden")
	again := procfs.CPUStat{Idle: 1, User: 1}
	require.Equal(t, again, steady(last, again), "a processor that came back starts anew")
}

func TestMountErrors(t *testing.T) {
	cfg := fakeProc(t, map[string]string{"mounts": "/dev/a /none ext4 ro 0 0\n/dev/b / ext4 rw 0 0\n/dev/b / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n"})
	cfg.RootPath = t.TempDir()
	c, err := New(cfg, Options{})
	require.NoError(t, err)
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	got := gather(t, reg)
	require.Equal(t, map[string]float64{
		`device="/dev/a",fstype="ext4",mountpoint="/none"`: 1,
		`device="/dev/b",fstype="ext4",mountpoint="/"`:     0,
	}, flat(got["node_filesystem_device_error"]))
	require.Len(t, flat(got["node_filesystem_size_bytes"]), 1)

	// A mount that hangs is not asked again.
	c.mu.state.stuck.points["/"] = true
	got = gather(t, reg)
	require.InDelta(t, 1, flat(got["node_filesystem_device_error"])[`device="/dev/b",fstype="ext4",mountpoint="/"`], 0)
	require.Nil(t, got["node_filesystem_size_bytes"])
}

func TestConfig(t *testing.T) {
	cfg := DefaultConfig()
	_, err := cfg.Validate()
	require.NoError(t, err)
	cfg.FSTypesExclude, cfg.DisksExclude, cfg.MountTimeout, cfg.ProcPath = "(", "", 0, ""
	_, err = cfg.Validate()
	for _, key := range []string{"fs_types_exclude", "mount_timeout", "proc_path"} {
		require.ErrorContains(t, err, key)
	}
	require.NotContains(t, err.Error(), "disks_exclude")
	_, err = New(cfg, Options{})
	require.True(t, fault.Is(err, fault.Invalid))
}

func FuzzParsers(f *testing.F) {
	for _, s := range []string{"Active(anon): 1 kB\n", "Ip: A\nIp: 1\n", "Ip6InOctets 1\n", "TCP: inuse 1\n", "a b c rw 0 0\n", "ID=\"x\"\n", "\n\n", "A:"} {
		f.Add([]byte(s))
	}
	put := func(string, float64) {}
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = parseMeminfo(b, put)
		_ = parseNetstat(b, put)
		_ = parseSNMP6(b, put)
		_ = parseSockstat(b, put)
		_ = parseMounts(b)
		_ = parseOSRelease(b)
	})
}

func BenchmarkCollect(b *testing.B) {
	c, err := New(DefaultConfig(), Options{})
	require.NoError(b, err)
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	b.ReportAllocs()
	series := 0
	for b.Loop() {
		families, err := reg.Gather()
		require.NoError(b, err)
		series = 0
		for _, f := range families {
			series += len(f.GetMetric())
		}
	}
	b.ReportMetric(float64(series), "series")
}
