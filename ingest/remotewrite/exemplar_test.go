package remotewrite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

func exText(v float64, ts int64, kv ...string) string {
	return exemplarText(exemplar.Exemplar{Labels: labels.FromStrings(kv...), Value: v, Ts: ts, HasTs: ts != 0})
}

func exampleV1(v float64, ts int64) prompb.Exemplar {
	return prompb.Exemplar{Labels: pairs("trace_id", "abc"), Value: v, Timestamp: ts}
}

// symbolsEx are the symbols of the requests in this file.
var symbolsEx = []string{"", "__name__", "up", "trace_id", "abc", "other"}

func exampleV2(v float64, ts int64) writev2.Exemplar {
	return writev2.Exemplar{LabelsRefs: []uint32{3, 4}, Value: v, Timestamp: ts}
}

func upRow(t int64, v float64, ex ...string) row {
	return row{Tenant: tenant.Default, Series: `{__name__="up"}`, T: t, Bits: math.Float64bits(v), Exemplars: ex}
}

func TestExemplarsRideOnTheLastSample(t *testing.T) {
	want := []row{upRow(1, 7), upRow(2, 8, exText(1, 1, "trace_id", "abc"), exText(3, 2, "trace_id", "abc"))}
	d := newDoor(DefaultConfig())
	for range 2 {
		require.Equal(t, 204, d.sendV1(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
			Labels:    pairs("__name__", "up"),
			Samples:   []prompb.Sample{{Value: 7, Timestamp: 1}, {Value: 8, Timestamp: 2}},
			Exemplars: []prompb.Exemplar{exampleV1(3, 2), exampleV1(1, 1)}, // sorted on arrival
		}}}).Code)
		require.Empty(t, cmp.Diff(want, d.take()))
		w := d.sendV2(t, &writev2.Request{Symbols: symbolsEx, Timeseries: []writev2.TimeSeries{{
			LabelsRefs: []uint32{1, 2},
			Samples:    []writev2.Sample{{Value: 7, Timestamp: 1}, {Value: 8, Timestamp: 2}},
			Exemplars:  []writev2.Exemplar{exampleV2(3, 2), exampleV2(1, 1)},
		}}})
		require.Equal(t, 204, w.Code)
		require.Equal(t, "2/0/2", written(w))
		require.Empty(t, cmp.Diff(want, d.take()))
	}
	h := tsdbutil.GenerateTestHistogram(1)
	require.Equal(t, 204, d.sendV1(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
		Labels: pairs("__name__", "up"), Samples: []prompb.Sample{{Value: 7, Timestamp: 1}},
		Histograms: []prompb.Histogram{prompb.FromIntHistogram(5, h)}, Exemplars: []prompb.Exemplar{exampleV1(1, 0)},
	}}}).Code)
	rows := d.take()
	require.Empty(t, rows[0].Exemplars)
	require.Equal(t, []string{exText(1, 0, "trace_id", "abc")}, rows[1].Exemplars)
}

func TestBadExemplars(t *testing.T) {
	f := func(bad writev2.Exemplar, problem, reason string) {
		t.Helper()
		d := newDoor(DefaultConfig())
		w := d.sendV2(t, &writev2.Request{Symbols: append(symbolsEx, "\xff"), Timeseries: []writev2.TimeSeries{{
			LabelsRefs: []uint32{1, 2}, Samples: []writev2.Sample{{Value: 7, Timestamp: 1}},
			Exemplars: []writev2.Exemplar{bad, exampleV2(1, 1)},
		}}})
		require.Equal(t, 400, w.Code)
		require.Equal(t, "1/0/1", written(w))
		require.Contains(t, w.Body.String(), `series {__name__="up"}: `+problem)
		require.Len(t, d.take()[0].Exemplars, 1)
		require.Equal(t, map[string]float64{reason: 1}, d.h.refusedReasons(t))
	}
	f(writev2.Exemplar{LabelsRefs: []uint32{3}}, "labels_refs has 1 entries", "bad_label_refs")
	f(writev2.Exemplar{LabelsRefs: []uint32{3, 99}}, "label reference 99", "bad_label_refs")
	f(writev2.Exemplar{LabelsRefs: []uint32{3, 6}}, "the value of label", "invalid_label_value")

	d := newDoor(DefaultConfig())
	require.Equal(t, 204, d.sendV1(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
		Labels: pairs("__name__", "up"), Samples: []prompb.Sample{{Value: 7, Timestamp: 1}},
		Exemplars: []prompb.Exemplar{{Labels: pairs("a", "1", "a", "2")}, exampleV1(1, 1)},
	}}}).Code, "version 1 has no way to say so")
	require.Len(t, d.take()[0].Exemplars, 1)
}

func TestExemplarsThatTheStoreRefuses(t *testing.T) {
	request := &writev2.Request{Symbols: symbolsEx, Timeseries: []writev2.TimeSeries{{
		LabelsRefs: []uint32{1, 2}, Samples: []writev2.Sample{{Value: 7, Timestamp: 1}},
		Exemplars: []writev2.Exemplar{exampleV2(1, 1), exampleV2(1, 2)},
	}}}
	f := func(err error, status int, headers, reason string) {
		t.Helper()
		d := newDoor(DefaultConfig())
		d.verdict = func(row) error { return err }
		w := d.sendV2(t, request)
		require.Equal(t, status, w.Code, w.Body)
		require.Equal(t, headers, written(w))
		require.Equal(t, 1.0, d.h.refusedReasons(t)[reason])
	}
	partial := func(err error) error {
		return &storage.AppendPartialError{ExemplarErrors: []error{err}}
	}
	f(partial(storage.ErrOutOfOrderExemplar), 400, "1/0/1", "exemplar_out_of_order")
	f(partial(storage.ErrExemplarLabelLength), 204, "1/0/1", "exemplar_labels_too_long")
	f(partial(storage.ErrExemplarsDisabled), 204, "1/0/1", "exemplars_disabled")
	f(partial(errors.New("unheard of")), 204, "1/0/1", "exemplar_failed")
	f(storage.ErrOutOfOrderSample, 400, "0/0/0", "out_of_order")
}

// Prometheus sends exemplars as series of their own, behind the samples.
func TestLooseExemplars(t *testing.T) {
	req := &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{
		{Labels: pairs("__name__", "up"), Samples: []prompb.Sample{{Value: 7, Timestamp: 1}}},
		{Labels: pairs("__name__", "up"), Samples: []prompb.Sample{{Value: 8, Timestamp: 2}}},
		{Labels: pairs("__name__", "up"), Exemplars: []prompb.Exemplar{exampleV1(1, 1)}},
		{Labels: pairs("__name__", "other"), Exemplars: []prompb.Exemplar{exampleV1(1, 1)}},
		{Labels: pairs("__name__", "up"), Exemplars: []prompb.Exemplar{exampleV1(2, 2)}},
	}}
	req2 := &writev2.Request{Symbols: symbolsEx, Timeseries: []writev2.TimeSeries{
		{LabelsRefs: []uint32{1, 2}, Samples: []writev2.Sample{{Value: 7, Timestamp: 1}}},
		{LabelsRefs: []uint32{1, 2}, Samples: []writev2.Sample{{Value: 8, Timestamp: 2}}},
		{LabelsRefs: []uint32{1, 2}, Exemplars: []writev2.Exemplar{exampleV2(1, 1)}},
		{LabelsRefs: []uint32{1, 5}, Exemplars: []writev2.Exemplar{exampleV2(1, 1)}},
		{LabelsRefs: []uint32{1, 2}, Exemplars: []writev2.Exemplar{exampleV2(2, 2)}},
	}}
	ex1, ex2 := exText(1, 1, "trace_id", "abc"), exText(2, 2, "trace_id", "abc")

	t.Run("on a repeated sample", func(t *testing.T) {
		want := []row{upRow(1, 7), upRow(2, 8), upRow(2, 8, ex1, ex2)}
		d := newDoor(DefaultConfig())
		for range 2 {
			require.Equal(t, 204, d.sendV1(t, req).Code)
			require.Empty(t, cmp.Diff(want, d.take()))
			w := d.sendV2(t, req2)
			require.Equal(t, 400, w.Code)
			require.Equal(t, "2/0/2", written(w), "the repetition is not counted")
			require.Contains(t, w.Body.String(), `series {__name__="other"}: exemplars came without a sample`)
			require.Empty(t, cmp.Diff(want, d.take()))
		}
		require.Equal(t, map[string]float64{withoutSample: 4}, d.h.refusedReasons(t))
	})
	t.Run("on a repeated histogram", func(t *testing.T) {
		h := tsdbutil.GenerateTestHistogram(1)
		d := newDoor(DefaultConfig())
		require.Equal(t, 204, d.sendV1(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{
			{Labels: pairs("__name__", "up"), Exemplars: []prompb.Exemplar{exampleV1(1, 1)}},
			{Labels: pairs("__name__", "up"), Histograms: []prompb.Histogram{prompb.FromIntHistogram(1, h)}},
		}}).Code)
		want := intRow(0, 1, h)
		again := want
		again.Exemplars = []string{ex1}
		require.Empty(t, cmp.Diff([]row{want, again}, d.take()))
	})
	t.Run("of a refused sample", func(t *testing.T) {
		d := newDoor(DefaultConfig())
		d.verdict = func(row) error { return storage.ErrTooOldSample }
		w := d.sendV2(t, req2)
		require.Equal(t, 400, w.Code)
		require.Equal(t, "0/0/0", written(w))
		require.Equal(t, map[string]float64{withoutSample: 3, "too_old": 2}, d.h.refusedReasons(t))
	})
	t.Run("of a failing store", func(t *testing.T) {
		d := newDoor(DefaultConfig())
		n := 0
		d.verdict = func(row) error {
			if n++; n == 3 {
				return fault.New(fault.Unavailable, "full")
			}
			return nil
		}
		require.Equal(t, 503, d.sendV2(t, req2).Code)
		require.Empty(t, d.take())
	})
	t.Run("taken by the appender", func(t *testing.T) {
		want := []row{
			upRow(1, 7), upRow(2, 8), upRow(0, 0, ex1), {Tenant: tenant.Default, Series: `{__name__="other"}`, Exemplars: []string{ex1}}, upRow(0, 0, ex2),
		}
		d := newDoor(DefaultConfig())
		d.loose = true
		for range 2 {
			require.Equal(t, 204, d.sendV1(t, req).Code)
			require.Empty(t, cmp.Diff(want, d.take()))
			w := d.sendV2(t, req2)
			require.Equal(t, 204, w.Code, w.Body)
			require.Equal(t, "2/0/3", written(w))
			require.Empty(t, cmp.Diff(want, d.take()))
			d.forgetAll()
		}
	})
}

// An exemplar of labels that take two bytes each must not grow our buffers.
func TestExemplarLabelsAreBounded(t *testing.T) {
	const n = 2_000_000
	exemplar := bytes.Repeat([]byte{0x0a, 0x00}, n)
	series := append(marshal(t, &prompb.TimeSeries{Labels: pairs("__name__", "up"), Samples: []prompb.Sample{{Value: 1, Timestamp: 1}}}), 3<<3|typBytes)
	series = append(binary.AppendUvarint(series, uint64(len(exemplar))), exemplar...)
	msg := append(binary.AppendUvarint([]byte{1<<3 | typBytes}, uint64(len(series))), series...)

	d := newDoor(DefaultConfig())
	q := new(request)
	q.reset(d.h, 1, tenant.Default)
	require.NoError(t, q.write(t.Context(), msg, d))
	require.Equal(t, map[string]int{"too_many_labels": 1}, q.refused)
	require.Less(t, cap(q.exLabels.pairs), 4*maxLabels)
	require.Len(t, d.take(), 1, "the sample is stored")
}

func TestPooledBuffersAreBounded(t *testing.T) {
	q := new(request)
	q.labels.pairs = make([]labels.Label, maxKept+1)
	q.carried, q.loose = make([]exemplar.Exemplar, maxKept+1), make([]looseExemplars, 1)
	q.pending, q.symbols.spans = make([]cached, maxKept+1), make([]span, maxKept+1)
	q.meta.names = make([]saidMeta, 1)
	q.forget()
	require.Empty(t, cap(q.labels.pairs)+cap(q.carried)+cap(q.loose)+cap(q.pending)+cap(q.symbols.spans)+cap(q.meta.names))
}
