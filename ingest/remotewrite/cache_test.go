package remotewrite

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"signalbox/internal/tenant"
)

func anyReserve(int) bool { return true }

func TestTableIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tab table
		want := map[key]storage.SeriesRef{}
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		// Few distinct first words make long probes, as an attacker would like.
		spread := rapid.SampledFrom([]uint64{1 << 40, 50}).Draw(t, "spread")
		size := rapid.SampledFrom([]int{10, chunkSize, 3 * chunkSize}).Draw(t, "size")
		if spread == 50 {
			size = min(size, chunkSize)
		}
		for range rapid.IntRange(1, 5).Draw(t, "rounds") {
			var list []cached
			for range size {
				c := cached{key{rnd.Uint64N(spread), rnd.Uint64N(40)}, storage.SeriesRef(rnd.Uint64())}
				list = append(list, c)
				want[c.key] = c.ref
			}
			tab.put(list, anyReserve)
			v := tab.view()
			for k, ref := range want {
				got, ok := v.find(k)
				if !ok || got != ref {
					t.Fatalf("key %v: got %d, %v, want %d", k, got, ok, ref)
				}
			}
			if int(v.n) != len(want) {
				t.Fatalf("%d entries for %d keys", v.n, len(want))
			}
			if _, ok := v.find(key{rnd.Uint64N(spread), 1 << 50}); ok {
				t.Fatal("found what was never put")
			}
		}
	})
}

func TestOrderIsPredicted(t *testing.T) {
	d := newDoor(DefaultConfig())
	var req prompb.WriteRequest
	for i := range 3000 {
		req.Timeseries = append(req.Timeseries, prompb.TimeSeries{
			Labels: pairs("__name__", "m", "i", fmt.Sprint(i)), Samples: []prompb.Sample{{Value: float64(i), Timestamp: 1}},
		})
	}
	m := d.h.metrics
	send := func() []row {
		t.Helper()
		require.Equal(t, 204, d.sendV1(t, &req).Code)
		return d.take()
	}
	send()
	require.InDelta(t, 3000, counter(t, m.parsed), 0)
	first := send()
	require.InDelta(t, 3000, counter(t, m.predicted), 0)

	// Another order is slower and gives the same.
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(req.Timeseries), func(i, j int) {
		req.Timeseries[i], req.Timeseries[j] = req.Timeseries[j], req.Timeseries[i]
	})
	shuffled := send()
	require.ElementsMatch(t, first, shuffled)
	require.InDelta(t, 3000, counter(t, m.parsed), 0)
	require.Greater(t, counter(t, m.found), 2900.0)
	require.Equal(t, 3000, d.parsed)
}

func TestCacheIsBounded(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxCachedSeries = 8 * chunkSize
	d := newDoor(cfg)
	keep := prompb.TimeSeries{Labels: pairs("__name__", "kept"), Samples: []prompb.Sample{{Timestamp: 1}}}
	n := 0
	for round := range 40 {
		req := prompb.WriteRequest{Timeseries: []prompb.TimeSeries{keep}}
		for range chunkSize {
			n++
			req.Timeseries = append(req.Timeseries, prompb.TimeSeries{
				Labels: pairs("__name__", "churn", "i", fmt.Sprint(n)), Samples: []prompb.Sample{{Timestamp: 1}},
			})
		}
		w := d.post(snappyOf(t, &req), map[string]string{tenant.Header: fmt.Sprintf("t%d", round%2)})
		require.Equal(t, 204, w.Code)
		require.Len(t, d.take(), chunkSize+1)
		require.LessOrEqual(t, d.h.cache.entries(), int64(cfg.MaxCachedSeries+chunkSize))
	}
	require.Greater(t, d.h.cache.rotations.Load(), uint64(5))
	require.Equal(t, n+2, d.parsed, "what is used survives the rotations")
}

func TestMemoryOfAnEntry(t *testing.T) {
	require.EqualValues(t, 24, unsafe.Sizeof(entry{}))
	var tab table
	var list []cached
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		list = append(list, cached{key{rnd.Uint64(), rnd.Uint64()}, 1})
	}
	tab.put(list, anyReserve)
	v := tab.view()
	perSeries := float64(len(v.chunks)*chunkSize*24+len(v.index)*4) / float64(v.n)
	require.Less(t, perSeries, 36.0)
}

func TestLabelsAreCopies(t *testing.T) {
	d := newDoor(DefaultConfig())
	q := new(request)
	msg := marshal(t, richV1())
	q.reset(d.h, 1, tenant.Default)
	require.NoError(t, q.write(t.Context(), msg, d))
	q.forget()
	for i := range msg {
		msg[i] = 'X'
	}
	for _, ls := range d.names {
		require.NotContains(t, ls.String(), "X")
	}
	for _, r := range d.take() {
		for _, e := range r.Exemplars {
			require.NotContains(t, e, "XX")
		}
	}
	for name, m := range d.meta {
		require.NotContains(t, name+m.Help+m.Unit, "X")
	}
}

// Requests of several senders at once: every sample arrives under its own
// series, whatever the cache did meanwhile.
func TestConcurrentRequests(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxCachedSeries = 4 * chunkSize // rotates
	d := newDoor(cfg)
	var wg sync.WaitGroup
	const senders, rounds, perRequest = 4, 12, 300
	for s := range senders {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(s), 0))
			for range rounds {
				var req prompb.WriteRequest
				for range perRequest {
					i := rnd.IntN(6000)
					req.Timeseries = append(req.Timeseries, prompb.TimeSeries{
						Labels: pairs("__name__", "m", "i", fmt.Sprint(i)), Samples: []prompb.Sample{{Value: float64(i), Timestamp: int64(i)}},
					})
				}
				if w := d.post(snappyOf(t, &req), map[string]string{tenant.Header: fmt.Sprintf("t%d", s%2)}); w.Code != 204 {
					t.Error(w.Code, w.Body)
				}
				if rnd.IntN(4) == 0 {
					d.forgetAll()
				}
			}
		})
	}
	wg.Wait()
	rows := d.take()
	require.Len(t, rows, senders*rounds*perRequest)
	for _, r := range rows {
		require.Equal(t, fmt.Sprintf(`{__name__="m", i="%d"}`, r.T), r.Series)
	}
}

func TestTooManySymbols(t *testing.T) {
	msg := bytes.Repeat([]byte{0x22, 0x00}, maxSymbols+1)
	d := newDoor(DefaultConfig())
	w := d.send(msg, typeV2)
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), "symbols")
	require.Zero(t, d.begun)
}
