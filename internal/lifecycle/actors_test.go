package lifecycle

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func untilStopped(ctx context.Context) error {
	<-ctx.Done()
	return fmt.Errorf("loop: %w", ctx.Err())
}

func TestRunStopsTheRestWithTheFirstError(t *testing.T) {
	var stopped atomic.Int32
	wait := func(ctx context.Context) error {
		defer stopped.Add(1)
		return untilStopped(ctx)
	}
	err := Run(t.Context(),
		Actor{"first", wait},
		Actor{"broken", func(context.Context) error { return errBroken }},
		Actor{"last", wait},
	)
	require.ErrorIs(t, err, errBroken)
	require.EqualError(t, err, "broken: broken", "being stopped is no error")
	require.EqualValues(t, 2, stopped.Load(), "Run waits for all")
}

func TestRunCases(t *testing.T) {
	done := func(context.Context) error { return nil }
	t.Run("an actor that is done does not stop the others", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			start := time.Now()
			require.NoError(t, Run(ctx, Actor{"done", done}, Actor{"loop", untilStopped}))
			require.Equal(t, time.Hour, time.Since(start))
		})
	})
	t.Run("a panic is an error", func(t *testing.T) {
		err := Run(t.Context(), Actor{"p", func(context.Context) error { panic("oh") }}, Actor{"loop", untilStopped})
		require.ErrorContains(t, err, "p: BUG: panic: oh")
	})
	t.Run("an error while stopping is kept", func(t *testing.T) {
		err := Run(t.Context(),
			Actor{"a", func(context.Context) error { return errBroken }},
			Actor{"b", func(ctx context.Context) error {
				<-ctx.Done()
				return fmt.Errorf("flush failed")
			}},
		)
		require.ErrorContains(t, err, "a: broken")
		require.ErrorContains(t, err, "b: flush failed")
	})
	t.Run("an end that nobody asked for is an error", func(t *testing.T) {
		err := Run(t.Context(), Actor{"a", func(context.Context) error { return context.Canceled }})
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("none", func(t *testing.T) { require.NoError(t, Run(t.Context())) })
}

func TestStart(t *testing.T) {
	r := Start(Actor{"loop", untilStopped})
	require.NoError(t, r.Err())
	require.NoError(t, r.Stop(t.Context()))
	<-r.Done()
	require.NoError(t, r.Stop(t.Context()))

	r = Start(Actor{"loop", untilStopped}, Actor{"bad", func(context.Context) error { return errBroken }})
	<-r.Done()
	require.ErrorIs(t, r.Err(), errBroken)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.Stop(gone), errBroken, "the result wins over the deadline")
}

func TestStopOfRunningIsBounded(t *testing.T) {
	hang := make(chan struct{})
	r := Start(Actor{"deaf", func(context.Context) error {
		<-hang
		return nil
	}})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.Stop(gone), context.Canceled)
	close(hang)
	require.NoError(t, r.Stop(t.Context()))
}
