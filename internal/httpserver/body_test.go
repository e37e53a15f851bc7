package httpserver

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"signalbox/internal/fault"
)

// pack compresses with the library that senders use.
func pack(t require.TestingT, enc string, plain io.Reader) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch enc {
	case "":
		_, err = io.Copy(&b, plain)
		require.NoError(t, err)
		return b.Bytes()
	case "snappy":
		all, err := io.ReadAll(plain)
		require.NoError(t, err)
		return snappy.Encode(nil, all)
	case "gzip", "x-gzip":
		w, err = gzip.NewWriterLevel(&b, gzip.BestSpeed)
	case "zstd":
		w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	case "zlib", "deflate":
		w, err = zlib.NewWriterLevel(&b, zlib.BestSpeed)
	case "raw deflate":
		w, err = flate.NewWriter(&b, flate.BestSpeed)
	case "x-snappy-framed":
		w = snappy.NewBufferedWriter(&b)
	case "lz4":
		w = lz4.NewWriter(&b)
	default:
		err = errors.New(enc)
	}
	require.NoError(t, err)
	_, err = io.Copy(w, plain)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func bodyRequest(enc string, body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	if enc != "" {
		r.Header.Set("Content-Encoding", enc)
	}
	return r
}

var wide = BodyLimits{Wire: 64 << 20, Decoded: 64 << 20}

// headerOf is the Content-Encoding under which pack(enc) is sent.
func headerOf(enc string) string {
	if enc == "raw deflate" {
		return "deflate"
	}
	return enc
}

var allEncodings = []string{"", "gzip", "x-gzip", "zstd", "deflate", "raw deflate", "zlib", "snappy", "x-snappy-framed", "lz4"}

func TestReadBodyRoundTrip(t *testing.T) {
	noise := make([]byte, 5<<20)
	src := rand.NewChaCha8([32]byte{1})
	_, _ = src.Read(noise)
	for _, enc := range allEncodings {
		t.Run("enc="+enc, func(t *testing.T) {
			for _, size := range []int{0, 1, 100, 16<<10 - 1, 16 << 10, 16<<10 + 1, 1 << 20, 5 << 20} {
				for _, plain := range [][]byte{noise[:size], bytes.Repeat([]byte("ab"), size/2)} {
					for _, chunked := range []bool{false, true} {
						r := bodyRequest(headerOf(enc), pack(t, enc, bytes.NewReader(plain)))
						wire := r.ContentLength
						if chunked {
							r.ContentLength = -1
						}
						b, err := ReadBody(r, wide, "")
						require.NoError(t, err)
						require.True(t, bytes.Equal(plain, b.Bytes()), "size %d", size)
						require.EqualValues(t, wire, b.Wire)
						b.Release()
						b.Release()
						require.Nil(t, b.Bytes())
					}
				}
			}
		})
	}
}

func TestReadBodyFallbackAndHeaderForms(t *testing.T) {
	plain := "hello hello hello"
	packed := pack(t, "snappy", strings.NewReader(plain))
	b, err := ReadBody(bodyRequest("", packed), wide, "snappy")
	require.NoError(t, err)
	require.Equal(t, plain, string(b.Bytes()))
	b.Release()

	for _, h := range []string{"GZIP", " gzip ", "identity, gzip", "gzip, identity"} {
		b, err := ReadBody(bodyRequest(h, pack(t, "gzip", strings.NewReader(plain))), wide, "")
		require.NoError(t, err, h)
		require.Equal(t, plain, string(b.Bytes()))
		b.Release()
	}
	// "identity" is a statement; the fallback is for senders that state nothing.
	b, err = ReadBody(bodyRequest("identity", []byte(plain)), wide, "snappy")
	require.NoError(t, err)
	require.Equal(t, plain, string(b.Bytes()))
	b.Release()

	for _, h := range []string{"br", "gzip, gzip", "gzip,zstd", "gzipx"} {
		_, err := ReadBody(bodyRequest(h, []byte(plain)), wide, "")
		require.ErrorIs(t, err, ErrUnsupportedMedia, h)
		require.Equal(t, http.StatusUnsupportedMediaType, Status(err))
		require.Equal(t, reasonUnsupported, fault.ReasonOf(err))
	}
	r := bodyRequest("gzip", []byte(plain))
	r.Header.Add("Content-Encoding", "gzip")
	_, err = ReadBody(r, wide, "")
	require.ErrorIs(t, err, ErrUnsupportedMedia)
}

func TestReadBodyLimits(t *testing.T) {
	plain := bytes.Repeat([]byte("x"), 1000)
	for _, enc := range allEncodings {
		packed := pack(t, enc, bytes.NewReader(plain))
		for _, tc := range []struct {
			lim     BodyLimits
			decoded bool
			ok      bool
		}{
			{lim: BodyLimits{int64(len(packed)), 1000}, ok: true},
			{lim: BodyLimits{int64(len(packed)), 999}, decoded: true},
			{lim: BodyLimits{int64(len(packed)) - 1, 1000}},
		} {
			for _, length := range []int64{int64(len(packed)), -1} {
				r := bodyRequest(headerOf(enc), packed)
				r.ContentLength = length
				b, err := ReadBody(r, tc.lim, "")
				if tc.ok {
					require.NoError(t, err, enc)
					b.Release()
					continue
				}
				require.ErrorIs(t, err, ErrTooLarge, "%s %+v", enc, tc)
				require.Equal(t, tc.decoded, errors.Is(err, ErrDecodedTooLarge), "%s %+v: %v", enc, tc, err)
				require.Equal(t, http.StatusRequestEntityTooLarge, Status(err))
				require.Equal(t, reasonTooLarge, fault.ReasonOf(err))
			}
		}
	}
}

func TestReadBodyBroken(t *testing.T) {
	noise := make([]byte, 100_000)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(noise)
	for _, enc := range allEncodings {
		if enc == "" {
			continue
		}
		packed := pack(t, enc, bytes.NewReader(noise))
		for name, bad := range map[string][]byte{
			"truncated":     packed[:len(packed)/2],
			"one byte less": packed[:len(packed)-1],
			"text":          []byte("this is not compressed at all, is it"),
			"one byte":      {0x1f},
		} {
			_, err := ReadBody(bodyRequest(headerOf(enc), bad), wide, "")
			require.Error(t, err, "%s %s", enc, name)
			require.Equal(t, http.StatusBadRequest, Status(err), "%s %s: %v", enc, name, err)
			require.Equal(t, reasonMalformed, fault.ReasonOf(err))
		}
	}
}

// zeros is an endless supply, so that the test needs no gigabyte of its own.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestReadBodyBombs(t *testing.T) {
	const limit = 4 << 20
	allocated := func(f func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	// A gibibyte of zeros, as 64 streams one after the other.
	bomb := func(enc string) []byte { return bytes.Repeat(pack(t, enc, io.LimitReader(zeros{}, 1<<24)), 64) }
	// What may be held: the bomb as sent, in steps, and the output up to its limit.
	const held = 4*limit + 8<<20
	claim := func(n uint64) []byte { return append(binary.AppendUvarint(nil, n), 0, 0, 0) }
	for _, tc := range []struct {
		name, enc string
		bomb      []byte
		bound     uint64
		status    int
	}{
		{"gzip", "gzip", bomb("gzip"), held, 413},
		{"zstd", "zstd", bomb("zstd"), held + zstdMaxWindow, 413},
		{"deflate", "deflate", pack(t, "deflate", io.LimitReader(zeros{}, 1<<26)), held, 413},
		{"framed", "x-snappy-framed", bomb("x-snappy-framed"), held + 130<<20, 413},
		{"lz4", "lz4", bomb("lz4"), held + 32<<20, 413},
		// One literal zero, then copies of 64 bytes from one byte back.
		{"snappy", "snappy", append(append(binary.AppendUvarint(nil, 1<<30), 0, 0),
			bytes.Repeat([]byte{63<<2 | 2, 1, 0}, 1<<24)...), held + 130<<20, 413},
		{"snappy claims 4 GiB", "snappy", claim(1<<32 - 1), 1 << 20, 413},
		{"snappy claims what it cannot hold", "snappy", claim(limit), 1 << 20, 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := bodyRequest(tc.enc, tc.bomb)
			var err error
			n := allocated(func() { _, err = ReadBody(r, BodyLimits{Wire: 64 << 20, Decoded: limit}, "") })
			require.Equal(t, tc.status, Status(err), "%v", err)
			require.Less(t, n, tc.bound, "%d bytes for a bomb of %d", n, len(tc.bomb))
		})
	}
	t.Run("claimed length", func(t *testing.T) {
		r := bodyRequest("", []byte("short"))
		r.ContentLength = 60 << 20
		n := allocated(func() {
			b, err := ReadBody(r, wide, "")
			require.NoError(t, err) // net/http would have said unexpected EOF
			b.Release()
		})
		require.Less(t, n, uint64(2<<20))
	})
	t.Run("zstd window", func(t *testing.T) {
		// Magic, no single segment, window descriptor of 2 GiB, one empty last raw block.
		frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 1, 0, 0}
		var err error
		n := allocated(func() { _, err = ReadBody(bodyRequest("zstd", frame), wide, "") })
		require.Equal(t, http.StatusBadRequest, Status(err))
		require.Less(t, n, uint64(2<<20))
	})
}

func TestReadAllReservesWhatItHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(0, 6<<20).Draw(t, "size")
		limit := rapid.Int64Range(0, 6<<20).Draw(t, "limit")
		hint := rapid.Int64Range(-1, 12<<20).Draw(t, "hint")
		var held int64
		b, err := readAll(io.LimitReader(zeros{}, size), limit, hint, func(n int64) error {
			require.Positive(t, n)
			held += n
			return nil
		})
		require.EqualValues(t, cap(b), held)
		if size > limit {
			require.ErrorIs(t, err, errLimit)
		} else {
			require.NoError(t, err)
			require.Len(t, b, int(size))
		}
		require.LessOrEqual(t, held, max(8*size, 8*min(max(hint, 0), believed), 64<<10), "memory follows what arrives")
		putBuffer(b)
	})
}

func TestBuffersAreNotShared(t *testing.T) {
	// Two bodies at once never see each other's bytes, whatever came before.
	rapid.Check(t, func(t *rapid.T) {
		var held []*Body
		var want []string
		for i := range rapid.IntRange(1, 12).Draw(t, "steps") {
			if len(held) > 0 && rapid.Bool().Draw(t, "release") {
				held[0].Release()
				held, want = held[1:], want[1:]
			}
			plain := strings.Repeat(fmt.Sprint(i%10), rapid.IntRange(0, 100_000).Draw(t, "size"))
			enc := rapid.SampledFrom(allEncodings).Draw(t, "enc")
			b, err := ReadBody(bodyRequest(headerOf(enc), pack(t, enc, strings.NewReader(plain))), wide, "")
			require.NoError(t, err)
			held, want = append(held, b), append(want, plain)
			for j := range held {
				require.True(t, want[j] == string(held[j].Bytes()))
			}
		}
		for _, b := range held {
			b.Release()
		}
	})
}

func fuzzBody(f *testing.F, enc string) {
	for _, s := range []string{"", "a", strings.Repeat("abc", 1000)} {
		p := pack(f, enc, strings.NewReader(s))
		f.Add(p)
		f.Add(p[:len(p)/2])
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0})
	const limit = 1 << 20
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ReadBody(bodyRequest(headerOf(enc), data), BodyLimits{Wire: limit, Decoded: limit}, "")
		if err != nil {
			require.Equal(t, fault.Invalid, fault.ClassOf(err))
			require.NotEmpty(t, fault.ReasonOf(err))
			return
		}
		require.LessOrEqual(t, len(b.Bytes()), limit)
		require.Equal(t, len(data), b.Wire)
		b.Release()
	})
}

func FuzzReadBodyGzip(f *testing.F)    { fuzzBody(f, "gzip") }
func FuzzReadBodyZstd(f *testing.F)    { fuzzBody(f, "zstd") }
func FuzzReadBodyDeflate(f *testing.F) { fuzzBody(f, "raw deflate") }
func FuzzReadBodyZlib(f *testing.F)    { fuzzBody(f, "zlib") }
func FuzzReadBodySnappy(f *testing.F)  { fuzzBody(f, "snappy") }
func FuzzReadBodyFramed(f *testing.F)  { fuzzBody(f, "x-snappy-framed") }
func FuzzReadBodyLZ4(f *testing.F)     { fuzzBody(f, "lz4") }

func BenchmarkReadBody(b *testing.B) {
	var plain bytes.Buffer
	for i := range 20_000 {
		fmt.Fprintf(&plain, "http_requests_total{path=\"/api/%d\"} %d\n", i%37, i)
	}
	for _, enc := range allEncodings {
		b.Run("enc="+enc, func(b *testing.B) {
			packed := pack(b, enc, bytes.NewReader(plain.Bytes()))
			b.SetBytes(int64(plain.Len()))
			b.ReportAllocs()
			for b.Loop() {
				body, err := ReadBody(bodyRequest(headerOf(enc), packed), wide, "")
				if err != nil {
					b.Fatal(err)
				}
				body.Release()
			}
		})
	}
}
