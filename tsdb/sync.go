package tsdb

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"signalbox/internal/vfs"
)

// groupCommit makes logged bytes survive a power cut. Every commit waits for a
// sync that began after its bytes were written; commits that wait at the same
// time share one.
type groupCommit struct {
	disk vfs.FS
	dirs []string

	wake chan struct{}
	stop chan struct{}
	wg   sync.WaitGroup

	mu struct {
		sync.Mutex
		next   *syncRound // the round that has not begun
		closed bool
	}
	synced map[string]string // dir to the last segment whose predecessors are synced; owned by run until its end
}

type syncRound struct {
	done chan struct{}
	err  error
}

// newGroupCommit syncs the log segments below dir: those of in-order samples
// (wal) and those of late ones (wbl).
func newGroupCommit(disk vfs.FS, dir string) *groupCommit {
	g := &groupCommit{
		disk:   disk,
		dirs:   []string{filepath.Join(dir, "wal"), filepath.Join(dir, "wbl")},
		wake:   make(chan struct{}, 1),
		stop:   make(chan struct{}),
		synced: map[string]string{},
	}
	g.wg.Go(g.run)
	return g
}

// wait returns when everything logged before the call is on disk.
func (g *groupCommit) wait() error {
	g.mu.Lock()
	if g.mu.closed {
		g.mu.Unlock()
		return errClosed
	}
	if g.mu.next == nil {
		g.mu.next = &syncRound{done: make(chan struct{})}
	}
	r := g.mu.next
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default: // a round is due already
	}
	<-r.done
	return r.err
}

func (g *groupCommit) run() {
	for {
		select {
		case <-g.stop:
			return
		case <-g.wake:
		}
		g.mu.Lock()
		r := g.mu.next
		g.mu.next = nil
		g.mu.Unlock()
		if r == nil {
			continue
		}
		r.err = g.syncAll()
		close(r.done)
	}
}

func (g *groupCommit) syncAll() error {
	for _, dir := range g.dirs {
		if err := g.syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// syncDir syncs the newest segment and those that came after the last sync.
func (g *groupCommit) syncDir(dir string) error {
	names, err := g.disk.List(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("sync log: %w", err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !isSegment(n) })
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	last := names[len(names)-1]
	from, _ := slices.BinarySearch(names, g.synced[dir])
	for _, n := range names[from:] {
		if err := g.disk.SyncPath(filepath.Join(dir, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sync log: %w", err)
		}
	}
	if g.synced[dir] != last {
		if err := g.disk.SyncPath(dir); err != nil {
			return fmt.Errorf("sync log: %w", err)
		}
		g.synced[dir] = last
	}
	return nil
}

// isSegment tells log segments (eight digits or more) from checkpoints.
func isSegment(name string) bool {
	for i := range len(name) {
		if name[i] < '0' || name[i] > '9' {
			return false
		}
	}
	return len(name) >= 8
}

// close ends the goroutine; commits that still wait get an error.
func (g *groupCommit) close() error {
	g.mu.Lock()
	g.mu.closed = true
	g.mu.Unlock()
	close(g.stop)
	g.wg.Wait()
	if r := g.mu.next; r != nil {
		r.err = errClosed
		close(r.done)
	}
	return nil
}

// behind lists the log segments that may hold bytes that no sync has reached.
// It may be called on nil and after close.
func (g *groupCommit) behind() []string {
	if g == nil {
		return nil
	}
	var out []string
	for _, dir := range g.dirs {
		names, err := g.disk.List(dir)
		if err != nil {
			continue
		}
		for _, n := range names {
			if isSegment(n) && n >= g.synced[dir] {
				out = append(out, filepath.Join(dir, n))
			}
		}
	}
	return out
}

// rewriteSegments writes files anew. After a failed sync the kernel shows bytes
// that it could not write and forgets that it could not: syncing them again
// would be believed and wrong.
func rewriteSegments(disk vfs.FS, names []string) error {
	for _, n := range names {
		data, err := vfs.ReadFile(disk, n)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := vfs.WriteFileAtomic(disk, n, data); err != nil {
			return err
		}
	}
	return nil
}
