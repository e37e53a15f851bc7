package vfs

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
)

// PowerLoss says what of the things that nobody synced is on the disk anyway.
// The zero value: nothing, the harshest disk that is still a correct one.
type PowerLoss struct {
	// Rand, when set, keeps a random prefix of the unsynced bytes of each file and
	// a random subset of the unsynced changes of names. The same seed and the same
	// history give the same disk.
	Rand *rand.Rand
	// Garbage, with Rand, leaves zeros or noise in part of what was appended and
	// kept: disks record the new length before the bytes.
	Garbage bool
}

// LosePower returns the disk as it is after power loss at this moment. Nobody
// holds a lock or an open file on it; m itself and its files go on as they were,
// and what they do is not seen by the disk returned.
func (m *Mem) LosePower(loss PowerLoss) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := NewMem()
	out.mu.size = m.mu.size
	c := &crasher{
		loss:  loss,
		nodes: make(map[*memNode]*memNode),
		kept:  make(map[*dirOp]bool),
	}
	out.mu.root = c.node(m.mu.root)
	out.mu.used = c.used
	return out
}

// crasher copies a tree as it is after power loss.
type crasher struct {
	loss  PowerLoss
	nodes map[*memNode]*memNode // a file with two names is copied once
	kept  map[*dirOp]bool       // a move between folders is decided once
	used  int64
}

func (c *crasher) node(n *memNode) *memNode {
	if have := c.nodes[n]; have != nil {
		return have
	}
	out := &memNode{mtime: n.mtime}
	if n.dir {
		out = newMemDir()
		out.mtime = n.mtime
	}
	c.nodes[n] = out
	if !n.dir {
		out.synced = c.content(n)
		out.data = bytes.Clone(out.synced)
		out.dirtyFrom = len(out.data)
		c.used += int64(len(out.data))
		return out
	}
	names := c.names(n)
	// In order, so that the same seed gives the same disk.
	for _, name := range slices.Sorted(maps.Keys(names)) {
		child := c.node(names[name])
		child.links++
		out.entries[name], out.durable[name] = child, child
	}
	return out
}

// names returns what a folder holds.
func (c *crasher) names(n *memNode) map[string]*memNode {
	names := maps.Clone(n.durable)
	for _, op := range n.pending {
		keep, known := c.kept[op]
		if !known {
			keep = op.done || c.loss.Rand != nil && c.loss.Rand.IntN(2) == 0
			c.kept[op] = keep
		}
		if keep {
			op.on(n, names)
		}
	}
	return names
}

// content returns what a file holds, in a slice of its own.
func (c *crasher) content(n *memNode) []byte {
	r := c.loss.Rand
	if r == nil || n.dirtyFrom == len(n.data) && n.dirtyFrom == len(n.synced) {
		return bytes.Clone(n.synced)
	}
	cut := n.dirtyFrom + r.IntN(len(n.data)-n.dirtyFrom+1)
	out := bytes.Clone(n.data[:cut])
	switch {
	case cut < len(n.synced) && (cut < len(n.data) || r.IntN(2) == 0):
		out = append(out, n.synced[cut:]...) // the rest is still the old
	case c.loss.Garbage && cut > len(n.synced):
		from := len(n.synced) + r.IntN(cut-len(n.synced)+1)
		noise := r.IntN(2) == 0
		for i := from; i < cut; i++ {
			out[i] = 0
			if noise {
				out[i] = byte(r.Uint32())
			}
		}
	}
	return out
}
