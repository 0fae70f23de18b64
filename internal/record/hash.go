package record

import "unicode/utf8"

// HashCode is Java's String.hashCode of the text that UTF-8 bytes mean: 31*h + c over its UTF-16 code units, wrapping.
// Bytes that are no UTF-8 count as U+FFFD, as many of them as Java's decoder makes.
func HashCode[T ~string | ~[]byte](s T) int32 {
	var h uint32
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return hashWide(h, []byte(s[i:]))
		}
		h = 31*h + uint32(s[i])
	}
	return int32(h)
}

// hashWide goes on where text stops being ASCII.
func hashWide(h uint32, b []byte) int32 {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			n = malformed(b)
		case r >= 0x10000:
			r -= 0x10000
			h = 31*h + 0xD800 + uint32(r>>10)
			r = 0xDC00 + r&0x3FF
		}
		h = 31*h + uint32(r)
		b = b[n:]
	}
	return int32(h)
}

// malformed returns how many bytes at the start of b Java replaces by one U+FFFD: the longest start of a sequence that
// could have become a character, except that it takes an encoded surrogate (three bytes) at once.
func malformed(b []byte) int {
	cont := func(i int) bool { return i < len(b) && b[i]&0xC0 == 0x80 }
	switch c := b[0]; {
	case c >= 0xE0 && c <= 0xEF:
		switch {
		case c == 0xE0 && len(b) > 1 && b[1] < 0xA0, !cont(1):
			return 1
		case !cont(2):
			return 2
		}
		return 3 // a surrogate
	case c >= 0xF0 && c <= 0xF4:
		switch {
		case !cont(1), c == 0xF0 && b[1] < 0x90, c == 0xF4 && b[1] > 0x8F:
			return 1
		case !cont(2):
			return 2
		}
		return 3
	}
	return 1
}
