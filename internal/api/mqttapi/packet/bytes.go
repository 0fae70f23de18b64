package packet

import (
	"encoding/binary"
	"unicode/utf8"
)

// MaxRemaining is the longest remaining length that four bytes can say.
const MaxRemaining = 268_435_455

// Split finds the first packet in src: head is its first byte, body what follows the remaining length, n its whole length. n = 0 and no
// error: not all of it is there; need is then how many bytes it has in all, 0 if even that is not known. A packet longer than limit
// bytes in all is refused before its body has come.
func Split(src []byte, limit int) (head byte, body []byte, n, need int, err error) {
	if len(src) < 2 {
		return 0, nil, 0, 0, nil
	}
	length, used := 0, 0
	for {
		if used == 4 {
			return 0, nil, 0, 0, malformed("the remaining length is longer than 4 bytes")
		}
		if 1+used >= len(src) {
			return 0, nil, 0, 0, nil
		}
		b := src[1+used]
		length |= int(b&127) << (7 * used)
		used++
		if b < 128 {
			break
		}
	}
	total := 1 + used + length
	switch {
	case total > limit:
		return 0, nil, 0, 0, &Error{TooLarge, "the packet is too large"}
	case total > len(src):
		return 0, nil, 0, total, nil
	}
	return src[0], src[1+used : total : total], total, total, nil
}

// reader walks through a body. The first mistake is kept, and all that follows is empty.
type reader struct {
	rest []byte
	err  *Error
}

func (r *reader) fail(text string) {
	if r.err == nil {
		r.err = malformed(text)
	}
	r.rest = nil
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.fail("the packet is too short")
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// varint reads a variable byte integer.
func (r *reader) varint() uint32 {
	var v uint32
	for i := range 4 {
		b := r.byte()
		v |= uint32(b&127) << (7 * i)
		if b < 128 {
			if i > 0 && b == 0 {
				r.fail("a variable byte integer is longer than needed")
			}
			return v
		}
	}
	r.fail("a variable byte integer is longer than 4 bytes")
	return 0
}

func (r *reader) binary() []byte { return r.take(int(r.uint16())) }

// text reads a UTF-8 string: no surrogates, no U+0000.
func (r *reader) text() []byte {
	b := r.binary()
	if !ValidText(b) {
		r.fail("a text is not valid UTF-8")
		return nil
	}
	return b
}

// id reads a packet identifier.
func (r *reader) id() uint16 {
	v := r.uint16()
	if v == 0 && r.err == nil {
		r.err = illegal("the packet identifier is 0")
	}
	return v
}

// end checks that nothing is left.
func (r *reader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		r.fail("there are bytes after the end of the packet")
	}
	if r.err != nil {
		return r.err
	}
	return nil
}

// ValidText reports whether b may be a UTF-8 string of MQTT (1.5.4).
func ValidText[T ~string | ~[]byte](b T) bool {
	for i := range len(b) {
		if b[i] == 0 {
			return false
		}
	}
	return utf8.ValidString(string(b))
}

func appendText[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

func appendVarint(dst []byte, v uint32) []byte {
	for v >= 128 {
		dst = append(dst, byte(v)|128)
		v >>= 7
	}
	return append(dst, byte(v))
}

func varintLen(v uint32) int {
	n := 1
	for v >= 128 {
		n++
		v >>= 7
	}
	return n
}

// appendHead appends the first byte and the remaining length.
func appendHead(dst []byte, t Type, flags byte, remaining int) []byte {
	return appendVarint(append(dst, byte(t)<<4|flags), uint32(remaining))
}
