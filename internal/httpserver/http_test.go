package httpserver

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

func h2c(tr *http.Transport) {
	tr.Protocols = new(http.Protocols)
	tr.Protocols.SetUnencryptedHTTP2(true)
}

func echoTenant(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, tenant.All(r.Context()))
}

func TestProtocolsAndRoutes(t *testing.T) {
	s := serve(t, testConfig(), func(s *Server) {
		s.Handle("GET /api/v1/label/{name}/values", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s", r.Proto, r.PathValue("name"))
		}))
		s.Handle("POST /write", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
		s.OTLPHTTP().Handle("POST /v1/metrics", text("otlp"))
	})
	for proto, change := range map[string]func(*http.Transport){"HTTP/1.1": nil, "HTTP/2.0": h2c} {
		t.Run(proto, func(t *testing.T) {
			c := client(t, change)
			for path, want := range map[string]string{
				"/api/v1/label/a/values":           "a",
				"//api/v1//label/a/values":         "a",
				"/api/v1/label/a%2Fb/values":       "a/b",
				"/api/v1/label/a%2F%2Fb/values":    "a//b",
				"//api/v1/label/a%2F%2Fb//values":  "a//b",
				"/api/v1/label/a%2F/values":        "a/",
				"/api/v1/label/%252F/values":       "%2F",
				"//api/v1/label/%C3%A4%20b/values": "ä b",
			} {
				a := do(t, c, "GET", s.url+path, "")
				require.Equal(t, 200, a.StatusCode, path)
				require.Equal(t, proto+" "+want, a.body, path)
			}
			a := do(t, c, "POST", s.url+"//write", "kept")
			require.Equal(t, "kept", a.body, "no redirect that loses the body")

			a = do(t, c, "GET", s.url+"/api/v1/nothing", "")
			require.Equal(t, 404, a.StatusCode)
			require.Contains(t, a.Header.Get("Content-Type"), "text/plain")
			a = do(t, c, "DELETE", s.url+"/write", "")
			require.Equal(t, 405, a.StatusCode)
			require.Equal(t, "POST", a.Header.Get("Allow"))
		})
	}
	c := client(t, nil)
	otlp := "http://" + s.Addr(OTLPHTTP).String()
	require.Equal(t, "otlp", do(t, c, "POST", otlp+"/v1/metrics", "").body)
	require.Equal(t, 404, do(t, c, "POST", otlp+"/write", "").StatusCode, "only its own routes")
	require.Equal(t, 404, do(t, c, "POST", s.url+"/v1/metrics", "").StatusCode, "not given for the main port")

	requests := "signalbox_http_requests_total"
	require.EqualValues(t, 2, s.metric(requests, "listener=http", "route=/write", "method=POST", "code=200"))
	require.EqualValues(t, 16, s.metric(requests, "route=/api/v1/label/{name}/values", "method=GET", "code=200"))
	require.EqualValues(t, 2, s.metric(requests, "listener=http", "route=none", "method=GET", "code=404"))
	require.EqualValues(t, 2, s.metric(requests, "route=none", "method=DELETE", "code=405"))
	require.EqualValues(t, 1, s.metric(requests, "listener=otlp_http", "route=/v1/metrics"))
	require.EqualValues(t, 8, s.metric("signalbox_http_request_body_bytes_total", "route=/write"))
	require.EqualValues(t, 8, s.metric("signalbox_http_response_body_bytes_total", "route=/write"))
	require.EqualValues(t, 2, s.metric("signalbox_http_request_duration_seconds", "route=/write"))
	require.Zero(t, s.metric("signalbox_http_requests_in_flight"))
	require.Positive(t, s.metric("signalbox_http_received_bytes_total", "listener=http"))
	require.Positive(t, s.metric("signalbox_http_sent_bytes_total", "listener=http"))
	require.EqualValues(t, 2, s.metric("signalbox_http_connections", "listener=http")+s.metric("signalbox_http_connections", "listener=otlp_http"), "one per live client")
	do(t, c, "BREW", s.url+"/x", "")
	require.EqualValues(t, 1, s.metric(requests, "method=other"))
}

func TestTenancy(t *testing.T) {
	register := func(s *Server) {
		s.Handle("/read", http.HandlerFunc(echoTenant))
		s.System().Handle("/-/healthy", http.HandlerFunc(echoTenant))
	}
	type header = []string
	for _, tc := range []struct {
		name    string
		tenancy Tenancy
		header  header
		status  int
		body    string
	}{
		{"absent", Tenancy{Enabled: true}, nil, 200, "[default]"},
		{"one", Tenancy{Enabled: true}, header{"a"}, 200, "[a]"},
		{"several", Tenancy{Enabled: true, Required: true}, header{"a|b|a"}, 200, "[a b]"},
		{"bad", Tenancy{Enabled: true}, header{"a/../b"}, 400, ""},
		{"twice", Tenancy{Enabled: true}, header{"a", "b"}, 400, ""},
		{"required", Tenancy{Enabled: true, Required: true}, nil, 401, "no org id\n"},
		{"required, empty", Tenancy{Enabled: true, Required: true}, header{""}, 401, "no org id\n"},
		{"off", Tenancy{}, header{"a/../b"}, 200, "[default]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.Tenancy = tc.tenancy
			s := serve(t, cfg, register)
			var headers []string
			for _, v := range tc.header {
				headers = append(headers, tenant.Header, v)
			}
			c := client(t, nil)
			a := do(t, c, "GET", s.url+"/read", "", headers...)
			require.Equal(t, tc.status, a.StatusCode)
			if tc.body != "" {
				require.Equal(t, tc.body, a.body)
			}
			if tc.status != 200 {
				require.EqualValues(t, 1, s.metric("signalbox_http_requests_refused_total", "listener=http"))
			}
			require.Equal(t, 200, do(t, c, "GET", s.url+"/-/healthy", "").StatusCode, "health has no tenant")
			require.Equal(t, 404, do(t, c, "GET", s.url+"/nothing", "").StatusCode)
		})
	}
}

func TestPanics(t *testing.T) {
	s := serve(t, testConfig(), func(s *Server) {
		s.Handle("/early", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "held back") // below the size at which compression starts
			panic("BUG: early")
		}))
		s.Handle("/late", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half an answ")
			_ = http.NewResponseController(w).Flush()
			panic("BUG: late")
		}))
		s.Handle("/abort", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		s.Handle("/nil", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			var m map[string]int
			m["x"] = 1
		}))
	})
	for _, change := range []func(*http.Transport){nil, h2c} {
		c := client(t, change)
		for _, path := range []string{"/early", "/nil"} {
			a := do(t, c, "GET", s.url+path, "", "Accept-Encoding", "gzip")
			require.Equal(t, 500, a.StatusCode)
			require.Contains(t, a.body, "BUG")
			require.NotContains(t, a.body, "held back")
			require.Empty(t, a.Header.Get("Content-Encoding"))
		}
		resp, err := c.Get(s.url + "/late")
		require.NoError(t, err)
		_, err = io.ReadAll(resp.Body)
		require.NoError(t, resp.Body.Close())
		require.Error(t, err, "a cut answer must not look whole")
		_, err = c.Get(s.url + "/abort") //nolint:bodyclose // there is none
		require.Error(t, err)
	}
	require.EqualValues(t, 6, s.metric("signalbox_http_panics_total"), "an abort is not a panic")
	require.EqualValues(t, 4, s.metric("signalbox_http_requests_total", "code=aborted"))
	require.EqualValues(t, 4, s.metric("signalbox_http_requests_total", "code=500"))
	require.Contains(t, s.logs.String(), "BUG: panic in a request")
	require.Contains(t, s.logs.String(), "http_test.go", "the stack leads to the handler")
}

func TestCORS(t *testing.T) {
	cfg := testConfig()
	s := serve(t, cfg, func(s *Server) { s.Handle("GET /x", text("x")) })
	c := client(t, nil)
	for _, path := range []string{"/x", "/nothing"} {
		a := do(t, c, "OPTIONS", s.url+path, "", "Origin", "https://grafana.example")
		require.Equal(t, 204, a.StatusCode)
		require.Equal(t, "*", a.Header.Get("Access-Control-Allow-Origin"))
		require.Equal(t, "Accept, Authorization, Content-Type, Origin", a.Header.Get("Access-Control-Allow-Headers"))
		require.Equal(t, "GET, POST, OPTIONS", a.Header.Get("Access-Control-Allow-Methods"))
		require.Equal(t, "Date", a.Header.Get("Access-Control-Expose-Headers"))
		require.Contains(t, a.Header.Values("Vary"), "Origin")
	}
	a := do(t, c, "GET", s.url+"/x", "")
	require.Empty(t, a.Header.Get("Access-Control-Allow-Origin"))

	cfg.CORSOrigin = `https://grafana\.example`
	s = serve(t, cfg, func(s *Server) { s.Handle("GET /x", text("x")) })
	a = do(t, c, "GET", s.url+"/x", "", "Origin", "https://grafana.example")
	require.Equal(t, "https://grafana.example", a.Header.Get("Access-Control-Allow-Origin"))
	a = do(t, c, "GET", s.url+"/x", "", "Origin", "https://grafana.example.evil.net")
	require.Equal(t, 200, a.StatusCode)
	require.Empty(t, a.Header.Get("Access-Control-Allow-Origin"), "the expression is anchored")
	require.Contains(t, a.Header.Values("Vary"), "Origin")
}

func TestCompression(t *testing.T) {
	long := strings.Repeat(`{"metric":"up"},`, 5000)
	var own bytes.Buffer
	zw := gzip.NewWriter(&own)
	_, _ = io.WriteString(zw, long)
	require.NoError(t, zw.Close())
	s := serve(t, testConfig(), func(s *Server) {
		s.Handle("/long", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			_, _ = io.WriteString(w, long)
		}))
		s.Handle("/pieces", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			for part := range strings.SplitAfterSeq(long, ",") {
				_, _ = io.WriteString(w, part)
			}
		}))
		s.Handle("/short", text("short"))
		s.Handle("/own", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(own.Bytes())
		}))
		s.Handle("/png", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			_, _ = io.WriteString(w, long)
		}))
		s.Handle("/empty", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
		s.Handle("/nothing", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	})
	unpack := func(enc, body string) string {
		var r io.Reader = strings.NewReader(body)
		var err error
		switch enc {
		case "gzip":
			r, err = gzip.NewReader(r)
		case "deflate":
			r, err = zlib.NewReader(r)
		}
		require.NoError(t, err)
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		return string(b)
	}
	for _, tc := range []struct {
		path, accept, enc string
		status            int
		plain             string
	}{
		{"/long", "gzip", "gzip", 200, long},
		{"/long", "br, deflate;q=0.5, gzip;q=0.4", "deflate", 200, long},
		{"/long", "deflate, gzip", "gzip", 200, long},
		{"/long", "*", "gzip", 200, long},
		{"/long", "gzip;q=0", "", 200, long},
		{"/long", "br", "", 200, long},
		{"/long", "", "", 200, long},
		{"/pieces", "gzip", "gzip", 202, long},
		{"/short", "gzip", "", 200, "short"},
		{"/own", "gzip", "gzip", 200, long},
		{"/png", "gzip", "", 200, long},
		{"/empty", "gzip", "", 204, ""},
		{"/nothing", "gzip", "", 200, ""},
	} {
		for _, change := range []func(*http.Transport){nil, h2c} {
			a := do(t, client(t, change), "GET", s.url+tc.path, "", "Accept-Encoding", tc.accept)
			require.Equal(t, tc.status, a.StatusCode, "%+v", tc.path)
			require.Equal(t, tc.enc, a.Header.Get("Content-Encoding"), "%s %s", tc.path, tc.accept)
			require.True(t, tc.plain == unpack(tc.enc, a.body), "%s %s", tc.path, tc.accept)
			if tc.enc != "" {
				require.Less(t, len(a.body), len(long)/2)
			}
			if tc.path == "/long" && tc.enc != "" {
				require.Contains(t, a.Header.Values("Vary"), "Accept-Encoding")
				require.Equal(t, `W/"v1"`, a.Header.Get("ETag"))
				require.Equal(t, "text/plain; charset=utf-8", a.Header.Get("Content-Type"), "of the plain bytes")
			}
		}
	}
}

func TestStreamingThroughCompression(t *testing.T) {
	next := make(chan struct{})
	s := serve(t, testConfig(), func(s *Server) {
		s.Handle("/tail", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for i := range 3 {
				fmt.Fprintf(w, "line %d\n", i)
				w.(http.Flusher).Flush()
				<-next
			}
		}))
	})
	for _, change := range []func(*http.Transport){nil, h2c} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/tail", nil)
		require.NoError(t, err)
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := client(t, change).Do(req)
		require.NoError(t, err)
		require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
		zr, err := gzip.NewReader(resp.Body)
		require.NoError(t, err)
		lines := bufio.NewReader(zr)
		for i := range 3 {
			line, err := lines.ReadString('\n') // arrives although the handler is still running
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("line %d\n", i), line)
			next <- struct{}{}
		}
		_, err = lines.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, resp.Body.Close())
	}
}

func TestTooManyRequests(t *testing.T) {
	cfg := testConfig()
	cfg.MaxConcurrentRequests = 2
	entered, leave := make(chan struct{}), make(chan struct{})
	s := serve(t, cfg, func(s *Server) {
		s.Handle("/slow", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			entered <- struct{}{}
			<-leave
		}))
		s.System().Handle("/-/healthy", text("ok"))
	})
	c := client(t, nil)
	results := make(chan int, 2)
	for range 2 {
		go func() { results <- do(t, c, "GET", s.url+"/slow", "").StatusCode }() //nolint:testifylint // a failure there fails the wait below
		<-entered
	}
	a := do(t, c, "GET", s.url+"/slow", "")
	require.Equal(t, 503, a.StatusCode)
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	require.Equal(t, 200, do(t, c, "GET", s.url+"/-/healthy", "").StatusCode, "health answers under load")
	require.EqualValues(t, 1, s.metric("signalbox_http_requests_refused_total", "reason=busy"))
	close(leave)
	require.Equal(t, 200, <-results)
	require.Equal(t, 200, <-results)
	go func() { <-entered }()
	require.Equal(t, 200, do(t, c, "GET", s.url+"/slow", "").StatusCode)
}

// readAllOf answers with the length of the body, as an edge would.
func readAllOf(lim BodyLimits) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := ReadBody(r, lim, "")
		if err != nil {
			WriteError(w, err)
			return
		}
		defer b.Release()
		fmt.Fprint(w, len(b.Bytes()))
	})
}

func TestBodyMemoryIsBounded(t *testing.T) {
	cfg := testConfig()
	cfg.MaxBodyMemory = 3 << 20
	s := serve(t, cfg, func(s *Server) { s.Handle("POST /write", readAllOf(wide)) })
	c := client(t, nil)
	for range 3 { // what a request took is given back
		require.Equal(t, "900000", do(t, c, "POST", s.url+"/write", strings.Repeat("x", 900_000)).body)
	}
	a := do(t, c, "POST", s.url+"/write", strings.Repeat("x", 8<<20))
	require.Equal(t, 503, a.StatusCode)
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	require.EqualValues(t, 1, s.metric("signalbox_http_bodies_refused_total", "reason=body_memory"))
	s.eventually(func() bool { return s.metric("signalbox_http_body_memory_bytes") == 0 }, "all given back")
	require.Equal(t, "900000", do(t, c, "POST", s.url+"/write", strings.Repeat("x", 900_000)).body)
}

func TestUnreadBody(t *testing.T) {
	s := serve(t, testConfig(), func(s *Server) {
		s.Handle("POST /refuse", readAllOf(BodyLimits{Wire: 10, Decoded: 10}))
		s.Handle("POST /ignore", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	})
	reused := func(c *http.Client) bool {
		var again bool
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { again = i.Reused }})
		req, err := http.NewRequestWithContext(ctx, "POST", s.url+"/ignore", nil)
		require.NoError(t, err)
		resp, err := c.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return again
	}
	for _, path := range []string{"/refuse", "/ignore", "/nothing"} {
		c := client(t, nil)
		small := do(t, c, "POST", s.url+path, strings.Repeat("x", 100<<10))
		require.True(t, reused(c), "a little is read on, and the connection lives")
		large := do(t, c, "POST", s.url+path, strings.Repeat("x", 32<<20))
		require.Equal(t, small.StatusCode, large.StatusCode, "the client sees the answer although it was still sending")
		require.False(t, reused(c), "much is not read: the connection ends")
	}
	require.EqualValues(t, 2, s.metric("signalbox_http_bodies_refused_total", "reason=body_too_large"))
}

func TestClaimedLengthAndHalfBodies(t *testing.T) {
	cfg := testConfig()
	s := serve(t, cfg, func(s *Server) { s.Handle("POST /write", readAllOf(wide)) })
	nc, err := net.Dial("tcp", s.Addr(Main).String())
	require.NoError(t, err)
	_, err = io.WriteString(nc, "POST /write HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\nshort")
	require.NoError(t, err)
	require.NoError(t, nc.(*net.TCPConn).CloseWrite())
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	require.NoError(t, err)
	require.Equal(t, 400, resp.StatusCode)
	require.NoError(t, resp.Body.Close())
	require.NoError(t, nc.Close())
	require.EqualValues(t, 1, s.metric("signalbox_http_bodies_refused_total", "reason=aborted_body"))
}

func TestWriteErrorRetryAfter(t *testing.T) {
	s := serve(t, testConfig(), func(s *Server) {
		s.Handle("/limited", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			WriteError(w, fault.New(fault.Limited, "slow down").WithRetryAfter(1500*time.Millisecond))
		}))
	})
	a := do(t, client(t, nil), "GET", s.url+"/limited", "")
	require.Equal(t, 429, a.StatusCode)
	require.Equal(t, "2", a.Header.Get("Retry-After"))
	require.Equal(t, "slow down\n", a.body)
}
