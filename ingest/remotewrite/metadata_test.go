package remotewrite

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"

	"signalbox/internal/fault"
)

func metaV1(typ prompb.MetricMetadata_MetricType, family, help, unit string) prompb.MetricMetadata {
	return prompb.MetricMetadata{Type: typ, MetricFamilyName: family, Help: help, Unit: unit}
}

func TestMetadataV1(t *testing.T) {
	d := newDoor(DefaultConfig())
	req := &prompb.WriteRequest{Metadata: []prompb.MetricMetadata{
		metaV1(prompb.MetricMetadata_COUNTER, "a_total", "Help of a.", ""),
		metaV1(prompb.MetricMetadata_STATESET, "b", "", "seconds"),
		metaV1(99, "c", "", ""),
		metaV1(0, "", "no name", ""),
		metaV1(0, "d", "\xff", ""),
	}}
	want := map[string]metadata.Metadata{
		"default/a_total": {Type: model.MetricTypeCounter, Help: "Help of a."},
		"default/b":       {Type: model.MetricTypeStateset, Unit: "seconds"},
		"default/c":       {Type: model.MetricTypeUnknown},
	}
	for range 3 {
		require.Equal(t, 204, d.sendV1(t, req).Code)
		require.Equal(t, want, d.meta)
		require.Equal(t, 3, d.metaN, "what is known is not said again")
		require.Equal(t, 1, d.calls, "a request is one call")
	}
	require.Equal(t, map[string]float64{"bad_metadata": 6}, d.h.refusedReasons(t))

	// A change, and a change back, are handed on.
	for i, help := range []string{"Other.", "Help of a."} {
		req.Metadata[0].Help = help
		require.Equal(t, 204, d.sendV1(t, req).Code)
		require.Equal(t, help, d.meta["default/a_total"].Help)
		require.Equal(t, 4+i, d.metaN)
	}
}

func TestMetadataSinkFailures(t *testing.T) {
	d := newDoor(DefaultConfig())
	req := oneV1()
	req.Metadata = []prompb.MetricMetadata{metaV1(1, "up", "Help.", "")}
	req2 := oneV2()
	req2.Timeseries[0].Metadata.Type = writev2.Metadata_METRIC_TYPE_GAUGE

	d.metaErr = fault.New(fault.Unavailable, "full")
	require.Equal(t, 503, d.sendV1(t, req).Code)
	require.Empty(t, d.take())
	w := d.sendV2(t, req2)
	require.Equal(t, 204, w.Code, "samples do not suffer from metadata")
	require.Equal(t, "1/0/0", written(w))

	d.metaErr = fault.Refuse("too_many_metrics", "enough")
	require.Equal(t, 204, d.sendV1(t, req).Code)
	require.Equal(t, map[string]float64{"too_many_metrics": 1, "metadata_failed": 1}, d.h.refusedReasons(t))

	d.metaErr = nil
	require.Equal(t, 204, d.sendV1(t, req).Code)
	require.Equal(t, 1, d.metaN, "a failure is not remembered as done")
}

func TestMetadataV2(t *testing.T) {
	d := newDoor(DefaultConfig())
	table := writev2.NewSymbolTable()
	var req writev2.Request
	add := func(typ writev2.Metadata_MetricType, name, help, unit string) {
		req.Timeseries = append(req.Timeseries, writev2.TimeSeries{
			LabelsRefs: []uint32{table.Symbolize("A"), table.Symbolize("x"), table.Symbolize("__name__"), table.Symbolize(name)},
			Samples:    []writev2.Sample{{Timestamp: 1}},
			Metadata:   writev2.Metadata{Type: typ, HelpRef: table.Symbolize(help), UnitRef: table.Symbolize(unit)},
		})
	}
	add(writev2.Metadata_METRIC_TYPE_HISTOGRAM, "h_bucket", "Help.", "seconds")
	add(writev2.Metadata_METRIC_TYPE_HISTOGRAM, "h_bucket", "Help.", "seconds")
	add(writev2.Metadata_METRIC_TYPE_HISTOGRAM, "h_sum", "Help.", "seconds")
	add(writev2.Metadata_METRIC_TYPE_GAUGEHISTOGRAM, "g_gcount", "", "")
	add(writev2.Metadata_METRIC_TYPE_SUMMARY, "s_count", "", "")
	add(writev2.Metadata_METRIC_TYPE_COUNTER, "c_count", "", "")
	add(writev2.Metadata_METRIC_TYPE_HISTOGRAM, "_sum", "", "")
	add(writev2.Metadata_METRIC_TYPE_UNSPECIFIED, "nothing", "", "")
	req.Symbols = table.Symbols()
	for range 3 {
		w := d.sendV2(t, &req)
		require.Equal(t, 204, w.Code)
		require.Equal(t, "8/0/0", written(w))
		require.Equal(t, map[string]metadata.Metadata{
			"default/h":       {Type: model.MetricTypeHistogram, Help: "Help.", Unit: "seconds"},
			"default/g":       {Type: model.MetricTypeGaugeHistogram},
			"default/s":       {Type: model.MetricTypeSummary},
			"default/c_count": {Type: model.MetricTypeCounter},
			"default/_sum":    {Type: model.MetricTypeHistogram},
		}, d.meta)
		require.Equal(t, 5, d.metaN, "each family once")
		require.Equal(t, 1, d.calls)
	}
}

func TestMetadataThatContradictsItself(t *testing.T) {
	d := newDoor(DefaultConfig())
	var req prompb.WriteRequest
	for i := range 20 {
		req.Metadata = append(req.Metadata, metaV1(1, "a", fmt.Sprint(i), ""), metaV1(1, "a", fmt.Sprint(i), ""))
	}
	require.Equal(t, 204, d.sendV1(t, &req).Code)
	require.Equal(t, maxPerFamily, d.metaN)
	require.Equal(t, "19", d.meta["default/a"].Help, "the newest is last")

	req.Metadata = []prompb.MetricMetadata{metaV1(1, strings.Repeat("a", maxFamilyBytes+1), "", ""), metaV1(1, "b", "", "")}
	require.Equal(t, 204, d.sendV1(t, &req).Code)
	require.Equal(t, map[string]float64{"bad_metadata": 1}, d.h.refusedReasons(t))
	require.Contains(t, d.meta, "default/b")
}

// Metadata is handed on before the samples are committed, so a request that
// fails later may have recorded it; one that fails earlier has not.
func TestMetadataOfFailedRequest(t *testing.T) {
	d := newDoor(DefaultConfig())
	req := oneV1()
	req.Metadata = []prompb.MetricMetadata{metaV1(1, "up", "Help.", "")}
	d.verdict = func(row) error { return fault.New(fault.Unavailable, "full") }
	require.Equal(t, 503, d.sendV1(t, req).Code)
	require.Zero(t, d.calls)
	d.verdict = nil
	require.Equal(t, 204, d.sendV1(t, req).Code)
	require.Equal(t, 1, d.metaN)
}

func TestMetadataWithoutSinkOrCache(t *testing.T) {
	h := New(newRecorder(), nil, DefaultConfig(), Options{})
	d := &door{recorder: newRecorder(), h: h, mux: newDoor(DefaultConfig()).mux}
	require.Equal(t, 204, d.sendV1(t, richV1()).Code)

	cfg := DefaultConfig()
	cfg.MaxCachedSeries = 0
	d = newDoor(cfg)
	for i := range 3 {
		require.Equal(t, 204, d.sendV2(t, richV2()).Code)
		require.Equal(t, i+1, d.metaN)
		require.Equal(t, 2*(i+1), d.parsed)
	}
}

// With more names than slots in some window, calls repeat and nothing is wrong.
func TestMetaCacheIsCorrectWhenFull(t *testing.T) {
	seeds := newSeeds()
	c := new(metaCache)
	name := func(i int) key { return seeds.bytes(fmt.Appendf(nil, "metric_%d", i)) }
	sum := func(i, version int) key { return seeds.metadata(name(i), key{}, key{}, uint64(version)) }
	const n = 3 * metaSlots
	for version := range 3 {
		for i := range n {
			require.False(t, c.seen(name(i), sum(i, version)), "never set")
			c.set(name(i), sum(i, version))
			require.True(t, c.seen(name(i), sum(i, version)))
			if version > 0 {
				require.False(t, c.seen(name(i), sum(i, version-1)), "replaced")
			}
		}
	}
	kept := 0
	for i := range n {
		if c.seen(name(i), sum(i, 2)) {
			kept++
		}
	}
	require.Greater(t, kept, metaSlots*8/10)
}
