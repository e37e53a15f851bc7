package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// TempSuffix ends the name of a file that WriteFileAtomic has not finished. A
// store removes such leftovers when it opens.
const TempSuffix = ".tmp"

// IsTemp reports whether name is a leftover of an unfinished WriteFileAtomic.
func IsTemp(name string) bool { return strings.HasSuffix(name, TempSuffix) }

// WriteFileAtomic writes a file so that after any error or power loss it holds
// the old content or the new, never a mix; when it returns nil, the new content
// is durable. At most one writer a name at a time. After an error the content
// may be either, and the temporary file is removed if that is possible.
func WriteFileAtomic(fsys FS, name string, data []byte) error {
	tmp := name + TempSuffix
	err := writeSynced(fsys, tmp, data)
	if err == nil {
		err = fsys.Rename(tmp, name)
	}
	if err != nil {
		// The error that matters is the first one.
		_ = fsys.Remove(tmp)
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := SyncDir(fsys, filepath.Dir(name)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func writeSynced(fsys FS, name string, data []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		// Without this the rename may be on disk before the bytes are.
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// SyncDir makes the names in a folder durable: files made, renamed, removed.
func SyncDir(fsys FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}

// MkdirAllSync makes a folder and its parents durably. They are made and synced
// one by one from the top, so after an interruption only the deepest folder
// that exists can be unsynced, and the next call makes good for it.
func MkdirAllSync(fsys FS, dir string) error {
	var missing []string // deepest first
	d := filepath.Clean(dir)
	for up := filepath.Dir(d); up != d; d, up = up, filepath.Dir(up) {
		_, err := fsys.Stat(d)
		if err == nil {
			// A parent that we may not read is not ours, nor did we make d in it.
			if err := SyncDir(fsys, up); err != nil && !errors.Is(err, fs.ErrPermission) {
				return err
			}
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make folder %s: %w", dir, err)
		}
		missing = append(missing, d)
	}
	for _, d := range slices.Backward(missing) {
		if err := fsys.MkdirAll(d); err != nil {
			return fmt.Errorf("make folder %s: %w", dir, err)
		}
		if err := SyncDir(fsys, filepath.Dir(d)); err != nil {
			return err
		}
	}
	// For the error when dir exists and is a file.
	return fsys.MkdirAll(dir)
}

// ReadFile returns the content of a file, which the caller owns.
func ReadFile(fsys FS, name string) (data []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// The size is a hint: a file of /proc says 0, a live one may grow.
	data = make([]byte, 0, st.Size()+1)
	for {
		n, err := f.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
	}
}
