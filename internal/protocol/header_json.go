package protocol

import (
	"math"
	"strconv"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// maxSkipDepth bounds the nesting of values that we do not look at.
const maxSkipDepth = 64

// DecodeJSON decodes the JSON form with the tolerance of Java's decoder: keys in any order, unknown ones are skipped,
// keys may be unquoted or in single quotes, numbers may be quoted, values of ext fields may be numbers, booleans or
// null. Fields alias src, or h's scratch space where a text had escapes.
func (h *Header) DecodeJSON(src []byte) error {
	if !h.hold {
		h.scratch = h.scratch[:0]
	}
	*h = Header{Fields: h.Fields[:0], scratch: h.scratch, hold: h.hold}
	i := space(src, 0)
	if i == len(src) || src[i] != '{' {
		return headerErrorf("no object")
	}
	i = space(src, i+1)
	for i < len(src) && src[i] != '}' {
		key, j, ok := h.key(src, i)
		if !ok {
			return headerErrorf("key at %d", i)
		}
		i = j
		switch string(key) {
		case "code":
			h.Code, i, ok = h.number(src, i)
		case "flag":
			h.Flag, i, ok = h.number(src, i)
		case "opaque":
			h.Opaque, i, ok = h.number(src, i)
		case "version":
			h.Version, i, ok = h.number(src, i)
		case "language":
			i, ok = h.language(src, i)
		case "remark":
			h.Remark, i, ok = h.value(src, i)
		case "extFields":
			i, ok = h.extFields(src, i)
		default:
			i, ok = skip(src, i, 0)
		}
		if !ok {
			return headerErrorf("value of %q at %d", key, i)
		}
		i = space(src, i)
		if i < len(src) && src[i] == ',' {
			i = space(src, i+1)
		} else if i == len(src) || src[i] != '}' {
			return headerErrorf("no comma at %d", i)
		}
	}
	if i == len(src) {
		return headerErrorf("object is not closed")
	}
	if space(src, i+1) != len(src) {
		return headerErrorf("bytes after the object at %d", i+1)
	}
	return nil
}

func (h *Header) extFields(src []byte, i int) (int, bool) {
	if i == len(src) {
		return i, false
	}
	if src[i] != '{' {
		return skip(src, i, 0) // null, or something that is no object
	}
	fs := h.Fields[:0]
	i = space(src, i+1)
	ok := true
	for i < len(src) && src[i] != '}' {
		var f Field
		if f.Key, i, ok = h.key(src, i); !ok || len(fs) == maxFields {
			ok = false
			break
		}
		if f.Val, i, ok = h.value(src, i); !ok {
			break
		}
		fs = append(fs, f)
		i = space(src, i)
		if i < len(src) && src[i] == ',' {
			i = space(src, i+1)
		} else if i == len(src) || src[i] != '}' {
			ok = false
			break
		}
	}
	h.Fields = fs
	if !ok || i == len(src) {
		return i, false
	}
	return i + 1, true
}

// key reads a key and its colon and returns the position of the value.
func (h *Header) key(src []byte, i int) (key []byte, next int, ok bool) {
	if c := src[i]; c == '"' || c == '\'' {
		if key, i, ok = h.text(src, i+1, c); !ok {
			return nil, i, false
		}
	} else {
		j := i
		for j < len(src) && fastjson.WordByte(src[j]) {
			j++
		}
		if j == i {
			return nil, i, false
		}
		key, i = src[i:j:j], j
	}
	if i < len(src) && src[i] == ':' { // the form without spaces that everybody sends
		i++
	} else {
		i = space(src, i)
		if i == len(src) || src[i] != ':' {
			return nil, i, false
		}
		i++
	}
	if i < len(src) && src[i] <= ' ' {
		i = space(src, i)
	}
	return key, i, i < len(src)
}

// value reads a value as text: nil for null, the JSON text itself for anything that is no string.
func (h *Header) value(src []byte, i int) (val []byte, next int, ok bool) {
	if i == len(src) {
		return nil, i, false
	}
	if c := src[i]; c == '"' || c == '\'' {
		return h.text(src, i+1, c)
	}
	j, ok := skip(src, i, 0)
	if !ok || string(src[i:j]) == "null" {
		return nil, j, ok
	}
	return src[i:j:j], j, true
}

func (h *Header) number(src []byte, i int) (n int32, next int, ok bool) {
	if i < len(src) && src[i] != '"' { // fast path: plain digits
		j, v := i, int64(0)
		for j < len(src) && j-i < 10 && src[j]-'0' <= 9 {
			v = v*10 + int64(src[j]-'0')
			j++
		}
		if j > i && j < len(src) && (src[j] == ',' || src[j] == '}') && v <= math.MaxInt32 {
			return int32(v), j, true
		}
	}
	v, j, ok := h.value(src, i)
	if !ok {
		return 0, j, false
	}
	if len(v) == 0 {
		return 0, j, true
	}
	w, err := strconv.ParseInt(string(v), 10, 32)
	return int32(w), j, err == nil
}

func (h *Header) language(src []byte, i int) (int, bool) {
	v, j, ok := h.value(src, i)
	if !ok {
		return j, false
	}
	if len(v) > 0 && v[0]-'0' <= 9 { // fastjson takes ordinals too
		n, err := strconv.ParseUint(string(v), 10, 8)
		if err != nil {
			n = uint64(LanguageOther)
		}
		h.Language = uint8(n)
		return j, true
	}
	h.Language = languageCode(v)
	return j, true
}

// text reads a string up to its closing quote; i is behind the opening one.
func (h *Header) text(src []byte, i int, quote byte) (val []byte, next int, ok bool) {
	j := fastjson.Stop(src, i, quote)
	if j == len(src) {
		return nil, j, false
	}
	if src[j] == quote {
		return src[i:j:j], j + 1, true
	}
	return h.escaped(src, i, j, quote)
}

// escaped reads a string with escapes into the scratch space. The first backslash is at j. When the scratch space grows,
// the texts that were read before stay in the old memory.
func (h *Header) escaped(src []byte, i, j int, quote byte) (val []byte, next int, ok bool) {
	b := h.scratch
	from := len(b)
	for {
		b = append(b, src[i:j]...)
		if j == len(src) {
			return nil, j, false
		}
		if src[j] == quote {
			h.scratch = b
			return b[from:len(b):len(b)], j + 1, true
		}
		if b, i, ok = fastjson.AppendUnescaped(b, src, j); !ok {
			return nil, j, false
		}
		j = fastjson.Stop(src, i, quote)
	}
}

func space(src []byte, i int) int {
	for i < len(src) && (src[i] == ' ' || src[i] == '\t' || src[i] == '\n' || src[i] == '\r') {
		i++
	}
	return i
}

// skip returns the position behind the value at i.
func skip(src []byte, i, depth int) (next int, ok bool) {
	if i == len(src) || depth == maxSkipDepth {
		return i, false
	}
	switch c := src[i]; c {
	case '"', '\'':
		return skipText(src, i+1, c)
	case '{', '[':
		end := c + 2 // '}' and ']'
		i = space(src, i+1)
		for i < len(src) && src[i] != end {
			if i, ok = skip(src, i, depth+1); !ok {
				return i, false
			}
			i = space(src, i)
			if i < len(src) && (src[i] == ',' || src[i] == ':') {
				i = space(src, i+1)
			}
		}
		return i + 1, i < len(src)
	}
	j := i
	for j < len(src) && fastjson.WordByte(src[j]) {
		j++
	}
	return j, j > i
}

func skipText(src []byte, i int, quote byte) (next int, ok bool) {
	for {
		i = fastjson.Stop(src, i, quote)
		if i == len(src) {
			return i, false
		}
		if src[i] == quote {
			return i + 1, true
		}
		if i += 2; i > len(src) {
			return len(src), false
		}
	}
}
