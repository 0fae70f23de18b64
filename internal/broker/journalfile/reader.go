package journalfile

import (
	"encoding/binary"
	"io"
)

// Reader decodes the records of a payload. The first short read or bad length sets Err, and everything after returns zero values.
type Reader struct {
	b   []byte
	err error
}

// NewReader returns a reader of payload, parts of which it returns.
func NewReader(payload []byte) Reader { return Reader{b: payload} }

// Err is io.ErrUnexpectedEOF when something was cut short.
func (r *Reader) Err() error { return r.err }

func (r *Reader) fail() {
	if r.err == nil {
		r.err = io.ErrUnexpectedEOF
	}
	r.b = nil
}

// More reports whether something is left.
func (r *Reader) More() bool { return len(r.b) > 0 }

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

// Uint reads an unsigned varint.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Int reads a signed varint.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Count reads, as a signed varint, how many things follow, each of which takes a byte at least.
func (r *Reader) Count() int {
	n := r.Int()
	if n < 0 || n > int64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

// Text reads a Count and as many bytes.
func (r *Reader) Text() []byte { return r.take(r.Count()) }

// Bytes reads an unsigned varint and as many bytes.
func (r *Reader) Bytes() []byte {
	n := r.Uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	return r.take(int(n))
}

func (r *Reader) take(n int) []byte {
	s := r.b[:n]
	r.b = r.b[n:]
	return s
}
