package promql

import (
	"context"
	"errors"
	"fmt"
	"time"

	prompql "github.com/prometheus/prometheus/promql"

	"signalbox/internal/fault"
)

// ErrBudget is in the chain of the error of a query that went over one of its
// limits: query.max_samples, max_samples_read, max_series, max_bytes or max_steps.
var ErrBudget = errors.New("query budget exceeded")

// Why a query was refused or stopped: the reason of the error (fault.ReasonOf)
// and the label of the counter.
const (
	reasonMaxSamples     = "max_samples"
	reasonMaxSamplesRead = "max_samples_read"
	reasonMaxSeries      = "max_series"
	reasonMaxBytes       = "max_bytes"
	reasonMaxQueryBytes  = "max_query_bytes"
	reasonNesting        = "nesting"
	reasonMaxSteps       = "max_steps"
	reasonBadRange       = "bad_range"
	reasonQueueFull      = "queue_full"
	reasonQueueTimeout   = "queue_timeout"
	reasonTimeout        = "timeout"
	reasonCanceled       = "canceled"
	reasonStorage        = "storage"
	reasonOther          = "other"
)

// errTimeLimit is the cause of a context that query.timeout has ended, as
// opposed to a shorter deadline of the request.
var errTimeLimit = errors.New("query.timeout")

// errCanceledByID is the cause of a context that Engine.Cancel has ended.
var errCanceledByID = errors.New("canceled by id")

// joined is an error with a text of its own and several things it also is.
// Prometheus' API finds its status by the promql error among them,
// httpserver by the fault.Error.
type joined struct {
	text string
	is   []error
}

func (e *joined) Error() string   { return e.text }
func (e *joined) Unwrap() []error { return e.is }

func overBudget(reason, format string, args ...any) error {
	return fault.Refuse(reason, "%s: %w", fmt.Sprintf(format, args...), ErrBudget)
}

func queueError(reason, text string) error {
	return &joined{text: text, is: []error{
		fault.New(fault.Unavailable, "%s", text).WithReason(reason).WithRetryAfter(time.Second),
		prompql.ErrQueryTimeout("query queue"),
	}}
}

// StorageError marks an error of the storage, so that Prometheus' API answers
// it as errorType "internal", unless it has a meaning of its own: a budget, a
// limit, a cancelled request.
func StorageError(err error) error {
	switch {
	case err == nil,
		errors.Is(err, ErrBudget),
		errors.Is(err, context.Canceled),
		errors.Is(err, context.DeadlineExceeded),
		fault.Is(err, fault.Invalid),
		fault.Is(err, fault.Limited):
		return err
	}
	if _, ok := errors.AsType[prompql.ErrStorage](err); ok {
		return err
	}
	return &joined{text: err.Error(), is: []error{err, prompql.ErrStorage{Err: err}}}
}

// explain adds to the error of an evaluation which option stopped it. ctx is
// the context that the evaluation ran with.
func (e *Engine) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if tms, ok := errors.AsType[prompql.ErrTooManySamples](err); ok {
		text := fmt.Sprintf("%s: it holds more than query.max_samples (%d) at once", tms, e.cfg.MaxSamples)
		return &joined{text: text, is: []error{err, fault.Refuse(reasonMaxSamples, "%s: %w", text, ErrBudget)}}
	}
	cause := context.Cause(ctx)
	timeout, isTimeout := errors.AsType[prompql.ErrQueryTimeout](err)
	canceled, isCanceled := errors.AsType[prompql.ErrQueryCanceled](err)
	// A selector that notices the end of the context first answers with the bare context error.
	if !isTimeout && errors.Is(err, context.DeadlineExceeded) {
		timeout, isTimeout = "query execution", true
	}
	if !isCanceled && errors.Is(err, context.Canceled) {
		canceled, isCanceled = "query execution", true
	}
	switch {
	case isTimeout && fault.ReasonOf(err) != "": // the queue, it has said what happened
		return err
	case isTimeout && errors.Is(cause, errTimeLimit):
		return &joined{
			text: fmt.Sprintf("%s: it ran for longer than query.timeout (%s)", timeout, e.cfg.Timeout),
			is:   []error{timeout, err},
		}
	case isTimeout:
		return &joined{text: timeout.Error() + ": the timeout of the request", is: []error{timeout, err}}
	case isCanceled && errors.Is(cause, errCanceledByID):
		return &joined{text: canceled.Error() + ": somebody cancelled it by its id", is: []error{canceled, err}}
	case isCanceled:
		return &joined{text: canceled.Error(), is: []error{canceled, err}}
	}
	return err
}

// outcome is the value of label "outcome" for a finished query.
func outcome(err error) string {
	if err == nil {
		return "success"
	}
	switch r := fault.ReasonOf(err); r {
	case reasonMaxSamples, reasonMaxSamplesRead, reasonMaxSeries, reasonMaxBytes, reasonMaxSteps, reasonQueueFull, reasonQueueTimeout:
		return r
	}
	if _, ok := errors.AsType[prompql.ErrQueryTimeout](err); ok {
		return reasonTimeout
	}
	if _, ok := errors.AsType[prompql.ErrQueryCanceled](err); ok {
		return reasonCanceled
	}
	if _, ok := errors.AsType[prompql.ErrStorage](err); ok {
		return reasonStorage
	}
	return reasonOther
}
