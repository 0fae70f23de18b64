package fastjson

import (
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// load64 reads eight bytes of s from i on; the compiler turns it into one load.
func load64[T string | []byte](s T, i int) uint64 {
	_ = s[i+7]
	return uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
		uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
}

// plain8 reports whether none of eight bytes needs an escape in a string: all >= 0x20, no quote, no backslash.
func plain8(x uint64) bool {
	q := x ^ '"'*lowBits
	s := x ^ '\\'*lowBits
	return ((x-0x20*lowBits)&^x|(q-lowBits)&^q|(s-lowBits)&^s)&highBits == 0
}

const hexDigits = "0123456789abcdef"

// AppendText appends s with escapes, without the quotes around it.
func AppendText[T string | []byte](dst []byte, s T) []byte {
	from, i := 0, 0
	for {
		for i+8 <= len(s) && plain8(load64(s, i)) {
			i += 8
		}
		if i == len(s) {
			return append(dst, s[from:]...)
		}
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
}

// Stop returns the position of the next quote or backslash in s at or behind i, or len(s).
func Stop[T string | []byte](s T, i int, quote byte) int {
	pattern := uint64(quote) * lowBits
	for i+8 <= len(s) {
		x := load64(s, i)
		q := x ^ pattern
		b := x ^ '\\'*lowBits
		if m := ((q-lowBits)&^q | (b-lowBits)&^b) & highBits; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(s) && s[i] != quote && s[i] != '\\' {
		i++
	}
	return i
}

// AppendUnescaped appends what the escape at s[i] (a backslash) stands for and returns the position behind it.
func AppendUnescaped[T string | []byte](dst []byte, s T, i int) (out []byte, next int, ok bool) {
	if i+1 >= len(s) {
		return dst, i, false
	}
	c := s[i+1]
	switch c {
	case 'u':
		return appendUnicode(dst, s, i)
	case 'x':
		if i+3 >= len(s) || hexValue[s[i+2]]|hexValue[s[i+3]] < 0 {
			return dst, i, false
		}
		return utf8.AppendRune(dst, rune(hexValue[s[i+2]])<<4|rune(hexValue[s[i+3]])), i + 4, true
	case 'b':
		c = '\b'
	case 't':
		c = '\t'
	case 'n':
		c = '\n'
	case 'v':
		c = '\v'
	case 'f', 'F':
		c = '\f'
	case 'r':
		c = '\r'
	case '0', '1', '2', '3', '4', '5', '6', '7':
		c -= '0'
	}
	return append(dst, c), i + 2, true
}

// appendUnicode reads \uXXXX, or two of them that make one character. A lone half becomes U+FFFD.
func appendUnicode[T string | []byte](dst []byte, s T, i int) (out []byte, next int, ok bool) {
	r, ok := hex4(s, i+2)
	if !ok {
		return dst, i, false
	}
	i += 6
	if r < utf8.RuneSelf {
		return append(dst, byte(r)), i, true
	}
	if utf16.IsSurrogate(r) {
		if i+1 < len(s) && s[i] == '\\' && s[i+1] == 'u' {
			if low, whole := hex4(s, i+2); whole {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					return utf8.AppendRune(dst, pair), i + 6, true
				}
			}
		}
		r = utf8.RuneError
	}
	return utf8.AppendRune(dst, r), i, true
}

func hex4[T string | []byte](s T, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	a, b, c, d := hexValue[s[i]], hexValue[s[i+1]], hexValue[s[i+2]], hexValue[s[i+3]]
	if a|b|c|d < 0 {
		return 0, false
	}
	return rune(a)<<12 | rune(b)<<8 | rune(c)<<4 | rune(d), true
}

// hexValue maps a hexadecimal digit to its value and anything else to -1. wordByte marks what an unquoted key, a number
// or a literal may consist of.
var hexValue, wordByte = func() (hex [256]int8, word [256]bool) {
	for i := range hex {
		c := byte(i)
		hex[i] = -1
		switch {
		case c >= '0' && c <= '9':
			hex[i] = int8(c - '0')
		case c >= 'a' && c <= 'f':
			hex[i] = int8(c-'a') + 10
		case c >= 'A' && c <= 'F':
			hex[i] = int8(c-'A') + 10
		}
		word[i] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf ||
			c == '_' || c == '$' || c == '-' || c == '+' || c == '.' || c == '%' || c == '@' || c == '|'
	}
	return hex, word
}()

// WordByte reports whether c may stand in an unquoted key, a number or a literal.
func WordByte(c byte) bool { return wordByte[c] }
