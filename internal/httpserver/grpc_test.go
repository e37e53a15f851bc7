package httpserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

// otlpMessage lets the OTLP codec, which real clients link too, decode into
// pdata's public types.
type otlpMessage struct{ req pmetricotlp.ExportRequest }

func (m *otlpMessage) UnmarshalProto(b []byte) error {
	m.req = pmetricotlp.NewExportRequest()
	return m.req.UnmarshalProto(b)
}
func (*otlpMessage) SizeProto() int          { return 0 }
func (*otlpMessage) MarshalProto([]byte) int { return 0 }

type exporter func(ctx context.Context, n int) error

var otlpService = grpc.ServiceDesc{
	ServiceName: "opentelemetry.proto.collector.metrics.v1.MetricsService",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Export", Handler: func(srv any, ctx context.Context, dec func(any) error, in grpc.UnaryServerInterceptor) (any, error) {
		var m otlpMessage
		if err := dec(&m); err != nil {
			return nil, err
		}
		return in(ctx, &m, &grpc.UnaryServerInfo{Server: srv}, func(ctx context.Context, _ any) (any, error) {
			return new(otlpMessage), srv.(exporter)(ctx, m.req.Metrics().MetricCount())
		})
	}}},
}

// echoService answers each message with itself; "panic" panics.
var echoService = grpc.ServiceDesc{
	ServiceName: "test.Echo",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: func(srv any, ctx context.Context, dec func(any) error, in grpc.UnaryServerInterceptor) (any, error) {
		req := new(wrapperspb.BytesValue)
		if err := dec(req); err != nil {
			return nil, err
		}
		if string(req.Value) == "panic before the interceptor" {
			panic("BUG: decoder")
		}
		return in(ctx, req, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/test.Echo/Unary"}, func(_ context.Context, req any) (any, error) {
			if string(req.(*wrapperspb.BytesValue).Value) == "panic" {
				panic("BUG: handler")
			}
			return req, nil
		})
	}}},
	Streams: []grpc.StreamDesc{{StreamName: "Bidi", ServerStreams: true, ClientStreams: true, Handler: func(_ any, ss grpc.ServerStream) error {
		for {
			m := new(wrapperspb.BytesValue)
			if err := ss.RecvMsg(m); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			switch string(m.Value) {
			case "panic":
				panic("BUG: stream")
			case "tenant":
				id, err := tenant.One(ss.Context())
				if err != nil {
					return err
				}
				m.Value = []byte(id)
			}
			if err := ss.SendMsg(m); err != nil {
				return err
			}
		}
	}}},
}

func registerRPC(export func(context.Context, int) error) func(*Server) {
	if export == nil {
		export = func(context.Context, int) error { return nil }
	}
	return func(s *Server) {
		for _, r := range []grpc.ServiceRegistrar{s.GRPC(), s.OTLPGRPC()} {
			r.RegisterService(&otlpService, exporter(export))
			r.RegisterService(&echoService, new(any))
		}
	}
}

func rpcConn(t *testing.T, s *running, listener string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	opts = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, opts...)
	cc, err := grpc.NewClient(s.Addr(listener).String(), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

var rpcListeners = []string{Main, OTLPGRPC}

func someMetrics(n int) pmetricotlp.ExportRequest {
	md := pmetric.NewMetrics()
	ms := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	for range n {
		m := ms.AppendEmpty()
		m.SetName("requests")
		m.SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(7)
	}
	return pmetricotlp.NewExportRequestFromMetrics(md)
}

func exportTo(ctx context.Context, cc *grpc.ClientConn) (pmetricotlp.ExportResponse, error) {
	return pmetricotlp.NewGRPCClient(cc).Export(ctx, someMetrics(1))
}

func TestGRPCOnBothPorts(t *testing.T) {
	var gotTenant tenant.ID
	var got int
	s := serve(t, testConfig(), registerRPC(func(ctx context.Context, n int) (err error) {
		got = n
		gotTenant, err = tenant.One(ctx)
		return err
	}))
	for _, l := range rpcListeners {
		for _, comp := range []string{"", "gzip", "zstd", "snappy"} {
			c := pmetricotlp.NewGRPCClient(rpcConn(t, s, l))
			ctx := metadata.AppendToOutgoingContext(t.Context(), tenant.Header, "team-"+comp)
			_, err := c.Export(ctx, someMetrics(1000), grpc.UseCompressor(comp))
			require.NoError(t, err, "%s %s", l, comp)
			require.Equal(t, 1000, got)
			require.Equal(t, tenant.ID("team-"+comp), gotTenant)
		}
		c := pmetricotlp.NewGRPCClient(rpcConn(t, s, l))
		ctx := metadata.AppendToOutgoingContext(t.Context(), tenant.Header, "a/b")
		_, err := c.Export(ctx, someMetrics(1))
		require.Equal(t, codes.InvalidArgument, status.Code(err))

		err = rpcConn(t, s, l).Invoke(t.Context(), "/made.Up/Name", &wrapperspb.BytesValue{}, &wrapperspb.BytesValue{})
		require.Equal(t, codes.Unimplemented, status.Code(err))

		counted := func(method, code string) float64 {
			return s.metric("signalbox_grpc_requests_total", "listener="+l, "method="+method, "code="+code)
		}
		method := "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
		s.eventually(func() bool { return counted(method, "OK") == 4 }, "calls are counted")
		s.eventually(func() bool { return counted(method, "InvalidArgument") == 1 }, "refusals are counted")
		s.eventually(func() bool { return counted("unknown", "Unimplemented") == 1 }, "a made-up name is no label")
		require.Positive(t, s.metric("signalbox_grpc_received_bytes_total", "listener="+l, "method="+method))
		require.EqualValues(t, 1, s.metric("signalbox_http_requests_refused_total", "listener="+l, "reason=bad_tenant"))
	}
	s.eventually(func() bool { return s.metric("signalbox_http_requests_in_flight") == 0 }, "all done")
	require.Zero(t, s.slots.used.Load())
}

func TestGRPCTenantRequired(t *testing.T) {
	cfg := testConfig()
	cfg.Tenancy.Required = true
	s := serve(t, cfg, registerRPC(func(context.Context, int) error { return nil }))
	for _, l := range rpcListeners {
		cc := rpcConn(t, s, l)
		_, err := pmetricotlp.NewGRPCClient(cc).Export(t.Context(), someMetrics(1))
		require.Equal(t, codes.Unauthenticated, status.Code(err))
		require.Contains(t, err.Error(), "no org id")
	}
}

func TestGRPCErrorsAndPanics(t *testing.T) {
	var next error
	s := serve(t, testConfig(), registerRPC(func(context.Context, int) error { return next }))
	for _, l := range rpcListeners {
		cc := rpcConn(t, s, l)
		c := pmetricotlp.NewGRPCClient(cc)
		for _, tc := range []struct {
			err   error
			code  codes.Code
			retry bool
		}{
			{fault.New(fault.Invalid, "bad"), codes.InvalidArgument, false},
			{fault.New(fault.Limited, "not UTF-8: \xff\xfe, and long: %s", strings.Repeat("x", 1<<20)), codes.ResourceExhausted, true},
			{fault.New(fault.Unavailable, "later"), codes.Unavailable, true},
			{errors.New("what"), codes.Internal, false},
		} {
			next = tc.err
			_, err := c.Export(t.Context(), someMetrics(1))
			st := status.Convert(err)
			require.Equal(t, tc.code, st.Code(), "%v", err)
			retry := false
			for _, d := range st.Details() {
				_, is := d.(*errdetails.RetryInfo)
				retry = retry || is
			}
			require.Equal(t, tc.retry, retry)
		}
		for _, text := range []string{"panic", "panic before the interceptor"} {
			err := cc.Invoke(t.Context(), "/test.Echo/Unary", wrapperspb.Bytes([]byte(text)), new(wrapperspb.BytesValue))
			require.Equal(t, codes.Internal, status.Code(err))
			require.Contains(t, err.Error(), "BUG")
		}
		stream, err := cc.NewStream(t.Context(), &echoService.Streams[0], "/test.Echo/Bidi")
		require.NoError(t, err)
		require.NoError(t, stream.SendMsg(wrapperspb.Bytes([]byte("panic"))))
		require.Equal(t, codes.Internal, status.Code(stream.RecvMsg(new(wrapperspb.BytesValue))))

		next = nil
		_, err = c.Export(t.Context(), someMetrics(1))
		require.NoError(t, err, "the process and the connection live")
	}
	require.EqualValues(t, 6, s.metric("signalbox_http_panics_total"))
}

func TestGRPCStream(t *testing.T) {
	s := serve(t, brief(), registerRPC(nil))
	for _, l := range rpcListeners {
		ctx := metadata.AppendToOutgoingContext(t.Context(), tenant.Header, "team")
		stream, err := rpcConn(t, s, l).NewStream(ctx, &echoService.Streams[0], "/test.Echo/Bidi")
		require.NoError(t, err)
		got := new(wrapperspb.BytesValue)
		for range 8 { // a living stream outlives request_timeout
			require.NoError(t, stream.SendMsg(wrapperspb.Bytes([]byte("tenant"))))
			require.NoError(t, stream.RecvMsg(got))
			require.Equal(t, "team", string(got.Value))
			<-time.After(s.cfg.RequestTimeout / 4)
		}
		require.NoError(t, stream.CloseSend())
		require.ErrorIs(t, stream.RecvMsg(got), io.EOF)
	}
}

func TestGRPCMessageLimits(t *testing.T) {
	s := serve(t, testConfig(), registerRPC(nil))
	for _, l := range rpcListeners {
		cc := rpcConn(t, s, l, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(80<<20), grpc.MaxCallSendMsgSize(80<<20)))
		echo := func(n int, comp string) error {
			got := new(wrapperspb.BytesValue)
			err := cc.Invoke(t.Context(), "/test.Echo/Unary", wrapperspb.Bytes(make([]byte, n)), got, grpc.UseCompressor(comp))
			if err == nil {
				require.Len(t, got.Value, n)
			}
			return err
		}
		require.NoError(t, echo(5<<20, ""), "grpc-go's own limit is 4 MiB")
		require.Equal(t, codes.ResourceExhausted, status.Code(echo(maxMessage+1, "")))
		for _, comp := range []string{"gzip", "zstd", "snappy"} {
			require.NoError(t, echo(5<<20, comp))
			require.Equal(t, codes.ResourceExhausted, status.Code(echo(maxMessage+1, comp)), "a bomb stops at the limit")
		}
	}
}

func TestGRPCTooBusy(t *testing.T) {
	cfg := testConfig()
	cfg.MaxConcurrentRequests = 1
	entered, leave := make(chan struct{}), make(chan struct{})
	s := serve(t, cfg, registerRPC(func(context.Context, int) error {
		entered <- struct{}{}
		<-leave
		return nil
	}))
	for _, l := range rpcListeners {
		c := pmetricotlp.NewGRPCClient(rpcConn(t, s, l))
		done := make(chan error, 1)
		go func() {
			_, err := c.Export(t.Context(), someMetrics(1))
			done <- err
		}()
		<-entered
		_, err := c.Export(t.Context(), someMetrics(1))
		require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
		leave <- struct{}{}
		require.NoError(t, <-done)
		require.EqualValues(t, 1, s.metric("signalbox_http_requests_refused_total", "listener="+l, "reason=busy"))
		s.eventually(func() bool { return s.slots.used.Load() == 0 }, "the slot is free again")
	}
}

func TestGRPCHalfMessageIsEnded(t *testing.T) {
	s := serve(t, brief(), registerRPC(nil))
	for _, l := range rpcListeners {
		nc := dial(t, s.Addr(l))
		_, err := io.WriteString(nc, http2.ClientPreface)
		require.NoError(t, err)
		fr := http2.NewFramer(nc, nc)
		require.NoError(t, fr.WriteSettings())
		var block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		for _, f := range [][2]string{
			{":method", "POST"}, {":scheme", "http"}, {":path", "/test.Echo/Unary"}, {":authority", "x"},
			{"content-type", "application/grpc"}, {"te", "trailers"},
		} {
			require.NoError(t, enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
		}
		require.NoError(t, fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}))
		half := append(binary.BigEndian.AppendUint32([]byte{0}, 100), "half"...)
		require.NoError(t, fr.WriteData(1, false, half))
		for { // the call ends although the client never sends the rest
			f, err := fr.ReadFrame()
			require.NoError(t, err)
			if f.Header().StreamID == 1 && (f.Header().Flags.Has(http2.FlagHeadersEndStream) || f.Header().Type == http2.FrameRSTStream) {
				break
			}
		}
		s.eventually(func() bool { return s.metric("signalbox_http_requests_in_flight", "listener="+l) == 0 }, "ended")
	}
	require.EqualValues(t, 1, s.metric("signalbox_http_timeouts_total", "listener=otlp_grpc", "phase=body"))
}

func TestGRPCNeedsHTTP2OnMain(t *testing.T) {
	s := serve(t, testConfig(), registerRPC(nil))
	a := do(t, client(t, nil), "POST", s.url+"/test.Echo/Unary", "", "Content-Type", "application/grpc")
	require.Equal(t, http.StatusNotFound, a.StatusCode)
}

func TestGRPCClientsThatAreNotGRPC(t *testing.T) {
	s := serve(t, brief(), registerRPC(nil))
	for _, send := range []string{"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", http2.ClientPreface, "\x00\x01\x02"} {
		nc := dial(t, s.Addr(OTLPGRPC))
		_, err := io.WriteString(nc, send)
		require.NoError(t, err)
		ends(t, nc)
	}
	s.eventually(func() bool { return s.metric("signalbox_http_connections", "listener=otlp_grpc") == 0 }, "all ended")
}

func TestMessageCodecs(t *testing.T) {
	for _, name := range []string{"gzip", "zstd", "snappy"} {
		c := encoding.GetCompressor(name)
		require.IsType(t, &messageCodec{}, c)
		for _, plain := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("metrics "), 100_000)} {
			var b bytes.Buffer
			w, err := c.Compress(&b)
			require.NoError(t, err)
			_, err = w.Write(plain)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			r, err := c.Decompress(bytes.NewReader(b.Bytes()))
			require.NoError(t, err)
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, got))
			require.NoError(t, r.(io.Closer).Close())
			require.NoError(t, r.(io.Closer).Close())
		}
	}
}

func fuzzCodec(f *testing.F, name string) {
	c := encoding.GetCompressor(name)
	var b bytes.Buffer
	w, err := c.Compress(&b)
	require.NoError(f, err)
	_, _ = w.Write(bytes.Repeat([]byte("abc"), 1000))
	require.NoError(f, w.Close())
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:b.Len()/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := c.Decompress(bytes.NewReader(data))
		if err != nil {
			return
		}
		_, err = io.Copy(io.Discard, io.LimitReader(r, 1<<20))
		if err != nil {
			require.NotContains(t, err.Error(), "BUG")
		}
		require.NoError(t, r.(io.Closer).Close())
	})
}

func FuzzMessageZstd(f *testing.F)   { fuzzCodec(f, "zstd") }
func FuzzMessageSnappy(f *testing.F) { fuzzCodec(f, "snappy") }
func FuzzMessageGzip(f *testing.F)   { fuzzCodec(f, "gzip") }
