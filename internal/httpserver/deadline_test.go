package httpserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// http.request_timeout bounds how long a body may take to arrive, not how long
// its handler may take, nor what comes later on the connection.
func TestRequestTimeoutEndsWithTheBody(t *testing.T) {
	const timeout = 200 * time.Millisecond
	cfg := testConfig()
	cfg.RequestTimeout = timeout
	// outlive takes twice the time-out, and answers with what became of the
	// context before and after the answer begins.
	outlive := func(w http.ResponseWriter, r *http.Request) {
		lived := func() string {
			if err := context.Cause(r.Context()); err != nil {
				return err.Error()
			}
			return "lived"
		}
		select {
		case <-r.Context().Done():
		case <-time.After(2 * timeout):
		}
		fmt.Fprintln(w, lived())
		_ = http.NewResponseController(w).Flush()
		fmt.Fprintln(w, lived())
	}
	s := serve(t, cfg, func(s *Server) {
		s.Handle("/read", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := ReadBody(r, wide, "")
			if err != nil {
				WriteError(w, err)
				return
			}
			defer b.Release()
			outlive(w, r)
		}))
		s.Handle("/form", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseForm(); err != nil {
				WriteError(w, err)
				return
			}
			outlive(w, r)
		}))
		s.Handle("/part", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadFull(r.Body, make([]byte, 3))
			outlive(w, r)
		}))
		s.Handle("/unread", http.HandlerFunc(outlive))
	})
	const kept = 100 << 10 // more than is read with the headers, and less than net/http reads on
	large := strings.Repeat("x", kept)
	bodies := map[string]string{
		"no body":       "\r\n",
		"empty":         "Content-Length: 0\r\n\r\n",
		"length":        "Content-Length: 7\r\n\r\nquery=1",
		"chunked":       "Transfer-Encoding: chunked\r\n\r\n7\r\nquery=1\r\n0\r\n\r\n",
		"no chunk":      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"large":         fmt.Sprintf("Content-Length: %d\r\n\r\n%s", kept, large),
		"large chunked": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", kept, large),
	}
	twice := func(nc net.Conn, path, body string) (got []string, err error) {
		answers := bufio.NewReader(nc)
		for range 2 { // the second request comes on the same connection
			_, err := io.WriteString(nc, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"+body)
			if err != nil {
				return got, err
			}
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				return got, err
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				return got, err
			}
			got = append(got, fmt.Sprint(resp.StatusCode, " ", string(b)))
		}
		return got, nil
	}
	type result struct {
		name string
		got  []string
		err  error
	}
	results := make(chan result, 4*len(bodies)) // none waits when the test has failed
	started := 0
	for name, body := range bodies {
		for _, path := range []string{"/read", "/form", "/part", "/unread"} {
			started++
			nc := dial(t, s.Addr(Main))
			go func() {
				got, err := twice(nc, path, body)
				results <- result{name + path, got, err}
			}()
		}
	}
	for range started {
		r := <-results
		require.NoError(t, r.err, r.name)
		require.Equal(t, []string{"200 lived\nlived\n", "200 lived\nlived\n"}, r.got, r.name)
	}
}

// What nobody reads of a body is awaited for a bounded time, whoever answers.
func TestBodyThatNeverComes(t *testing.T) {
	cfg := brief()
	s := serve(t, cfg, func(s *Server) { s.Handle("/unread", text("done")) })
	for _, request := range []string{"POST /unread", "POST /nothing", "OPTIONS /unread"} {
		nc := dial(t, s.Addr(Main))
		_, err := io.WriteString(nc, request+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
		require.NoError(t, err)
		require.Contains(t, ends(t, nc), "HTTP/1.1 ", request)
	}
}
