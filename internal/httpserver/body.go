package httpserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"signalbox/internal/fault"
)

// Body is a request body in memory, decompressed. Its buffers are pooled: what
// Bytes returns is valid until Release, and whoever called ReadBody calls
// Release before the handler returns.
type Body struct {
	raw, out []byte // as sent, decompressed
	b        []byte // raw or out
	// Wire is the number of bytes that came over the network.
	Wire int
}

// Bytes returns the decompressed body, nil after Release. The caller must not
// keep it past Release.
func (b *Body) Bytes() []byte { return b.b }

// Release returns the buffers to the pool. A second call does nothing.
func (b *Body) Release() {
	putBuffer(b.raw)
	putBuffer(b.out)
	b.raw, b.out, b.b = nil, nil, nil
}

// BodyLimits bounds one request body, in bytes.
type BodyLimits struct {
	Wire    int64 // as sent
	Decoded int64 // after decompression
}

// Reasons of the errors of ReadBody, for fault.ReasonOf and counters.
const (
	reasonTooLarge    = "body_too_large"
	reasonUnsupported = "unsupported_encoding"
	reasonMalformed   = "malformed_body"
	reasonSlow        = "slow_body"
	reasonAborted     = "aborted_body"
	reasonMemory      = "body_memory"
)

var errBodyMemory = fault.New(fault.Unavailable, "the bodies of other requests take all memory that bodies may take (http.max_body_memory)").
	WithReason(reasonMemory).WithRetryAfter(time.Second)

// ReadBody reads and decompresses the body of r. The encoding is the
// Content-Encoding header, or fallback where that is absent ("" for none):
// gzip, zstd, deflate, zlib, snappy (block), x-snappy-framed, lz4, none.
//
// Errors, each with a reason: ErrTooLarge past a limit (a zip bomb is stopped at
// the limit, never inflated), ErrUnsupportedMedia for another encoding, Invalid
// for bytes that do not decompress, Unavailable when the sender was too slow or
// the server has no memory left for bodies. What is unread of the body is left
// to net/http, which reads on a little and else closes the connection.
func ReadBody(r *http.Request, lim BodyLimits, fallback string) (*Body, error) {
	q := requestOf(r.Context())
	b := new(Body)
	if err := b.read(r, q, lim, fallback); err != nil {
		b.Release()
		q.badBody(fault.ReasonOf(err))
		return nil, err
	}
	return b, nil
}

func (b *Body) read(r *http.Request, q *request, lim BodyLimits, fallback string) error {
	enc, err := contentEncoding(r.Header["Content-Encoding"], fallback)
	if err != nil {
		return err
	}
	if r.ContentLength > lim.Wire {
		return tooLarge(ErrTooLarge, "%d bytes, the limit is %d", r.ContentLength, lim.Wire)
	}
	var src io.Reader = http.NoBody
	if r.Body != nil { // it is nil in a request that no server made
		src = r.Body
	}
	b.raw, err = readAll(src, lim.Wire, r.ContentLength, q.reserve)
	if err != nil {
		return readError(err, lim.Wire)
	}
	b.Wire = len(b.raw)
	return b.decode(enc, lim.Decoded, q.reserve)
}

// contentEncoding returns the one encoding of the header, in lower case.
func contentEncoding(values []string, fallback string) (string, error) {
	enc := ""
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			part = strings.ToLower(strings.TrimSpace(part))
			switch {
			case part == "" || part == "identity" || part == "none":
			case enc != "":
				return "", unsupported(strings.Join(values, ", "))
			default:
				enc = part
			}
		}
	}
	if enc == "" && len(values) == 0 {
		enc = fallback
	}
	if !slices.Contains(encodings, enc) {
		return "", unsupported(enc)
	}
	return enc, nil
}

func readError(err error, limit int64) error {
	var unread *http.MaxBytesError
	switch {
	case fault.ReasonOf(err) == reasonMemory:
		return err
	case errors.Is(err, errLimit):
		return tooLarge(ErrTooLarge, "more than %d bytes", limit)
	case errors.As(err, &unread):
		return tooLarge(ErrTooLarge, "more than %d bytes", unread.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fault.New(fault.Unavailable, "the request body did not arrive in time: %w", err).WithReason(reasonSlow)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("read request body: %w", err)
	}
	return fault.New(fault.Invalid, "read request body: %w", err).WithReason(reasonAborted)
}

func tooLarge(kind error, format string, args ...any) error {
	return fault.New(fault.Invalid, "%w: %s", kind, fmt.Sprintf(format, args...)).WithReason(reasonTooLarge)
}

func unsupported(enc string) error {
	return fault.New(fault.Invalid, "%w: Content-Encoding %q; use one of gzip, zstd, snappy, deflate, lz4, x-snappy-framed or none",
		ErrUnsupportedMedia, enc).WithReason(reasonUnsupported)
}

// errLimit is what readAll returns past its limit.
var errLimit = errors.New("limit")

// believed is how much of a claimed length is allocated before it has come.
const believed = 1<<20 - 1

// readAll reads r to its end into a pooled buffer, which the caller owns even
// when there is an error. It fails with errLimit past limit bytes. hint is an
// expected size, ≤ 0 for none: memory follows what arrives, not what was
// claimed. All capacity is asked of reserve first.
func readAll(r io.Reader, limit, hint int64, reserve func(int64) error) ([]byte, error) {
	var buf []byte
	next := min(max(hint, 0), believed, limit) + 1 // one more, to see the end without growing
	for {
		if len(buf) == cap(buf) {
			if err := reserve(bufferSize(next) - int64(cap(buf))); err != nil {
				return buf, err
			}
			grown := append(getBuffer(next), buf...)
			putBuffer(buf)
			buf = grown
			next = min(nextSize(int64(cap(buf)), hint), limit+1)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return buf, errLimit
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return buf, fmt.Errorf("after %d bytes: %w", len(buf), err)
		}
	}
}

// nextSize is how large a full buffer of size n grows.
func nextSize(n, hint int64) int64 {
	next := 2 * n
	if n < maxPooled {
		next = 4 * n // the next class
	}
	if hint >= n {
		next = min(next, hint+1)
	}
	return next
}
