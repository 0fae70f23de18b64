package keyindex

import (
	"math"

	"github.com/cometmq/cometmq/internal/record"
)

// keyHash is |hashCode(topic + "#" + key)| as Java computes it. scratch is used, and returned grown, when the text is
// not ASCII.
func keyHash[T ~string | ~[]byte](topic, key T, scratch []byte) (int32, []byte) {
	h, wide := asciiHash(0, topic)
	h = 31*h + '#'
	h, wideKey := asciiHash(h, key)
	if wide || wideKey {
		scratch = append(append(append(scratch[:0], topic...), '#'), key...)
		h = uint32(record.HashCode(scratch))
	}
	return positive(int32(h)), scratch
}

// positive is Math.abs, with 0 for the one number that has no positive.
func positive(h int32) int32 {
	switch {
	case h == math.MinInt32:
		return 0
	case h < 0:
		return -h
	}
	return h
}

// asciiHash goes on with h over s, four bytes at a time so that the multiplications overlap. It reports whether s is
// not ASCII; then the hash is wrong.
func asciiHash[T ~string | ~[]byte](h uint32, s T) (uint32, bool) {
	const p2, p3, p4 = 31 * 31, 31 * 31 * 31, 31 * 31 * 31 * 31
	var all byte
	i := 0
	for ; i+4 <= len(s); i += 4 {
		a, b, c, d := s[i], s[i+1], s[i+2], s[i+3]
		all |= a | b | c | d
		h = h*p4 + uint32(a)*p3 + uint32(b)*p2 + uint32(c)*31 + uint32(d)
	}
	for ; i < len(s); i++ {
		all |= s[i]
		h = 31*h + uint32(s[i])
	}
	return h, all >= 0x80
}
