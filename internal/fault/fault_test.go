package fault

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClassOf(t *testing.T) {
	f := func(err error, want Class) {
		t.Helper()
		require.Equal(t, want, ClassOf(err))
	}
	f(errors.New("x"), Internal)
	f(New(Limited, "slow down"), Limited)
	f(fmt.Errorf("outer: %w", New(Invalid, "bad")), Invalid)
	f(New(Unavailable, "inner: %w", New(Invalid, "bad")), Unavailable)
	f(context.Canceled, Unavailable)
	f(fmt.Errorf("op: %w", context.DeadlineExceeded), Unavailable)
}

func TestErrorKeepsCauseReasonAndRetry(t *testing.T) {
	cause := errors.New("disk")
	err := fmt.Errorf("append: %w", New(Unavailable, "write: %w", cause).WithRetryAfter(3*time.Second))
	require.ErrorIs(t, err, cause)
	require.Equal(t, 3*time.Second, RetryAfter(err))
	require.Equal(t, "too_old", ReasonOf(fmt.Errorf("x: %w", Refuse("too_old", "sample is %d h old", 3))))
	require.Equal(t, "write: disk", errors.Unwrap(err).Error())
}
