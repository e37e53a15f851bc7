// Package fault classifies errors, so that one place (internal/httpserver) can
// turn any error of the program into an HTTP status, a gRPC code or an exit
// code, and so that a caller can tell "your data is wrong" from "try later"
// without knowing who said it.
package fault

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Class says what the sender of a request should conclude from an error.
type Class uint8

const (
	// Internal is a defect of ours; it is also the class of an unclassified error.
	Internal Class = iota
	// Invalid is the sender's data: sending it again cannot help.
	Invalid
	// Limited is a limit that was hit: send again later, slower.
	Limited
	// Unavailable is a passing condition on our side: send again.
	Unavailable
	// Corrupt is a file of ours that is damaged.
	Corrupt
)

func (c Class) String() string {
	switch c {
	case Invalid:
		return "invalid"
	case Limited:
		return "limited"
	case Unavailable:
		return "unavailable"
	case Corrupt:
		return "corrupt"
	default:
		return "internal"
	}
}

// Error is an error with a class. The zero RetryAfter means "not stated".
type Error struct {
	Class Class
	// Reason is a short snake_case word from a closed set, used as the label of
	// the counter of refusals. Empty when nothing is counted by it.
	Reason string
	// RetryAfter is how long the sender should wait, for Limited and Unavailable.
	RetryAfter time.Duration
	err        error
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// New makes an error of a class. The format takes %w.
func New(class Class, format string, args ...any) *Error {
	return &Error{Class: class, err: fmt.Errorf(format, args...)}
}

// Refuse makes an Invalid error that is counted under reason: one record is
// refused, what stands beside it in the same request is kept.
func Refuse(reason, format string, args ...any) *Error {
	return &Error{Class: Invalid, Reason: reason, err: fmt.Errorf(format, args...)}
}

// WithRetryAfter returns a copy of e that tells the sender how long to wait.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// WithReason returns a copy of e that is counted under reason.
func (e *Error) WithReason(reason string) *Error {
	c := *e
	c.Reason = reason
	return &c
}

// ClassOf returns the class of the first classified error in the chain.
// A deadline or cancellation is Unavailable; anything else is Internal.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Unavailable
	}
	return Internal
}

// Is reports whether err has the given class.
func Is(err error, class Class) bool { return err != nil && ClassOf(err) == class }

// ReasonOf returns the reason of the first classified error in the chain, or "".
func ReasonOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ""
}

// RetryAfter returns how long the sender should wait, 0 when not stated.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}
