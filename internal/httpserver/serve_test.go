package httpserver

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestListenNamesWhatToChange(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer held.Close()
	cfg := testConfig()
	cfg.Listen = held.Addr().String()
	s, err := New(cfg, Options{OTLP: OTLPConfig{GRPCListen: held.Addr().String(), HTTPListen: "127.0.0.1:0"}})
	require.NoError(t, err)
	err = s.Listen()
	require.ErrorContains(t, err, "http.listen: ")
	require.ErrorContains(t, err, "otlp.grpc_listen: ")
	require.ErrorContains(t, err, "address already in use")
	require.ErrorContains(t, err, "another signalbox")
	require.ErrorContains(t, err, "OpenTelemetry collector")
	require.Nil(t, s.Addr(OTLPHTTP), "all ports or none")

	require.NoError(t, held.Close())
	s.otlpGRPC.addr = "127.0.0.1:0"
	require.NoError(t, s.Listen(), "after a failure it may be tried again")
	require.NotNil(t, s.Addr(Main))
	require.Nil(t, s.Addr("nothing"))
	require.NoError(t, s.Shutdown(t.Context()))

	cfg.Listen = "192.0.2.1:0"
	s, err = New(cfg, Options{})
	require.NoError(t, err)
	require.ErrorContains(t, s.Listen(), "this machine does not have that address")
}

func TestWarnsOnceWhenOpenToEverybody(t *testing.T) {
	listen := func(cfg Config) string {
		logs := &logBuffer{}
		s, err := New(cfg, Options{
			Logger: slog.New(slog.NewTextHandler(logs, nil)),
			OTLP:   OTLPConfig{GRPCListen: "127.0.0.1:0", HTTPListen: "[::]:0"},
		})
		require.NoError(t, err)
		require.NoError(t, s.Listen())
		require.NoError(t, s.Shutdown(t.Context()))
		return logs.String()
	}
	cfg := testConfig()
	cfg.Listen = ":0"
	logs := listen(cfg)
	require.Equal(t, 1, strings.Count(logs, "level=WARN"))
	require.Contains(t, logs, "http.listen and otlp.http_listen")
	require.NotContains(t, logs, "otlp.grpc_listen")
	require.Contains(t, logs, "web_config_file")

	cfg.WebConfigFile = t.TempDir() + "/web.yml"
	writeFile(t, cfg.WebConfigFile, "basic_auth_users: {alice: "+hashOf(t, "secret")+"}\n")
	require.NotContains(t, listen(cfg), "level=WARN")
	writeFile(t, cfg.WebConfigFile, "http_server_config: {http2: true}\n")
	require.Contains(t, listen(cfg), "level=WARN", "a file without users keeps nobody out")
}

func TestLifecycleMisuse(t *testing.T) {
	s, err := New(testConfig(), Options{})
	require.NoError(t, err)
	require.ErrorContains(t, s.Serve(t.Context()), "BUG")
	require.NoError(t, s.Listen())
	require.ErrorContains(t, s.Listen(), "BUG")
	require.NoError(t, s.Shutdown(t.Context()))
	require.NoError(t, s.Shutdown(t.Context()))
	require.ErrorIs(t, s.Listen(), http.ErrServerClosed)
	require.ErrorIs(t, s.Serve(t.Context()), http.ErrServerClosed)

	s, err = New(testConfig(), Options{})
	require.NoError(t, err)
	require.NoError(t, s.Shutdown(t.Context()), "before Listen")
	s.OTLPHTTP().Handle("/x", text("x"))
	s.OTLPGRPC().RegisterService(&echoService, new(any))
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := serve(t, testConfig(), func(s *Server) {
		s.Handle("/slow", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-leave
			if r.Context().Err() == nil {
				_, _ = io.WriteString(w, "whole")
			}
		}))
		registerRPC(func(ctx context.Context, _ int) error {
			entered <- struct{}{}
			<-leave
			return ctx.Err()
		})(s)
	})
	dial(t, s.Addr(Main)) // connections that have sent nothing do not delay
	dial(t, s.Addr(OTLPGRPC))
	dial(t, s.Addr(OTLPHTTP))
	s.eventually(func() bool { return s.metric("signalbox_http_connections") == 3 }, "connected")

	var wg sync.WaitGroup
	bodies := make(chan string, 4)
	for _, change := range []func(*http.Transport){nil, h2c} {
		c := client(t, change)
		wg.Go(func() { bodies <- do(t, c, "GET", s.url+"/slow", "").body })
		<-entered
	}
	for _, l := range rpcListeners {
		cc := rpcConn(t, s, l)
		wg.Go(func() {
			_, err := exportTo(t.Context(), cc)
			if err != nil {
				bodies <- err.Error()
				return
			}
			bodies <- "whole"
		})
		<-entered
	}
	stopped := make(chan error, 3)
	for range 2 {
		go func() { stopped <- s.Shutdown(context.Background()) }()
	}
	go func() { stopped <- s.stop() }()
	s.eventually(func() bool {
		for _, l := range []string{Main, OTLPHTTP, OTLPGRPC} {
			nc, err := net.Dial("tcp", s.Addr(l).String())
			if err == nil {
				_ = nc.Close()
				return false
			}
		}
		return true
	}, "no new connections")
	require.Empty(t, stopped, "it waits")
	began := time.Now()
	close(leave)
	wg.Wait()
	for range 4 {
		require.Equal(t, "whole", <-bodies)
	}
	for range 3 {
		require.NoError(t, <-stopped)
	}
	require.Less(t, time.Since(began), DefaultConfig().ShutdownTimeout, "nothing was waited for in vain")
	require.Zero(t, s.metric("signalbox_http_connections"))
}

func TestShutdownIsBounded(t *testing.T) {
	cfg := testConfig()
	cfg.ShutdownTimeout = 50 * time.Millisecond
	entered := make(chan struct{})
	s := serve(t, cfg, func(s *Server) {
		s.Handle("/hang", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-r.Context().Done()
		}))
		registerRPC(func(ctx context.Context, _ int) error {
			entered <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		})(s)
	})
	// Half a TLS-like handshake and half a gRPC preface.
	for _, l := range []string{Main, OTLPGRPC} {
		_, err := io.WriteString(dial(t, s.Addr(l)), "PRI")
		require.NoError(t, err)
	}
	s.eventually(func() bool { return s.metric("signalbox_http_received_bytes_total") == 6 }, "both are there")
	var wg sync.WaitGroup
	for _, change := range []func(*http.Transport){nil, h2c} {
		c := client(t, change)
		wg.Go(func() {
			resp, err := c.Get(s.url + "/hang")
			if err == nil {
				_ = resp.Body.Close()
			}
		})
		<-entered
	}
	for _, l := range rpcListeners {
		cc := rpcConn(t, s, l)
		wg.Go(func() { _, _ = exportTo(t.Context(), cc) })
		<-entered
	}
	err := s.stop()
	require.ErrorContains(t, err, "http.listen: requests were cut off")
	require.ErrorContains(t, err, "otlp.grpc_listen: requests were cut off")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, err.Error(), s.Shutdown(t.Context()).Error(), "later calls say the same")
	wg.Wait()
	s.eventually(func() bool { return s.inflight.count() == 0 }, "handlers have returned")
	require.Zero(t, s.metric("signalbox_http_connections"))
}

func TestServeEndsWhenAListenerFails(t *testing.T) {
	s := serve(t, testConfig(), nil)
	require.NoError(t, s.otlpHTTP.ln.Listener.Close())
	s.eventually(func() bool {
		nc, err := net.Dial("tcp", s.Addr(Main).String())
		if err == nil {
			_ = nc.Close()
		}
		return err != nil
	}, "the others stop too")
	require.ErrorContains(t, s.stop(), "otlp.http_listen")
}
