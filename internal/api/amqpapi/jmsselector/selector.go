// Package jmsselector parses and evaluates message selectors of JMS 2.0 (section 3.8.1): conditions on header fields and properties whose
// values have types.
//
// It is not package selector, whose oracle is RocketMQ's Java filter: there a property is text that becomes a number where it is compared
// with one, NOT binds closer than a comparison, and there is neither arithmetic nor LIKE. Here types count ('1' = 1 is false), a value
// that is missing makes a comparison unknown, and only true matches.
//
//	selector.go   Parse, Value, and the operations on values
//	lex.go        tokens
//	parse.go      the grammar, as a parser that makes closures
//
// Text from clients is hostile: its length and its nesting are limited, and LIKE needs no time beyond the product of both lengths.
package jmsselector

import (
	"cmp"
	"math"
)

// maxText is the length of the longest selector, in bytes.
const maxText = 16 << 10

// maxDepth is how deep parentheses and signs may be nested.
const maxDepth = 200

// Kind is the type of a Value.
type Kind uint8

// The types. The zero Kind is that of a value that is missing.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
)

// Value is what a name stands for, or a part of a selector evaluates to. The Null of a condition is JMS's "unknown".
type Value struct {
	Kind Kind
	Int  int64 // also 0 or 1 of a Bool
	Num  float64
	Text string
}

// BoolOf makes a Bool.
func BoolOf(b bool) Value {
	if b {
		return Value{Kind: Bool, Int: 1}
	}
	return Value{Kind: Bool}
}

func (v Value) number() bool { return v.Kind == Int || v.Kind == Float }

func (v Value) float() float64 {
	if v.Kind == Int {
		return float64(v.Int)
	}
	return v.Num
}

func (v Value) isTrue() bool  { return v.Kind == Bool && v.Int != 0 }
func (v Value) isFalse() bool { return v.Kind == Bool && v.Int == 0 }

// Lookup is the value of a header field or a property of a message.
type Lookup func(name string) Value

// Selector is a condition. It may be used by several goroutines at a time.
type Selector struct {
	text string
	root node
}

// String returns the text that it was made of, "" of nil.
func (s *Selector) String() string {
	if s == nil {
		return ""
	}
	return s.text
}

// Matches reports whether the condition is true for a message.
func (s *Selector) Matches(l Lookup) bool { return s.root(l).isTrue() }

// node is a part of a selector.
type node func(l Lookup) Value

// and, or and not are JMS's three-valued logic. What is no condition counts as unknown.
func and(a, b node) node {
	return func(l Lookup) Value {
		x := a(l)
		if x.isFalse() {
			return x
		}
		y := b(l)
		switch {
		case y.isFalse():
			return y
		case x.isTrue() && y.isTrue():
			return x
		}
		return Value{}
	}
}

func or(a, b node) node {
	return func(l Lookup) Value {
		x := a(l)
		if x.isTrue() {
			return x
		}
		y := b(l)
		switch {
		case y.isTrue():
			return y
		case x.isFalse() && y.isFalse():
			return x
		}
		return Value{}
	}
}

func not(a node) node {
	return func(l Lookup) Value {
		x := a(l)
		if x.Kind != Bool {
			return Value{}
		}
		return BoolOf(x.Int == 0)
	}
}

// compare is a comparison. Values of different types are never equal, less or greater; numbers are of one type.
func compare(op string, a, b node) node {
	return func(l Lookup) Value { return compared(op, a(l), b(l)) }
}

func compared(op string, x, y Value) Value {
	switch {
	case x.Kind == Null || y.Kind == Null:
		return Value{}
	case x.number() && y.number():
		return BoolOf(ordered(op, x, y))
	case x.Kind != y.Kind || op != "=" && op != "<>":
		return BoolOf(false)
	}
	return BoolOf((x == y) == (op == "="))
}

func ordered(op string, x, y Value) bool {
	var c int
	if x.Kind == Int && y.Kind == Int {
		c = cmp.Compare(x.Int, y.Int)
	} else {
		f, g := x.float(), y.float()
		if math.IsNaN(f) || math.IsNaN(g) {
			return op == "<>"
		}
		c = cmp.Compare(f, g)
	}
	switch op {
	case "=":
		return c == 0
	case "<>":
		return c != 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	default:
		return c >= 0
	}
}

// arithmetic on something that is no number is unknown, and so is a division of integers by 0.
func arithmetic(op byte, a, b node) node {
	return func(l Lookup) Value {
		x, y := a(l), b(l)
		if !x.number() || !y.number() {
			return Value{}
		}
		if x.Kind == Float || y.Kind == Float {
			return Value{Kind: Float, Num: floats(op, x.float(), y.float())}
		}
		switch op {
		case '+':
			return Value{Kind: Int, Int: x.Int + y.Int}
		case '-':
			return Value{Kind: Int, Int: x.Int - y.Int}
		case '*':
			return Value{Kind: Int, Int: x.Int * y.Int}
		}
		if y.Int == 0 {
			return Value{}
		}
		return Value{Kind: Int, Int: x.Int / y.Int}
	}
}

func floats(op byte, x, y float64) float64 {
	switch op {
	case '+':
		return x + y
	case '-':
		return x - y
	case '*':
		return x * y
	}
	return x / y
}

func negative(a node) node {
	return func(l Lookup) Value {
		x := a(l)
		switch x.Kind {
		case Int:
			return Value{Kind: Int, Int: -x.Int}
		case Float:
			return Value{Kind: Float, Num: -x.Num}
		default:
			return Value{}
		}
	}
}

// part is a character of a pattern, or a wildcard.
type part struct {
	r    rune
	kind byte // 0 the character, '_' any one, '%' any number
}

// like matches in time and memory of the product of the lengths at most: it remembers only the last %.
func like(pattern []part, s string) bool {
	text := []rune(s)
	p, t, star, from := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p].kind == '%':
			star, from = p, t
			p++
		case p < len(pattern) && (pattern[p].kind == '_' || pattern[p].kind == 0 && pattern[p].r == text[t]):
			p++
			t++
		case star >= 0:
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p].kind == '%' {
		p++
	}
	return p == len(pattern)
}
