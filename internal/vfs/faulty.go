package vfs

import (
	"errors"
	"io"
	"io/fs"
)

// Op is an operation that a Script may fail.
type Op string

// The operations of FS and File. Closing and seeking are not among them: they
// do not touch the disk.
const (
	OpCreate     Op = "create"
	OpOpen       Op = "open"
	OpOpenAppend Op = "openappend"
	OpOpenDir    Op = "opendir"
	OpRemove     Op = "remove"
	OpRemoveAll  Op = "removeall"
	OpRename     Op = "rename" // path is the old name
	OpLink       Op = "link"   // path is the old name
	OpMkdirAll   Op = "mkdirall"
	OpList       Op = "list"
	OpStat       Op = "stat"
	OpSyncPath   Op = "syncpath"
	OpLock       Op = "lock"
	OpDiskFree   Op = "diskfree"
	OpRead       Op = "read"
	OpReadAt     Op = "readat"
	OpWrite      Op = "write"
	OpSync       Op = "sync"
	OpFileStat   Op = "filestat"
	OpTruncate   Op = "truncate"
)

// Writes reports whether the operation can change what is on the disk.
func (o Op) Writes() bool {
	switch o {
	case OpOpen, OpOpenDir, OpList, OpStat, OpDiskFree, OpRead, OpReadAt, OpFileStat:
		return false
	}
	return true
}

// ErrSkip from a Script makes an operation report success and do nothing: a
// disk that lies, and a test's way to prove that it notices a missing sync. On an
// operation that returns more than an error it is an error like any other.
var ErrSkip = errors.New("not done, and reported as done")

// ShortWrite from a Script makes a Write store the first N bytes and fail with Err.
type ShortWrite struct {
	N   int
	Err error // nil: ErrNoSpace
}

func (e *ShortWrite) Error() string { return "short write" }

// Faulty is an FS that fails by a script. Files opened through it fail too.
type Faulty struct {
	inner  FS
	script Script
}

var _ FS = (*Faulty)(nil)

// NewFaulty wraps inner; a nil script never fails.
func NewFaulty(inner FS, script Script) *Faulty {
	if script == nil {
		script = func(Op, string) error { return nil }
	}
	return &Faulty{inner: inner, script: script}
}

// ask runs the script and dresses its error as the operating system would.
func (f *Faulty) ask(op Op, name string) error {
	err := f.script(op, name)
	if err == nil || errors.Is(err, ErrSkip) {
		return err
	}
	return pathError(string(op), name, err)
}

// do carries out an operation that only has an error.
func (f *Faulty) do(op Op, name string, fn func() error) error {
	err := f.ask(op, name)
	if errors.Is(err, ErrSkip) {
		return nil
	}
	if err != nil {
		return err
	}
	return fn()
}

func (f *Faulty) open(op Op, name string, fn func(string) (File, error)) (File, error) {
	if err := f.ask(op, name); err != nil {
		return nil, err
	}
	file, err := fn(name)
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: file, fs: f}, nil
}

// Create implements FS.
func (f *Faulty) Create(name string) (File, error) { return f.open(OpCreate, name, f.inner.Create) }

// Open implements FS.
func (f *Faulty) Open(name string) (File, error) { return f.open(OpOpen, name, f.inner.Open) }

// OpenAppend implements FS.
func (f *Faulty) OpenAppend(name string) (File, error) {
	return f.open(OpOpenAppend, name, f.inner.OpenAppend)
}

// OpenDir implements FS.
func (f *Faulty) OpenDir(name string) (File, error) { return f.open(OpOpenDir, name, f.inner.OpenDir) }

// Remove implements FS.
func (f *Faulty) Remove(name string) error {
	return f.do(OpRemove, name, func() error { return f.inner.Remove(name) })
}

// RemoveAll implements FS.
func (f *Faulty) RemoveAll(name string) error {
	return f.do(OpRemoveAll, name, func() error { return f.inner.RemoveAll(name) })
}

// Rename implements FS.
func (f *Faulty) Rename(oldname, newname string) error {
	return f.do(OpRename, oldname, func() error { return f.inner.Rename(oldname, newname) })
}

// Link implements FS.
func (f *Faulty) Link(oldname, newname string) error {
	return f.do(OpLink, oldname, func() error { return f.inner.Link(oldname, newname) })
}

// MkdirAll implements FS.
func (f *Faulty) MkdirAll(name string) error {
	return f.do(OpMkdirAll, name, func() error { return f.inner.MkdirAll(name) })
}

// List implements FS.
func (f *Faulty) List(name string) ([]string, error) {
	if err := f.ask(OpList, name); err != nil {
		return nil, err
	}
	return f.inner.List(name)
}

// Stat implements FS.
func (f *Faulty) Stat(name string) (fs.FileInfo, error) {
	if err := f.ask(OpStat, name); err != nil {
		return nil, err
	}
	return f.inner.Stat(name)
}

// SyncPath implements FS.
func (f *Faulty) SyncPath(name string) error {
	return f.do(OpSyncPath, name, func() error { return f.inner.SyncPath(name) })
}

// Lock implements FS.
func (f *Faulty) Lock(name string) (io.Closer, error) {
	if err := f.ask(OpLock, name); err != nil {
		return nil, err
	}
	return f.inner.Lock(name)
}

// DiskFree implements FS.
func (f *Faulty) DiskFree(name string) (uint64, error) {
	if err := f.ask(OpDiskFree, name); err != nil {
		return 0, err
	}
	return f.inner.DiskFree(name)
}

type faultyFile struct {
	File
	fs *Faulty
}

func (f *faultyFile) Read(p []byte) (int, error) {
	if err := f.fs.ask(OpRead, f.Name()); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.ask(OpReadAt, f.Name()); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultyFile) Write(p []byte) (int, error) {
	err := f.fs.script(OpWrite, f.Name())
	if short, ok := errors.AsType[*ShortWrite](err); ok {
		n, werr := f.File.Write(p[:min(max(short.N, 0), len(p))])
		if werr == nil {
			werr = short.Err
		}
		if werr == nil {
			werr = ErrNoSpace
		}
		return n, pathError(string(OpWrite), f.Name(), werr)
	}
	switch {
	case errors.Is(err, ErrSkip):
		return len(p), nil
	case err != nil:
		return 0, pathError(string(OpWrite), f.Name(), err)
	}
	return f.File.Write(p)
}

func (f *faultyFile) Sync() error {
	return f.fs.do(OpSync, f.Name(), f.File.Sync)
}

func (f *faultyFile) Stat() (fs.FileInfo, error) {
	if err := f.fs.ask(OpFileStat, f.Name()); err != nil {
		return nil, err
	}
	return f.File.Stat()
}

func (f *faultyFile) Truncate(size int64) error {
	return f.fs.do(OpTruncate, f.Name(), func() error { return f.File.Truncate(size) })
}
