package vfs

import (
	"errors"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Mem is a disk in memory. It shows every write at once, as a kernel does, and
// knows which of it would be there after power loss: LosePower returns that.
// Names are taken from the root, so "a/b" and "/a/b" are the same file.
type Mem struct {
	mu struct {
		sync.Mutex
		root  *memNode
		size  int64 // bytes that fit; < 0: no limit
		used  int64 // bytes in files that have a name or are open
		locks map[*memNode]bool
	}
}

var _ FS = (*Mem)(nil)

// NewMem returns an empty disk without a limit of size.
func NewMem() *Mem {
	m := &Mem{}
	m.mu.root = newMemDir()
	m.mu.size = -1
	m.mu.locks = make(map[*memNode]bool)
	return m
}

// SetSize sets how many bytes of file content fit; writes past it store what
// fits and fail with ErrNoSpace. Less than 0 means no limit.
func (m *Mem) SetSize(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.size = bytes
}

// Used returns the bytes of file content on the disk.
func (m *Mem) Used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.used
}

// split cuts a name into its parts; the root has none.
func split(name string) []string {
	s := strings.Trim(filepath.ToSlash(filepath.Clean("/"+name)), "/")
	if s == "" {
		return nil
	}
	return strings.Split(s, "/")
}

// findLocked returns the node of a name.
func (m *Mem) findLocked(op, name string) (*memNode, error) {
	n := m.mu.root
	for _, part := range split(name) {
		if !n.dir {
			return nil, pathError(op, name, syscall.ENOTDIR)
		}
		next, ok := n.entries[part]
		if !ok {
			return nil, pathError(op, name, fs.ErrNotExist)
		}
		n = next
	}
	return n, nil
}

// parentLocked returns the folder that holds or would hold name, and the last part.
func (m *Mem) parentLocked(op, name string) (*memNode, string, error) {
	parts := split(name)
	if len(parts) == 0 {
		return nil, "", pathError(op, name, fs.ErrInvalid)
	}
	dir, err := m.findLocked(op, strings.Join(parts[:len(parts)-1], "/"))
	if err != nil {
		// The error names what the caller asked for.
		return nil, "", pathError(op, name, err.(*fs.PathError).Err) //nolint:errorlint // made by findLocked
	}
	if !dir.dir {
		return nil, "", pathError(op, name, syscall.ENOTDIR)
	}
	return dir, parts[len(parts)-1], nil
}

func (m *Mem) open(op, name string, create, truncate bool, mode memMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.openLocked(op, name, create)
	if err != nil {
		return nil, err
	}
	if n.dir && mode.write {
		return nil, pathError(op, name, syscall.EISDIR)
	}
	if truncate {
		m.mu.used -= int64(len(n.data))
		n.truncate(0)
	}
	n.open++
	return &memFile{m: m, n: n, name: name, mode: mode}, nil
}

func (m *Mem) openLocked(op, name string, create bool) (*memNode, error) {
	if !create {
		return m.findLocked(op, name)
	}
	dir, base, err := m.parentLocked(op, name)
	if err != nil {
		return nil, err
	}
	if n, ok := dir.entries[base]; ok {
		return n, nil
	}
	n := &memNode{}
	dir.apply(&dirOp{link: base, node: n})
	return n, nil
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	return m.open("open", name, true, true, memMode{read: true, write: true})
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) {
	return m.open("open", name, false, false, memMode{read: true})
}

// OpenAppend implements FS.
func (m *Mem) OpenAppend(name string) (File, error) {
	return m.open("open", name, true, false, memMode{read: true, write: true, append: true})
}

// OpenDir implements FS.
func (m *Mem) OpenDir(name string) (File, error) {
	f, err := m.Open(name)
	if err != nil {
		return nil, err
	}
	if !f.(*memFile).n.dir {
		return nil, pathError("open", name, syscall.ENOTDIR)
	}
	return f, nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked("remove", name)
	if err != nil {
		return err
	}
	n, ok := dir.entries[base]
	if !ok {
		return pathError("remove", name, fs.ErrNotExist)
	}
	if n.dir && len(n.entries) > 0 {
		return pathError("remove", name, syscall.ENOTEMPTY)
	}
	m.unlinkLocked(dir, base, n)
	return nil
}

func (m *Mem) unlinkLocked(dir *memNode, base string, n *memNode) {
	dir.apply(&dirOp{unlink: base})
	m.releaseLocked(n)
}

// releaseLocked gives the space of a file back once it has no name and is not
// open. The content stays: the disk may still have a name for it.
func (m *Mem) releaseLocked(n *memNode) {
	if n.links == 0 && n.open == 0 {
		m.mu.used -= int64(len(n.data))
	}
}

// RemoveAll implements FS.
func (m *Mem) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked("remove", name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing there is what was asked for
	}
	if err != nil {
		return err
	}
	m.clearLocked(n)
	if len(split(name)) == 0 {
		return nil
	}
	dir, base, err := m.parentLocked("remove", name)
	if err != nil {
		return err
	}
	m.unlinkLocked(dir, base, n)
	return nil
}

// clearLocked empties a folder, in the order of names so that runs repeat.
func (m *Mem) clearLocked(n *memNode) {
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		child := n.entries[name]
		m.clearLocked(child)
		m.unlinkLocked(n, name, child)
	}
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.mu.root
	for _, part := range split(name) {
		next, ok := n.entries[part]
		if !ok {
			next = newMemDir()
			n.apply(&dirOp{link: part, node: next})
		}
		if !next.dir {
			return pathError("mkdir", name, syscall.ENOTDIR)
		}
		n = next
	}
	return nil
}

// List implements FS.
func (m *Mem) List(name string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked("open", name)
	if err != nil {
		return nil, err
	}
	if !n.dir {
		return nil, pathError("readdirent", name, syscall.ENOTDIR)
	}
	return slices.Sorted(maps.Keys(n.entries)), nil
}

// Stat implements FS.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked("stat", name)
	if err != nil {
		return nil, err
	}
	return n.info(name), nil
}

// SyncPath implements FS.
func (m *Mem) SyncPath(name string) error {
	f, err := m.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// DiskFree implements FS.
func (m *Mem) DiskFree(name string) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.findLocked("statfs", name); err != nil {
		return 0, err
	}
	if m.mu.size < 0 {
		return math.MaxInt64, nil
	}
	return uint64(max(0, m.mu.size-m.mu.used)), nil
}
