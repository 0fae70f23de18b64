package record

import "bytes"

const (
	nameEnd  = 0x01
	valueEnd = 0x02
)

// Props are the properties of a message as they are stored and sent: name 0x01 value 0x02, repeated. A writer ends with
// 0x02, a reader takes a missing last one for granted. As in Java a piece counts only if it has a name and a value, the
// first 0x01 splits it, and of equal names the last wins.
type Props []byte

// next splits off the first piece.
func (p Props) next() (piece []byte, rest Props) {
	if i := bytes.IndexByte(p, valueEnd); i >= 0 {
		return p[:i:i], p[i+1:]
	}
	return p, nil
}

// isKey reports whether a piece is the property named key, which has no separator in it.
func isKey(piece []byte, key string) bool {
	return len(piece) > len(key)+1 && piece[len(key)] == nameEnd && string(piece[:len(key)]) == key
}

// Get returns the value of a property. It does not allocate; val is a part of p.
func (p Props) Get(key string) (val []byte, ok bool) {
	if key == "" {
		return nil, false
	}
	for len(p) > 0 {
		i := bytes.IndexByte(p, valueEnd)
		piece := p
		if i >= 0 {
			piece, p = p[:i:i], p[i+1:]
		} else {
			p = nil
		}
		if isKey(piece, key) {
			val, ok = piece[len(key)+1:], true
		}
	}
	return val, ok
}

// Indexed are the properties that each message is found by; nil when there is no such one.
type Indexed struct {
	Tags, UniqKey, Keys []byte
}

// Indexed looks them up in one pass. They are parts of p.
func (p Props) Indexed() (x Indexed) {
	for len(p) > 0 {
		var piece []byte
		if piece, p = p.next(); len(piece) == 0 {
			continue
		}
		switch piece[0] {
		case PropTags[0]:
			if isKey(piece, PropTags) {
				x.Tags = piece[len(PropTags)+1:]
			}
		case PropUniqKey[0]:
			if isKey(piece, PropUniqKey) {
				x.UniqKey = piece[len(PropUniqKey)+1:]
			}
		case PropKeys[0]:
			if isKey(piece, PropKeys) {
				x.Keys = piece[len(PropKeys)+1:]
			}
		}
	}
	return x
}

// Multi returns the properties that say in which other queues a message is and at which indexes, nil when there is none. They
// are parts of p.
func (p Props) Multi() (queues, indexes []byte) {
	for len(p) > 0 {
		var piece []byte
		if piece, p = p.next(); len(piece) == 0 || piece[0] != PropMultiDispatch[0] {
			continue
		}
		switch {
		case isKey(piece, PropMultiDispatch):
			queues = piece[len(PropMultiDispatch)+1:]
		case isKey(piece, PropMultiOffset):
			indexes = piece[len(PropMultiOffset)+1:]
		}
	}
	return queues, indexes
}

// TagsCode returns the code by which consumers' tags are compared: the Java hash of the TAGS property, 0 without one.
func (x Indexed) TagsCode() int64 { return int64(HashCode(x.Tags)) }

// ForEach calls f with each property in the stored order, until it returns false. Of equal names each is shown.
func (p Props) ForEach(f func(k, v []byte) bool) {
	for len(p) > 0 {
		var piece []byte
		piece, p = p.next()
		i := bytes.IndexByte(piece, nameEnd)
		if i <= 0 || i == len(piece)-1 {
			continue
		}
		if !f(piece[:i:i], piece[i+1:]) {
			return
		}
	}
}

// terminated reports whether another property may be appended as it is.
func (p Props) terminated() bool { return len(p) == 0 || p[len(p)-1] == valueEnd }

// AppendTerminated appends p to dst, with the last separator if it misses, so that AppendProp can go on.
func (p Props) AppendTerminated(dst []byte) []byte {
	dst = append(dst, p...)
	if !p.terminated() {
		dst = append(dst, valueEnd)
	}
	return dst
}

// AppendWithout appends p to dst without the properties named keys, and with the last separator.
func (p Props) AppendWithout(dst []byte, keys ...string) []byte {
pieces:
	for len(p) > 0 {
		var piece []byte
		piece, p = p.next()
		for _, k := range keys {
			if isKey(piece, k) {
				continue pieces
			}
		}
		dst = append(dst, piece...)
		dst = append(dst, valueEnd)
	}
	return dst
}

// AppendProp appends one property to dst, which is empty or ends with a separator (see AppendTerminated). Neither key
// nor val may hold a separator: ValidProp tells.
func AppendProp(dst []byte, key, val string) []byte {
	dst = append(dst, key...)
	dst = append(dst, nameEnd)
	dst = append(dst, val...)
	return append(dst, valueEnd)
}

// ValidProp reports whether a property can be stored: both sides are there and without separators.
func ValidProp(key, val string) bool {
	if key == "" || val == "" {
		return false
	}
	for _, s := range [...]string{key, val} {
		for i := range len(s) {
			if s[i] == nameEnd || s[i] == valueEnd {
				return false
			}
		}
	}
	return true
}
