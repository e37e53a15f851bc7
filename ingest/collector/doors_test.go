package collector

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"hash/crc32"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jaegertracing/jaeger-idl/model/v1"
	"github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

const zipkinOnly = `
receivers: {zipkin: {endpoint: ADDR, include_metadata: true}}
service: {pipelines: {traces: {receivers: [zipkin]}}}`

func zipkinSpan(name string, tags string) string {
	return fmt.Sprintf(`[{"traceId":"%016x","id":"352bff9a74ca9ad2","name":%q,"timestamp":1600000000000000,"duration":10,
		"localEndpoint":{"serviceName":"shop"},"tags":{%s}}]`, crc32.ChecksumIEEE([]byte(name)), name, tags)
}

// postZipkin sends a body and returns the status. Connections are not kept: a
// reload is not to be hidden by one that outlives it.
func postZipkin(t testing.TB, addr, body string, header ...string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+addr+"/api/v2/spans", strings.NewReader(body))
	require.NoError(t, err)
	req.Close = true
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func dial(t testing.TB, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func TestZipkin(t *testing.T) {
	addr, st := freeTCP(t), newStore()
	r := run(t, parse(t, zipkinOnly, "ADDR", addr), st.sinks())
	require.Equal(t, http.StatusAccepted, postZipkin(t, addr, zipkinSpan("get /a", `"error":"boom"`)))
	require.Equal(t, http.StatusAccepted, postZipkin(t, addr, "[]"))
	require.Equal(t, http.StatusBadRequest, postZipkin(t, addr, "{"))

	var gz bytes.Buffer
	zw := gzip.NewWriter(&gz)
	_, err := zw.Write([]byte(zipkinSpan("get /b", "")))
	require.NoError(t, err)
	require.NoError(t, zw.Close())
	require.Equal(t, http.StatusAccepted, postZipkin(t, addr, gz.String(), "Content-Encoding", "gzip"))

	require.Equal(t, []string{"get /a", "get /b"}, st.spanNames())
	res := st.traces[0].ResourceSpans().At(0)
	name, _ := res.Resource().Attributes().Get("service.name")
	require.Equal(t, "shop", name.Str())
	require.Equal(t, ptrace.StatusCodeError, res.ScopeSpans().At(0).Spans().At(0).Status().Code())
	require.Equal(t, 2.0, r.value(t, "signalbox_collector_items_total", "traces"))
	require.Equal(t, 2.0, r.value(t, "otelcol_receiver_accepted_spans", "zipkin"))
	require.Equal(t, 1.0, r.value(t, "signalbox_collector_pipelines"))
}

func TestTenant(t *testing.T) {
	addr, st := freeTCP(t), newStore()
	r := run(t, parse(t, zipkinOnly, "ADDR", addr), st.sinks())
	require.Equal(t, http.StatusAccepted, postZipkin(t, addr, zipkinSpan("a", "")))
	require.Equal(t, http.StatusAccepted, postZipkin(t, addr, zipkinSpan("a", ""), tenant.Header, "team-1"))
	require.Equal(t, http.StatusBadRequest, postZipkin(t, addr, zipkinSpan("a", ""), tenant.Header, "a/b"))
	require.Equal(t, http.StatusBadRequest, postZipkin(t, addr, zipkinSpan("a", ""), tenant.Header, "a", tenant.Header, "b"))
	require.Equal(t, []tenant.ID{tenant.Default, "team-1"}, st.tenants)
	require.Equal(t, 2.0, r.value(t, "signalbox_collector_failed_items_total", "invalid", "bad_tenant"))
}

// Batches are kept apart by tenant when metadata_keys says so.
func TestTenantThroughBatch(t *testing.T) {
	addr, st := freeTCP(t), newStore()
	r := run(t, parse(t, `
receivers: {zipkin: {endpoint: ADDR, include_metadata: true}}
processors: {batch: {timeout: 1h, metadata_keys: [X-Scope-OrgID]}}
service: {pipelines: {traces: {receivers: [zipkin], processors: [batch]}}}`, "ADDR", addr), st.sinks())
	for _, id := range []string{"one", "two", "one"} {
		require.Equal(t, http.StatusAccepted, postZipkin(t, addr, zipkinSpan(id, ""), tenant.Header, id))
	}
	require.Empty(t, st.traces)
	require.NoError(t, r.Stop(context.Background()), "stopping flushes")
	require.ElementsMatch(t, []tenant.ID{"one", "two"}, st.tenants)
	require.ElementsMatch(t, []string{"one", "one", "two"}, st.spanNames())
}

func TestSinkErrorsReachClients(t *testing.T) {
	zip, otlp, otlpHTTP, st := freeTCP(t), freeTCP(t), freeTCP(t), newStore()
	r := run(t, parse(t, `
receivers:
  zipkin: {endpoint: ZIP}
  otlp: {protocols: {grpc: {endpoint: OTLPG}, http: {endpoint: OTLPH}}}
service: {pipelines: {traces: {receivers: [zipkin]}, logs: {receivers: [otlp]}}}`, "ZIP", zip, "OTLPG", otlp, "OTLPH", otlpHTTP), st.sinks())
	logs := plogotlp.NewGRPCClient(dial(t, otlp))
	ld := plog.NewLogs()
	ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr("x")
	req := plogotlp.NewExportRequestFromLogs(ld)
	body, err := req.MarshalProto()
	require.NoError(t, err)

	for _, tc := range []struct {
		err    error
		code   codes.Code
		http   int
		zipkin int
		retry  bool
	}{
		{nil, codes.OK, 200, 202, false},
		{fault.New(fault.Limited, "slow down").WithReason("rate"), codes.ResourceExhausted, 429, 500, true},
		{fault.New(fault.Unavailable, "later"), codes.Unavailable, 503, 500, true},
		{fault.Refuse("too_old", "too old"), codes.InvalidArgument, 400, 400, false},
		{fmt.Errorf("a defect"), codes.Internal, 500, 500, false},
	} {
		st.fail(tc.err)
		require.Equal(t, tc.zipkin, postZipkin(t, zip, zipkinSpan("a", "")), "%v", tc.err)
		_, err := logs.Export(context.Background(), req)
		s, _ := status.FromError(err)
		require.Equal(t, tc.code, s.Code(), "%v", err)
		hasRetry := slices.ContainsFunc(s.Proto().GetDetails(), func(a *anypb.Any) bool { return strings.HasSuffix(a.GetTypeUrl(), "RetryInfo") })
		require.Equal(t, tc.retry, hasRetry, "%v", err)
		resp, err := http.Post("http://"+otlpHTTP+"/v1/logs", "application/x-protobuf", bytes.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, tc.http, resp.StatusCode, "%v", tc.err)
	}
	http.DefaultClient.CloseIdleConnections()
	require.Equal(t, 2.0, r.value(t, "signalbox_collector_failed_items_total", "logs", "limited", "rate"))
	require.Equal(t, 2.0, r.value(t, "signalbox_collector_failed_items_total", "logs", "invalid", "too_old"))
}

func TestSinkPanicIsAnError(t *testing.T) {
	addr := freeTCP(t)
	s := newStore().sinks()
	s.Traces = func(context.Context, ptrace.Traces) error { panic("boom") }
	r := run(t, parse(t, zipkinOnly, "ADDR", addr), s)
	require.Equal(t, http.StatusInternalServerError, postZipkin(t, addr, zipkinSpan("a", "")))
	require.Equal(t, 1.0, r.value(t, "signalbox_collector_failed_items_total", "traces", "internal"))
}

func TestJaegerGRPC(t *testing.T) {
	addr, st := freeTCP(t), newStore()
	run(t, parse(t, `
receivers: {jaeger: {protocols: {grpc: {endpoint: ADDR, include_metadata: true}}}}
service: {pipelines: {traces: {receivers: [jaeger]}}}`, "ADDR", addr), st.sinks())
	ctx := metadata.AppendToOutgoingContext(context.Background(), tenant.Header, "team-2")
	_, err := api_v2.NewCollectorServiceClient(dial(t, addr)).PostSpans(ctx, &api_v2.PostSpansRequest{Batch: model.Batch{
		Process: &model.Process{ServiceName: "shop"},
		Spans:   []*model.Span{{TraceID: model.NewTraceID(1, 2), SpanID: 3, OperationName: "buy"}},
	}})
	require.NoError(t, err)
	require.Equal(t, []string{"buy"}, st.spanNames())
	require.Equal(t, []tenant.ID{"team-2"}, st.tenants)
}

// statsd with the processors people put behind it: transform renames, batch joins.
func TestStatsdTransformBatch(t *testing.T) {
	addr, st := freeUDP(t), newStore()
	run(t, parse(t, `
receivers: {statsd: {endpoint: ADDR, aggregation_interval: 50ms}}
processors:
  transform: {metric_statements: ['set(metric.name, "renamed") where metric.name == "hits"', 'set(datapoint.attributes["via"], "statsd")']}
  batch: {timeout: 10ms}
service: {pipelines: {metrics: {receivers: [statsd], processors: [transform, batch]}}}`, "ADDR", addr), st.sinks())
	conn, err := net.Dial("udp", addr)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("hits:3|c|#env:prod\nnonsense\ntemp:20.5|g"))
	require.NoError(t, err)
	st.await(t, func() bool {
		names := st.metricNames()
		return slices.Contains(names, "renamed") && slices.Contains(names, "temp") && !slices.Contains(names, "hits")
	})
	require.Equal(t, tenant.Default, st.tenants[0])
	for _, m := range points(st.metrics) {
		via, ok := m.Attributes().Get("via")
		require.True(t, ok)
		require.Equal(t, "statsd", via.Str())
	}
}

func points(list []pmetric.Metrics) []pmetric.NumberDataPoint {
	var out []pmetric.NumberDataPoint
	for _, md := range list {
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					dps := m.Gauge().DataPoints
					if m.Type() == pmetric.MetricTypeSum {
						dps = m.Sum().DataPoints
					}
					for _, p := range dps().All() {
						out = append(out, p)
					}
				}
			}
		}
	}
	return out
}

func TestFilter(t *testing.T) {
	addr, st := freeTCP(t), newStore()
	r := run(t, parse(t, `
receivers: {zipkin: {endpoint: ADDR}}
processors: {filter: {trace_conditions: ['span.name == "GET /health"']}}
service: {pipelines: {traces: {receivers: [zipkin], processors: [filter]}}}`, "ADDR", addr), st.sinks())
	for _, name := range []string{"GET /health", "GET /a", "GET /health"} {
		require.Equal(t, http.StatusAccepted, postZipkin(t, addr, zipkinSpan(name, "")))
	}
	require.Equal(t, []string{"GET /a"}, st.spanNames())
	require.Equal(t, 2.0, r.value(t, "otelcol_processor_filter_spans.filtered")+r.value(t, "otelcol_processor_filter_spans_filtered"))
}

func TestTailSamplingKeepsErrors(t *testing.T) {
	addr, st := freeTCP(t), newStore()
	run(t, parse(t, `
receivers: {zipkin: {endpoint: ADDR}}
processors:
  tail_sampling: {decision_wait: 1s, policies: [{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}]}
service: {pipelines: {traces: {receivers: [zipkin], processors: [tail_sampling]}}}`, "ADDR", addr), st.sinks())
	for i := range 5 {
		require.Equal(t, http.StatusAccepted, postZipkin(t, addr, zipkinSpan(fmt.Sprint("good ", i), "")))
		require.Equal(t, http.StatusAccepted, postZipkin(t, addr, zipkinSpan(fmt.Sprint("failed! ", i), `"error":"x"`)))
	}
	st.await(t, func() bool { return len(st.spanNames()) == 5 })
	for _, n := range st.spanNames() {
		require.Contains(t, n, "failed")
	}
}

// A memory limiter far below what the test itself uses refuses everything; the
// client is told to come again.
func TestMemoryLimiter(t *testing.T) {
	addr, st := freeTCP(t), newStore()
	r := run(t, parse(t, `
receivers: {otlp: {protocols: {grpc: {endpoint: ADDR}}}}
processors: {memory_limiter: {check_interval: 20ms, limit_mib: 1, spike_limit_mib: 0}}
service: {pipelines: {logs: {receivers: [otlp], processors: [memory_limiter]}}}`, "ADDR", addr), st.sinks())
	client := plogotlp.NewGRPCClient(dial(t, addr))
	ld := plog.NewLogs()
	ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr("x")
	require.Eventually(t, func() bool {
		_, err := client.Export(context.Background(), plogotlp.NewExportRequestFromLogs(ld))
		return status.Code(err) == codes.Unavailable
	}, awaitLimit, awaitTick)
	require.Positive(t, r.value(t, "otelcol_receiver_refused_log_records", "otlp"))
}
