package httpserver

import (
	"context"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
)

// maxStreams bounds the requests one HTTP/2 connection may have open.
const maxStreams = 250

// httpListener answers HTTP, and gRPC where rpc is set, on one port.
type httpListener struct {
	binding
	s   *Server
	m   *listenerMetrics
	srv *http.Server
	mux *http.ServeMux
	rpc *registrar // nil: no gRPC on this port
}

func newHTTPListener(s *Server, name, option, addr string) *httpListener {
	l := &httpListener{
		binding: binding{name: name, option: option, addr: addr},
		s:       s, m: s.m.forListener(name), mux: http.NewServeMux(),
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(s.web.http2())
	protocols.SetUnencryptedHTTP2(true)
	l.srv = &http.Server{
		Handler:   l,
		Protocols: protocols,
		TLSConfig: s.web.tlsConfig(s.web.http2(), true),
		// No ReadTimeout: it would also end long gRPC streams. The deadline for a
		// body is set per request, and conn bounds writes.
		ReadHeaderTimeout: s.cfg.ReadHeaderTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    s.cfg.MaxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			// A peer that vanished is found by an unanswered ping.
			SendPingTimeout:  s.cfg.IdleTimeout / 2,
			PingTimeout:      15 * time.Second,
			WriteByteTimeout: s.cfg.WriteTimeout,
			CountError:       func(string) { l.m.http2Errors.Inc() },
		},
		ConnState: watchState,
		ErrorLog:  log.New(&errorLog{l}, "", 0),
	}
	return l
}

// handle registers a route. A guarded one has a tenant and is refused under
// too much load.
func (l *httpListener) handle(pattern string, h http.Handler, guarded bool) {
	l.mux.Handle(pattern, &route{l: l, name: routeName(pattern), guarded: guarded, next: h})
}

// routeName is a pattern without its method, which is a label of its own.
func routeName(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return strings.TrimLeft(path, " \t")
	}
	return pattern
}

func (l *httpListener) serve(ctx context.Context) error {
	l.srv.BaseContext = func(net.Listener) context.Context { return ctx }
	var err error
	if l.s.web.tlsOn() {
		err = l.srv.ServeTLS(l.ln, "", "")
	} else {
		err = l.srv.Serve(l.ln)
	}
	if err == http.ErrServerClosed {
		return nil
	}
	return err
}

func (l *httpListener) drain(ctx context.Context) error {
	// A client that connected and sent nothing has nothing to lose.
	l.ln.closeConns((*conn).untouched)
	return l.srv.Shutdown(ctx)
}

func (l *httpListener) close() {
	_ = l.srv.Close()
	if l.rpc != nil {
		l.rpc.srv.Stop()
	}
	l.ln.closeConns(nil)
}

// ServeHTTP is the outermost handler of every request.
func (l *httpListener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{ResponseWriter: w, l: l, began: time.Now(), route: routeNone, body: r.Body}
	l.s.inflight.begin()
	inflight := l.s.m.inflight.WithLabelValues(l.name)
	inflight.Inc()
	defer l.s.inflight.end()
	defer inflight.Dec()

	aborted := l.protect(q, r)
	q.finish(r.Method, aborted)
	if aborted {
		panic(http.ErrAbortHandler) // net/http cuts the answer off, visibly for the client
	}
}

// protect reports whether the answer must be cut off.
func (l *httpListener) protect(q *request, r *http.Request) (aborted bool) {
	defer func() {
		v := recover()
		switch {
		case v == nil:
		case v == http.ErrAbortHandler: //nolint:errorlint // a value of panic, compared as net/http does
			aborted = true
		default:
			l.s.bug(v, "method", r.Method, "route", q.route)
			if aborted = q.code != 0; !aborted {
				http.Error(q, bugText, http.StatusInternalServerError)
			}
		}
	}()
	l.dispatch(q, r)
	q.answering(http.StatusOK) // of a handler that wrote nothing
	return false
}

const bugText = "BUG: internal error, the log of the server has the stack"

// bug counts and logs a panic of our code.
func (s *Server) bug(v any, args ...any) {
	s.m.panics.Inc()
	s.log.Error("BUG: panic in a request", append(args, "panic", v, "stack", string(debug.Stack()))...)
}

func (l *httpListener) dispatch(q *request, r *http.Request) {
	rpc := isGRPC(r) && l.rpc != nil
	if hasBody(r) && !rpc {
		q.awaitBody()
	}
	if l.s.cors(q, r) {
		return
	}
	if !l.s.web.admit(q, r) {
		return
	}
	if rpc {
		l.serveGRPC(q, r)
		return
	}
	r2 := r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
	if hasBody(r) {
		r2.Body = countedBody{q}
	}
	l.mux.ServeHTTP(q, normalized(r2))
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

func isGRPC(r *http.Request) bool {
	return r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

func (l *httpListener) serveGRPC(q *request, r *http.Request) {
	q.route = "grpc"
	if !l.s.slots.take() {
		q.refuse("busy")
		SetRetryAfter(q.Header(), errBusy)
		// gRPC clients read 503 as UNAVAILABLE.
		http.Error(q, errBusy.Error(), http.StatusServiceUnavailable)
		return
	}
	defer l.s.slots.free()
	if l.rpc.unary(r.URL.Path) {
		_ = http.NewResponseController(q.ResponseWriter).SetReadDeadline(q.began.Add(l.s.cfg.RequestTimeout))
	}
	r2 := *r
	r2.Body = countedBody{q}
	l.rpc.srv.ServeHTTP(q, &r2)
}

// route is one registered handler with what every handler needs around it.
type route struct {
	l       *httpListener
	name    string
	guarded bool
	next    http.Handler
}

func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := requestOf(r.Context())
	q.route = rt.name
	if rt.guarded {
		if !rt.l.s.slots.take() {
			q.refuse("busy")
			WriteError(w, errBusy)
			return
		}
		defer rt.l.s.slots.free()
		ctx, err := rt.l.s.cfg.Tenancy.context(r.Context(), r.Header[tenantHeader])
		if err != nil {
			q.refuse(tenantReason(err))
			WriteError(w, err)
			return
		}
		r = r.WithContext(ctx)
	}
	compressed(w, r, rt.next)
}

// errorLog takes what net/http has to say. It is about clients that misbehave,
// so it is counted and logged for who looks for it, not for everyone.
type errorLog struct{ l *httpListener }

func (e *errorLog) Write(p []byte) (int, error) {
	msg := strings.TrimSpace(string(p))
	if strings.HasPrefix(msg, "http: TLS handshake error") {
		e.l.m.tlsErrors.Inc()
	}
	e.l.s.log.Debug("connection trouble", "listener", e.l.name, "err", msg)
	return len(p), nil
}

var _ grpc.ServiceRegistrar = (*registrar)(nil)
