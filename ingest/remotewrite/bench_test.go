package remotewrite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"signalbox/internal/tenant"
)

const benchSeries = 2000

// nodeSeries resembles one scrape of node_exporter behind a Kubernetes
// discovery: ten labels, most of them the same throughout.
func nodeSeries(i int) labels.Labels {
	modes := []string{"idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"}
	return labels.FromStrings(
		"__name__", fmt.Sprintf("node_metric_%03d_seconds_total", i/16),
		"cluster", "prod-eu-west-1", "container", "node-exporter", "cpu", fmt.Sprint(i%16),
		"endpoint", "metrics", "instance", "10.0.17.23:9100", "job", "node-exporter",
		"mode", modes[i%8], "namespace", "monitoring", "pod", "node-exporter-x7k2p",
	)
}

func benchV1(t int64, rnd *rand.Rand, order []int) []byte {
	var req prompb.WriteRequest
	for _, i := range order {
		v := float64(rnd.IntN(1 << 20))
		if i%4 == 0 {
			v = 0
		}
		req.Timeseries = append(req.Timeseries, prompb.TimeSeries{
			Labels:  prompb.FromLabels(nodeSeries(i), nil),
			Samples: []prompb.Sample{{Value: v, Timestamp: t}},
		})
	}
	b, err := req.Marshal()
	if err != nil {
		panic(err)
	}
	return b
}

func benchV2(t int64, rnd *rand.Rand, order []int) []byte {
	table := writev2.NewSymbolTable()
	var req writev2.Request
	for _, i := range order {
		req.Timeseries = append(req.Timeseries, writev2.TimeSeries{
			LabelsRefs: table.SymbolizeLabels(nodeSeries(i), nil),
			Samples:    []writev2.Sample{{Value: float64(rnd.IntN(1 << 20)), Timestamp: t, StartTimestamp: t - 60_000}},
			Metadata:   writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER, HelpRef: table.Symbolize(fmt.Sprintf("Help of metric %d.", i/16))},
		})
	}
	req.Symbols = table.Symbols()
	b, err := req.Marshal()
	if err != nil {
		panic(err)
	}
	return b
}

// BenchmarkWrite is the hot path without the HTTP layer and the sink: decode,
// find the series, append to a sink that does nothing. ns/sample is the figure.
func BenchmarkWrite(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	inOrder := make([]int, benchSeries)
	for i := range inOrder {
		inOrder[i] = i
	}
	per := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchSeries, "ns/sample")
	}

	run := func(version int, body []byte, shuffled bool) func(b *testing.B) {
		return func(b *testing.B) {
			h := New(&nopSink{}, newRecorder(), DefaultConfig(), Options{})
			q := new(request)
			one := func(body []byte) {
				q.reset(h, version, tenant.Default)
				if err := q.write(context.Background(), body, h.sink); err != nil {
					b.Fatal(err)
				}
				if q.samples != benchSeries || q.nProblems > 0 {
					b.Fatal(q.answer())
				}
				q.forget()
			}
			if shuffled { // the cache has seen another order
				one(benchV1(1, rnd, rnd.Perm(benchSeries)))
			}
			one(body)
			b.ReportAllocs()
			for b.Loop() {
				one(body)
			}
			per(b)
		}
	}
	v1 := benchV1(1_700_000_000_000, rnd, inOrder)
	v2 := benchV2(1_700_000_000_000, rnd, inOrder)
	b.Run("v1", run(1, v1, false))
	b.Run("v1/shuffled", run(1, v1, true))
	b.Run("v2", run(2, v2, false))

	b.Run("v1/gogo", func(b *testing.B) {
		sink := &nopSink{}
		b.ReportAllocs()
		for b.Loop() {
			gogoV1(b, sink, v1)
		}
		per(b)
	})
	b.Run("v2/gogo", func(b *testing.B) {
		sink := &nopSink{}
		b.ReportAllocs()
		for b.Loop() {
			gogoV2(b, sink, v2)
		}
		per(b)
	})
	b.Run("v1/unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var req prompb.WriteRequest
			require.NoError(b, req.Unmarshal(v1))
		}
		per(b)
	})
}

// gogoV1 is what Prometheus' own receiver does with a request.
func gogoV1(b *testing.B, sink storage.AppendableV2, body []byte) {
	var req prompb.WriteRequest
	require.NoError(b, req.Unmarshal(body))
	app := sink.AppenderV2(context.Background())
	builder := labels.NewScratchBuilder(0)
	for _, ts := range req.Timeseries {
		ls := ts.ToLabels(&builder, nil)
		for _, s := range ts.Samples {
			_, err := app.Append(0, ls, 0, s.Timestamp, s.Value, nil, nil, storage.AppendV2Options{})
			require.NoError(b, err)
		}
	}
	require.NoError(b, app.Commit())
}

func gogoV2(b *testing.B, sink storage.AppendableV2, body []byte) {
	var req writev2.Request
	require.NoError(b, req.Unmarshal(body))
	app := sink.AppenderV2(context.Background())
	builder := labels.NewScratchBuilder(0)
	for _, ts := range req.Timeseries {
		ls, err := ts.ToLabels(&builder, req.Symbols)
		require.NoError(b, err)
		for _, s := range ts.Samples {
			_, err := app.Append(0, ls, s.StartTimestamp, s.Timestamp, s.Value, nil, nil, storage.AppendV2Options{})
			require.NoError(b, err)
		}
	}
	require.NoError(b, app.Commit())
}

// BenchmarkServeHTTP adds what the door does around that: headers, snappy, answer.
func BenchmarkServeHTTP(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	order := make([]int, benchSeries)
	for i := range order {
		order[i] = i
	}
	wire := snappy.Encode(nil, benchV1(1_700_000_000_000, rnd, order))
	h := New(&nopSink{}, nil, DefaultConfig(), Options{})
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/api/v1/write", newBody(wire))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 204 {
			b.Fatal(w.Code, w.Body)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchSeries, "ns/sample")
}
