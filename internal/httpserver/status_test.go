package httpserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"signalbox/internal/fault"
)

func TestStatusTable(t *testing.T) {
	for _, tc := range []struct {
		err  error
		http int
		grpc codes.Code
	}{
		{nil, 200, codes.OK},
		{errors.New("x"), 500, codes.Internal},
		{fault.New(fault.Internal, "x"), 500, codes.Internal},
		{fault.New(fault.Corrupt, "x"), 500, codes.Internal},
		{fault.New(fault.Invalid, "x"), 400, codes.InvalidArgument},
		{fault.New(fault.Limited, "x"), 429, codes.ResourceExhausted},
		{fault.New(fault.Unavailable, "x"), 503, codes.Unavailable},
		{fmt.Errorf("y: %w", fault.New(fault.Limited, "x")), 429, codes.ResourceExhausted},
		{ErrTooLarge, 413, codes.ResourceExhausted},
		{ErrDecodedTooLarge, 413, codes.ResourceExhausted},
		{&http.MaxBytesError{Limit: 1}, 413, codes.Internal},
		{fault.New(fault.Invalid, "%w: br", ErrUnsupportedMedia), 415, codes.InvalidArgument},
		{ErrUnsupportedMedia, 415, codes.InvalidArgument},
		{ErrNoTenant, 401, codes.Unauthenticated},
		{context.Canceled, 499, codes.Canceled},
		{fmt.Errorf("query: %w", context.Canceled), 499, codes.Canceled},
		{context.DeadlineExceeded, 503, codes.Unavailable},
		// Our own cancellation: a sender must keep its data.
		{fault.New(fault.Unavailable, "the store is closing: %w", context.Canceled), 503, codes.Unavailable},
	} {
		require.Equal(t, tc.http, Status(tc.err), "%v", tc.err)
		require.Equal(t, tc.grpc, GRPCStatus(tc.err).Code(), "%v", tc.err)
		hasRetry := len(GRPCStatus(tc.err).Details()) > 0
		require.Equal(t, tc.http == 429 || tc.http == 503, hasRetry, "%v", tc.err)
	}
	require.Equal(t, codes.NotFound, GRPCStatus(status.Error(codes.NotFound, "x")).Code(), "a status stays")
}

func TestAskRetry(t *testing.T) {
	err := AskRetry(fmt.Errorf("append: %w", context.Canceled))
	require.Equal(t, 503, Status(err))
	require.Equal(t, codes.Unavailable, GRPCStatus(err).Code())
	require.ErrorIs(t, err, context.Canceled)
	for _, err := range []error{nil, errors.New("x"), fault.New(fault.Invalid, "x: %w", context.Canceled), context.DeadlineExceeded} {
		require.Equal(t, err, AskRetry(err))
	}
}

func TestGRPCTextIsAlwaysSendable(t *testing.T) {
	for _, s := range []string{"\xff", strings.Repeat("ä", maxGRPCMessage), "plain"} {
		got := GRPCStatus(fault.New(fault.Limited, "%s", s)).Message()
		require.True(t, utf8.ValidString(got))
		require.LessOrEqual(t, len(got), maxGRPCMessage+10)
	}
}

func TestNormalizedFoldsOnlyRealSlashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		segments := rapid.SliceOfN(rapid.StringMatching(`[a-c/% é.]{1,4}`), 1, 5).Draw(t, "segments")
		path, want := "", ""
		for _, s := range segments {
			path += strings.Repeat("/", rapid.IntRange(1, 3).Draw(t, "slashes")) + url.PathEscape(s)
			want += "/" + url.PathEscape(s)
		}
		u, err := url.Parse("http://x" + path)
		require.NoError(t, err)
		got := normalized(&http.Request{URL: u}).URL
		require.Equal(t, unescapeEach(want), unescapeEach(got.EscapedPath()), "of %s", path)
	})
}

// unescapeEach is the segments that ServeMux would match.
func unescapeEach(p string) []string {
	var out []string
	for s := range strings.SplitSeq(p, "/") {
		u, err := url.PathUnescape(s)
		if err != nil {
			u = err.Error()
		}
		out = append(out, u)
	}
	return out
}
