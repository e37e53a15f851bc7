package remotewrite

import (
	"encoding/binary"
	"math"
)

// sample is one decoded Sample message. The value keeps its bits: NaN payloads,
// stale markers among them, mean something.
type sample struct {
	v     float64
	t, st int64 // ms; st is 0 when not stated
}

// decodeSample reads a Sample of either version; field 3, the start timestamp,
// is version 2's.
func decodeSample(b []byte, version int) (s sample, err error) {
	// What encoders write: the value unless it is 0, the timestamp, and rarely more.
	if len(b) > 9 && b[0] == 1<<3|typFixed64 {
		s.v = math.Float64frombits(binary.LittleEndian.Uint64(b[1:]))
		b = b[9:]
	}
	if len(b) > 1 && b[0] == 2<<3|typVarint {
		if t, n, err := uvarint(b[1:]); err == nil {
			s.t = int64(t)
			b = b[1+n:]
		}
	}
	if len(b) == 0 {
		return s, nil
	}
	f := fields{b: b}
	for f.next() {
		switch {
		case f.num == 1 && f.want(typFixed64):
			s.v = math.Float64frombits(f.u)
		case f.num == 2 && f.want(typVarint):
			s.t = int64(f.u)
		case f.num == 3 && version == 2 && f.want(typVarint):
			s.st = int64(f.u)
		}
	}
	return s, f.err
}
