package httpserver

import (
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc/encoding"
)

// The compressions of gRPC messages, gzip included because this one is faster
// than grpc-go's. grpc-go stops reading at maxMessage, so that a small message
// cannot become a large one; what a reader holds beside its output is bounded
// by zstdMaxWindow and snappyMaxBlock.
func init() {
	encoding.RegisterCompressor(&messageCodec{
		name: "gzip",
		writers: sync.Pool{New: func() any {
			return mustEncoder(gzip.NewWriterLevel(io.Discard, gzip.BestSpeed))
		}},
		readers: sync.Pool{New: func() any { return new(gzip.Reader) }},
	})
	encoding.RegisterCompressor(&messageCodec{
		name:    "zstd",
		writers: sync.Pool{New: newZstdWriter},
		readers: sync.Pool{New: newZstdReader},
	})
	encoding.RegisterCompressor(&messageCodec{
		name: "snappy", // the framed format, as other implementations of this name
		writers: sync.Pool{New: func() any {
			return s2.NewWriter(io.Discard, s2.WriterSnappyCompat(), s2.WriterConcurrency(1), s2.WriterBlockSize(snappyMaxBlock))
		}},
		readers: sync.Pool{New: newSnappyReader},
	})
}

// snappyMaxBlock is the largest block of the framed format.
const snappyMaxBlock = 64 << 10

func newSnappyReader() any {
	return &errlessReader{r: s2.NewReader(nil, s2.ReaderMaxBlockSize(snappyMaxBlock))}
}

// errlessReader gives s2.Reader the Reset of the others.
type errlessReader struct{ r *s2.Reader }

func (e *errlessReader) Read(p []byte) (int, error) { return e.r.Read(p) }

func (e *errlessReader) Reset(r io.Reader) error {
	e.r.Reset(r)
	return nil
}

func newZstdWriter() any {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(512<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic("BUG: zstd encoder options: " + err.Error())
	}
	return z
}

type resetWriter interface {
	io.WriteCloser
	Reset(w io.Writer)
}

type resetReader interface {
	io.Reader
	Reset(r io.Reader) error
}

// messageCodec is an encoding.Compressor over pools.
type messageCodec struct {
	name             string
	writers, readers sync.Pool
}

func (c *messageCodec) Name() string { return c.name }

func (c *messageCodec) Compress(w io.Writer) (io.WriteCloser, error) {
	z := c.writers.Get().(resetWriter)
	z.Reset(w)
	return &messageWriter{resetWriter: z, c: c}, nil
}

func (c *messageCodec) Decompress(r io.Reader) (io.Reader, error) {
	z := c.readers.Get().(resetReader)
	if err := z.Reset(r); err != nil {
		c.readers.Put(z)
		return nil, err
	}
	return &messageReader{z: z, c: c}, nil
}

type messageWriter struct {
	resetWriter
	c *messageCodec
}

// Close ends the message and returns the writer to its pool.
func (w *messageWriter) Close() error {
	if w.resetWriter == nil {
		return nil
	}
	err := w.resetWriter.Close()
	w.c.writers.Put(w.resetWriter)
	w.resetWriter = nil
	return err
}

type messageReader struct {
	z resetReader
	c *messageCodec
}

// Read turns a panic of a decoder into an error: grpc-go reads messages on
// goroutines of its own, where a panic would end the process.
func (r *messageReader) Read(p []byte) (n int, err error) {
	if r.z == nil {
		return 0, io.ErrClosedPipe
	}
	defer func() {
		if v := recover(); v != nil {
			r.z = nil // not to be used again
			n, err = 0, fmt.Errorf("BUG: %s decoder: %v", r.c.name, v)
		}
	}()
	return r.z.Read(p)
}

// Close returns the reader to its pool; grpc-go calls it once per message.
func (r *messageReader) Close() error {
	if r.z != nil {
		r.c.readers.Put(r.z)
		r.z = nil
	}
	return nil
}
