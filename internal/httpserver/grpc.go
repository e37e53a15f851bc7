package httpserver

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// maxMessage bounds one gRPC message, compressed and decompressed, in bytes.
const maxMessage = 64 << 20

// grpcListener answers gRPC, and nothing else, on a port of its own. It is
// cheaper than gRPC on the main port, which goes through net/http.
type grpcListener struct {
	binding
	s   *Server
	rpc *registrar
}

func newGRPCListener(s *Server, option, addr string) *grpcListener {
	l := &grpcListener{binding: binding{name: OTLPGRPC, option: option, addr: addr}, s: s}
	watch := &rpcWatch{s: s, name: OTLPGRPC, lm: s.m.forListener(OTLPGRPC), native: true}
	opts := append(grpcOptions(s, watch),
		grpc.InTapHandle(watch.tap),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(uint32(min(s.cfg.MaxHeaderBytes, 16<<20))),
		grpc.ConnectionTimeout(s.cfg.ReadHeaderTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: s.cfg.IdleTimeout,
			// A peer that vanished is found by an unanswered ping.
			Time:    max(s.cfg.IdleTimeout/2, time.Second),
			Timeout: 15 * time.Second,
		}),
		// SDKs ping more often than gRPC's default allows, and without calls.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	if cfg := s.web.tlsConfig(true, false); cfg != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(cfg)))
	}
	l.rpc = newRegistrar(s, watch, opts)
	return l
}

// newEmbeddedGRPC makes the gRPC server behind the main port. Its connections,
// and so TLS, passwords and keepalive, are those of net/http.
func newEmbeddedGRPC(s *Server) *registrar {
	watch := &rpcWatch{s: s, name: Main, lm: s.m.forListener(Main)}
	return newRegistrar(s, watch, grpcOptions(s, watch))
}

func grpcOptions(s *Server, watch *rpcWatch) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		grpc.StatsHandler(watch),
		grpc.WaitForHandlers(false), // Shutdown waits, with a bound
		grpc.UnaryInterceptor(s.unary),
		grpc.StreamInterceptor(s.stream),
	}
}

func (l *grpcListener) serve(context.Context) error {
	if err := l.rpc.srv.Serve(l.ln); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

func (l *grpcListener) drain(ctx context.Context) error {
	l.ln.closeConns((*conn).untouched)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		l.rpc.srv.GracefulStop()
		close(done)
	})
	defer wg.Wait()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		l.close()
		return ctx.Err()
	}
}

func (l *grpcListener) close() {
	// First the connections: Stop waits for handshakes, which may hang.
	l.ln.closeConns(nil)
	l.rpc.srv.Stop()
}

func (s *Server) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, err := s.rpcTenant(ctx)
	if err != nil {
		return nil, GRPCStatus(err).Err()
	}
	resp, err := next(ctx, req)
	if err != nil {
		return nil, GRPCStatus(err).Err()
	}
	return resp, nil
}

func (s *Server) stream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, err := s.rpcTenant(ss.Context())
	if err == nil {
		err = next(srv, tenantStream{ss, ctx})
	}
	if err != nil {
		return GRPCStatus(err).Err()
	}
	return nil
}

// tenantStream is a stream whose context names a tenant.
type tenantStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // grpc.ServerStream is an interface with Context
}

func (t tenantStream) Context() context.Context { return t.ctx }

func (s *Server) rpcTenant(ctx context.Context) (context.Context, error) {
	out, err := s.cfg.Tenancy.context(ctx, metadata.ValueFromIncomingContext(ctx, tenantHeader))
	if err != nil {
		if c := rpcOf(ctx); c != nil {
			c.w.refuse(tenantReason(err))
		}
		return nil, err
	}
	return out, nil
}

// registrar is a gRPC server that knows its methods' names, so that only those
// become label values, and that keeps a panic from ending the process. The
// wrapping is at registration because an interceptor comes after the decoding.
type registrar struct {
	s   *Server
	w   *rpcWatch
	srv *grpc.Server

	mu sync.RWMutex
	// methods holds "/service/method", true for one request message per call.
	methods map[string]bool
}

func newRegistrar(s *Server, w *rpcWatch, opts []grpc.ServerOption) *registrar {
	r := &registrar{s: s, w: w, methods: make(map[string]bool)}
	w.r = r
	r.srv = grpc.NewServer(append(opts, grpc.UnknownServiceHandler(unknownMethod))...)
	return r
}

func unknownMethod(_ any, ss grpc.ServerStream) error {
	m, _ := grpc.MethodFromServerStream(ss)
	return status.Errorf(codes.Unimplemented, "unknown method %s", m)
}

// RegisterService implements grpc.ServiceRegistrar. It must be called before Serve.
func (r *registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := *desc
	d.Methods = make([]grpc.MethodDesc, len(desc.Methods))
	for i, m := range desc.Methods {
		next := m.Handler
		m.Handler = func(srv any, ctx context.Context, dec func(any) error, in grpc.UnaryServerInterceptor) (resp any, err error) {
			defer r.recover(&err)
			return next(srv, ctx, dec, in)
		}
		d.Methods[i] = m
		r.methods["/"+desc.ServiceName+"/"+m.MethodName] = true
	}
	d.Streams = make([]grpc.StreamDesc, len(desc.Streams))
	for i, m := range desc.Streams {
		next := m.Handler
		m.Handler = func(srv any, ss grpc.ServerStream) (err error) {
			defer r.recover(&err)
			return next(srv, ss)
		}
		d.Streams[i] = m
		r.methods["/"+desc.ServiceName+"/"+m.StreamName] = !m.ClientStreams
	}
	r.srv.RegisterService(&d, impl)
}

func (r *registrar) recover(err *error) {
	if v := recover(); v != nil {
		r.s.bug(v, "listener", r.w.name)
		*err = status.Error(codes.Internal, bugText)
	}
}

func (r *registrar) known(method string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.methods[method]
	return ok
}

// unary reports whether a call of the method has one request message, which
// then has a time within which it must arrive.
func (r *registrar) unary(method string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	one, ok := r.methods[method]
	return one || !ok
}

type nopRegistrar struct{}

func (nopRegistrar) RegisterService(*grpc.ServiceDesc, any) {}

var _ net.Listener = (*listener)(nil)
