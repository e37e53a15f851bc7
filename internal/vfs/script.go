package vfs

import (
	"path/filepath"
	"slices"
	"sync/atomic"
)

// Script decides over each operation before it is done: nil lets it through,
// anything else is its error. It is called by many goroutines at once.
//
// Scripts nest from the outside in: OnOps(FailNth(3, ErrIO), OpSync) fails the
// third sync.
type Script func(op Op, path string) error

// FailNth fails the n-th operation, counted from 1, and no other.
func FailNth(n int64, err error) Script {
	var seen atomic.Int64
	return func(Op, string) error {
		if seen.Add(1) == n {
			return err
		}
		return nil
	}
}

// FailFrom fails the n-th operation, counted from 1, and all after it: a disk
// that went away, or, with LosePower after it, the moment of power loss.
func FailFrom(n int64, err error) Script {
	var seen atomic.Int64
	return func(Op, string) error {
		if seen.Add(1) >= n {
			return err
		}
		return nil
	}
}

// Counter counts the operations that reach its Script, which lets all through.
type Counter struct{ n atomic.Int64 }

// Script counts.
func (c *Counter) Script(Op, string) error {
	c.n.Add(1)
	return nil
}

// Count returns how many operations there were.
func (c *Counter) Count() int64 { return c.n.Load() }

// Switch is a script that fails everything with an error while one is set.
type Switch struct{ err atomic.Pointer[error] }

// Set makes operations fail with err, or lets them through again when err is nil.
func (s *Switch) Set(err error) { s.err.Store(&err) }

// Script fails while the switch is on.
func (s *Switch) Script(Op, string) error {
	if p := s.err.Load(); p != nil {
		return *p
	}
	return nil
}

// OnOps shows inner only these operations and lets others through.
func OnOps(inner Script, ops ...Op) Script {
	return func(op Op, path string) error {
		if slices.Contains(ops, op) {
			return inner(op, path)
		}
		return nil
	}
}

// OnWrites shows inner only operations that can change the disk.
func OnWrites(inner Script) Script {
	return func(op Op, path string) error {
		if op.Writes() {
			return inner(op, path)
		}
		return nil
	}
}

// OnBase shows inner only files whose last path element matches the pattern of
// filepath.Match. A malformed pattern matches nothing.
func OnBase(pattern string, inner Script) Script {
	return func(op Op, path string) error {
		if ok, err := filepath.Match(pattern, filepath.Base(path)); ok && err == nil {
			return inner(op, path)
		}
		return nil
	}
}

// All asks several scripts in turn; the first error wins.
func All(scripts ...Script) Script {
	return func(op Op, path string) error {
		for _, s := range scripts {
			if err := s(op, path); err != nil {
				return err
			}
		}
		return nil
	}
}
