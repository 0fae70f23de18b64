package amqp10

import (
	"encoding/binary"
)

// The appenders choose the shortest form, as the standard advises.

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, codeTrue)
	}
	return append(dst, codeFalse)
}

func appendUint(dst []byte, n uint32) []byte {
	switch {
	case n == 0:
		return append(dst, codeUint0)
	case n < 256:
		return append(dst, codeSmallUint, byte(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, codeUint), n)
}

func appendUlong(dst []byte, n uint64) []byte {
	switch {
	case n == 0:
		return append(dst, codeUlong0)
	case n < 256:
		return append(dst, codeSmallUlong, byte(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, codeUlong), n)
}

func appendUbyte(dst []byte, n uint8) []byte { return append(dst, codeUbyte, n) }

func appendUshort(dst []byte, n uint16) []byte {
	return binary.BigEndian.AppendUint16(append(dst, codeUshort), n)
}

func appendTimestamp(dst []byte, ms int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, codeTimestamp), uint64(ms))
}

// appendBytes appends a type of variable length whose two constructors are small and small + 0x10.
func appendBytes[T string | []byte](dst []byte, small byte, b T) []byte {
	if len(b) < 256 {
		dst = append(dst, small, byte(len(b)))
	} else {
		dst = binary.BigEndian.AppendUint32(append(dst, small+0x10), uint32(len(b)))
	}
	return append(dst, b...)
}

func appendString(dst []byte, s string) []byte { return appendBytes(dst, codeStr8, s) }

func appendSymbol(dst []byte, s string) []byte { return appendBytes(dst, codeSym8, s) }

// AppendBinary appends a binary.
func AppendBinary(dst, b []byte) []byte { return appendBytes(dst, codeVbin8, b) }

// appendSymbols appends a field that may have several values: one stands alone, more are an array.
func appendSymbols(dst []byte, list []string) []byte {
	if len(list) == 1 {
		return appendSymbol(dst, list[0])
	}
	long := false
	for _, s := range list {
		long = long || len(s) > 255
	}
	return appendArray(dst, len(list), func(dst []byte) []byte {
		if long {
			dst = append(dst, codeSym32)
		} else {
			dst = append(dst, codeSym8)
		}
		for _, s := range list {
			if long {
				dst = binary.BigEndian.AppendUint32(dst, uint32(len(s)))
			} else {
				dst = append(dst, byte(len(s)))
			}
			dst = append(dst, s...)
		}
		return dst
	})
}

// beginList reserves the head of a list of n elements; endList completes it.
func beginList(dst []byte, n int) (out []byte, at int) {
	return append(dst, codeList8, 0, byte(n)), len(dst)
}

// endList writes the head of the list of n elements that begins at. A short list moves when it turns out to be long.
func endList(dst []byte, at, n int) []byte { return endCompound(dst, at, n, codeList8) }

// endCompound is endList for any type of compound or array, of which small is the one-byte constructor.
func endCompound(dst []byte, at, n int, small byte) []byte {
	size := len(dst) - at - 2 // the count and the elements
	if n == 0 && small == codeList8 {
		return append(dst[:at], codeList0)
	}
	if size < 256 && n < 256 {
		dst[at], dst[at+1], dst[at+2] = small, byte(size), byte(n)
		return dst
	}
	dst = append(dst, 0, 0, 0, 0, 0, 0)
	copy(dst[at+9:], dst[at+3:len(dst)-6])
	dst[at] = small + 0x10
	binary.BigEndian.PutUint32(dst[at+1:], uint32(size-1+4))
	binary.BigEndian.PutUint32(dst[at+5:], uint32(n))
	return dst
}

func appendArray(dst []byte, n int, elements func(dst []byte) []byte) []byte {
	at := len(dst)
	dst = elements(append(dst, codeArray8, 0, 0))
	return endCompound(dst, at, n, codeArray8)
}

// AppendValue appends v.
func AppendValue(dst []byte, v Value) []byte {
	switch v.Kind {
	case Bool:
		return appendBool(dst, v.Num != 0)
	case Uint:
		return appendUint(dst, uint32(v.Num))
	case Ulong:
		return appendUlong(dst, v.Num)
	case Int, Long:
		if n := v.Int(); n >= -128 && n < 128 {
			return append(dst, codeSmallInt+byte(v.Kind-Int), byte(n))
		}
	case String:
		return appendBytes(dst, codeStr8, v.Bytes)
	case Symbol:
		return appendBytes(dst, codeSym8, v.Bytes)
	case Binary:
		return AppendBinary(dst, v.Bytes)
	case List, MapKind:
		small := byte(codeList8)
		if v.Kind == MapKind {
			small = codeMap8
		}
		at := len(dst)
		dst = append(dst, small, 0, 0)
		for _, e := range v.Items {
			dst = AppendValue(dst, e)
		}
		return endCompound(dst, at, len(v.Items), small)
	case Array:
		return appendArray(dst, len(v.Items), func(dst []byte) []byte { return appendElements(dst, v.Items) })
	case Described:
		dst = append(dst, codeDescribed)
		for _, e := range v.Items {
			dst = AppendValue(dst, e)
		}
		return dst
	default: // of a fixed size, below
	}
	c := wide[v.Kind]
	return appendBare(append(dst, c), c, v)
}

// wide is the constructor of the full-width form of a type.
var wide = [kindCount]byte{
	Null: codeNull, Bool: codeBool, Ubyte: codeUbyte, Ushort: codeUshort, Uint: codeUint, Ulong: codeUlong, Byte: codeByte, Short: codeShort,
	Int: codeInt, Long: codeLong, Float: codeFloat, Double: codeDouble, Decimal32: codeDecimal32, Decimal64: codeDecimal64,
	Decimal128: codeDecimal128, Char: codeChar, Timestamp: codeTimestamp, UUID: codeUUID, Binary: codeVbin32, String: codeStr32,
	Symbol: codeSym32, List: codeList32, MapKind: codeMap32, Array: codeArray32,
}

// appendBare appends what follows the full-width constructor c of v.
func appendBare(dst []byte, c byte, v Value) []byte {
	switch c >> 4 {
	case 5:
		return append(dst, byte(v.Num))
	case 6:
		return binary.BigEndian.AppendUint16(dst, uint16(v.Num))
	case 7:
		return binary.BigEndian.AppendUint32(dst, uint32(v.Num))
	case 8:
		return binary.BigEndian.AppendUint64(dst, v.Num)
	case 9:
		var b [16]byte
		copy(b[:], v.Bytes)
		return append(dst, b[:]...)
	case 0xb:
		return append(binary.BigEndian.AppendUint32(dst, uint32(len(v.Bytes))), v.Bytes...)
	case 0xd, 0xf:
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
		if c == codeArray32 {
			dst = appendElements(dst, v.Items)
		} else {
			for _, e := range v.Items {
				dst = AppendValue(dst, e)
			}
		}
		binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
		binary.BigEndian.PutUint32(dst[at+4:], uint32(len(v.Items)))
		return dst
	}
	return dst
}

// appendElements appends the constructor and the elements of an array, which are of one type: that of the first.
func appendElements(dst []byte, items []Value) []byte {
	if len(items) == 0 {
		return append(dst, codeNull)
	}
	first := items[0]
	described := first.Kind == Described
	if described {
		dst = AppendValue(append(dst, codeDescribed), first.Items[0])
		first = first.Items[1]
	}
	c := wide[first.Kind]
	dst = append(dst, c)
	for _, e := range items {
		if described {
			e = e.Items[1]
		}
		dst = appendBare(dst, c, e)
	}
	return dst
}
