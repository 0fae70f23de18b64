package fastjson

import (
	"math"
	"slices"
	"strconv"
)

// Mode is a form of output.
type Mode uint8

// The forms.
const (
	// Compact has no whitespace: what travels between brokers and clients.
	Compact Mode = iota
	// Pretty is the form of the config files: tabs, one member or element a line, no space behind the colon.
	Pretty
	// Standard is Compact with all keys quoted: plain JSON, unless an object is used as a key.
	Standard
)

// Writer appends one document to a byte slice. It does not check the order of the calls; keys are written in the order
// given, which should be alphabetical as in Java.
type Writer struct {
	buf   []byte
	mode  Mode
	depth int
	full  bool // the innermost container has an element
	bare  bool // a key has just been written: the value follows on the same line
}

// NewWriter returns a Writer that appends to dst.
func NewWriter(dst []byte, m Mode) *Writer { return &Writer{buf: dst, mode: m} }

// Reset makes w append a new document to dst.
func (w *Writer) Reset(dst []byte, m Mode) { *w = Writer{buf: dst, mode: m} }

// Bytes returns what was written so far, behind what NewWriter got.
func (w *Writer) Bytes() []byte { return w.buf }

// begin writes what stands in front of an element.
func (w *Writer) begin() {
	if w.bare {
		w.bare = false
		return
	}
	if w.full {
		w.buf = append(w.buf, ',')
	}
	w.full = true
	if w.mode == Pretty && w.depth > 0 {
		w.line()
	}
}

func (w *Writer) line() {
	w.buf = append(w.buf, '\n')
	for range w.depth {
		w.buf = append(w.buf, '\t')
	}
}

func (w *Writer) open(c byte) {
	w.begin()
	w.buf = append(w.buf, c)
	w.depth++
	w.full = false
}

func (w *Writer) shut(c byte) {
	w.depth--
	if w.mode == Pretty && w.full {
		w.line()
	}
	w.buf = append(w.buf, c)
	w.full = true
}

// ObjStart begins an object.
func (w *Writer) ObjStart() { w.open('{') }

// ObjEnd ends an object.
func (w *Writer) ObjEnd() { w.shut('}') }

// ArrStart begins an array.
func (w *Writer) ArrStart() { w.open('[') }

// ArrEnd ends an array.
func (w *Writer) ArrEnd() { w.shut(']') }

// Colon follows a key that was written as a value: an object used as a key.
func (w *Writer) Colon() {
	w.buf = append(w.buf, ':')
	w.bare = true
}

// Key writes a text key.
func (w *Writer) Key(key string) {
	w.begin()
	w.buf = append(w.buf, '"')
	w.buf = AppendText(w.buf, key)
	w.buf = append(w.buf, '"', ':')
	w.bare = true
}

// KeyInt writes a number key: without quotes, except in Standard.
func (w *Writer) KeyInt(key int64) {
	w.begin()
	if w.mode == Standard {
		w.buf = append(w.buf, '"')
	}
	w.buf = strconv.AppendInt(w.buf, key, 10)
	if w.mode == Standard {
		w.buf = append(w.buf, '"')
	}
	w.Colon()
}

// KeyRaw writes a key that is JSON text already.
func (w *Writer) KeyRaw(json string) {
	w.begin()
	w.buf = append(w.buf, json...)
	w.Colon()
}

// Str writes a text.
func (w *Writer) Str(s string) {
	w.begin()
	w.buf = append(w.buf, '"')
	w.buf = AppendText(w.buf, s)
	w.buf = append(w.buf, '"')
}

// Strs writes an array of texts.
func (w *Writer) Strs(list []string) {
	w.ArrStart()
	for _, s := range list {
		w.Str(s)
	}
	w.ArrEnd()
}

// Int writes a number.
func (w *Writer) Int(n int64) {
	w.begin()
	w.buf = strconv.AppendInt(w.buf, n, 10)
}

// Bool writes true or false.
func (w *Writer) Bool(b bool) {
	w.begin()
	w.buf = strconv.AppendBool(w.buf, b)
}

// Null writes null.
func (w *Writer) Null() { w.Raw("null") }

// Raw writes a value that is JSON text already.
func (w *Writer) Raw(json string) {
	w.begin()
	w.buf = append(w.buf, json...)
}

// Float writes a double as Java prints it. What is no number becomes null.
func (w *Writer) Float(f float64) {
	w.begin()
	w.buf = AppendDouble(w.buf, f)
}

// Value writes a parsed value with all its members, also those that nobody here knows.
func (w *Writer) Value(v Value) {
	switch v.kind {
	case Missing, Null:
		w.Null()
	case Bool, Number:
		w.Raw(v.text)
	case String:
		w.Str(v.text)
	case Array:
		w.ArrStart()
		for _, e := range v.kids.list {
			w.Value(e)
		}
		w.ArrEnd()
	case Object:
		w.ObjStart()
		for _, m := range v.kids.members {
			w.valueKey(m.Key)
			w.Value(m.Val)
		}
		w.ObjEnd()
	}
}

func (w *Writer) valueKey(k Value) {
	switch {
	case k.kind == String:
		w.Key(k.text)
	case k.kind == Number && w.mode == Standard:
		w.KeyRaw(`"` + k.text + `"`)
	default:
		w.Value(k)
		w.Colon()
	}
}

// AppendTo appends v as text.
func (v Value) AppendTo(dst []byte, m Mode) []byte {
	w := Writer{buf: dst, mode: m}
	w.Value(v)
	return w.buf
}

// AppendDouble appends f as Java's Double.toString prints it: a plain fraction between 1e-3 and 1e7, otherwise a
// mantissa with one digit before the point and an exponent without a plus sign. Infinity and NaN become null.
func AppendDouble(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if f == 0 {
		if math.Signbit(f) {
			dst = append(dst, '-')
		}
		return append(dst, "0.0"...)
	}
	from := len(dst)
	if a := math.Abs(f); a >= 1e-3 && a < 1e7 {
		dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
		if slices.Contains(dst[from:], '.') {
			return dst
		}
		return append(dst, ".0"...)
	}
	var tmp [32]byte
	num := strconv.AppendFloat(tmp[:0], f, 'e', -1, 64) // d.ddde+NN, d.ddde-NN or de+NN
	e := len(num) - 1
	for num[e] != 'e' {
		e--
	}
	dst = append(dst, num[:e]...)
	if e < 3 { // digit, or sign and digit: no point
		dst = append(dst, ".0"...)
	}
	dst = append(dst, 'E')
	if num[e+1] == '-' {
		dst = append(dst, '-')
	}
	exp := num[e+2:]
	for len(exp) > 1 && exp[0] == '0' {
		exp = exp[1:]
	}
	return append(dst, exp...)
}
