package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
)

// FS is a file system. Names are paths in the form of the operating system;
// errors are *fs.PathError or *os.LinkError, so errors.Is(err, fs.ErrNotExist)
// and errors.Is(err, ErrNoSpace) work on every implementation.
//
// Durability, the same for all: the bytes of a file survive power loss when
// File.Sync or SyncPath of the file returned nil after they were written; its
// name (create, rename, link, remove) survives when its folder was synced
// (OpenDir and Sync, or SyncPath of the folder) after the change.
type FS interface {
	// Create makes the file, or empties it, and opens it for reading and writing.
	// The folder must exist.
	Create(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// OpenAppend opens a file for reading and appending and makes it if needed.
	// Every Write goes to the end, wherever the position for reading is.
	OpenAppend(name string) (File, error)
	// OpenDir opens a folder for Sync; its other methods may fail.
	OpenDir(name string) (File, error)
	// Remove deletes a file or an empty folder.
	Remove(name string) error
	// RemoveAll deletes name and all below it; nil when there is nothing.
	RemoveAll(name string) error
	// Rename moves a file or a folder and replaces an existing file of the new name.
	// To move between folders durably, sync the new folder before the old one.
	Rename(oldname, newname string) error
	// Link gives a file a second name; the new name must not exist.
	Link(oldname, newname string) error
	// MkdirAll makes a folder and its parents.
	MkdirAll(name string) error
	// List returns the names in a folder, sorted.
	List(name string) ([]string, error)
	// Stat describes a file or a folder.
	Stat(name string) (fs.FileInfo, error)
	// SyncPath opens a file or a folder, syncs it and closes it: what was written
	// to a file before the call, through any handle, is durable after it. A new
	// file's folder needs a sync of its own, once.
	SyncPath(name string) error
	// Lock takes the exclusive lock of the file name, making the file if needed,
	// and holds it until Close or the end of the process. When someone else has
	// it, the error is ErrLocked and names the folder and, if known, the process.
	Lock(name string) (io.Closer, error)
	// DiskFree returns the bytes that an unprivileged process may still write on
	// the disk that holds name, which must exist.
	DiskFree(name string) (uint64, error)
}

// File is an open file. A failed Sync leaves unknown what is on disk: the
// caller must not sync again and believe it, but write anew (the kernel forgets
// the pages it could not write).
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Seeker
	io.Closer
	// Name returns the name that the file was opened by.
	Name() string
	// Sync returns when everything written so far is on disk.
	Sync() error
	// Stat describes the open file.
	Stat() (fs.FileInfo, error)
	// Truncate cuts or, with zeros, extends the file to size bytes.
	Truncate(size int64) error
}

// Errors that callers branch on, and that Faulty is scripted with.
var (
	// ErrLocked is that another process, or another part of this one, has the lock.
	ErrLocked = errors.New("locked")
	// ErrNoSpace is a full disk.
	ErrNoSpace error = syscall.ENOSPC
	// ErrIO is a disk that failed.
	ErrIO error = syscall.EIO
)

// lockedError says who is in the way. pid is 0 when not known.
func lockedError(dir string, pid int) error {
	who := "another process"
	if pid > 0 {
		who = fmt.Sprintf("the process with pid %d", pid)
	}
	return fmt.Errorf("folder %s: %w by %s: stop it, or use another folder", dir, ErrLocked, who)
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}
