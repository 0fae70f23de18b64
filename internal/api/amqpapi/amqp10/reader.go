package amqp10

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf8"
)

const (
	// maxDepth is how deep values may be nested. Messages of known clients stay below 6.
	maxDepth = 24
	// maxValues is how many values one Reader makes, so that a frame of nulls does not become 70 times its size.
	maxValues = 1 << 16
)

// DecodeError says what is wrong with encoded data and where.
type DecodeError struct {
	At   int // byte position in what the Reader was given
	What string
}

// Error names the place.
func (e *DecodeError) Error() string { return fmt.Sprintf("byte %d: %s", e.At, e.What) }

// Constructors of the standard, part 1.6.
const (
	codeDescribed  = 0x00
	codeNull       = 0x40
	codeTrue       = 0x41
	codeFalse      = 0x42
	codeUint0      = 0x43
	codeUlong0     = 0x44
	codeList0      = 0x45
	codeUbyte      = 0x50
	codeByte       = 0x51
	codeSmallUint  = 0x52
	codeSmallUlong = 0x53
	codeSmallInt   = 0x54
	codeSmallLong  = 0x55
	codeBool       = 0x56
	codeUshort     = 0x60
	codeShort      = 0x61
	codeUint       = 0x70
	codeInt        = 0x71
	codeFloat      = 0x72
	codeChar       = 0x73
	codeDecimal32  = 0x74
	codeUlong      = 0x80
	codeLong       = 0x81
	codeDouble     = 0x82
	codeTimestamp  = 0x83
	codeDecimal64  = 0x84
	codeDecimal128 = 0x94
	codeUUID       = 0x98
	codeVbin8      = 0xa0
	codeStr8       = 0xa1
	codeSym8       = 0xa3
	codeVbin32     = 0xb0
	codeStr32      = 0xb1
	codeSym32      = 0xb3
	codeList8      = 0xc0
	codeMap8       = 0xc1
	codeList32     = 0xd0
	codeMap32      = 0xd1
	codeArray8     = 0xe0
	codeArray32    = 0xf0
)

// kindOf is the type that a constructor makes, kindCount of none.
var kindOf = func() (t [256]Kind) {
	for i := range t {
		t[i] = kindCount
	}
	for c, k := range map[byte]Kind{
		codeNull: Null, codeTrue: Bool, codeFalse: Bool, codeBool: Bool, codeUint0: Uint, codeSmallUint: Uint, codeUint: Uint,
		codeUlong0: Ulong, codeSmallUlong: Ulong, codeUlong: Ulong, codeUbyte: Ubyte, codeByte: Byte, codeUshort: Ushort, codeShort: Short,
		codeSmallInt: Int, codeInt: Int, codeSmallLong: Long, codeLong: Long, codeFloat: Float, codeDouble: Double, codeChar: Char,
		codeDecimal32: Decimal32, codeDecimal64: Decimal64, codeDecimal128: Decimal128, codeTimestamp: Timestamp, codeUUID: UUID,
		codeVbin8: Binary, codeVbin32: Binary, codeStr8: String, codeStr32: String, codeSym8: Symbol, codeSym32: Symbol,
		codeList0: List, codeList8: List, codeList32: List, codeMap8: MapKind, codeMap32: MapKind, codeArray8: Array, codeArray32: Array,
		codeDescribed: Described,
	} {
		t[c] = k
	}
	return t
}()

// Reader decodes values one after the other. What it returns may be borrowed from the slice that it reads.
type Reader struct {
	src    []byte
	pos    int
	depth  int
	values int
}

// NewReader reads b.
func NewReader(b []byte) *Reader { return &Reader{src: b} }

// Len is how many bytes are left.
func (r *Reader) Len() int { return len(r.src) - r.pos }

// Rest returns what is left, borrowed.
func (r *Reader) Rest() []byte { return r.src[r.pos:] }

func (r *Reader) fail(format string, args ...any) error {
	return &DecodeError{At: r.pos, What: fmt.Sprintf(format, args...)}
}

func (r *Reader) take(n int) ([]byte, error) {
	if n < 0 || n > r.Len() {
		return nil, r.fail("%d bytes are missing", n-r.Len())
	}
	b := r.src[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return b, nil
}

func (r *Reader) code() (byte, error) {
	b, err := r.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// null consumes a null and reports whether there was one.
func (r *Reader) null() bool {
	if r.Len() > 0 && r.src[r.pos] == codeNull {
		r.pos++
		return true
	}
	return false
}

func (r *Reader) enter() error {
	if r.depth++; r.depth > maxDepth {
		return r.fail("nested deeper than %d", maxDepth)
	}
	return nil
}

func (r *Reader) leave() { r.depth-- }

// Value reads one value of any type.
func (r *Reader) Value() (Value, error) {
	c, err := r.code()
	if err != nil {
		return Value{}, err
	}
	return r.value(c)
}

// value reads what follows the constructor c.
func (r *Reader) value(c byte) (Value, error) {
	if r.values++; r.values > maxValues {
		return Value{}, r.fail("more than %d values", maxValues)
	}
	v := Value{Kind: kindOf[c]}
	switch v.Kind {
	case kindCount:
		r.pos--
		return Value{}, r.fail("no type has the constructor 0x%02x", c)
	case Described:
		return r.described()
	case List, MapKind:
		return r.compound(c, v.Kind)
	case Array:
		return r.array(c)
	default:
	}
	var err error
	if v.Kind == Decimal128 || v.Kind == UUID || v.Kind >= Binary {
		v.Bytes, err = r.variable(c, v.Kind)
	} else {
		v.Num, err = r.fixed(c)
	}
	if err != nil {
		return Value{}, err
	}
	return v, nil
}

// fixed reads what follows the constructor of a type of at most 8 bytes.
func (r *Reader) fixed(c byte) (uint64, error) {
	switch c >> 4 {
	case 4:
		if c == codeTrue {
			return 1, nil
		}
		return 0, nil
	case 5:
		b, err := r.take(1)
		if err != nil {
			return 0, err
		}
		switch c {
		case codeByte, codeSmallInt, codeSmallLong:
			return uint64(int64(int8(b[0]))), nil
		case codeBool:
			if b[0] > 1 {
				return 0, r.fail("a boolean of %d", b[0])
			}
		}
		return uint64(b[0]), nil
	case 6:
		b, err := r.take(2)
		if err != nil {
			return 0, err
		}
		n := binary.BigEndian.Uint16(b)
		if c == codeShort {
			return uint64(int64(int16(n))), nil
		}
		return uint64(n), nil
	case 7:
		b, err := r.take(4)
		if err != nil {
			return 0, err
		}
		n := binary.BigEndian.Uint32(b)
		if c == codeInt {
			return uint64(int64(int32(n))), nil
		}
		return uint64(n), nil
	default:
		b, err := r.take(8)
		if err != nil {
			return 0, err
		}
		return binary.BigEndian.Uint64(b), nil
	}
}

// variable reads what follows the constructor of a type that is kept as bytes.
func (r *Reader) variable(c byte, k Kind) ([]byte, error) {
	var n int
	switch c >> 4 {
	case 9:
		n = 16
	case 0xa:
		b, err := r.take(1)
		if err != nil {
			return nil, err
		}
		n = int(b[0])
	default:
		var err error
		if n, err = r.size32(); err != nil {
			return nil, err
		}
	}
	b, err := r.take(n)
	if err != nil {
		return nil, err
	}
	if k == String && !utf8.Valid(b) {
		return nil, r.fail("a string that is not UTF-8")
	}
	if k == Symbol && slices.ContainsFunc(b, func(x byte) bool { return x >= 0x80 }) {
		return nil, r.fail("a symbol that is not ASCII")
	}
	return b, nil
}

// size32 reads a 4-byte size, which must be there.
func (r *Reader) size32() (int, error) {
	b, err := r.take(4)
	if err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(r.Len()) {
		return 0, r.fail("%d bytes announced, %d there", n, r.Len())
	}
	return int(n), nil
}

// body reads size and count behind the constructor of a list, map or array and returns where it must end.
func (r *Reader) body(c byte) (count, end int, err error) {
	if c == codeList0 {
		return 0, r.pos, nil
	}
	if c&0x10 != 0 { // 0xd., 0xf.: four bytes each
		var n int
		if n, err = r.size32(); err != nil {
			return 0, 0, err
		}
		if n < 4 {
			return 0, 0, r.fail("a size of %d has no room for the count", n)
		}
		end = r.pos + n
		var b []byte
		if b, err = r.take(4); err != nil {
			return 0, 0, err
		}
		u := binary.BigEndian.Uint32(b)
		if u > 1<<30 {
			return 0, 0, r.fail("%d elements", u)
		}
		return int(u), end, nil
	}
	b, err := r.take(2)
	if err != nil {
		return 0, 0, err
	}
	end = r.pos - 1 + int(b[0])
	if b[0] < 1 || end > len(r.src) {
		return 0, 0, r.fail("%d bytes announced, %d there", b[0], r.Len()+1)
	}
	return int(b[1]), end, nil
}

// list reads the constructor, size and count of a list; end is where it ends.
func (r *Reader) list() (count, end int, err error) {
	c, err := r.code()
	if err != nil {
		return 0, 0, err
	}
	if kindOf[c] != List {
		r.pos--
		return 0, 0, r.fail("a list was expected, not constructor 0x%02x", c)
	}
	count, end, err = r.body(c)
	if err == nil && count > end-r.pos {
		err = r.fail("%d elements in %d bytes", count, end-r.pos)
	}
	return count, end, err
}

// skipTo ends the reading of a list whose first fields were read.
func (r *Reader) skipTo(end int) error {
	if r.pos > end {
		return r.fail("a list is %d bytes longer than it says", r.pos-end)
	}
	r.pos = end
	return nil
}

func (r *Reader) described() (Value, error) {
	if err := r.enter(); err != nil {
		return Value{}, err
	}
	defer r.leave()
	d, err := r.Value()
	if err != nil {
		return Value{}, err
	}
	v, err := r.Value()
	if err != nil {
		return Value{}, err
	}
	return Value{Kind: Described, Items: []Value{d, v}}, nil
}

func (r *Reader) compound(c byte, k Kind) (Value, error) {
	if err := r.enter(); err != nil {
		return Value{}, err
	}
	defer r.leave()
	count, end, err := r.body(c)
	if err != nil {
		return Value{}, err
	}
	if count > end-r.pos || count > maxValues { // an element has one byte at least
		return Value{}, r.fail("%d elements in %d bytes", count, end-r.pos)
	}
	if k == MapKind && count%2 != 0 {
		return Value{}, r.fail("a map of %d keys and values", count)
	}
	v := Value{Kind: k}
	if count > 0 {
		v.Items = make([]Value, count)
	}
	for i := range v.Items {
		if v.Items[i], err = r.Value(); err != nil {
			return Value{}, err
		}
	}
	if r.pos != end {
		return Value{}, r.fail("a %s that ends %d bytes from where it says", k, end-r.pos)
	}
	return v, nil
}

func (r *Reader) array(c byte) (Value, error) {
	if err := r.enter(); err != nil {
		return Value{}, err
	}
	defer r.leave()
	count, end, err := r.body(c)
	if err != nil {
		return Value{}, err
	}
	var descriptor *Value
	ec, err := r.code()
	if err != nil {
		return Value{}, err
	}
	if ec == codeDescribed {
		d, err := r.Value()
		if err != nil {
			return Value{}, err
		}
		descriptor = &d
		if ec, err = r.code(); err != nil {
			return Value{}, err
		}
		if ec == codeDescribed {
			return Value{}, r.fail("an array of values that are described twice")
		}
	}
	// Elements of some types have no bytes at all, so the count is limited by maxValues too.
	if count > maxValues-r.values || count > end-r.pos && ec>>4 != 4 {
		return Value{}, r.fail("%d elements in %d bytes", count, end-r.pos)
	}
	v := Value{Kind: Array}
	if count > 0 {
		v.Items = make([]Value, count)
	}
	for i := range v.Items {
		e, err := r.value(ec)
		if err != nil {
			return Value{}, err
		}
		if descriptor != nil {
			e = DescribedValue(*descriptor, e)
		}
		v.Items[i] = e
	}
	if r.pos != end {
		return Value{}, r.fail("an array that ends %d bytes from where it says", end-r.pos)
	}
	return v, nil
}

// Skip steps over one value without making anything of it.
func (r *Reader) Skip() error {
	c, err := r.code()
	if err != nil {
		return err
	}
	switch k := kindOf[c]; k {
	case kindCount:
		r.pos--
		return r.fail("no type has the constructor 0x%02x", c)
	case Described:
		if err = r.enter(); err != nil {
			return err
		}
		defer r.leave()
		if err = r.Skip(); err != nil {
			return err
		}
		return r.Skip()
	case List, MapKind, Array:
		var end int
		if _, end, err = r.body(c); err == nil {
			r.pos = end
		}
	case Decimal128, UUID, Binary, String, Symbol:
		_, err = r.variable(c, k)
	default:
		_, err = r.fixed(c)
	}
	return err
}
