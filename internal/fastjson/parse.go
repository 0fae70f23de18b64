package fastjson

import (
	"fmt"
	"strings"
)

const (
	maxDepth = 64
	// maxValues bounds the memory of one document from the wire: about 64 bytes for each.
	maxValues = 4 << 20
)

// SyntaxError says where a document stops making sense.
type SyntaxError struct {
	Offset int
	Want   string
}

// Error names the position.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("json: offset %d: want %s", e.Offset, e.Want)
}

// Parse reads one document. The result does not alias data.
func Parse(data []byte) (Value, error) { return ParseString(string(data)) }

// ParseString reads one document. The texts of the result are parts of s.
func ParseString(s string) (Value, error) {
	p := parser{s: strings.TrimPrefix(s, "\uFEFF")}
	p.space()
	v, ok := p.value(0)
	if ok {
		p.space()
		if p.i < len(p.s) {
			ok = p.fail("end of document")
		}
	}
	if !ok {
		return Value{}, &SyntaxError{Offset: p.i + len(s) - len(p.s), Want: p.want}
	}
	return v, nil
}

type parser struct {
	s     string
	i     int
	count int
	want  string // set by the first failure

	// Stacks of what belongs to the containers that are still open, so that each gets a slice of its exact size.
	list    []Value
	members []Member
	scratch []byte
}

func (p *parser) fail(want string) bool {
	if p.want == "" {
		p.want = want
	}
	return false
}

// space skips whitespace and comments.
func (p *parser) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r', '\f', '\v':
			p.i++
		case '/':
			if !p.comment() {
				return
			}
		default:
			return
		}
	}
}

func (p *parser) comment() bool {
	rest := p.s[p.i:]
	switch {
	case strings.HasPrefix(rest, "//"):
		n := strings.IndexByte(rest, '\n')
		if n < 0 {
			n = len(rest)
		}
		p.i += n
		return true
	case strings.HasPrefix(rest, "/*"):
		n := strings.Index(rest[2:], "*/")
		if n < 0 {
			return false
		}
		p.i += n + 4
		return true
	}
	return false
}

// next skips space and reports whether byte c follows, which it consumes.
func (p *parser) next(c byte) bool {
	p.space()
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) value(depth int) (v Value, ok bool) {
	if p.i == len(p.s) {
		return v, p.fail("a value")
	}
	if p.count++; p.count > maxValues {
		return v, p.fail("fewer values")
	}
	switch c := p.s[p.i]; c {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"', '\'':
		return p.text(c)
	}
	return p.word()
}

func (p *parser) object(depth int) (v Value, ok bool) {
	if depth == maxDepth {
		return v, p.fail("less nesting")
	}
	p.i++
	from := len(p.members)
	for {
		for p.next(',') { // surplus commas
		}
		if p.next('}') {
			break
		}
		var m Member
		if m.Key, ok = p.key(depth + 1); !ok {
			return v, false
		}
		if !p.next(':') {
			return v, p.fail("a colon")
		}
		p.space()
		if m.Val, ok = p.value(depth + 1); !ok {
			return v, false
		}
		p.members = append(p.members, m)
		if p.next('}') {
			break
		}
		if !p.next(',') {
			return v, p.fail("a comma or }")
		}
	}
	k := &kids{}
	if n := len(p.members) - from; n > 0 {
		k.members = append(make([]Member, 0, n), p.members[from:]...)
		p.members = p.members[:from]
	}
	return Value{kind: Object, kids: k}, true
}

func (p *parser) array(depth int) (v Value, ok bool) {
	if depth == maxDepth {
		return v, p.fail("less nesting")
	}
	p.i++
	from := len(p.list)
	for {
		for p.next(',') {
		}
		if p.next(']') {
			break
		}
		var e Value
		if e, ok = p.value(depth + 1); !ok {
			return v, false
		}
		p.list = append(p.list, e)
		if p.next(']') {
			break
		}
		if !p.next(',') {
			return v, p.fail("a comma or ]")
		}
	}
	k := &kids{}
	if n := len(p.list) - from; n > 0 {
		k.list = append(make([]Value, 0, n), p.list[from:]...)
		p.list = p.list[:from]
	}
	return Value{kind: Array, kids: k}, true
}

func (p *parser) key(depth int) (v Value, ok bool) {
	if p.i == len(p.s) {
		return v, p.fail("a key")
	}
	if c := p.s[p.i]; c == '{' || c == '[' || c == '"' || c == '\'' {
		return p.value(depth)
	}
	from := p.i
	for p.i < len(p.s) && wordByte[p.s[p.i]] {
		p.i++
	}
	if p.i == from {
		return v, p.fail("a key")
	}
	if p.count++; p.count > maxValues {
		return v, p.fail("fewer values")
	}
	w := p.s[from:p.i]
	if isNumber(w) {
		return Value{kind: Number, text: strings.TrimPrefix(w, "+")}, true
	}
	return Value{kind: String, text: w}, true
}

func (p *parser) text(quote byte) (v Value, ok bool) {
	from := p.i + 1
	i := Stop(p.s, from, quote)
	if i < len(p.s) && p.s[i] == quote {
		p.i = i + 1
		return Value{kind: String, text: p.s[from:i]}, true
	}
	b := p.scratch[:0]
	for {
		b = append(b, p.s[from:i]...)
		if i == len(p.s) {
			p.i = i
			return v, p.fail("a closing quote")
		}
		if p.s[i] == quote {
			break
		}
		if b, from, ok = AppendUnescaped(b, p.s, i); !ok {
			p.i = i
			return v, p.fail("an escape")
		}
		i = Stop(p.s, from, quote)
	}
	p.i = i + 1
	p.scratch = b
	return Value{kind: String, text: string(b)}, true
}

// word reads a number or a literal.
func (p *parser) word() (v Value, ok bool) {
	from := p.i
	for p.i < len(p.s) && wordByte[p.s[p.i]] {
		p.i++
	}
	w := p.s[from:p.i]
	switch w {
	case "true", "false":
		return Value{kind: Bool, text: w}, true
	case "null", "undefined", "NaN":
		return Value{kind: Null}, true
	}
	if isNumber(w) {
		return Value{kind: Number, text: strings.TrimPrefix(w, "+")}, true
	}
	if n := len(w) - 1; n > 0 && strings.IndexByte("LSBFD", w[n]) >= 0 && isNumber(w[:n]) { // WriteClassName's suffixes
		return Value{kind: Number, text: strings.TrimPrefix(w[:n], "+")}, true
	}
	p.i = from
	return v, p.fail("a value")
}

// isNumber reports whether s is a decimal number: sign, digits, fraction, exponent.
func isNumber(s string) bool {
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	digits := func() int {
		from := i
		for i < len(s) && s[i]-'0' <= 9 {
			i++
		}
		return i - from
	}
	n := digits()
	if i < len(s) && s[i] == '.' {
		i++
		n += digits()
	}
	if n == 0 {
		return false
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '-' || s[i] == '+') {
			i++
		}
		if digits() == 0 {
			return false
		}
	}
	return i == len(s)
}
