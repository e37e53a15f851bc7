package self

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"signalbox/internal/fault"
)

// discard takes everything and costs nothing.
type discard struct{}

func (discard) AppenderV2(context.Context) storage.AppenderV2 { return discard{} }
func (discard) Append(storage.SeriesRef, labels.Labels, int64, int64, float64, *histogram.Histogram, *histogram.FloatHistogram, storage.AOptions) (storage.SeriesRef, error) {
	return 1, nil
}
func (discard) Commit() error   { return nil }
func (discard) Rollback() error { return nil }

// TestStaleMarkersProperty: over any coming and going of series and any failing
// rounds, the store ends up with a marker at the end of exactly those series
// that are gone, and never with two in a row or one at a beginning.
func TestStaleMarkersProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reg := prometheus.NewRegistry()
		vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "g"}, []string{"x"})
		reg.MustRegister(vec)
		sink := newMemorySink()
		w, err := New(sink, []Source{{Gatherer: reg}}, DefaultConfig(), Options{})
		require.NoError(t, err)

		names := []string{"a", "b", "c"}
		present := map[string]bool{}
		rounds := rapid.IntRange(1, 12).Draw(t, "rounds")
		for i := range rounds {
			for _, x := range names {
				if present[x] = rapid.Bool().Draw(t, x); present[x] {
					vec.WithLabelValues(x).Set(float64(i))
				} else {
					vec.DeleteLabelValues(x)
				}
			}
			sink.commitErr = nil
			if i < rounds-1 && rapid.IntRange(0, 3).Draw(t, "fails") == 0 {
				sink.commitErr = fault.New(fault.Unavailable, "away")
			}
			w.at(int64(i) * 15)
		}
		for _, x := range names {
			got := sink.get(`{__name__="g", x="` + x + `"}`)
			for i, s := range got {
				require.False(t, s.stale() && (i == 0 || got[i-1].stale()), "%s: marker without a sample before", x)
			}
			if present[x] {
				require.False(t, got[len(got)-1].stale(), x)
			} else if len(got) > 0 {
				require.True(t, got[len(got)-1].stale(), x)
			}
		}
		require.Zero(t, sink.wrongRefs)
	})
}
