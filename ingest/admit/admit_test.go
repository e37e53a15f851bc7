package admit

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

func newDoor(t *testing.T, l Limits) (storage.AppendableV2, *Admitter, *teststorage.TestStorage) {
	t.Helper()
	st := teststorage.New(t)
	t.Cleanup(func() { _ = st.Close() })
	a := New(st, func(tenant.ID) Limits { return l }, prometheus.NewRegistry())
	return a.Door("test"), a, st
}

func refusedBy(a *Admitter, reason string) float64 {
	return testutil.ToFloat64(a.metrics.refused.WithLabelValues("test", reason))
}

func TestEachBadSampleIsRefusedAloneAndCounted(t *testing.T) {
	l := Limits{MaxLabels: 3, MaxLabelNameBytes: 10, MaxLabelValueBytes: 10, MaxSampleAge: time.Hour, MaxSampleAhead: 10 * time.Minute}
	door, a, _ := newDoor(t, l)
	now := time.Now().UnixMilli()
	good := labels.FromStrings("__name__", "good")
	f := func(reason string, ls labels.Labels, ts int64, says string) {
		t.Helper()
		app := door.AppenderV2(context.Background())
		_, err := app.Append(0, ls, 0, ts, 1, nil, nil, storage.AOptions{})
		require.Equal(t, reason, fault.ReasonOf(err))
		require.Equal(t, fault.Invalid, fault.ClassOf(err))
		require.ErrorContains(t, err, says)
		now++
		_, err = app.Append(0, good, 0, now, 1, nil, nil, storage.AOptions{})
		require.NoError(t, err, "the good one beside it")
		require.NoError(t, app.Commit())
		require.EqualValues(t, 1, refusedBy(a, reason), reason)
	}
	f("no_metric_name", labels.FromStrings("a", "b"), now, `{a="b"}`)
	f("too_many_labels", labels.FromStrings("__name__", "m", "a", "1", "b", "2", "c", "3"), now, "limits.max_labels")
	f("label_name_too_long", labels.FromStrings("__name__", "m", strings.Repeat("n", 11), "1"), now, "limits.max_label_name_bytes")
	f("label_value_too_long", labels.FromStrings("__name__", "m", "a", strings.Repeat("v", 1<<20)), now, "limits.max_label_value_bytes")
	f("invalid_utf8", labels.FromStrings("__name__", "m", "a", "\xff"), now, "UTF-8")
	f("too_old", labels.FromStrings("__name__", "m"), 0, "1970-01-01")
	f("too_far_ahead", labels.FromStrings("__name__", "m"), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), "2100-01-01")
	require.EqualValues(t, 14, testutil.ToFloat64(a.metrics.received.WithLabelValues("test")))
	require.EqualValues(t, 7, testutil.ToFloat64(a.metrics.accepted.WithLabelValues("test")))
}

func TestOrdinaryValuesPass(t *testing.T) {
	door, _, st := newDoor(t, DefaultLimits())
	app := door.AppenderV2(context.Background())
	now := time.Now().UnixMilli()
	for i, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0} {
		_, err := app.Append(0, labels.FromStrings("__name__", "http.server.duration", "ü", "ö"), 0, now+int64(i), v, nil, nil, storage.AOptions{})
		require.NoError(t, err)
	}
	require.NoError(t, app.Commit())
	require.EqualValues(t, 1, st.Head().NumSeries())
}

func TestRateIsPerTenantAndAsksForPatience(t *testing.T) {
	l := DefaultLimits()
	l.SamplesPerSecond, l.SamplesBurst = 0.001, 100
	door, a, _ := newDoor(t, l)
	send := func(id tenant.ID, n int, at int64) error {
		app := door.AppenderV2(tenant.NewContext(context.Background(), id))
		for i := range n {
			if _, err := app.Append(0, labels.FromStrings("__name__", "m", "t", string(id)), 0, at+int64(i), 1, nil, nil, storage.AOptions{}); err != nil {
				require.NoError(t, app.Rollback())
				return err
			}
		}
		return app.Commit()
	}
	now := time.Now().UnixMilli()
	require.NoError(t, send("a", 100, now))
	err := send("a", 1, now+1000)
	require.Equal(t, fault.Limited, fault.ClassOf(err))
	require.ErrorContains(t, err, "limits.samples_per_second")
	require.Positive(t, fault.RetryAfter(err))
	require.EqualValues(t, 1, refusedBy(a, "rate"))
	require.NoError(t, send("b", 100, now), "another tenant has a bucket of its own")
}

func TestFailedCommitCountsNothingAsAccepted(t *testing.T) {
	st := teststorage.New(t)
	require.NoError(t, st.Head().Close(), "a store whose log is closed refuses to commit")
	a := New(st, func(tenant.ID) Limits { return DefaultLimits() }, nil)
	app := a.Door("test").AppenderV2(context.Background())
	_, err := app.Append(0, labels.FromStrings("__name__", "m"), 0, time.Now().UnixMilli(), 1, nil, nil, storage.AOptions{})
	require.NoError(t, err)
	require.Error(t, app.Commit())
	require.Zero(t, testutil.ToFloat64(a.metrics.accepted.WithLabelValues("test")))
	require.EqualValues(t, 1, refusedBy(a, "internal"))
}

func TestClassify(t *testing.T) {
	f := func(err error, class fault.Class, reason string) {
		t.Helper()
		got := Classify(err)
		require.Equal(t, class, fault.ClassOf(got))
		require.Equal(t, reason, fault.ReasonOf(got))
		require.ErrorIs(t, got, err)
	}
	f(storage.ErrOutOfOrderSample, fault.Invalid, "out_of_order")
	f(storage.ErrTooOldSample, fault.Invalid, "too_old")
	f(storage.ErrOutOfBounds, fault.Invalid, "out_of_bounds")
	f(storage.NewDuplicateFloatErr(1, 2, 3), fault.Invalid, "duplicate_timestamp")
	f(errors.New("disk on fire"), fault.Internal, "")
	f(fault.New(fault.Unavailable, "later"), fault.Unavailable, "")
}
