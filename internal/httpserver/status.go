package httpserver

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"signalbox/internal/fault"
)

// Errors of a request's envelope, each with a status of its own. They are
// Invalid; wrap them with %w to add what a person needs.
var (
	ErrTooLarge         = errors.New("request body too large")
	ErrUnsupportedMedia = errors.New("unsupported media type")
	ErrNoTenant         = errors.New("no org id")
)

// ErrDecodedTooLarge is the ErrTooLarge of a body that was small enough as sent.
var ErrDecodedTooLarge = fmt.Errorf("%w after decompression", ErrTooLarge)

// statusCanceled is what the field answers when the client went away (nginx's 499).
const statusCanceled = 499

// Status maps an error to an HTTP status. It is the only such table in the program.
func Status(err error) int {
	if err == nil {
		return http.StatusOK
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	switch {
	case errors.Is(err, ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrUnsupportedMedia):
		return http.StatusUnsupportedMediaType
	case errors.Is(err, ErrNoTenant):
		return http.StatusUnauthorized
	case clientGone(err):
		return statusCanceled
	}
	switch fault.ClassOf(err) {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Limited:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// clientGone reports whether err is a cancellation that nobody classified. One
// with a class is our own (a store that is closing, say) and keeps that: 499
// would make a sender drop its data.
func clientGone(err error) bool {
	_, classified := errors.AsType[*fault.Error](err)
	return !classified && errors.Is(err, context.Canceled)
}

// AskRetry returns err, or around a cancellation that Status answers with 499
// an Unavailable error. Doors for data use it: their senders drop what was
// answered with any other 4xx than 429, and the answer does reach them when it
// was not they who cancelled.
func AskRetry(err error) error {
	if clientGone(err) {
		return fault.New(fault.Unavailable, "the request was cancelled before it was stored: %w", err)
	}
	return err
}

// maxGRPCMessage bounds the text of a gRPC status, in bytes: it travels in a
// header, which clients bound.
const maxGRPCMessage = 4 << 10

// GRPCStatus maps an error to a gRPC status. Limited carries RetryInfo, without
// which OTLP clients must not retry RESOURCE_EXHAUSTED.
func GRPCStatus(err error) *status.Status {
	if err == nil {
		return status.New(codes.OK, "")
	}
	if s, ok := status.FromError(err); ok {
		return s
	}
	code := grpcCode(err)
	s := status.New(code, grpcText(err.Error()))
	if code == codes.Unavailable || fault.Is(err, fault.Limited) {
		d := max(fault.RetryAfter(err), time.Second)
		if with, derr := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(d)}); derr == nil {
			s = with
		}
	}
	return s
}

func grpcCode(err error) codes.Code {
	switch {
	case errors.Is(err, ErrTooLarge):
		return codes.ResourceExhausted
	case errors.Is(err, ErrUnsupportedMedia):
		return codes.InvalidArgument
	case errors.Is(err, ErrNoTenant):
		return codes.Unauthenticated
	case clientGone(err):
		return codes.Canceled
	}
	switch fault.ClassOf(err) {
	case fault.Invalid:
		return codes.InvalidArgument
	case fault.Limited:
		return codes.ResourceExhausted
	case fault.Unavailable:
		return codes.Unavailable
	default:
		return codes.Internal
	}
}

// grpcText makes a text that may quote a sender's bytes fit for protobuf: grpc
// panics on a status with details whose message is not UTF-8.
func grpcText(s string) string {
	if len(s) > maxGRPCMessage {
		s = s[:maxGRPCMessage] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// SetRetryAfter sets the Retry-After header, in whole seconds of at least one,
// when err is of a class that may be retried.
func SetRetryAfter(h http.Header, err error) {
	if c := fault.ClassOf(err); c != fault.Limited && c != fault.Unavailable {
		return
	}
	s := max(1, int(math.Ceil(fault.RetryAfter(err).Seconds())))
	h.Set("Retry-After", strconv.Itoa(s))
}

// WriteError answers err as plain text with its status. Protocols with an
// envelope of their own use Status and SetRetryAfter instead.
func WriteError(w http.ResponseWriter, err error) {
	SetRetryAfter(w.Header(), err)
	http.Error(w, err.Error(), Status(err))
}
