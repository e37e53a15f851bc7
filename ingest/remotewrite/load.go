package remotewrite

import (
	"encoding/binary"

	"signalbox/internal/fault"
)

// loadV1 takes the labels where they stand at the front, which is where every
// encoder puts them; labels elsewhere are gathered, so that they still count.
func (q *request) loadV1(ts []byte) (c contents, err error) {
	front, err := labelRun(ts)
	if err != nil {
		return c, err
	}
	q.cur.src = ts[:front]
	if rest := ts[front:]; len(rest) > 1 && rest[0] == tagSample && rest[1] < 0x80 && int(rest[1]) == len(rest)-2 {
		// One sample and no more, which is what Prometheus sends.
		q.cur.key = q.h.seeds.bytes(q.cur.src)
		return contents{samples: 1, sample: rest[2:]}, nil
	}
	stray := false
	f := fields{b: ts[front:]}
	for f.next() {
		switch f.num {
		case 1:
			stray = f.want(typBytes) || stray
		case 2:
			if f.want(typBytes) {
				c.samples++
				c.sample = f.data
			}
		case 3:
			if f.want(typBytes) {
				c.exemplars++
			}
		case 4:
			if f.want(typBytes) {
				c.histograms++
			}
		}
	}
	if f.err != nil {
		return c, f.err
	}
	if stray {
		q.gather(ts)
	}
	q.cur.key = q.h.seeds.bytes(q.cur.src)
	return c, nil
}

const (
	tagLabels = 1<<3 | typBytes
	tagSample = 2<<3 | typBytes
)

// labelRun returns the length of the label fields at the front of a version 1
// TimeSeries, without looking into them.
func labelRun(ts []byte) (int, error) {
	o := 0
	for o+1 < len(ts) && ts[o] == tagLabels {
		if n := int(ts[o+1]); n < 0x80 {
			o += 2 + n
			if o > len(ts) {
				return 0, errTruncated
			}
			continue
		}
		length, n, err := lengthAt(ts[o+1:])
		if err != nil {
			return 0, err
		}
		o += 1 + n + length
	}
	return o, nil
}

// gather makes q.cur.src a copy of all label fields of ts, side by side.
func (q *request) gather(ts []byte) {
	g := q.cur.gathered[:0]
	f := fields{b: ts}
	for f.next() {
		if f.num == 1 {
			g = append(g, tagLabels)
			g = binary.AppendUvarint(g, uint64(len(f.data)))
			g = append(g, f.data...)
		}
	}
	q.cur.gathered, q.cur.src = g, g
}

// loadV2 collects the label references and checks them against the symbols. The
// first error is the series', the second the request's.
func (q *request) loadV2(ts []byte) (c contents, refused *fault.Error, err error) {
	refs := q.cur.refs[:0]
	f := fields{b: ts}
	for f.next() {
		switch f.num {
		case 1:
			refs = f.appendRefs(refs)
		case 2:
			if f.want(typBytes) {
				c.samples++
				c.sample = f.data
			}
		case 3:
			if f.want(typBytes) {
				c.histograms++
			}
		case 4:
			if f.want(typBytes) {
				c.exemplars++
			}
		case 5:
			if f.want(typBytes) {
				c.meta, f.err = decodeMetaRefs(f.data, c.meta)
			}
		}
	}
	q.cur.refs = refs
	if f.err != nil {
		return c, nil, f.err
	}
	if refused := q.symbols.checkRefs(refs); refused != nil {
		return c, refused, nil
	}
	if !q.symbols.has(c.meta.help) || !q.symbols.has(c.meta.unit) {
		if c.meta != (metaRefs{}) {
			return c, fault.Refuse("bad_metadata_refs", "metadata references %d and %d are outside of the %d symbols",
				c.meta.help, c.meta.unit, len(q.symbols.spans)), nil
		}
	}
	q.cur.key = q.h.seeds.pairs(refs, q.symbols.hashes)
	return c, nil, nil
}
