package httpserver

import (
	"context"
	"errors"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// rpcWatch counts the calls of one gRPC server. On a port of its own it also
// does before a message is read what httpListener does on the main port:
// passwords, load, and a bound on how long a message may take to arrive.
type rpcWatch struct {
	s      *Server
	r      *registrar
	name   string
	lm     *listenerMetrics
	native bool
}

// rpc is the state of one call.
type rpc struct {
	w       *rpcWatch
	method  string // a registered method, or "unknown"
	arrival *time.Timer
}

type rpcKey struct{}

func rpcOf(ctx context.Context) *rpc {
	c, _ := ctx.Value(rpcKey{}).(*rpc)
	return c
}

func (w *rpcWatch) refuse(reason string) { w.s.m.refused.WithLabelValues(w.name, reason).Inc() }

// errSlow is why a call was cancelled whose message took too long.
var errSlow = errors.New("the request did not arrive in time (http.request_timeout)")

// tap is called with the headers of a call, before its message.
func (w *rpcWatch) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if err := w.admit(ctx, info.Header); err != nil {
		code := GRPCStatus(err)
		w.s.m.rpcs.WithLabelValues(w.name, w.label(info.FullMethodName), code.Code().String()).Inc()
		return ctx, code.Err()
	}
	c := &rpc{w: w, method: w.label(info.FullMethodName)}
	if w.r.unary(info.FullMethodName) {
		// Released with the call's own context, of which this is a child.
		arriving, cancel := context.WithCancelCause(ctx)
		c.arrival = time.AfterFunc(w.s.cfg.RequestTimeout, func() {
			w.lm.timeout(phaseBody)
			cancel(errSlow)
		})
		ctx = arriving
	}
	return context.WithValue(ctx, rpcKey{}, c), nil
}

func (w *rpcWatch) admit(ctx context.Context, md metadata.MD) error {
	if w.s.web != nil {
		// Only to parse "authorization".
		r := http.Request{Header: http.Header{"Authorization": md["authorization"]}}
		user, pass, given := r.BasicAuth()
		err := w.s.web.check(w.s.web.current(), ctx.Done(), user, pass, given)
		switch {
		case errors.Is(err, errRateLimit):
			w.refuse("rate_limit")
			return err
		case err != nil:
			w.refuse("unauthorized")
			return status.Error(codes.Unauthenticated, http.StatusText(http.StatusUnauthorized))
		}
	}
	if w.s.slots.full() {
		w.refuse("busy")
		return errBusy
	}
	return nil
}

func (w *rpcWatch) label(method string) string {
	if w.r.known(method) {
		return method
	}
	return "unknown"
}

// TagRPC implements stats.Handler.
func (w *rpcWatch) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	if rpcOf(ctx) != nil {
		return ctx // tap was here
	}
	return context.WithValue(ctx, rpcKey{}, &rpc{w: w, method: w.label(info.FullMethodName)})
}

// HandleRPC implements stats.Handler.
func (w *rpcWatch) HandleRPC(ctx context.Context, e stats.RPCStats) {
	c := rpcOf(ctx)
	if c == nil {
		return
	}
	m := w.s.m
	switch e := e.(type) {
	case *stats.Begin:
		if w.native {
			w.s.slots.add()
			w.s.inflight.begin()
			m.inflight.WithLabelValues(w.name).Inc()
		}
	case *stats.InPayload:
		c.arrived()
		m.rpcBytesIn.WithLabelValues(w.name, c.method).Add(float64(e.WireLength))
	case *stats.OutPayload:
		m.rpcBytesOut.WithLabelValues(w.name, c.method).Add(float64(e.WireLength))
	case *stats.End:
		c.arrived()
		m.rpcs.WithLabelValues(w.name, c.method, status.Code(e.Error).String()).Inc()
		m.rpcDuration.WithLabelValues(w.name, c.method).Observe(e.EndTime.Sub(e.BeginTime).Seconds())
		if w.native {
			m.inflight.WithLabelValues(w.name).Dec()
			w.s.inflight.end()
			w.s.slots.free()
		}
	}
}

func (c *rpc) arrived() {
	if c.arrival != nil {
		c.arrival.Stop()
	}
}

// TagConn implements stats.Handler; connections are counted by listener.
func (*rpcWatch) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (*rpcWatch) HandleConn(context.Context, stats.ConnStats) {}
