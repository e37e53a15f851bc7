package httpserver

import (
	"sync"

	"signalbox/internal/invariant"
)

// bufferClasses are the sizes of pooled buffers, in bytes. Classes keep small
// bodies from holding the buffers of large ones; what is larger than the last
// is left to the garbage collector, so that one giant request pins nothing.
var bufferClasses = [...]int64{16 << 10, 64 << 10, 256 << 10, 1 << 20, maxPooled}

const maxPooled = 4 << 20

var bufferPools [len(bufferClasses)]sync.Pool

// bufferSize is the capacity of what getBuffer(n) returns.
func bufferSize(n int64) int64 {
	for _, size := range bufferClasses {
		if n <= size {
			return size
		}
	}
	return n
}

// getBuffer returns an empty buffer with a capacity of at least n bytes. The
// caller owns it until putBuffer.
func getBuffer(n int64) []byte {
	for i, size := range bufferClasses {
		if n > size {
			continue
		}
		if b, ok := bufferPools[i].Get().(*[]byte); ok {
			return (*b)[:0]
		}
		return make([]byte, 0, size)
	}
	return make([]byte, 0, n)
}

// putBuffer gives b back. Nil and buffers of no class are dropped.
func putBuffer(b []byte) {
	for i, size := range bufferClasses {
		if int64(cap(b)) == size {
			invariant.Scribble(b)
			b = b[:0]
			bufferPools[i].Put(&b)
			return
		}
	}
}
