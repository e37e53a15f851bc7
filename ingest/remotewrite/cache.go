package remotewrite

import (
	"sync"
	"sync/atomic"

	"signalbox/internal/tenant"
)

// cache remembers the references of all tenants. It holds two generations:
// when the current one reaches half of the limit it becomes the previous one,
// what is used is copied forward, and what nobody sent in the meantime is
// dropped with the generation after next. Nothing is scanned.
type cache struct {
	limit int // entries of one generation; 0 remembers nothing

	mu struct {
		sync.Mutex
		cur, prev *generation
	}
	rotations atomic.Uint64
}

type generation struct {
	reserved atomic.Int64 // entries allocated, used or not

	mu struct {
		sync.Mutex
		tenants map[tenant.ID]*tenantCache
	}
}

// tenantCache is what is remembered of one tenant.
type tenantCache struct {
	series table
	meta   atomic.Pointer[metaCache] // nil until metadata arrives
}

func newCache(maxSeries int) *cache {
	c := &cache{limit: maxSeries / 2}
	if c.limit > 0 {
		c.limit = max(c.limit, chunkSize)
	}
	c.mu.cur, c.mu.prev = newGeneration(), newGeneration()
	return c
}

func newGeneration() *generation {
	g := &generation{}
	g.mu.tenants = map[tenant.ID]*tenantCache{}
	return g
}

// generations returns the current generation and the one before it.
func (c *cache) generations() (cur, prev *generation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.cur, c.mu.prev
}

// tenant returns what g remembers of id, or nil.
func (g *generation) tenant(id tenant.ID) *tenantCache {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.tenants[id]
}

func (g *generation) ensureTenant(id tenant.ID) *tenantCache {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.mu.tenants[id]
	if t == nil {
		t = &tenantCache{}
		g.mu.tenants[id] = t
	}
	return t
}

// put remembers list for the tenant, in the order given.
func (c *cache) put(id tenant.ID, list []cached) {
	if c.limit == 0 || len(list) == 0 {
		return
	}
	g, _ := c.generations()
	g.ensureTenant(id).series.put(list, func(n int) bool { return g.reserve(n, c.limit) })
	c.rotateIfFull(g)
}

// reserve books n entries, unless the generation is full.
func (g *generation) reserve(n, limit int) bool {
	if g.reserved.Load() >= int64(limit) {
		return false
	}
	g.reserved.Add(int64(n))
	return true
}

// metaCache returns the tenant's metadata cache, made if need be, or nil when
// nothing is to be remembered.
func (c *cache) metaCache(id tenant.ID) *metaCache {
	g, _ := c.generations()
	t := g.ensureTenant(id)
	if m := t.meta.Load(); m != nil {
		return m
	}
	if !g.reserve(metaCacheEntries, c.limit) {
		return nil
	}
	t.meta.CompareAndSwap(nil, new(metaCache))
	return t.meta.Load()
}

func (c *cache) rotateIfFull(g *generation) {
	if g.reserved.Load() < int64(c.limit) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.cur == g { // else another request has done it
		c.mu.cur, c.mu.prev = newGeneration(), g
		c.rotations.Add(1)
	}
}

// entries returns how many series both generations hold room for.
func (c *cache) entries() int64 {
	cur, prev := c.generations()
	return cur.reserved.Load() + prev.reserved.Load()
}
