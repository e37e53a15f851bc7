package remotewrite

import "sync/atomic"

const (
	metaSlots  = 8192
	metaWindow = 8 // slots that a name may use
	// metaCacheEntries is the size of a metaCache, counted in series entries.
	metaCacheEntries = metaSlots * 8 / 24
)

// metaCache remembers the metadata that was last handed on for each metric
// name, so that metadata which version 2 repeats with every series costs a
// comparison. A slot is half a hash of the name and half a hash of what was
// said. When a window is full a name displaces another: that repeats a call of
// the sink and loses nothing.
type metaCache [metaSlots]atomic.Uint64

// seen reports whether what was last handed on for name is sum.
func (c *metaCache) seen(name, sum key) bool {
	if c == nil {
		return false
	}
	want := metaSlot(name, sum)
	for i := range uint64(metaWindow) {
		if s := c[(name.b+i)%metaSlots].Load(); s>>32 == want>>32 || s == 0 {
			return s == want
		}
	}
	return false
}

func (c *metaCache) set(name, sum key) {
	if c == nil {
		return
	}
	want := metaSlot(name, sum)
	at := &c[(name.b+sum.b%metaWindow)%metaSlots] // displaced if none is free
	for i := range uint64(metaWindow) {
		slot := &c[(name.b+i)%metaSlots]
		if s := slot.Load(); s>>32 == want>>32 || s == 0 {
			at = slot
			break
		}
	}
	at.Store(want)
}

func metaSlot(name, sum key) uint64 { return name.a&^(1<<32-1) | sum.a>>32 }
