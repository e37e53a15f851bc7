package otlp

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"

	"signalbox/internal/httpserver"
)

const (
	grpcService = "opentelemetry.proto.collector.metrics.v1.MetricsService"
	grpcMethod  = "/" + grpcService + "/Export"
)

// RegisterGRPC registers the OTLP metrics service with s. The services of the
// other signals stay unknown, which clients are told as UNIMPLEMENTED.
//
// It does what pmetricotlp.RegisterGRPCServer does, with messages of our own,
// because pdata's are decoded before any code of ours runs: without the depth
// guard, and with INTERNAL instead of INVALID_ARGUMENT for a damaged message.
func (h *Handler) RegisterGRPC(s grpc.ServiceRegistrar) {
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: grpcService,
		HandlerType: (*exporter)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Export", Handler: handleExport}},
		Metadata:    "opentelemetry/proto/collector/metrics/v1/metrics_service.proto",
	}, h)
}

type exporter interface {
	export(ctx context.Context, req *grpcRequest) (*grpcResponse, error)
}

func handleExport(srv any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	req := &grpcRequest{req: pmetricotlp.NewExportRequest()}
	if err := dec(req); err != nil {
		return nil, err
	}
	handle := func(ctx context.Context, req any) (any, error) {
		return srv.(exporter).export(ctx, req.(*grpcRequest))
	}
	if interceptor == nil {
		return handle(ctx, req)
	}
	return interceptor(ctx, req, &grpc.UnaryServerInfo{Server: srv, FullMethod: grpcMethod}, handle)
}

func (h *Handler) export(ctx context.Context, req *grpcRequest) (*grpcResponse, error) {
	began := time.Now()
	res, err := h.exportMetrics(ctx, req)
	s := httpserver.GRPCStatus(err)
	h.m.answered("grpc", s.Code().String(), began)
	return res, s.Err()
}

func (h *Handler) exportMetrics(ctx context.Context, req *grpcRequest) (*grpcResponse, error) {
	h.m.bytes.WithLabelValues("grpc").Add(float64(req.size))
	if req.err != nil {
		return nil, req.err
	}
	out, err := h.consume(ctx, req.req.Metrics())
	if err != nil {
		return nil, err
	}
	body, err := out.encode(mediaProto)
	return &grpcResponse{body: body}, err
}

// grpcRequest is decoded by the codec that pdata registers for "proto", which
// looks for these three methods.
type grpcRequest struct {
	req  pmetricotlp.ExportRequest
	size int
	err  error // of decoding; answered by export
}

func (r *grpcRequest) SizeProto() int          { return 0 }
func (r *grpcRequest) MarshalProto([]byte) int { return 0 }
func (r *grpcRequest) UnmarshalProto(b []byte) error {
	r.size = len(b)
	r.err = decodeProto(r.req, b)
	return nil
}

// grpcResponse is an encoded answer.
type grpcResponse struct{ body []byte }

func (r *grpcResponse) SizeProto() int { return len(r.body) }

// MarshalProto writes the answer to the end of buf, as pdata's codec expects.
func (r *grpcResponse) MarshalProto(buf []byte) int {
	return copy(buf[len(buf)-len(r.body):], r.body)
}
func (r *grpcResponse) UnmarshalProto([]byte) error { return nil }
