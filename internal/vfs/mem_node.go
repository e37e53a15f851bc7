package vfs

import (
	"io/fs"
	"path/filepath"
	"time"
)

// memNode is a file or a folder of Mem, guarded by Mem's lock.
type memNode struct {
	dir   bool
	links int // names in folders as the process sees them
	open  int // handles
	mtime time.Time

	// A file: data is what the process sees, synced what the disk has. They are
	// the same below dirtyFrom, so that a sync after an append copies the tail only.
	data, synced []byte
	dirtyFrom    int

	// A folder: entries is what the process sees, durable what the disk has, and
	// pending leads from the second to the first.
	entries, durable map[string]*memNode
	pending          []*dirOp
}

// dirOp is a change of names in one folder, or in two when something moves
// between them. Either all of it is on disk or nothing.
type dirOp struct {
	unlink string // "" for none
	link   string // "" for none
	node   *memNode
	// With a move between folders both have the operation, and each carries out
	// its half.
	from, to *memNode
	done     bool // on disk: the folder of the new name was synced
}

func newMemDir() *memNode {
	return &memNode{dir: true, entries: make(map[string]*memNode), durable: make(map[string]*memNode)}
}

func (o *dirOp) unlinksIn(dir *memNode) bool {
	return o.unlink != "" && (o.from == nil || o.from == dir)
}

func (o *dirOp) linksIn(dir *memNode) bool {
	return o.link != "" && (o.to == nil || o.to == dir)
}

// on carries out dir's part of the operation in names.
func (o *dirOp) on(dir *memNode, names map[string]*memNode) {
	if o.unlinksIn(dir) {
		delete(names, o.unlink)
	}
	if o.linksIn(dir) {
		names[o.link] = o.node
	}
}

// apply shows an operation to the process and leaves it pending for the disk.
func (n *memNode) apply(o *dirOp) {
	if old := n.entries[o.unlink]; old != nil && o.unlinksIn(n) {
		old.links--
	}
	if o.linksIn(n) {
		if old := n.entries[o.link]; old != nil {
			old.links--
		}
		o.node.links++
	}
	o.on(n, n.entries)
	n.pending = append(n.pending, o)
	n.mtime = time.Now()
}

// write puts p at offset off, past the end with zeros between.
func (n *memNode) write(off int, p []byte) {
	n.dirtyFrom = min(n.dirtyFrom, off, len(n.data))
	if gap := off - len(n.data); gap > 0 {
		n.data = append(n.data, make([]byte, gap)...)
	}
	k := copy(n.data[off:], p)
	n.data = append(n.data, p[k:]...)
	n.mtime = time.Now()
}

func (n *memNode) truncate(size int) {
	if grow := size - len(n.data); grow > 0 {
		n.write(len(n.data), make([]byte, grow))
		return
	}
	n.data = n.data[:size]
	n.dirtyFrom = min(n.dirtyFrom, size)
	n.mtime = time.Now()
}

// sync makes what the process sees durable.
func (n *memNode) sync() {
	if !n.dir {
		n.synced = append(n.synced[:n.dirtyFrom], n.data[n.dirtyFrom:]...)
		n.dirtyFrom = len(n.data)
		return
	}
	for _, o := range n.pending {
		o.on(n, n.durable)
		// A move whose old folder alone was synced may lose the file: that is what
		// the order that FS.Rename asks for is about.
		o.done = o.done || o.to == nil || o.to == n
	}
	n.pending = nil
}

func (n *memNode) info(name string) fs.FileInfo {
	return memInfo{name: filepath.Base(name), size: int64(len(n.data)), dir: n.dir, mtime: n.mtime}
}

// memInfo implements fs.FileInfo.
type memInfo struct {
	name  string
	size  int64
	dir   bool
	mtime time.Time
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) ModTime() time.Time { return i.mtime }
func (i memInfo) IsDir() bool        { return i.dir }
func (i memInfo) Sys() any           { return nil }

func (i memInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | dirPerm
	}
	return filePerm
}
