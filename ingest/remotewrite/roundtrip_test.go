package remotewrite

import (
	"context"
	"math"
	"net/http"
	"testing"

	"github.com/golang/snappy"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"
)

// Against Prometheus' own store: what was sent is what is read, for both
// versions, for a retry of the whole request, and with loose exemplars.
func TestRoundTripThroughPrometheusStore(t *testing.T) {
	for _, version := range []int{1, 2} {
		opts := tsdb.DefaultOptions()
		opts.EnableExemplarStorage = true
		opts.MaxExemplars = 100
		opts.OutOfOrderTimeWindow = 3_600_000 // else a repeated older sample is refused
		db, err := tsdb.Open(t.TempDir(), nil, nil, opts, nil)
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()

		d := newDoor(DefaultConfig())
		d.h.sink = db
		send := func() (code int, headers string) {
			if version == 1 {
				req := richV1()
				req.Timeseries = req.Timeseries[:1]
				req.Timeseries[0].Samples = []prompb.Sample{{Value: 1, Timestamp: 1000}, {Value: math.Inf(1), Timestamp: 2000}}
				req.Timeseries[0].Histograms, req.Timeseries[0].Exemplars = nil, nil
				req.Timeseries = append(req.Timeseries,
					prompb.TimeSeries{Labels: req.Timeseries[0].Labels, Exemplars: []prompb.Exemplar{exampleV1(5, 2000)}},
					prompb.TimeSeries{Labels: pairs("__name__", "h"), Histograms: []prompb.Histogram{prompb.FromIntHistogram(1500, tsdbutil.GenerateTestHistogram(1))}},
				)
				return d.sendV1(t, req).Code, ""
			}
			req := richV2()
			req.Symbols = []string{"", "__name__", "up", "trace_id", "abc", "h", "job", "a"}
			ts := req.Timeseries[0]
			req.Timeseries = nil
			series, exemplars, hist := ts, ts, ts
			series.LabelsRefs, hist.LabelsRefs = []uint32{1, 2, 6, 7}, []uint32{1, 5}
			exemplars.LabelsRefs = series.LabelsRefs
			series.Samples[0].Value, series.Samples[0].Timestamp, series.Samples[0].StartTimestamp = 1, 1000, 0
			series.Samples[1].Value, series.Samples[1].Timestamp = math.Inf(1), 2000
			series.Histograms, series.Exemplars = nil, nil
			exemplars.Samples, exemplars.Histograms = nil, nil
			exemplars.Exemplars[0] = exampleV2(5, 2000)
			hist.Samples, hist.Exemplars = nil, nil
			hist.Histograms[0].Timestamp = 1500
			req.Timeseries = append(req.Timeseries, series, exemplars, hist)
			w := d.sendV2(t, req)
			return w.Code, written(w)
		}
		for range 3 { // senders repeat whole requests
			code, headers := send()
			require.Equal(t, http.StatusNoContent, code)
			if version == 2 {
				require.Equal(t, "2/1/1", headers)
			}
		}
		q, err := db.Querier(0, 10_000)
		require.NoError(t, err)
		got := map[string][]float64{}
		set := q.Select(context.Background(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
		for set.Next() {
			name := set.At().Labels().String()
			for it := set.At().Iterator(nil); ; {
				switch it.Next() {
				case chunkenc.ValFloat:
					ts, v := it.At()
					got[name] = append(got[name], float64(ts), v)
					continue
				case chunkenc.ValHistogram:
					ts, h := it.AtHistogram(nil)
					got[name] = append(got[name], float64(ts), float64(h.Count))
					continue
				}
				break
			}
		}
		require.NoError(t, set.Err())
		require.NoError(t, q.Close())
		require.Empty(t, cmp.Diff(map[string][]float64{
			`{__name__="up", job="a"}`: {1000, 1, 2000, math.Inf(1)},
			`{__name__="h"}`:           {1500, float64(tsdbutil.GenerateTestHistogram(1).Count)},
		}, got))

		eq, err := db.ExemplarQuerier(context.Background())
		require.NoError(t, err)
		ex, err := eq.Select(0, 10_000, []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", "up")})
		require.NoError(t, err)
		require.Len(t, ex, 1)
		require.Len(t, ex[0].Exemplars, 1)
		require.InDelta(t, 5, ex[0].Exemplars[0].Value, 0)
	}
}

// A sample behind the newest of its series is refused by the store and does not
// cost the rest.
func TestOutOfOrderInPrometheusStore(t *testing.T) {
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	d := newDoor(DefaultConfig())
	d.h.sink = storage.AppendableV2(db)
	req := oneV1()
	req.Timeseries[0].Samples[0].Timestamp = 5000
	require.Equal(t, 204, d.sendV1(t, req).Code)
	req.Timeseries[0].Samples[0].Timestamp = 4000
	req.Timeseries = append(req.Timeseries, prompb.TimeSeries{Labels: pairs("__name__", "b"), Samples: []prompb.Sample{{Timestamp: 5000}}})
	w := d.post(snappy.Encode(nil, marshal(t, req)), nil)
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), `refused 1, stored 1 samples`)
	require.Contains(t, w.Body.String(), `series {__name__="up", job="a"}: out of order sample`)
}
