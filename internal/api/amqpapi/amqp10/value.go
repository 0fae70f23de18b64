package amqp10

import (
	"bytes"
	"slices"
)

// Kind is the AMQP type of a Value.
type Kind uint8

// The types of the standard, part 1.6. The zero Kind is null.
const (
	Null Kind = iota
	Bool
	Ubyte
	Ushort
	Uint
	Ulong
	Byte
	Short
	Int
	Long
	Float
	Double
	Decimal32
	Decimal64
	Decimal128
	Char
	Timestamp // ms since 1970
	UUID
	Binary
	String
	Symbol
	List
	MapKind
	Array
	Described // Items: the descriptor and the value
	kindCount
)

var kindNames = [...]string{
	"null", "boolean", "ubyte", "ushort", "uint", "ulong", "byte", "short", "int", "long", "float", "double", "decimal32", "decimal64",
	"decimal128", "char", "timestamp", "uuid", "binary", "string", "symbol", "list", "map", "array", "described",
}

// String returns the name in the standard.
func (k Kind) String() string { return kindNames[k] }

// Value is one AMQP value of any type.
type Value struct {
	Kind Kind
	// Num is the value of the types of at most 8 bytes: 0 or 1 of a Bool, the two's complement of signed ones, the IEEE 754 bits of
	// Float and Double.
	Num uint64
	// Bytes is the value of Decimal128, UUID, Binary, String and Symbol. It may be borrowed from what was decoded.
	Bytes []byte
	// Items are the elements of List and Array, keys and values in turn of a map, and descriptor and value of Described.
	Items []Value
}

// BoolValue makes a boolean.
func BoolValue(b bool) Value {
	if b {
		return Value{Kind: Bool, Num: 1}
	}
	return Value{Kind: Bool}
}

// NumValue makes a value of a type of at most 8 bytes.
func NumValue(k Kind, n int64) Value { return Value{Kind: k, Num: uint64(n)} }

// StringValue makes a string.
func StringValue(s string) Value { return Value{Kind: String, Bytes: []byte(s)} }

// SymbolValue makes a symbol.
func SymbolValue(s string) Value { return Value{Kind: Symbol, Bytes: []byte(s)} }

// BinaryValue makes a binary that shares b.
func BinaryValue(b []byte) Value { return Value{Kind: Binary, Bytes: b} }

// MapOf makes a map of keys and values in turn.
func MapOf(kv ...Value) Value { return Value{Kind: MapKind, Items: kv} }

// DescribedValue makes a described value.
func DescribedValue(descriptor, v Value) Value {
	return Value{Kind: Described, Items: []Value{descriptor, v}}
}

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return v.Kind == Null }

// Int returns the number as signed.
func (v Value) Int() int64 { return int64(v.Num) }

// Text returns the text of a String or Symbol and "" of any other value.
func (v Value) Text() string {
	if v.Kind == String || v.Kind == Symbol {
		return string(v.Bytes)
	}
	return ""
}

// Get looks a symbol or string up in a map; null when v is no map or has no such key.
func (v Value) Get(key string) Value {
	if v.Kind != MapKind {
		return Value{}
	}
	for i := 0; i+1 < len(v.Items); i += 2 {
		if k := v.Items[i]; (k.Kind == Symbol || k.Kind == String) && string(k.Bytes) == key {
			return v.Items[i+1]
		}
	}
	return Value{}
}

// Put adds an entry with a symbol as key to a map; a null becomes a map.
func (v *Value) Put(key string, val Value) {
	v.Kind = MapKind
	v.Items = append(v.Items, SymbolValue(key), val)
}

// Equal compares type and value.
func (v Value) Equal(o Value) bool {
	return v.Kind == o.Kind && v.Num == o.Num && bytes.Equal(v.Bytes, o.Bytes) && slices.EqualFunc(v.Items, o.Items, Value.Equal)
}

// Clone returns a copy that shares nothing with what v was decoded from.
func (v Value) Clone() Value {
	v.Bytes = bytes.Clone(v.Bytes)
	if v.Items != nil {
		items := make([]Value, len(v.Items))
		for i := range items {
			items[i] = v.Items[i].Clone()
		}
		v.Items = items
	}
	return v
}
