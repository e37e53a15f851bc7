package collector

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
)

// BenchmarkOTLPDoor answers one question: what does the Collector's OTLP
// receiver cost beside a bare gRPC server with pmetricotlp? Client and server
// share the process, so the figures (CPU time of the process, per data point)
// contain the same client in both; "client" is that client against a server that
// throws the bytes away unread.
func BenchmarkOTLPDoor(b *testing.B) {
	for _, points := range []int{10, 1000} {
		for _, door := range []struct {
			name  string
			start func(testing.TB, *atomic.Int64) string
		}{{"collector", collectorDoor}, {"bare", bareDoor}, {"client", nullDoor}} {
			b.Run(fmt.Sprintf("points=%d/door=%s", points, door.name), func(b *testing.B) {
				var got atomic.Int64
				client := pmetricotlp.NewGRPCClient(dial(b, door.start(b, &got)))
				req := pmetricotlp.NewExportRequestFromMetrics(somePoints(points))
				send := func() {
					_, err := client.Export(context.Background(), req)
					require.NoError(b, err)
				}
				send()
				got.Store(0)
				b.ReportAllocs()
				b.ResetTimer()
				before, n := cpuTime(b), 0
				for b.Loop() {
					send()
					n++
				}
				spent := cpuTime(b) - before
				b.ReportMetric(float64(spent.Nanoseconds())/float64(n*points), "cpu-ns/point")
				b.ReportMetric(float64(spent.Microseconds())/float64(n), "cpu-µs/request")
				if door.name != "client" {
					require.Equal(b, int64(n*points), got.Load())
				}
			})
		}
	}
}

func collectorDoor(b testing.TB, got *atomic.Int64) string {
	addr := freeTCP(b)
	run(b, parse(b, `
receivers: {otlp: {protocols: {grpc: {endpoint: ADDR, max_recv_msg_size_mib: 64}}}}
service: {pipelines: {metrics: {receivers: [otlp]}}}`, "ADDR", addr), Sinks{Metrics: func(_ context.Context, md pmetric.Metrics) error {
		got.Add(int64(md.DataPointCount()))
		return nil
	}})
	return addr
}

type bareServer struct {
	pmetricotlp.UnimplementedGRPCServer
	got *atomic.Int64
}

func (s *bareServer) Export(_ context.Context, r pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	s.got.Add(int64(r.Metrics().DataPointCount()))
	return pmetricotlp.NewExportResponse(), nil
}

func bareDoor(b testing.TB, got *atomic.Int64) string {
	srv := grpc.NewServer(grpc.MaxRecvMsgSize(64<<20), grpc.ReadBufferSize(512<<10))
	pmetricotlp.RegisterGRPCServer(srv, &bareServer{got: got})
	return serve(b, srv)
}

// nullDoor accepts any method and never decodes.
func nullDoor(b testing.TB, _ *atomic.Int64) string {
	srv := grpc.NewServer(grpc.MaxRecvMsgSize(64<<20), grpc.ReadBufferSize(512<<10), grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		if err := s.RecvMsg(&unread{}); err != nil {
			return err
		}
		return s.SendMsg(&unread{})
	}), grpc.ForceServerCodec(nullCodec{}))
	return serve(b, srv)
}

type unread struct{}

type nullCodec struct{}

func (nullCodec) Marshal(any) ([]byte, error) { return nil, nil }
func (nullCodec) Unmarshal([]byte, any) error { return nil }
func (nullCodec) Name() string                { return "proto" }

func serve(b testing.TB, srv *grpc.Server) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	b.Cleanup(func() {
		srv.Stop()
		<-done
	})
	return l.Addr().String()
}

// somePoints makes one resource with gauges of 20 points, five attributes each.
func somePoints(n int) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "shop")
	rm.Resource().Attributes().PutStr("service.instance.id", "shop-7f6c4-x2x9q")
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName("bench")
	var m pmetric.Metric
	for i := range n {
		if i%20 == 0 {
			m = sm.Metrics().AppendEmpty()
			m.SetName(fmt.Sprintf("http.server.active_requests.%d", i/20))
			m.SetUnit("{request}")
			m.SetEmptyGauge()
		}
		p := m.Gauge().DataPoints().AppendEmpty()
		p.SetTimestamp(1_700_000_000_000_000_000)
		p.SetDoubleValue(float64(i))
		p.Attributes().PutStr("http.request.method", "GET")
		p.Attributes().PutStr("url.scheme", "https")
		p.Attributes().PutStr("server.address", "shop.example.com")
		p.Attributes().PutInt("server.port", 443)
		p.Attributes().PutStr("route", fmt.Sprintf("/api/v1/items/%d", i))
	}
	return md
}

func cpuTime(b testing.TB) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
