package httpserver

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// brief makes every time-out short.
func brief() Config {
	cfg := testConfig()
	cfg.ReadHeaderTimeout = 100 * time.Millisecond
	cfg.RequestTimeout = 100 * time.Millisecond
	cfg.WriteTimeout = 100 * time.Millisecond
	cfg.IdleTimeout = 100 * time.Millisecond
	return cfg
}

func dial(t *testing.T, addr net.Addr) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	require.NoError(t, nc.SetDeadline(time.Now().Add(30*time.Second)))
	return nc
}

// ends awaits the end of a connection from the server's side.
func ends(t *testing.T, nc net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(nc)
	if err != nil {
		require.NotErrorIs(t, err, net.ErrClosed)
		var ne net.Error
		if ok := asNetError(err, &ne); ok {
			require.False(t, ne.Timeout(), "the server did not end the connection")
		}
	}
	return string(b)
}

func asNetError(err error, ne *net.Error) bool {
	e, ok := err.(net.Error) //nolint:errorlint // as it comes from a conn
	*ne = e
	return ok
}

func TestSlowClientsAreEnded(t *testing.T) {
	s := serve(t, brief(), func(s *Server) {
		s.Handle("POST /write", readAllOf(wide))
		s.Handle("GET /ok", text("ok"))
		s.Handle("GET /slow", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(400 * time.Millisecond): // longer than every time-out
				_, _ = io.WriteString(w, "done")
			}
		}))
	})
	timeouts := func(phase string) float64 {
		return s.metric("signalbox_http_timeouts_total", "listener=http", "phase="+phase)
	}
	t.Run("silent", func(t *testing.T) {
		ends(t, dial(t, s.Addr(Main)))
		require.EqualValues(t, 1, timeouts(phaseHeader))
	})
	t.Run("headers drop by drop", func(t *testing.T) {
		nc := dial(t, s.Addr(Main))
		_, err := io.WriteString(nc, "GET /ok HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		require.NoError(t, err)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				if _, err := nc.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}()
		ends(t, nc)
		_ = nc.Close()
		<-ended
		require.EqualValues(t, 2, timeouts(phaseHeader))
	})
	t.Run("body", func(t *testing.T) {
		nc := dial(t, s.Addr(Main))
		_, err := io.WriteString(nc, "POST /write HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
		require.NoError(t, err)
		got := ends(t, nc)
		require.Contains(t, got, "503 Service Unavailable")
		require.Contains(t, got, "did not arrive in time")
		require.EqualValues(t, 1, s.metric("signalbox_http_bodies_refused_total", "reason=slow_body"))
		require.Positive(t, timeouts(phaseBody))
	})
	t.Run("body that nobody reads", func(t *testing.T) {
		nc := dial(t, s.Addr(Main))
		_, err := io.WriteString(nc, "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
		require.NoError(t, err)
		require.Contains(t, ends(t, nc), "404 Not Found")
	})
	t.Run("idle after an answer", func(t *testing.T) {
		nc := dial(t, s.Addr(Main))
		_, err := io.WriteString(nc, "GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		require.Contains(t, ends(t, nc), "200 OK")
		require.EqualValues(t, 1, timeouts(phaseIdle))
	})
	t.Run("second request's headers", func(t *testing.T) {
		before := timeouts(phaseHeader)
		nc := dial(t, s.Addr(Main))
		_, err := io.WriteString(nc, "GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		_, err = io.WriteString(nc, "GET /ok HTTP/1.1\r\nHo")
		require.NoError(t, err)
		ends(t, nc)
		require.Equal(t, before+1, timeouts(phaseHeader))
	})
	t.Run("a slow handler is not a slow client", func(t *testing.T) {
		for _, change := range []func(*http.Transport){nil, h2c} {
			require.Equal(t, "done", do(t, client(t, change), "GET", s.url+"/slow", "").body)
		}
	})
	t.Run("h2c body", func(t *testing.T) {
		pr, pw := io.Pipe()
		defer pw.Close()
		resp, err := client(t, h2c).Post(s.url+"/write", "", pr)
		require.NoError(t, err)
		require.Equal(t, 503, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
		require.EqualValues(t, 2, s.metric("signalbox_http_bodies_refused_total", "reason=slow_body"))
	})
	t.Run("h2c preface and nothing more", func(t *testing.T) {
		nc := dial(t, s.Addr(Main))
		_, err := io.WriteString(nc, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		require.NoError(t, err)
		ends(t, nc)
	})
	s.eventually(func() bool { return s.metric("signalbox_http_connections", "listener=http") == 0 }, "every connection ended")
}

func TestStuckReadersAreEnded(t *testing.T) {
	failed := make(chan error, 1)
	s := serve(t, brief(), func(s *Server) {
		s.Handle("GET /big", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			chunk := make([]byte, 1<<20)
			for range 256 {
				if _, err := w.Write(chunk); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}))
	})
	nc := dial(t, s.Addr(Main))
	_, err := io.WriteString(nc, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.Error(t, <-failed)
	require.Positive(t, s.metric("signalbox_http_timeouts_total", "listener=http", "phase=write"))
	s.eventually(func() bool { return s.metric("signalbox_http_requests_total", "route=/big") == 1 }, "counted")
}

func TestSlowButLivingReaderIsServed(t *testing.T) {
	const size = 3 << 20
	s := serve(t, brief(), func(s *Server) {
		s.Handle("GET /big", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) }))
	})
	nc := dial(t, s.Addr(Main))
	require.NoError(t, nc.(*net.TCPConn).SetReadBuffer(16<<10))
	_, err := io.WriteString(nc, "GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	require.NoError(t, err)
	total, buf := 0, make([]byte, 64<<10)
	for {
		n, err := nc.Read(buf)
		total += n
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
		if total < 1<<20 {
			time.Sleep(10 * time.Millisecond) // all of it takes longer than the write time-out
		}
	}
	require.Greater(t, total, size)
}

func TestMaxConnections(t *testing.T) {
	cfg := testConfig()
	cfg.MaxConnections = 2
	s := serve(t, cfg, func(s *Server) { s.Handle("GET /ok", text("ok")) })
	first, second := dial(t, s.Addr(Main)), dial(t, s.Addr(Main))
	s.eventually(func() bool { return s.metric("signalbox_http_connections", "listener=http") == 2 }, "both open")
	third := dial(t, s.Addr(Main))
	resp, err := http.ReadResponse(bufio.NewReader(third), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 503, resp.StatusCode)
	require.Equal(t, "1", resp.Header.Get("Retry-After"))
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(b), "http.max_connections")
	require.EqualValues(t, 1, s.metric("signalbox_http_connections_refused_total", "listener=http"))

	require.NoError(t, first.Close())
	s.eventually(func() bool { return s.metric("signalbox_http_connections", "listener=http") == 1 }, "one left")
	require.Equal(t, "ok", do(t, client(t, nil), "GET", s.url+"/ok", "").body)
	require.NoError(t, second.Close())
}

func TestLargeHeadersAndNonsense(t *testing.T) {
	cfg := testConfig()
	cfg.MaxHeaderBytes = 8 << 10
	s := serve(t, cfg, func(s *Server) { s.Handle("GET /ok", text("ok")) })
	for _, tc := range []struct{ send, want string }{
		{"GET /ok HTTP/1.1\r\nHost: x\r\nX-Big: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", "431"},
		{"\x16\x03\x01\x02\x00 nonsense\r\n\r\n", "400"},
		{"GET /ok HTTP/1.1\r\n\r\n", "400"}, // no Host
		{"POST /ok HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", "400"},
		{"POST /ok HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n", "501"},
	} {
		nc := dial(t, s.Addr(Main))
		_, err := io.WriteString(nc, tc.send)
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		require.NoError(t, err)
		require.Equal(t, tc.want, fmt.Sprint(resp.StatusCode), tc.send[:10])
		_ = resp.Body.Close()
	}
	require.Equal(t, "ok", do(t, client(t, nil), "GET", s.url+"/ok", "").body)
}
