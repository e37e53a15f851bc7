package remotewrite

import (
	"encoding/binary"
	"errors"
)

// Faults of the protobuf encoding. Any of them makes the whole request
// undecodable: behind a broken length nothing can be trusted.
var (
	errTruncated = &wireError{errors.New("a field is cut short")}
	errVarint    = &wireError{errors.New("a varint has more than 10 bytes")}
	errTag       = &wireError{errors.New("illegal field number or wire type")}
	errWireType  = &wireError{errors.New("a known field has the wrong wire type")}
	errGroup     = &wireError{errors.New("unbalanced group")}

	errOtherVersion = &wireError{errors.New("the message is of the other version of remote write than its Content-Type says")}
)

// wireError tells a fault of the encoding from an error of the store.
type wireError struct{ err error }

func (e *wireError) Error() string { return e.err.Error() }
func (e *wireError) Unwrap() error { return e.err }

// Wire types.
const (
	typVarint  = 0
	typFixed64 = 1
	typBytes   = 2
	typStart   = 3
	typEnd     = 4
	typFixed32 = 5
)

// uvarint decodes one varint and the number of its bytes. Bits beyond 64 are
// dropped, as the reference decoder does.
func uvarint(b []byte) (uint64, int, error) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1, nil
	}
	if len(b) > 1 && b[1] < 0x80 {
		return uint64(b[0]&0x7f) | uint64(b[1])<<7, 2, nil
	}
	return uvarintLong(b)
}

func uvarintLong(b []byte) (uint64, int, error) {
	var v uint64
	for i, c := range b {
		if i == 10 {
			return 0, 0, errVarint
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, i + 1, nil
		}
	}
	if len(b) >= 10 {
		return 0, 0, errVarint
	}
	return 0, 0, errTruncated
}

// lengthAt decodes a length and checks it against what follows: the payload is
// b[n:n+length].
func lengthAt(b []byte) (length, n int, err error) {
	v, n, err := uvarint(b)
	if err != nil {
		return 0, 0, err
	}
	if v > uint64(len(b)-n) {
		return 0, 0, errTruncated
	}
	return int(v), n, nil
}

// fields iterates over the fields of one message. Unknown fields come out as
// any other; the caller ignores their numbers.
//
//	f := fields{b: msg}
//	for f.next() { … }
//	if f.err != nil { … }
type fields struct {
	b    []byte // what is left
	num  int32
	typ  int
	data []byte // of typBytes, points into b
	u    uint64 // of typVarint, typFixed64 and typFixed32
	err  error
}

func (f *fields) next() bool {
	if len(f.b) == 0 || f.err != nil {
		return false
	}
	f.err = f.read()
	return f.err == nil
}

func (f *fields) read() error {
	// Short names and lengths, which are nearly all of them.
	if b := f.b; len(b) > 1 && b[0]&7 == typBytes && b[0]-8 < 0x78 && b[1] < 0x80 {
		n := 2 + int(b[1])
		if n > len(b) {
			return errTruncated
		}
		f.num, f.typ, f.data, f.b = int32(b[0]>>3), typBytes, b[2:n], b[n:]
		return nil
	}
	tag, n, err := uvarint(f.b)
	if err != nil {
		return err
	}
	f.num, f.typ = int32(tag>>3), int(tag&7)
	if f.num <= 0 {
		return errTag
	}
	switch f.typ {
	case typBytes:
		length, k, err := lengthAt(f.b[n:])
		if err != nil {
			return err
		}
		f.data = f.b[n+k : n+k+length]
		n += k + length
	case typVarint:
		u, k, err := uvarint(f.b[n:])
		if err != nil {
			return err
		}
		f.u = u
		n += k
	case typFixed64:
		if len(f.b)-n < 8 {
			return errTruncated
		}
		f.u = binary.LittleEndian.Uint64(f.b[n:])
		n += 8
	case typFixed32:
		if len(f.b)-n < 4 {
			return errTruncated
		}
		f.u = uint64(binary.LittleEndian.Uint32(f.b[n:]))
		n += 4
	case typStart:
		k, err := skipGroup(f.b[n:])
		if err != nil {
			return err
		}
		n += k
	case typEnd:
		return errGroup
	default:
		return errTag
	}
	f.b = f.b[n:]
	return nil
}

// want notes an error unless the field has the wire type.
func (f *fields) want(typ int) bool {
	if f.typ != typ {
		f.err = errWireType
		return false
	}
	return true
}

// appendRefs appends the values of a repeated uint32 field, packed or not. What
// goes beyond the labels that a series may have is counted as one more.
func (f *fields) appendRefs(dst []uint32) []uint32 {
	if f.typ == typVarint {
		return appendRef(dst, f.u)
	}
	if !f.want(typBytes) {
		return dst
	}
	for b := f.data; len(b) > 0; {
		u, n, err := uvarint(b)
		if err != nil {
			f.err = err
			return dst
		}
		dst = appendRef(dst, u)
		b = b[n:]
	}
	return dst
}

func appendRef(dst []uint32, u uint64) []uint32 {
	if len(dst) > 2*maxLabels {
		return dst
	}
	return append(dst, uint32(u))
}

// skipGroup returns the length of a group's content and its end tag. It counts
// depth instead of recursing: a sender must not choose our stack.
func skipGroup(b []byte) (int, error) {
	depth, i := 1, 0
	for depth > 0 {
		tag, n, err := uvarint(b[i:])
		if err != nil {
			return 0, err
		}
		i += n
		size := 0
		switch tag & 7 {
		case typVarint:
			_, size, err = uvarint(b[i:])
		case typFixed64:
			size = 8
		case typFixed32:
			size = 4
		case typBytes:
			var length, k int
			length, k, err = lengthAt(b[i:])
			size = length + k
		case typStart:
			depth++
		case typEnd:
			depth--
		default:
			err = errTag
		}
		if err != nil {
			return 0, err
		}
		if size > len(b)-i {
			return 0, errTruncated
		}
		i += size
	}
	return i, nil
}
