package tsdb

import (
	"sync"
	"time"

	"signalbox/internal/fault"
	"signalbox/internal/vfs"
)

// spaceGuard refuses writes before the disk is full, because the store needs
// room to seal what it has acknowledged. It asks the disk at most once a second.
type spaceGuard struct {
	fs   vfs.FS
	dir  string
	want uint64

	mu struct {
		sync.Mutex
		asked time.Time
		free  uint64
		err   error
	}
}

func newSpaceGuard(fs vfs.FS, dir string, want uint64) *spaceGuard {
	return &spaceGuard{fs: fs, dir: dir, want: want}
}

const spaceInterval = time.Second

// check returns an Unavailable error when too little is free.
func (g *spaceGuard) check() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.mu.asked) >= spaceInterval {
		g.mu.free, g.mu.err = g.fs.DiskFree(g.dir)
		g.mu.asked = time.Now()
	}
	// A file system that cannot tell does not stop writes: the log's own errors will.
	if g.mu.err != nil || g.mu.free >= g.want {
		return nil
	}
	return fault.New(fault.Unavailable, "the disk of %s has %d MiB free, less than the %d MiB of storage.min_free_bytes: writes are refused until space returns",
		g.dir, g.mu.free>>20, g.want>>20).WithReason("disk_full").WithRetryAfter(5 * time.Second)
}

// free returns the last reading in bytes.
func (g *spaceGuard) freeBytes() uint64 {
	_ = g.check()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.free
}
