package collector

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"google.golang.org/grpc/status"

	"signalbox/internal/fault"
	"signalbox/internal/httpserver"
	"signalbox/internal/tenant"
)

// Label values of the signal of a pipeline.
const (
	signalMetrics = "metrics"
	signalTraces  = "traces"
	signalLogs    = "logs"
)

// delivery is the way from the exporters of one generation to the sinks.
type delivery struct {
	sinks Sinks
	m     *metrics
	gate  gate
}

// deliver hands items records of a signal to a sink, in the name of the tenant
// that the client named, and returns an error that receivers understand.
func (d *delivery) deliver(ctx context.Context, signal string, items int, sink func(context.Context) error) error {
	if items == 0 {
		return nil
	}
	err := d.call(ctx, sink)
	if err == nil {
		d.m.accepted(signal, items)
		return nil
	}
	d.m.failed(signal, err, items)
	return asConsumerError(err)
}

func (d *delivery) call(ctx context.Context, sink func(context.Context) error) (err error) {
	leave, err := d.gate.enter()
	if err != nil {
		return err
	}
	defer leave()
	ctx, err = withTenant(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	defer func() {
		d.m.duration.Observe(time.Since(start).Seconds())
		// A receiver's goroutine has nobody above it that would recover.
		if r := recover(); r != nil {
			err = fault.New(fault.Internal, "BUG: a store panicked: %v\n%s", r, debug.Stack())
		}
	}()
	return sink(ctx)
}

// withTenant moves the tenant from the metadata that a receiver with
// include_metadata keeps into the context that stores read.
func withTenant(ctx context.Context) (context.Context, error) {
	names := client.FromContext(ctx).Metadata.Get(tenant.Header)
	switch len(names) {
	case 0:
		return tenant.NewContext(ctx, tenant.Default), nil
	case 1:
		id, err := tenant.Parse(names[0])
		if err != nil {
			return nil, err
		}
		return tenant.NewContext(ctx, id), nil
	}
	return nil, fault.Refuse("bad_tenant", "%s: a write needs one tenant, the request names %d", tenant.Header, len(names))
}

// statusError carries the gRPC status of an error through the pipeline, so that
// gRPC receivers answer with the code and RetryInfo our own doors would give.
type statusError struct {
	err error
	st  *status.Status
}

func (e *statusError) Error() string              { return e.err.Error() }
func (e *statusError) Unwrap() error              { return e.err }
func (e *statusError) GRPCStatus() *status.Status { return e.st }

// asConsumerError translates the class of an error for receivers: what may be
// sent again is retryable, the sender's fault is permanent, our own fault is
// neither (receivers over HTTP answer 500).
func asConsumerError(err error) error {
	err = &statusError{err: err, st: httpserver.GRPCStatus(err)}
	switch fault.ClassOf(err) {
	case fault.Limited, fault.Unavailable:
		return consumererror.NewRetryableError(err)
	case fault.Invalid:
		return consumererror.NewPermanent(err)
	case fault.Internal, fault.Corrupt:
	}
	return fmt.Errorf("store: %w", err)
}
