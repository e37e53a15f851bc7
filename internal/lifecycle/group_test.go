package lifecycle

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var errBroken = errors.New("broken")

// trace records the order of closers.
type trace struct {
	mu    sync.Mutex
	names []string
}

func (tr *trace) closer(name string, err error) func(context.Context) error {
	return func(context.Context) error {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.names = append(tr.names, name)
		return err
	}
}

type closerFunc func() error

func (f closerFunc) Close() error { return f() }

func TestStopRunsInReverseAndJoinsErrors(t *testing.T) {
	var tr trace
	var g Group
	g.Add("lock", tr.closer("lock", nil))
	g.Add("store", tr.closer("store", errBroken))
	g.AddCloser("file", closerFunc(func() error { return tr.closer("file", nil)(nil) }))
	g.AddFunc("loop", func() { _ = tr.closer("loop", nil)(nil) })
	g.Add("door", func(context.Context) error { panic("oh") })

	err := g.Stop(t.Context())
	require.Equal(t, []string{"loop", "file", "store", "lock"}, tr.names)
	require.ErrorIs(t, err, errBroken)
	require.ErrorContains(t, err, "stop store: broken")
	require.ErrorContains(t, err, "stop door: BUG: panic: oh")

	require.Equal(t, err.Error(), g.Stop(t.Context()).Error(), "the second stop says the same")
	require.Len(t, tr.names, 4, "and runs nothing again")
}

func TestStopOfNothing(t *testing.T) {
	var g Group
	require.NoError(t, g.Stop(t.Context()))
}

func TestStopAtTheSameTimeRunsOnce(t *testing.T) {
	var g Group
	var tr trace
	g.Add("one", tr.closer("one", errBroken))
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = g.Stop(t.Context()) })
	}
	wg.Wait()
	for _, err := range errs {
		require.ErrorIs(t, err, errBroken)
	}
	require.Equal(t, []string{"one"}, tr.names)
}

func TestAddAfterStopClosesAtOnce(t *testing.T) {
	var g Group
	require.NoError(t, g.Stop(t.Context()))
	var got error
	g.Add("late", func(ctx context.Context) error {
		got = ctx.Err()
		return errBroken
	})
	require.ErrorIs(t, got, context.Canceled)
	require.ErrorContains(t, g.Stop(t.Context()), "stop late: broken")
}

func TestStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tr trace
		g := Group{Grace: 3 * time.Second}
		hang := make(chan struct{})
		g.Add("lock", tr.closer("lock", nil))
		g.Add("store", tr.closer("store", nil))
		g.Add("drain", func(context.Context) error {
			<-hang
			return nil
		})
		g.Add("door", tr.closer("door", errBroken))

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		err := g.Stop(ctx)
		require.Equal(t, 13*time.Second, time.Since(start))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "stop drain: did not end in time, 2 more wait for it")
		require.ErrorContains(t, err, "stop door: broken", "what is known is told")
		require.Equal(t, []string{"door"}, tr.names, "what drain uses is not closed under it")

		close(hang)
		require.ErrorIs(t, g.Stop(t.Context()), errBroken)
		require.Equal(t, []string{"door", "store", "lock"}, tr.names)
	})
}

// A drain that ends with its context must not cost the store its close.
func TestGraceCoversTheQuickClosersBehindADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tr trace
		var g Group
		g.Add("store", func(ctx context.Context) error {
			time.Sleep(time.Second) // a flush takes its time
			return tr.closer("store", nil)(ctx)
		})
		g.Add("drain", func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := g.Stop(ctx)
		require.ErrorContains(t, err, "stop drain: ")
		require.NotContains(t, err.Error(), "did not end")
		require.Equal(t, []string{"store"}, tr.names)
	})
}
