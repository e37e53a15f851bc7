package otlp

import (
	"context"
	"fmt"
	"testing"

	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

const benchPoints = 1000

// benchMetrics has 1000 points of 8 attributes under one resource, in metrics
// of 50 points.
func benchMetrics(kind string, t pcommon.Timestamp) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	for k, v := range map[string]string{
		"service.name": "checkout", "service.namespace": "shop", "service.instance.id": "checkout-7d4b9c-x2x9z",
		"k8s.pod.name": "checkout-7d4b9c-x2x9z", "k8s.namespace.name": "shop", "host.name": "node-17", "telemetry.sdk.language": "go",
	} {
		rm.Resource().Attributes().PutStr(k, v)
	}
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp")
	attrs := func(m pcommon.Map, i int) {
		m.EnsureCapacity(8)
		m.PutStr("http.request.method", "GET")
		m.PutStr("http.route", fmt.Sprintf("/api/v1/items/%d", i))
		m.PutInt("http.response.status_code", int64(200+i%5))
		m.PutStr("network.protocol.name", "http")
		m.PutStr("network.protocol.version", "1.1")
		m.PutStr("server.address", "checkout.shop.svc.cluster.local")
		m.PutInt("server.port", 8080)
		m.PutStr("url.scheme", "https")
	}
	var m pmetric.Metric
	for i := range benchPoints {
		k := kind
		if kind == "mixed" {
			k = []string{"gauge", "sum", "histogram"}[i/50%3]
		}
		if i%50 == 0 {
			m = sm.Metrics().AppendEmpty()
			m.SetName(fmt.Sprintf("http.server.request.duration.%d", i/50))
			m.SetUnit("s")
			m.SetDescription("Duration of HTTP server requests.")
		}
		switch k {
		case "gauge":
			if i%50 == 0 {
				m.SetEmptyGauge()
			}
			p := m.Gauge().DataPoints().AppendEmpty()
			p.SetTimestamp(t)
			p.SetDoubleValue(float64(i) * 1.5)
			attrs(p.Attributes(), i)
		case "sum", "delta":
			if i%50 == 0 {
				s := m.SetEmptySum()
				s.SetIsMonotonic(true)
				s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
				if k == "delta" {
					s.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
				}
			}
			p := m.Sum().DataPoints().AppendEmpty()
			p.SetStartTimestamp(t - 1e9)
			p.SetTimestamp(t)
			p.SetIntValue(int64(i))
			attrs(p.Attributes(), i)
		case "histogram":
			if i%50 == 0 {
				m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			}
			p := m.Histogram().DataPoints().AppendEmpty()
			p.SetStartTimestamp(t - 1e9)
			p.SetTimestamp(t)
			p.ExplicitBounds().FromRaw([]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10})
			p.BucketCounts().FromRaw([]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
			p.SetCount(78)
			p.SetSum(123.5)
			attrs(p.Attributes(), i)
		case "exponential":
			if i%50 == 0 {
				m.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			}
			p := m.ExponentialHistogram().DataPoints().AppendEmpty()
			p.SetTimestamp(t)
			p.SetScale(6)
			p.Positive().SetOffset(-100)
			p.Positive().BucketCounts().FromRaw(make([]uint64, 100))
			for j := range 100 {
				p.Positive().BucketCounts().SetAt(j, uint64(j%7))
			}
			n, _ := addCounts(0, p.Positive().BucketCounts())
			p.SetCount(n)
			p.SetSum(3)
			attrs(p.Attributes(), i)
		}
	}
	return md
}

func benchDecodeAndStore(b *testing.B, sink storage.AppendableV2, kind string) {
	h := New(sink, DefaultConfig(), Options{})
	body, err := pmetricotlp.NewExportRequestFromMetrics(benchMetrics(kind, at(0))).MarshalProto()
	require.NoError(b, err)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	b.ResetTimer()
	for range b.N {
		req := pmetricotlp.NewExportRequest()
		if err := decodeProto(req, body); err != nil {
			b.Fatal(err)
		}
		if _, err := h.consume(context.Background(), req.Metrics()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchPoints, "ns/point")
}

func BenchmarkDoor(b *testing.B) {
	for _, kind := range []string{"gauge", "sum", "histogram", "exponential", "mixed"} {
		b.Run(kind, func(b *testing.B) { benchDecodeAndStore(b, discard{}, kind) })
	}
}

// BenchmarkStored has a TSDB behind the door, which sees the same sample again
// and again.
func BenchmarkStored(b *testing.B) {
	for _, kind := range []string{"gauge", "mixed"} {
		b.Run(kind, func(b *testing.B) { benchDecodeAndStore(b, teststorage.New(b), kind) })
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, kind := range []string{"gauge", "mixed"} {
		b.Run(kind, func(b *testing.B) {
			body, err := pmetricotlp.NewExportRequestFromMetrics(benchMetrics(kind, at(0))).MarshalProto()
			require.NoError(b, err)
			b.ReportAllocs()
			for range b.N {
				if err := decodeProto(pmetricotlp.NewExportRequest(), body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchPoints, "ns/point")
		})
	}
}

// BenchmarkDelta adds up 1000 integer deltas a round.
func BenchmarkDelta(b *testing.B) {
	h := New(discard{}, DefaultConfig(), Options{})
	b.ReportAllocs()
	for i := range b.N {
		b.StopTimer()
		md := benchMetrics("delta", at(i))
		b.StartTimer()
		if n, err := h.Consume(context.Background(), md); err != nil || n != 0 {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchPoints, "ns/point")
}
