package httpserver

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// routeNone is the route of requests that matched none; the path a client made
// up is never a label.
const routeNone = "none"

// request is what the server knows of one request: it is its ResponseWriter,
// counts its body, and holds its share of the budget for bodies. It lives for
// as long as ServeHTTP and is used by one goroutine.
type request struct {
	http.ResponseWriter
	l     *httpListener
	began time.Time
	route string
	code  int // 0 until the headers were sent

	in, out  int64         // body bytes
	body     io.ReadCloser // what the client sends
	arriving bool          // a read deadline is set for the body, of which there may be more
	reserved int64         // bytes taken from the budget
}

type requestKey struct{}

// requestOf returns the state of a request that came through a Server, or nil.
func requestOf(ctx context.Context) *request {
	q, _ := ctx.Value(requestKey{}).(*request)
	return q
}

// awaitBody gives the body, or what is left of it, the request time-out from
// now on. It is for net/http to lift the deadline, which it does when it reaches
// the end of the body and starts to watch for a lost client. Nobody else may
// set one after that: it would look like one, and cancel the context of this
// request and of all later ones on the connection.
func (q *request) awaitBody() {
	q.arriving = true
	_ = http.NewResponseController(q.ResponseWriter).SetReadDeadline(time.Now().Add(q.l.s.cfg.RequestTimeout))
}

// answering notes the status of an answer that is about to begin. Before it
// sends one, net/http reads what the handler has left of the body, and needs
// time to: after a long computation the deadline may have passed.
func (q *request) answering(code int) {
	if q.code != 0 {
		return
	}
	q.code = code
	if q.arriving {
		q.awaitBody()
	}
}

func (q *request) WriteHeader(code int) {
	if code >= 200 {
		q.answering(code)
	}
	q.ResponseWriter.WriteHeader(code)
}

func (q *request) Write(p []byte) (int, error) {
	q.answering(http.StatusOK)
	n, err := q.ResponseWriter.Write(p)
	q.out += int64(n)
	return n, err
}

// FlushError is what http.ResponseController calls.
func (q *request) FlushError() error {
	q.answering(http.StatusOK)
	return http.NewResponseController(q.ResponseWriter).Flush()
}

// Flush makes q an http.Flusher, which gRPC and streaming handlers ask for.
func (q *request) Flush() { _ = q.FlushError() }

// Hijack hands the connection to a handler, as WebSockets need.
func (q *request) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(q.ResponseWriter).Hijack()
	if err == nil && q.code == 0 {
		q.code = http.StatusSwitchingProtocols
	}
	return c, rw, err
}

// Unwrap lets http.ResponseController reach deadlines and full duplex.
func (q *request) Unwrap() http.ResponseWriter { return q.ResponseWriter }

// countedBody counts what is read of a body.
type countedBody struct{ q *request }

func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.q.body.Read(p)
	b.q.in += int64(n)
	if err != nil && b.q.arriving { // never of gRPC, which reads in another goroutine
		b.q.arriving = false // at its end, or too late
	}
	return n, err
}

func (b countedBody) Close() error { return b.q.body.Close() }

// reserve takes n more bytes for the body of this request; they are given back
// when the request ends. A nil request has no budget.
func (q *request) reserve(n int64) error {
	if q == nil || n <= 0 {
		return nil
	}
	if !q.l.s.budget.take(n) {
		return errBodyMemory
	}
	q.reserved += n
	return nil
}

// refuse counts a request that does not reach its handler.
func (q *request) refuse(reason string) {
	q.l.s.m.refused.WithLabelValues(q.l.name, reason).Inc()
}

// badBody counts a body that ReadBody gave up on.
func (q *request) badBody(reason string) {
	if q == nil {
		return
	}
	if reason == "" {
		reason = reasonAborted
	}
	q.l.s.m.bodyFault.WithLabelValues(q.l.name, reason).Inc()
	if reason == reasonSlow {
		q.l.m.timeout(phaseBody)
	}
}

// finish counts the request and gives back what it holds.
func (q *request) finish(method string, aborted bool) {
	m := q.l.s.m
	if q.reserved > 0 {
		q.l.s.budget.free(q.reserved)
	}
	method = knownMethod(method)
	m.requests.WithLabelValues(q.l.name, q.route, method, q.codeLabel(aborted)).Inc()
	m.duration.WithLabelValues(q.l.name, q.route, method).Observe(time.Since(q.began).Seconds())
	m.bytesIn.WithLabelValues(q.l.name, q.route).Add(float64(q.in))
	m.bytesOut.WithLabelValues(q.l.name, q.route).Add(float64(q.out))
}

func (q *request) codeLabel(aborted bool) string {
	switch {
	case aborted:
		return "aborted"
	case q.code == 0:
		return "200" // net/http's answer for a handler that wrote nothing
	case q.code > 599:
		return "other"
	}
	return strconv.Itoa(q.code)
}

// knownMethod keeps the label's values a closed set.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodPatch:
		return m
	}
	return "other"
}
