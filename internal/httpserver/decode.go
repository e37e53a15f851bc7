package httpserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"signalbox/internal/fault"
)

// encodings are those of request bodies, in lower case.
var encodings = []string{"", "gzip", "x-gzip", "zstd", "deflate", "zlib", "snappy", "x-snappy-framed", "lz4"}

// zstdMaxWindow bounds what a frame may ask of us before it has sent anything.
// The encoders' highest ordinary levels use this much; RFC 8878 asks for 8 MiB.
const zstdMaxWindow = 32 << 20

func newZstdReader() any {
	// Concurrency 1 is what starts no goroutines, so that the pool may drop one.
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(zstdMaxWindow), zstd.WithDecodeBuffersBelow(0))
	if err != nil {
		panic("BUG: zstd decoder options: " + err.Error())
	}
	return d
}

// streams are the decoders that read piece by piece, and so can be stopped.
var streams = map[string]*sync.Pool{
	"gzip":            {New: func() any { return new(gzip.Reader) }},
	"zstd":            {New: newZstdReader},
	"zlib":            {New: func() any { return new(zlibReader) }},
	"flate":           {New: func() any { return &flateReader{flate.NewReader(bytes.NewReader(nil))} }},
	"x-snappy-framed": {New: newSnappyReader},
	"lz4":             {New: func() any { return &lz4Reader{lz4.NewReader(nil)} }},
}

// decode sets b.b to the content of b.raw.
func (b *Body) decode(enc string, limit int64, reserve func(int64) error) error {
	switch enc {
	case "":
		if int64(len(b.raw)) > limit {
			return tooLarge(ErrDecodedTooLarge, "more than %d bytes", limit)
		}
		b.b = b.raw
		return nil
	case "snappy":
		return b.decodeSnappy(limit, reserve)
	case "x-gzip":
		enc = "gzip"
	case "deflate":
		// "deflate" means zlib by the RFC; some senders leave the wrapper out.
		if enc = "flate"; hasZlibHeader(b.raw) {
			enc = "zlib"
		}
	}
	z := streams[enc].Get().(resetReader)
	defer streams[enc].Put(z)
	if err := z.Reset(bytes.NewReader(b.raw)); err != nil {
		return malformed(enc, err)
	}
	var err error
	b.out, err = readAll(z, limit, 4*int64(len(b.raw)), reserve)
	switch {
	case errors.Is(err, errLimit):
		return tooLarge(ErrDecodedTooLarge, "more than %d bytes", limit)
	case fault.ReasonOf(err) == reasonMemory:
		return err
	case err != nil:
		return malformed(enc, err)
	}
	b.b = b.out
	return nil
}

// decodeSnappy decodes the block format, which begins with the decoded length.
func (b *Body) decodeSnappy(limit int64, reserve func(int64) error) error {
	n, err := s2.DecodedLen(b.raw)
	if err != nil {
		return malformed("snappy", err)
	}
	if int64(n) > limit {
		return tooLarge(ErrDecodedTooLarge, "%d bytes, the limit is %d", n, limit)
	}
	// Three bytes make at most 64, so a greater claim is a lie, and would
	// otherwise be allocated.
	if n > 64+22*len(b.raw) {
		return malformed("snappy", fmt.Errorf("%d bytes cannot hold the claimed %d", len(b.raw), n))
	}
	if err := reserve(bufferSize(int64(n))); err != nil {
		return err
	}
	b.out = getBuffer(int64(n))
	out, err := s2.Decode(b.out[:n], b.raw)
	if err != nil {
		return malformed("snappy", err)
	}
	b.b = out
	return nil
}

func malformed(enc string, err error) error {
	return fault.New(fault.Invalid, "the body is not valid %s: %w", enc, err).WithReason(reasonMalformed)
}

// hasZlibHeader tells RFC 1950 from a bare RFC 1951 stream.
func hasZlibHeader(b []byte) bool {
	return len(b) >= 2 && b[0]&0x0f == 8 && b[0]>>4 <= 7 && (uint(b[0])<<8|uint(b[1]))%31 == 0
}

// The readers below give three libraries the Reset of resetReader.

type zlibReader struct{ io.ReadCloser }

func (z *zlibReader) Reset(r io.Reader) error {
	if z.ReadCloser == nil {
		zr, err := zlib.NewReader(r)
		if err != nil {
			return err
		}
		z.ReadCloser = zr
		return nil
	}
	return z.ReadCloser.(zlib.Resetter).Reset(r, nil)
}

type flateReader struct{ io.ReadCloser }

func (f *flateReader) Reset(r io.Reader) error { return f.ReadCloser.(flate.Resetter).Reset(r, nil) }

type lz4Reader struct{ *lz4.Reader }

func (l *lz4Reader) Reset(r io.Reader) error {
	l.Reader.Reset(r)
	return nil
}
