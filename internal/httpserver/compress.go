package httpserver

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
)

// minCompress is the size below which compression costs more than it saves: an
// answer of this size fits one packet anyway.
const minCompress = 1 << 10

// encoder is what gzip.Writer and zlib.Writer have in common.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(w io.Writer)
}

var encoders = map[string]*sync.Pool{
	"gzip":    {New: func() any { return mustEncoder(gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)) }},
	"deflate": {New: func() any { return mustEncoder(zlib.NewWriterLevel(io.Discard, zlib.BestSpeed)) }},
}

func mustEncoder[E encoder](e E, err error) encoder {
	if err != nil {
		panic("BUG: compression level: " + err.Error())
	}
	return e
}

var compressWriters = sync.Pool{New: func() any { return &compressWriter{buf: make([]byte, 0, minCompress)} }}

// compressed runs next, compressing its answer when the client takes that and
// the answer is worth it. Answers that are compressed already pass as they are.
func compressed(w http.ResponseWriter, r *http.Request, next http.Handler) {
	enc := negotiate(r.Header["Accept-Encoding"])
	if enc == "" || r.Method == http.MethodHead || r.Header.Get("Upgrade") != "" {
		next.ServeHTTP(w, r)
		return
	}
	c := compressWriters.Get().(*compressWriter)
	c.ResponseWriter, c.enc, c.buf, c.code, c.decided = w, enc, c.buf[:0], 0, false
	// Not deferred: after a panic what is buffered must not be sent, so that
	// the answer can still become a 500. The writer is then left to the GC.
	next.ServeHTTP(c, r)
	c.finish()
	c.ResponseWriter = nil
	compressWriters.Put(c)
}

// negotiate picks from Accept-Encoding: "gzip", "deflate", or "" for neither.
func negotiate(accept []string) string {
	best, bestQ := "", 0.0
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(part, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			q := 1.0
			if k, v, ok := strings.Cut(strings.TrimSpace(params), "="); ok && strings.EqualFold(strings.TrimSpace(k), "q") {
				f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
				if err != nil {
					continue
				}
				q = f
			}
			if name == "x-gzip" || name == "*" {
				name = "gzip"
			}
			if encoders[name] == nil || q <= 0 {
				continue
			}
			if q > bestQ || q == bestQ && name == "gzip" {
				best, bestQ = name, q
			}
		}
	}
	return best
}

// compressWriter holds back the beginning of an answer until it is known
// whether it is worth compressing.
type compressWriter struct {
	http.ResponseWriter
	enc     string
	buf     []byte // what is held back
	code    int    // what the handler passed to WriteHeader, 0 for not yet
	decided bool
	z       encoder // nil: not compressed
}

func (c *compressWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *compressWriter) WriteHeader(code int) {
	if code < 200 {
		c.ResponseWriter.WriteHeader(code)
		return
	}
	if c.code == 0 {
		c.code = code
	}
}

func (c *compressWriter) Write(p []byte) (int, error) {
	if c.code == 0 {
		c.code = http.StatusOK
	}
	if !c.decided {
		if len(c.buf)+len(p) < minCompress && c.worth() {
			c.buf = append(c.buf, p...)
			return len(p), nil
		}
		if err := c.decide(c.worth(), p); err != nil {
			return 0, err
		}
	}
	if c.z != nil {
		return c.z.Write(p)
	}
	return c.ResponseWriter.Write(p)
}

// FlushError sends what there is, compressed even if it is small: more of an
// answer that is flushed is to come.
func (c *compressWriter) FlushError() error {
	if !c.decided {
		if c.code == 0 {
			c.code = http.StatusOK
		}
		if err := c.decide(c.worth(), nil); err != nil {
			return err
		}
	}
	if c.z != nil {
		if err := c.z.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(c.ResponseWriter).Flush()
}

// Flush makes c an http.Flusher.
func (c *compressWriter) Flush() { _ = c.FlushError() }

// worth reports whether status and headers allow compression.
func (c *compressWriter) worth() bool {
	h := c.Header()
	switch {
	case c.code < 200, c.code == http.StatusNoContent, c.code == http.StatusResetContent,
		c.code == http.StatusNotModified, c.code == http.StatusPartialContent:
		return false
	case h.Get("Content-Encoding") != "", h.Get("Content-Range") != "":
		return false
	case strings.Contains(h.Get("Cache-Control"), "no-transform"):
		return false
	}
	return compressible(h.Get("Content-Type"))
}

// compressible excludes the types that are compressed in themselves.
func compressible(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.ToLower(strings.TrimSpace(t))
	switch {
	case t == "image/svg+xml":
		return true
	case strings.HasPrefix(t, "image/"), strings.HasPrefix(t, "video/"), strings.HasPrefix(t, "audio/"), strings.HasPrefix(t, "font/woff"):
		return false
	}
	switch t {
	case "application/gzip", "application/x-gzip", "application/zip", "application/zstd", "application/x-tar+gzip":
		return false
	}
	return true
}

// decide sends the headers and what was held back. next is what comes after.
func (c *compressWriter) decide(compress bool, next []byte) error {
	c.decided = true
	h := c.Header()
	if compress {
		if h.Get("Content-Type") == "" {
			sample := c.buf
			if len(sample) == 0 {
				sample = next
			}
			h.Set("Content-Type", http.DetectContentType(sample)) // net/http would see compressed bytes
		}
		h.Set("Content-Encoding", c.enc)
		h.Add("Vary", "Accept-Encoding")
		h.Del("Content-Length")
		h.Del("Accept-Ranges")
		if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
			h.Set("Etag", "W/"+tag) // the bytes are no longer those of the strong tag
		}
	}
	c.ResponseWriter.WriteHeader(c.code)
	held := c.buf
	c.buf = c.buf[:0]
	if compress {
		c.z = encoders[c.enc].Get().(encoder)
		c.z.Reset(c.ResponseWriter)
		_, err := c.z.Write(held)
		return err
	}
	if len(held) == 0 {
		return nil
	}
	_, err := c.ResponseWriter.Write(held)
	return err
}

// finish ends the answer. A handler that wrote nothing leaves its 200 to net/http.
func (c *compressWriter) finish() {
	if !c.decided && c.code != 0 {
		_ = c.decide(false, nil) // small; an error means that the client is gone
	}
	if c.z != nil {
		_ = c.z.Close()
		encoders[c.enc].Put(c.z)
		c.z = nil
	}
}
