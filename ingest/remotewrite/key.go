package remotewrite

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
)

// key stands for the labels of a series: 128 bits of a keyed hash over the
// bytes that spell them. Two series of one tenant would be mixed up if their
// keys met, so the seeds are secret and random, which leaves a sender nothing
// better than chance: about n²/2¹²⁹ for n series.
type key struct{ a, b uint64 }

// seeds are drawn once for each Handler.
type seeds struct {
	a, b   maphash.Seed
	ka, kb uint64 // start of the two lanes of fold
	ma, mb uint64 // and their multipliers' masks
}

func newSeeds() *seeds {
	return &seeds{
		a: maphash.MakeSeed(), b: maphash.MakeSeed(),
		ka: rand.Uint64(), kb: rand.Uint64(), ma: rand.Uint64(), mb: rand.Uint64(),
	}
}

func (s *seeds) bytes(b []byte) key {
	return key{maphash.Bytes(s.a, b), maphash.Bytes(s.b, b)}
}

// pairs combines hashes of names and values, in order. A symbol's hash does not
// depend on its place in the table, so the key is the same in every request.
func (s *seeds) pairs(refs []uint32, hashes []key) key {
	k := key{s.ka ^ uint64(len(refs)), s.kb}
	for i := 1; i < len(refs); i += 2 {
		n, v := hashes[refs[i-1]], hashes[refs[i]]
		k.a = fold(k.a^n.a, s.ma^v.a)
		k.b = fold(k.b^n.b, s.mb^v.b)
	}
	return k
}

// metadata combines what was said of a metric name.
func (s *seeds) metadata(name, help, unit key, typ uint64) key {
	k := key{fold(name.a^typ, s.ma^help.a), fold(name.b, s.mb^help.b)}
	return key{fold(k.a, s.ka^unit.a), fold(k.b, s.kb^unit.b)}
}

func fold(x, y uint64) uint64 {
	hi, lo := bits.Mul64(x, y)
	return hi ^ lo
}
