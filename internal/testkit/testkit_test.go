package testkit

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { VerifyLeaks(m) }

// recorder is a testing.TB that keeps its failure; Fatalf ends the goroutine as
// the real one does.
type recorder struct {
	testing.TB
	failed   string
	cleanups []func()
}

func (r *recorder) Helper()           {}
func (r *recorder) Cleanup(fn func()) { r.cleanups = append(r.cleanups, fn) }
func (r *recorder) Error(args ...any) { r.failed = fmt.Sprint(args...) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	panic(r)
}

func record(fn func(tb testing.TB)) (failed string) {
	r := &recorder{}
	defer func() {
		if v := recover(); v != nil && v != any(r) {
			panic(v)
		}
		failed = r.failed
	}()
	fn(r)
	return r.failed
}

func TestGolden(t *testing.T) {
	t.Chdir(t.TempDir())
	golden := func(got string) string {
		return record(func(tb testing.TB) { Golden(tb, "sub/a.txt", []byte(got)) })
	}
	require.Contains(t, golden("one\n"), "-update", "a missing file says how to make it")

	*update = true
	require.Empty(t, golden("one\n"))
	*update = false
	data, err := os.ReadFile(filepath.Join("testdata", "sub", "a.txt"))
	require.NoError(t, err)
	require.Equal(t, "one\n", string(data))

	require.Empty(t, golden("one\n"))
	require.Contains(t, golden("two\n"), "two")
}

func TestEventually(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		Eventually(t, time.Minute, func() bool { return time.Since(start) > 10*time.Second })
		require.Less(t, time.Since(start), 11*time.Second, "polls often enough")

		start = time.Now()
		got := record(func(tb testing.TB) {
			Eventually(tb, time.Second, func() bool { return false }, "the %s", "thing")
		})
		require.Equal(t, "after 1s: condition not met: the thing", got)
		require.Equal(t, time.Second, time.Since(start))

		got = record(func(tb testing.TB) {
			EventuallyNoError(tb, time.Second, func() error { return os.ErrNotExist })
		})
		require.Equal(t, "after 1s: file does not exist", got)
	})
}

func TestVerifyNoLeaksSeesALeak(t *testing.T) {
	stop := make(chan struct{})
	done := make(chan struct{})
	r := &recorder{}
	VerifyNoLeaks(r)
	go func() {
		defer close(done)
		<-stop
	}()
	for _, fn := range r.cleanups {
		fn()
	}
	close(stop)
	<-done
	require.Contains(t, r.failed, "TestVerifyNoLeaksSeesALeak")
}

func TestNewSeries(t *testing.T) {
	o := SeriesOptions{Seed: 7, Series: 240, Samples: 200, Labels: 12, Jitter: 100, Gaps: 0.1}
	got := NewSeries(o)
	require.Len(t, got, 240)
	require.True(t, sameBits(got, NewSeries(o)), "the same options give the same data")
	o.Seed++
	require.False(t, sameBits(got, NewSeries(o)), "another seed gives other data")

	seen := map[string]bool{}
	stale := 0
	for _, s := range got {
		key := strings.Join(s.Pairs(), "\x00")
		require.False(t, seen[key], "%v twice", s.Labels)
		seen[key] = true
		require.Len(t, s.Labels, 12)
		require.NotEmpty(t, s.Get("__name__"))
		require.True(t, slices.IsSortedFunc(s.Labels, func(a, b Label) int { return strings.Compare(a.Name, b.Name) }))
		require.True(t, slices.IsSortedFunc(s.Samples, func(a, b Sample) int { return int(a.T - b.T) }))
		require.Greater(t, len(s.Samples), 100)
		require.Less(t, len(s.Samples), 200, "gaps")
		for _, p := range s.Samples {
			if math.Float64bits(p.V) == math.Float64bits(StaleNaN()) {
				stale++
			}
		}
	}
	require.Positive(t, stale)
	require.Panics(t, func() { NewSeries(SeriesOptions{Step: 10, Jitter: 5}) })
}

// sameBits compares with NaN equal to itself, and -0 not to 0.
func sameBits(a, b []Series) bool {
	return slices.EqualFunc(a, b, func(a, b Series) bool {
		return slices.Equal(a.Labels, b.Labels) && slices.EqualFunc(a.Samples, b.Samples, func(a, b Sample) bool {
			return a.T == b.T && math.Float64bits(a.V) == math.Float64bits(b.V)
		})
	})
}

func BenchmarkNewSeries(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewSeries(SeriesOptions{Series: 100})
	}
}
