package testkit

import (
	"errors"
	"testing"
	"time"
)

// The first polls come quickly, for what is nearly there; later ones leave the
// processor to what is awaited.
const (
	pollFirst = time.Millisecond
	pollMax   = 50 * time.Millisecond
)

// Eventually waits until cond is true and fails the test after timeout. cond
// runs on the test's goroutine, so it may use require on the way; it must return
// by itself. The timeout is for a broken program, so be generous.
func Eventually(t testing.TB, timeout time.Duration, cond func() bool, msgAndArgs ...any) {
	t.Helper()
	err := errors.New("condition not met")
	if poll(timeout, cond) {
		return
	}
	fail(t, timeout, err, msgAndArgs)
}

// EventuallyNoError waits until fn returns nil and fails the test after timeout
// with the last error. Like Eventually otherwise.
func EventuallyNoError(t testing.TB, timeout time.Duration, fn func() error, msgAndArgs ...any) {
	t.Helper()
	var err error
	if poll(timeout, func() bool {
		err = fn()
		return err == nil
	}) {
		return
	}
	fail(t, timeout, err, msgAndArgs)
}

func poll(timeout time.Duration, cond func() bool) bool {
	deadline := time.Now().Add(timeout)
	for wait := pollFirst; ; wait = min(2*wait, pollMax) {
		if cond() {
			return true
		}
		left := time.Until(deadline)
		if left <= 0 {
			return false
		}
		time.Sleep(min(wait, left))
	}
}

func fail(t testing.TB, timeout time.Duration, err error, msgAndArgs []any) {
	t.Helper()
	if len(msgAndArgs) == 0 {
		t.Fatalf("after %s: %v", timeout, err)
	}
	format, ok := msgAndArgs[0].(string)
	if !ok {
		t.Fatalf("after %s: %v: %v", timeout, err, msgAndArgs)
	}
	t.Fatalf("after %s: %v: "+format, append([]any{timeout, err}, msgAndArgs[1:]...)...)
}
