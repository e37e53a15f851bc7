package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// OS is the file system of the operating system. The zero value is ready.
type OS struct{}

var _ FS = OS{}

// Telemetry may name people and machines: others on the host get no access.
const (
	filePerm = 0o640
	dirPerm  = 0o750
)

// wrap keeps a nil *os.File from becoming a File that is not nil.
func wrap(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Create implements FS.
func (OS) Create(name string) (File, error) {
	return wrap(os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, filePerm))
}

// Open implements FS.
func (OS) Open(name string) (File, error) { return wrap(os.Open(name)) }

// OpenAppend implements FS.
func (OS) OpenAppend(name string) (File, error) {
	return wrap(os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, filePerm))
}

// OpenDir implements FS.
func (OS) OpenDir(name string) (File, error) {
	// The slash makes the open fail on what is not a folder.
	return wrap(os.Open(name + string(filepath.Separator)))
}

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// RemoveAll implements FS.
func (OS) RemoveAll(name string) error { return os.RemoveAll(name) }

// Rename implements FS.
func (OS) Rename(oldname, newname string) error { return os.Rename(oldname, newname) }

// Link implements FS.
func (OS) Link(oldname, newname string) error { return os.Link(oldname, newname) }

// MkdirAll implements FS.
func (OS) MkdirAll(name string) error { return os.MkdirAll(name, dirPerm) }

// List implements FS.
func (OS) List(name string) ([]string, error) {
	d, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	slices.Sort(names)
	return names, errors.Join(err, d.Close())
}

// Stat implements FS.
func (OS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// SyncPath implements FS.
func (OS) SyncPath(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Lock implements FS with flock, which the kernel drops when the process ends,
// however it ends. The file holds the process's number for people and for the
// error of the next one; it is never removed, because removing it would let two
// processes lock two files of one name.
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, filePerm)
	if err != nil {
		return nil, err
	}
	if err := flock(f); err != nil {
		if errors.Is(err, ErrLocked) {
			err = lockedError(filepath.Dir(name), readPID(f))
		} else {
			err = pathError("lock", name, err)
		}
		return nil, errors.Join(err, f.Close())
	}
	// The number is a courtesy: on a full disk the lock is held all the same.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

// readPID returns the number in a lock file, or 0.
func readPID(f *os.File) int {
	var buf [32]byte
	n, _ := f.ReadAt(buf[:], 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// DiskFree implements FS.
func (OS) DiskFree(name string) (uint64, error) {
	n, err := diskFree(name)
	if err != nil {
		return 0, pathError("statfs", name, err)
	}
	return n, nil
}
