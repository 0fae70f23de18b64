package protocol

import (
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// Field is one named text value of a command header. Val is nil when it was null (or empty, in the binary form).
type Field struct {
	Key, Val []byte
}

// Fields are a header's ext fields in the order in which they arrived. They alias the bytes of the frame (or the
// scratch space of the Header that decoded them).
type Fields []Field

// Get returns the value of key. As in Java the last of several equal keys wins. A null value is ok with a nil slice.
func (f Fields) Get(key string) (val []byte, ok bool) {
	for i := range slices.Backward(f) {
		if string(f[i].Key) == key {
			return f[i].Val, true
		}
	}
	return nil, false
}

// Is reports whether key is present with exactly this value.
func (f Fields) Is(key, val string) bool {
	v, ok := f.Get(key)
	return ok && string(v) == val
}

// AppendTo writes all fields that are not null, for a command that is passed on as it came.
func (f Fields) AppendTo(w *FieldWriter) {
	for i := range f {
		if f[i].Val != nil {
			w.Pair(f[i].Key, f[i].Val)
		}
	}
}

// FieldWriter appends one frame's header to a byte slice: Begin, then one call for each ext field, then End. It holds no
// other memory than that slice; the zero value is ready. Reuse one per connection.
//
// Keys given to Str, Bytes, Int32, Int64 and Bool must be plain ASCII without quotes and backslashes, as all names of
// typed headers are. Pair takes any key.
type FieldWriter struct {
	buf   []byte
	start int // of the frame prefix
	ext   int // of the first ext field; binary: of the four bytes of the ext length
	head  Head
	any   bool // JSON: an ext field has been written
	bin   bool
}

// Str writes a text field.
func (w *FieldWriter) Str(key, val string) {
	if w.bin {
		b := appendBinaryKey(w.buf, key)
		b = binary.BigEndian.AppendUint32(b, uint32(len(val)))
		b = append(b, val...)
		w.buf = b
		return
	}
	b := append(w.jsonKey(key), '"')
	b = fastjson.AppendText(b, val)
	b = append(b, '"')
	w.buf = b
}

// Bytes writes a text field that is held as bytes.
func (w *FieldWriter) Bytes(key string, val []byte) {
	if w.bin {
		b := appendBinaryKey(w.buf, key)
		b = binary.BigEndian.AppendUint32(b, uint32(len(val)))
		b = append(b, val...)
		w.buf = b
		return
	}
	b := append(w.jsonKey(key), '"')
	b = fastjson.AppendText(b, val)
	b = append(b, '"')
	w.buf = b
}

// Pair writes a text field with any key.
func (w *FieldWriter) Pair(key, val []byte) {
	if w.bin {
		if len(key) > 1<<15-1 {
			return // the form cannot say it; no Java peer could read it either
		}
		b := binary.BigEndian.AppendUint16(w.buf, uint16(len(key)))
		b = append(b, key...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(val)))
		b = append(b, val...)
		w.buf = b
		return
	}
	b := append(w.jsonComma(), '"')
	b = fastjson.AppendText(b, key)
	b = append(b, '"', ':', '"')
	b = fastjson.AppendText(b, val)
	b = append(b, '"')
	w.buf = b
}

// Int32 writes a number.
func (w *FieldWriter) Int32(key string, val int32) { w.Int64(key, int64(val)) }

// Int64 writes a number.
func (w *FieldWriter) Int64(key string, val int64) {
	if w.bin {
		b := appendBinaryKey(w.buf, key)
		b = append(b, 0, 0, 0, 0)
		at := len(b)
		b = strconv.AppendInt(b, val, 10)
		binary.BigEndian.PutUint32(b[at-4:], uint32(len(b)-at))
		w.buf = b
		return
	}
	b := append(w.jsonKey(key), '"')
	b = strconv.AppendInt(b, val, 10)
	b = append(b, '"')
	w.buf = b
}

// Bool writes true or false.
func (w *FieldWriter) Bool(key string, val bool) {
	if val {
		w.Str(key, "true")
	} else {
		w.Str(key, "false")
	}
}

func appendBinaryKey(b []byte, key string) []byte {
	b = append(b, byte(len(key)>>8), byte(len(key)))
	return append(b, key...)
}

func (w *FieldWriter) jsonComma() []byte {
	if w.any {
		return append(w.buf, ',')
	}
	w.any = true
	return append(w.buf, `"extFields":{`...)
}

func (w *FieldWriter) jsonKey(key string) []byte {
	b := append(w.jsonComma(), '"')
	b = append(b, key...)
	return append(b, '"', ':')
}
