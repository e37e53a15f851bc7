package otlp

import (
	"encoding/binary"
	"hash/maphash"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// hash128 identifies a stream: tenant, resource, scope, metric and attributes.
// The seeds are random, so nobody can make two streams collide on purpose.
type hash128 [2]uint64

// hasher makes hash128 of parts.
type hasher struct{ h [2]maphash.Hash }

func newHasher(seeds [2]maphash.Seed) (h hasher) {
	h.h[0].SetSeed(seeds[0])
	h.h[1].SetSeed(seeds[1])
	return h
}

func (h *hasher) str(s string) {
	h.num(uint64(len(s)))
	h.h[0].WriteString(s)
	h.h[1].WriteString(s)
}

func (h *hasher) num(n uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	h.h[0].Write(b[:])
	h.h[1].Write(b[:])
}

func (h *hasher) sum() hash128 {
	s := hash128{h.h[0].Sum64(), h.h[1].Sum64()}
	h.h[0].Reset()
	h.h[1].Reset()
	return s
}

// attributes hashes a map without regard to its order.
func (h *hasher) attributes(m pcommon.Map) hash128 {
	all := hash128{uint64(m.Len()), 0}
	for k, v := range m.All() {
		h.str(k)
		h.num(uint64(v.Type()))
		if v.Type() == pcommon.ValueTypeStr {
			h.str(v.Str())
		} else {
			h.str(v.AsString())
		}
		one := h.sum()
		all[0] += one[0]
		all[1] += one[1]
	}
	return all
}

// join hashes parts of an identity together.
func (h *hasher) join(parts ...hash128) hash128 {
	for _, p := range parts {
		h.num(p[0])
		h.num(p[1])
	}
	return h.sum()
}

func (tx *deltaTx) resourceID(attrs pcommon.Map) hash128 {
	id := tx.hash.attributes(attrs)
	tx.hash.str(string(tx.tenant))
	return tx.hash.join(id)
}

func (tx *deltaTx) stripeOf(attrs pcommon.Map) int {
	return int(tx.resourceID(attrs)[0] % stripeCount)
}

// enterResource, enterScope and enterMetric tell where the walk is.
// enterResource needs the attributes as begin has seen them: a changed hash would
// lead to a stripe that is not held.
func (tx *deltaTx) enterResource(attrs pcommon.Map) {
	tx.resource = tx.resourceID(attrs)
	tx.stripe = &tx.d.stripes[tx.resource[0]%stripeCount]
}

func (tx *deltaTx) enterScope(sm pmetric.ScopeMetrics) {
	attrs := tx.hash.attributes(sm.Scope().Attributes())
	tx.hash.str(sm.Scope().Name())
	tx.hash.str(sm.Scope().Version())
	tx.hash.str(sm.SchemaUrl())
	tx.scope = tx.hash.join(tx.resource, attrs)
}

func (tx *deltaTx) enterMetric(m pmetric.Metric, monotonic bool) {
	tx.hash.str(m.Name())
	tx.hash.str(m.Unit())
	tx.hash.num(uint64(m.Type()))
	if monotonic {
		tx.hash.num(1)
	}
	tx.metric = tx.hash.join(tx.scope)
}

func (tx *deltaTx) streamID(attrs pcommon.Map) hash128 {
	a := tx.hash.attributes(attrs)
	return tx.hash.join(tx.metric, a)
}
