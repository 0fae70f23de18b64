package fastjson

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kind is the kind of a Value.
type Kind uint8

// The kinds. A Value that is not there is Missing.
const (
	Missing Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// Value is one parsed value. The zero Value is one that is not there; every accessor works on it and gives the zero of
// its type, so look-ups can be chained. Values are immutable and may be shared.
type Value struct {
	kind Kind
	text string // String: its content; Number, Bool: as written
	kids *kids  // Array, Object
}

type kids struct {
	list    []Value
	members []Member
}

// Member is one entry of an object. Key is a String, or a Number, Object or Array where fastjson allows that.
type Member struct {
	Key, Val Value
}

// Kind returns the kind of v.
func (v Value) Kind() Kind { return v.kind }

// Exists reports whether v is there and not null.
func (v Value) Exists() bool { return v.kind > Null }

// Get returns the member called name: the last one, when there are several.
func (v Value) Get(name string) Value {
	if v.kind != Object {
		return Value{}
	}
	m := v.kids.members
	for i := range slices.Backward(m) {
		if m[i].Key.text == name && m[i].Key.kids == nil {
			return m[i].Val
		}
	}
	return Value{}
}

// Members returns the entries of an object in their order. Do not change them.
func (v Value) Members() []Member {
	if v.kind != Object {
		return nil
	}
	return v.kids.members
}

// Arr returns the elements of an array. Do not change them.
func (v Value) Arr() []Value {
	if v.kind != Array {
		return nil
	}
	return v.kids.list
}

// Len returns the number of elements or members.
func (v Value) Len() int {
	if v.kids == nil {
		return 0
	}
	return len(v.kids.list) + len(v.kids.members)
}

// Str returns text, or a number or boolean as it was written; "" for anything else.
func (v Value) Str() string { return v.text }

// Strs returns the texts of an array's elements, nil when v is no array.
func (v Value) Strs() []string {
	a := v.Arr()
	if a == nil {
		return nil
	}
	out := make([]string, 0, len(a))
	for i := range a {
		out = append(out, a[i].Str())
	}
	return out
}

// Int64 returns a number, or text that is one, cut to an integer; 0 for anything else.
func (v Value) Int64() int64 { return v.Int64Or(0) }

// Int64Or is Int64 with a default for a value that is missing, null or no number.
func (v Value) Int64Or(def int64) int64 {
	if v.kind == Bool {
		if v.text == "true" {
			return 1
		}
		return 0
	}
	if v.kind != Number && v.kind != String {
		return def
	}
	s := strings.TrimSpace(v.text)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	f, ok := parseDouble(s)
	switch {
	case !ok || math.IsNaN(f):
		return def
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
}

// Int32 is Int64 limited to 32 bits.
func (v Value) Int32() int32 { return v.Int32Or(0) }

// Int32Or is Int32 with a default.
func (v Value) Int32Or(def int32) int32 {
	return int32(max(math.MinInt32, min(math.MaxInt32, v.Int64Or(int64(def)))))
}

// Float returns a number, or text that is one; 0 for anything else.
func (v Value) Float() float64 {
	if v.kind != Number && v.kind != String {
		return 0
	}
	f, _ := parseDouble(strings.TrimSpace(v.text))
	return f
}

// Bool returns a boolean, or text or a number that stands for one.
func (v Value) Bool() bool { return v.BoolOr(false) }

// BoolOr is Bool with a default for a value that is missing, null or no boolean.
func (v Value) BoolOr(def bool) bool {
	if v.kind != Bool && v.kind != Number && v.kind != String {
		return def
	}
	switch strings.ToLower(v.text) {
	case "true", "1", "y", "t":
		return true
	case "false", "0", "n", "f":
		return false
	}
	return def
}

// parseDouble reads a decimal number; the hexadecimal and underscore forms of Go are not Java's.
func parseDouble(s string) (float64, bool) {
	if !isNumber(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil || math.IsInf(f, 0)
}

// Resolve follows a fastjson reference ({"$ref":"$.a.b[0]"}) from the root of the document. A Value that is no
// reference comes back as it is; one that leads nowhere, or to another reference, is Missing.
func (v Value) Resolve(root Value) Value {
	if v.kind != Object || len(v.kids.members) != 1 {
		return v
	}
	m := v.kids.members[0]
	if m.Key.text != "$ref" || m.Val.kind != String {
		return v
	}
	path, ok := strings.CutPrefix(m.Val.text, "$")
	if !ok {
		return Value{}
	}
	at := root
	for path != "" && at.Exists() {
		switch path[0] {
		case '.':
			n := strings.IndexAny(path[1:], ".[") + 1
			if n == 0 {
				n = len(path)
			}
			at, path = at.Get(path[1:n]), path[n:]
		case '[':
			n := strings.IndexByte(path, ']')
			if n < 0 {
				return Value{}
			}
			at, path = at.index(strings.Trim(path[1:n], `'"`)), path[n+1:]
		default:
			return Value{}
		}
	}
	if at.kind == Object && len(at.kids.members) == 1 && at.kids.members[0].Key.text == "$ref" {
		return Value{}
	}
	return at
}

func (v Value) index(s string) Value {
	if v.kind != Array {
		return v.Get(s)
	}
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n < len(v.kids.list) {
		return v.kids.list[n]
	}
	return Value{}
}
