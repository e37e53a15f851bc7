package vfs

import (
	"io"
	"io/fs"
	"syscall"
)

// memMode is what a handle may do.
type memMode struct{ read, write, append bool }

// memFile is an open file or folder of Mem; Mem's lock guards it.
type memFile struct {
	m      *Mem
	n      *memNode
	name   string
	mode   memMode
	pos    int64
	closed bool
}

func (f *memFile) Name() string { return f.name }

// checkLocked refuses what the handle cannot do.
func (f *memFile) checkLocked(op string, content, write bool) error {
	switch {
	case f.closed:
		return pathError(op, f.name, fs.ErrClosed)
	case content && f.n.dir:
		return pathError(op, f.name, syscall.EISDIR)
	case write && !f.mode.write:
		return pathError(op, f.name, syscall.EBADF)
	}
	return nil
}

func (f *memFile) Read(p []byte) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.checkLocked("read", true, false); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if f.pos >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	k := copy(p, f.n.data[f.pos:])
	f.pos += int64(k)
	return k, nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.checkLocked("read", true, false); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathError("readat", f.name, fs.ErrInvalid)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	k := copy(p, f.n.data[off:])
	if k < len(p) {
		return k, io.EOF
	}
	return k, nil
}

func (f *memFile) Write(p []byte) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.checkLocked("write", true, true); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if f.mode.append {
		f.pos = int64(len(f.n.data))
	}
	fits := f.m.growLocked(f.n, f.pos, f.pos+int64(len(p)))
	if fits <= f.pos {
		return 0, pathError("write", f.name, ErrNoSpace)
	}
	k := int(fits - f.pos)
	f.n.write(int(f.pos), p[:k])
	f.pos = fits
	if k < len(p) {
		return k, pathError("write", f.name, ErrNoSpace)
	}
	return k, nil
}

// growLocked takes space for a file that is to be written from byte from to
// byte to, and returns up to where it may be: less than to on a full disk, and
// from or less when nothing fits.
func (m *Mem) growLocked(n *memNode, from, to int64) int64 {
	have := int64(len(n.data))
	if m.mu.size >= 0 {
		to = min(to, max(have, have+m.mu.size-m.mu.used))
	}
	if to > from {
		m.mu.used += max(0, to-have)
	}
	return to
}

func (f *memFile) Seek(offset int64, whence int) (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.checkLocked("seek", true, false); err != nil {
		return 0, err
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += int64(len(f.n.data))
	default:
		return 0, pathError("seek", f.name, fs.ErrInvalid)
	}
	if offset < 0 {
		return 0, pathError("seek", f.name, fs.ErrInvalid)
	}
	f.pos = offset
	return offset, nil
}

func (f *memFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.checkLocked("close", false, false); err != nil {
		return err
	}
	f.closed = true
	f.n.open--
	f.m.releaseLocked(f.n)
	return nil
}

func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.checkLocked("sync", false, false); err != nil {
		return err
	}
	f.n.sync()
	return nil
}

func (f *memFile) Stat() (fs.FileInfo, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.checkLocked("stat", false, false); err != nil {
		return nil, err
	}
	return f.n.info(f.name), nil
}

func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.checkLocked("truncate", true, true); err != nil {
		return err
	}
	if size < 0 {
		return pathError("truncate", f.name, fs.ErrInvalid)
	}
	have := int64(len(f.n.data))
	if f.m.mu.size >= 0 && size > have && size-have > f.m.mu.size-f.m.mu.used {
		return pathError("truncate", f.name, ErrNoSpace)
	}
	f.m.mu.used += size - have
	f.n.truncate(int(size))
	return nil
}
