package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

func linkError(op, oldname, newname string, err error) error {
	return &os.LinkError{Op: op, Old: oldname, New: newname, Err: err}
}

// causeOf returns what a path error wraps, so that it can be wrapped again.
func causeOf(err error) error {
	if e, ok := err.(*fs.PathError); ok { //nolint:errorlint // made here, never wrapped
		return e.Err
	}
	return err
}

// Rename implements FS. A folder as the new name is refused, as by package os.
func (m *Mem) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	fail := func(err error) error { return linkError("rename", oldname, newname, causeOf(err)) }
	from, oldBase, err := m.parentLocked("rename", oldname)
	if err != nil {
		return fail(err)
	}
	n, ok := from.entries[oldBase]
	if !ok {
		return fail(fs.ErrNotExist)
	}
	to, newBase, err := m.parentLocked("rename", newname)
	if err != nil {
		return fail(err)
	}
	old := to.entries[newBase]
	switch {
	case old != nil && old.dir:
		return fail(fs.ErrExist)
	case old == n:
		return nil
	case old != nil && n.dir:
		return fail(syscall.ENOTDIR)
	case n.dir && strings.HasPrefix(filepath.Clean("/"+newname)+"/", filepath.Clean("/"+oldname)+"/"):
		return fail(fs.ErrInvalid)
	}
	op := &dirOp{unlink: oldBase, link: newBase, node: n}
	if from != to {
		op.from, op.to = from, to
		from.apply(op)
	}
	to.apply(op)
	if old != nil {
		m.releaseLocked(old)
	}
	return nil
}

// Link implements FS.
func (m *Mem) Link(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	fail := func(err error) error { return linkError("link", oldname, newname, causeOf(err)) }
	n, err := m.findLocked("link", oldname)
	if err != nil {
		return fail(err)
	}
	to, base, err := m.parentLocked("link", newname)
	if err != nil {
		return fail(err)
	}
	if to.entries[base] != nil {
		return fail(fs.ErrExist)
	}
	if n.dir {
		return fail(syscall.EPERM)
	}
	to.apply(&dirOp{link: base, node: n})
	return nil
}

// Lock implements FS. The lock is lost with the power.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.openLocked("lock", name, true)
	if err != nil {
		return nil, err
	}
	if n.dir {
		return nil, pathError("lock", name, syscall.EISDIR)
	}
	if m.mu.locks[n] {
		return nil, lockedError(filepath.Dir(name), os.Getpid())
	}
	m.mu.locks[n] = true
	return &memLock{m: m, n: n, name: name}, nil
}

type memLock struct {
	m    *Mem
	n    *memNode
	name string
	once sync.Once
}

func (l *memLock) Close() error {
	err := fmt.Errorf("unlock %s: %w", l.name, fs.ErrClosed)
	l.once.Do(func() {
		l.m.mu.Lock()
		defer l.m.mu.Unlock()
		delete(l.m.mu.locks, l.n)
		err = nil
	})
	return err
}
