package telemetry

import (
	"runtime"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

func TestNewRegistry(t *testing.T) {
	b := Build{Version: "1.2.3", Revision: "abc", GoVersion: "go1"}
	reg := NewRegistry(b)
	require.NotPanics(t, func() { NewRegistry(b) }, "two programs in one process do not meet")
	families, err := reg.Gather()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, f := range families {
		names[f.GetName()] = true
		require.NotEmpty(t, f.GetHelp())
		if f.GetName() != "signalbox_build_info" {
			continue
		}
		labels := map[string]string{}
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		require.Equal(t, map[string]string{
			"version": "1.2.3", "revision": "abc", "goversion": "go1", "goos": runtime.GOOS, "goarch": runtime.GOARCH,
		}, labels)
		require.EqualValues(t, 1, f.GetMetric()[0].GetGauge().GetValue())
	}
	require.True(t, names["signalbox_build_info"])
	require.True(t, names["go_goroutines"])
	require.True(t, names["process_start_time_seconds"] || runtime.GOOS != "linux")
	problems, err := testutil.GatherAndLint(reg, "signalbox_build_info")
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestReadBuild(t *testing.T) {
	b := ReadBuild("")
	require.Equal(t, "dev", b.Version)
	require.Equal(t, runtime.Version(), b.GoVersion)
	require.NotEmpty(t, b.Revision)
	require.Equal(t, "1.0.0", ReadBuild("1.0.0").Version)
}

func TestOrPrivate(t *testing.T) {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "x_total", Help: "X."})
	require.NoError(t, OrPrivate(nil).Register(c))
	require.NoError(t, OrPrivate(nil).Register(c), "a private one each time")
	reg := prometheus.NewRegistry()
	require.Same(t, reg, OrPrivate(reg))
}
