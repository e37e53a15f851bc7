package app

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"signalbox/internal/config"
	"signalbox/internal/fault"
	"signalbox/internal/httpserver"
	"signalbox/internal/testkit"
)

// quiet is a configuration that stores only what is sent to it.
var quiet = []string{"self_metrics: {enabled: false}", "host_metrics: {enabled: false}"}

func TestStartAnswerStopAndStartAgain(t *testing.T) {
	cfg := testConfig(t, quiet...)
	a := start(t, cfg, Options{})
	require.Equal(t, "Signalbox is Healthy.\n", a.get("/-/healthy"))
	a.get("/-/ready")
	a.remoteWrite("written", 41)
	a.remoteWrite("written", 42, "X-Scope-OrgID", "other")
	a.export(a.Addrs()[httpserver.OTLPGRPC].String(), gauge("sent", 43))
	check := func(a *running) {
		require.Contains(t, a.query("written"), `"41"]`)
		require.Contains(t, a.query("written", "X-Scope-OrgID", "other"), `"42"]`)
		require.Contains(t, a.query("sent"), `"43"]`)
	}
	check(a)

	require.NoError(t, stop(a.App))
	require.False(t, a.Ready())
	require.NoError(t, stop(a.App), "a second Stop is no error")
	for name, addr := range a.Addrs() {
		ln, err := net.Listen("tcp", addr.String())
		require.NoError(t, err, "%s is free again", name)
		require.NoError(t, ln.Close())
	}
	require.Empty(t, a.Err())
	check(start(t, cfg, Options{}))
}

func TestOwnMetricsAndThoseOfTheMachineAreStored(t *testing.T) {
	a := start(t, testConfig(t, "self_metrics: {interval: 1s}", "host_metrics: {interval: 1s}"), Options{})
	for _, expr := range []string{`signalbox_build_info{job="signalbox"}`, `node_memory_MemTotal_bytes{job="node"}`} {
		testkit.Eventually(t, patience, func() bool { return hasResult(a.query(expr)) }, expr)
	}
}

func TestIndexNamesOnlyPortsThatAreOpen(t *testing.T) {
	cfg := testConfig(t, quiet...)
	cfg.OTLP.GRPCListen = ""
	a := start(t, cfg, Options{})
	require.Len(t, a.Addrs(), 2)
	page := a.get("/")
	require.Contains(t, page, a.Addrs()[httpserver.OTLPHTTP].String())
	require.NotContains(t, page, "gRPC")
	require.Contains(t, a.get("/metrics"), "\nsignalbox_build_info{")
}

func TestStopInEveryState(t *testing.T) {
	tests := map[string]func(t *testing.T, a *App){
		"not started": func(*testing.T, *App) {},
		"started":     func(t *testing.T, a *App) { require.NoError(t, a.Start(t.Context())) },
		"start was told to end": func(t *testing.T, a *App) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, a.Start(ctx), context.Canceled)
			require.False(t, a.Ready())
		},
		"by two at once": func(t *testing.T, a *App) {
			require.NoError(t, a.Start(t.Context()))
			var wg sync.WaitGroup
			defer wg.Wait()
			for range 2 {
				wg.Go(func() { _ = stop(a) })
			}
		},
	}
	for name, act := range tests {
		t.Run(name, func(t *testing.T) {
			testkit.VerifyNoLeaks(t)
			cfg := testConfig(t)
			makeTenant(t, cfg)
			a, err := New(cfg, Options{})
			require.NoError(t, err)
			act(t, a)
			require.NoError(t, stop(a))
			require.NoError(t, stop(a))
			canStart(t, cfg)
		})
	}
}

// makeTenant leaves a log in the data folder that Start has to read.
func makeTenant(t *testing.T, cfg *config.Config) {
	t.Helper()
	a := start(t, cfg, Options{})
	a.remoteWrite("written", 1)
	require.NoError(t, stop(a.App))
}

// canStart fails when something holds the ports or the folder of cfg.
func canStart(t *testing.T, cfg *config.Config) {
	t.Helper()
	a, err := New(cfg, Options{})
	require.NoError(t, err)
	require.NoError(t, a.Start(t.Context()))
	require.NoError(t, stop(a))
}

func TestStartAfterStopFails(t *testing.T) {
	testkit.VerifyNoLeaks(t)
	cfg := testConfig(t)
	makeTenant(t, cfg)
	a, err := New(cfg, Options{})
	require.NoError(t, err)
	require.NoError(t, stop(a))
	err = a.Start(t.Context())
	require.Error(t, err)
	require.Equal(t, fault.Unavailable, fault.ClassOf(err))
	require.False(t, a.Ready())
}

func TestNewThatFailsLeavesNothingOpen(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, cfg *config.Config) (repair func())
		want  string
	}{
		{"main port is taken", func(t *testing.T, cfg *config.Config) func() {
			return take(t, &cfg.HTTP.Listen)
		}, "http.listen"},
		{"OTLP port is taken", func(t *testing.T, cfg *config.Config) func() {
			return take(t, &cfg.OTLP.GRPCListen)
		}, "otlp.grpc_listen"},
		{"folder is locked", func(t *testing.T, cfg *config.Config) func() {
			a, err := New(cfg, Options{})
			require.NoError(t, err)
			return func() { require.NoError(t, stop(a)) }
		}, "storage.path"},
		{"web_config_file is missing", func(t *testing.T, cfg *config.Config) func() {
			cfg.HTTP.WebConfigFile = filepath.Join(t.TempDir(), "none.yml")
			return func() { cfg.HTTP.WebConfigFile = "" }
		}, "web_config_file"},
		{"folder is a file", func(t *testing.T, cfg *config.Config) func() {
			old := cfg.Storage.Path
			cfg.Storage.Path = "app_test.go"
			return func() { cfg.Storage.Path = old }
		}, "app_test.go"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			testkit.VerifyNoLeaks(t)
			cfg := testConfig(t)
			repair := tc.spoil(t, cfg)
			_, err := New(cfg, Options{})
			require.ErrorContains(t, err, tc.want)
			repair()
			canStart(t, cfg)
		})
	}
}

// take puts the address of a port that is in use into addr.
func take(t *testing.T, addr *string) (release func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	*addr = ln.Addr().String()
	return func() { require.NoError(t, ln.Close()) }
}

func TestStartThatFailsCanBeStopped(t *testing.T) {
	testkit.VerifyNoLeaks(t)
	var addr string
	release := take(t, &addr)
	cfg := testConfig(t, lines(otlpAt(addr, "tcp"))...)
	a, err := New(cfg, Options{})
	require.NoError(t, err)
	require.ErrorContains(t, a.Start(t.Context()), "collector")
	require.False(t, a.Ready())
	require.NoError(t, stop(a))
	release()
	canStart(t, cfg)
}

func TestQuitOverHTTP(t *testing.T) {
	a := start(t, testConfig(t, lines("api: {enable_lifecycle: true}")...), Options{})
	for range 3 { // nobody listens yet, and still no request waits
		code, body := a.do(http.MethodPost, "/-/quit", nil)
		require.Equal(t, http.StatusOK, code, body)
	}
	<-a.Quit()
	require.Empty(t, a.Quit(), "one request to stop is enough")
	require.True(t, a.Ready(), "whoever reads Quit stops the program")
}
