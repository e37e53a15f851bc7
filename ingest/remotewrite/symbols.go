package remotewrite

import (
	"signalbox/internal/fault"
)

// maxSymbols bounds the memory that a table of tiny symbols takes: 24 bytes
// each. A batch of ten thousand series has some ten thousand symbols.
const maxSymbols = 1 << 20

// symbols is the string table of one version 2 request.
type symbols struct {
	body   []byte // the request; spans point into it
	spans  []span
	hashes []key
	name   key // hash of "__name__"
}

type span struct{ off, len uint32 }

func (t *symbols) reset(body []byte, seeds *seeds) {
	t.body = body
	t.spans, t.hashes = t.spans[:0], t.hashes[:0]
	t.name = seeds.bytes([]byte("__name__"))
}

func (t *symbols) forget() {
	t.body = nil
	if cap(t.spans) > maxKept {
		t.spans, t.hashes = nil, nil
	}
}

// add appends the symbol body[end-length:end].
func (t *symbols) add(seeds *seeds, end, length int) error {
	if len(t.spans) == maxSymbols {
		return fault.Refuse("too_many_symbols", "the request has more than %d symbols", maxSymbols)
	}
	t.spans = append(t.spans, span{uint32(end - length), uint32(length)})
	t.hashes = append(t.hashes, seeds.bytes(t.body[end-length:end]))
	return nil
}

func (t *symbols) has(ref uint32) bool { return int(ref) < len(t.spans) }

// bytes returns a symbol, which points into the body.
func (t *symbols) bytes(ref uint32) []byte {
	s := t.spans[ref]
	return t.body[s.off : s.off+s.len]
}

// borrow returns a symbol, valid as long as the body.
func (t *symbols) borrow(ref uint32) string { return borrow(t.bytes(ref)) }

// checkRefs refuses references that a series or exemplar may not have.
func (t *symbols) checkRefs(refs []uint32) *fault.Error {
	if len(refs) > 2*maxLabels {
		return fault.Refuse("too_many_labels", "there are more than %d labels", maxLabels)
	}
	if len(refs)%2 != 0 {
		return fault.Refuse("bad_label_refs", "labels_refs has %d entries, which are not pairs", len(refs))
	}
	for _, r := range refs {
		if !t.has(r) {
			return fault.Refuse("bad_label_refs", "label reference %d is outside of the %d symbols", r, len(t.spans))
		}
	}
	return nil
}
