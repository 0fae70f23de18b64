package jmsselector

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// typed is a node with what is known of its type: 0 for a name, which may stand for anything.
type typed struct {
	f    node
	kind Kind
	name string // of a name
}

// Parse reads a selector. A blank one, which JMS takes for none, is an error. Errors are *Error.
func Parse(text string) (*Selector, error) {
	if len(text) > maxText {
		return nil, &Error{maxText, fmt.Sprintf("longer than %d bytes", maxText)}
	}
	if !utf8.ValidString(text) {
		return nil, &Error{0, "no UTF-8"}
	}
	p := &parser{lex: lexer{src: text}}
	p.advance()
	t := p.or()
	if p.err == nil && p.tok.kind != tEnd {
		p.fail("%q was not expected", p.tok.text)
	}
	p.condition(t)
	if p.err != nil {
		return nil, p.err
	}
	return &Selector{text: text, root: t.f}, nil
}

// parser is a recursive descent; after the first error it only runs to its end.
type parser struct {
	lex   lexer
	tok   token
	err   *Error
	depth int
}

func (p *parser) advance() {
	if p.err != nil {
		return
	}
	t, err := p.lex.next()
	if err != nil {
		p.err, t = err, token{}
	}
	p.tok = t
}

func (p *parser) fail(format string, args ...any) typed {
	if p.err == nil {
		p.err = &Error{p.tok.at, fmt.Sprintf(format, args...)}
	}
	p.tok = token{at: p.tok.at} // nothing more is read
	return typed{f: func(Lookup) Value { return Value{} }}
}

// is takes a word or sign if it is the next.
func (p *parser) is(kind tokenKind, text ...string) (string, bool) {
	if p.err == nil && p.tok.kind == kind && slices.Contains(text, p.tok.text) {
		s := p.tok.text
		p.advance()
		return s, true
	}
	return "", false
}

func (p *parser) word(w string) bool { _, ok := p.is(tWord, w); return ok }
func (p *parser) sign(s string) bool { _, ok := p.is(tSign, s); return ok }

func (p *parser) want(kind tokenKind, text string) {
	if _, ok := p.is(kind, text); !ok {
		p.fail("%s is missing", text)
	}
}

// condition and numeric check that t can be one.
func (p *parser) condition(t typed) {
	if t.kind != Null && t.kind != Bool {
		p.fail("a condition is missing")
	}
}

func (p *parser) numeric(t typed) {
	if t.kind != Null && t.kind != Int && t.kind != Float {
		p.fail("a number is missing")
	}
}

func (p *parser) or() typed {
	t := p.and()
	for p.word("OR") {
		p.condition(t)
		r := p.and()
		p.condition(r)
		t = typed{f: or(t.f, r.f), kind: Bool}
	}
	return t
}

func (p *parser) and() typed {
	t := p.not()
	for p.word("AND") {
		p.condition(t)
		r := p.not()
		p.condition(r)
		t = typed{f: and(t.f, r.f), kind: Bool}
	}
	return t
}

func (p *parser) not() typed {
	if !p.deeper() {
		return p.fail("nested too deeply")
	}
	defer p.higher()
	if p.word("NOT") {
		t := p.not()
		p.condition(t)
		return typed{f: not(t.f), kind: Bool}
	}
	return p.comparison()
}

func (p *parser) deeper() bool { p.depth++; return p.depth <= maxDepth }
func (p *parser) higher()      { p.depth-- }

func (p *parser) comparison() typed {
	t := p.sum()
	if op, ok := p.is(tSign, "=", "<>", "<", "<=", ">", ">="); ok {
		r := p.sum()
		p.comparable(op, t, r)
		return typed{f: compare(op, t.f, r.f), kind: Bool}
	}
	if p.word("IS") {
		negated := p.word("NOT")
		p.want(tWord, "NULL")
		if t.name == "" {
			return p.fail("IS NULL without a name before it")
		}
		f := t.f
		return typed{f: func(l Lookup) Value { return BoolOf((f(l).Kind == Null) != negated) }, kind: Bool}
	}
	negated := p.word("NOT")
	var f node
	switch {
	case p.word("BETWEEN"):
		f = p.between(t)
	case p.word("IN"):
		f = p.in(t)
	case p.word("LIKE"):
		f = p.like(t)
	case negated:
		return p.fail("BETWEEN, IN or LIKE is missing")
	default:
		return t
	}
	if negated {
		f = not(f)
	}
	return typed{f: f, kind: Bool}
}

// comparable refuses what can never be compared.
func (p *parser) comparable(op string, a, b typed) {
	number := func(k Kind) bool { return k == Int || k == Float }
	for _, t := range []typed{a, b} {
		if (t.kind == String || t.kind == Bool) && op != "=" && op != "<>" {
			p.fail("strings and truth values are equal or not, %s is for numbers", op)
		}
	}
	if known := a.kind != Null && b.kind != Null; known && a.kind != b.kind && (!number(a.kind) || !number(b.kind)) {
		p.fail("values of different types")
	}
}

func (p *parser) between(t typed) node {
	low := p.sum()
	p.want(tWord, "AND")
	high := p.sum()
	for _, x := range []typed{t, low, high} {
		p.numeric(x)
	}
	return and(compare(">=", t.f, low.f), compare("<=", t.f, high.f))
}

func (p *parser) in(t typed) node {
	if t.name == "" {
		p.fail("IN without a name before it")
	}
	p.want(tSign, "(")
	list := map[string]bool{}
	for more := true; more && p.err == nil; more = p.sign(",") {
		list[p.str()] = true
	}
	p.want(tSign, ")")
	return func(l Lookup) Value {
		v := t.f(l)
		if v.Kind == Null {
			return v
		}
		return BoolOf(v.Kind == String && list[v.Text])
	}
}

func (p *parser) like(t typed) node {
	if t.name == "" {
		p.fail("LIKE without a name before it")
	}
	pattern := p.str()
	escape := rune(-1)
	if p.word("ESCAPE") {
		e := p.str()
		if utf8.RuneCountInString(e) != 1 {
			p.fail("the character behind ESCAPE must be one")
		}
		escape, _ = utf8.DecodeRuneInString(e)
	}
	var parts []part
	escaped := false
	for _, r := range pattern {
		switch {
		case escaped:
			parts, escaped = append(parts, part{r: r}), false
		case r == escape:
			escaped = true
		case r == '%' || r == '_':
			parts = append(parts, part{kind: byte(r)})
		default:
			parts = append(parts, part{r: r})
		}
	}
	if escaped {
		p.fail("nothing behind the escape character of a pattern")
	}
	return func(l Lookup) Value {
		v := t.f(l)
		if v.Kind == Null {
			return v
		}
		return BoolOf(v.Kind == String && like(parts, v.Text))
	}
}

// str takes a string.
func (p *parser) str() string {
	s := p.tok.text
	if p.tok.kind != tString {
		p.fail("a string is missing")
		return ""
	}
	p.advance()
	return s
}

func (p *parser) sum() typed {
	t := p.product()
	for {
		op, ok := p.is(tSign, "+", "-")
		if !ok {
			return t
		}
		t = p.calculation(op, t, p.product())
	}
}

func (p *parser) product() typed {
	t := p.factor()
	for {
		op, ok := p.is(tSign, "*", "/")
		if !ok {
			return t
		}
		t = p.calculation(op, t, p.factor())
	}
}

func (p *parser) calculation(op string, a, b typed) typed {
	p.numeric(a)
	p.numeric(b)
	return typed{f: arithmetic(op[0], a.f, b.f), kind: Float}
}

func (p *parser) factor() typed {
	if !p.deeper() {
		return p.fail("nested too deeply")
	}
	defer p.higher()
	switch {
	case p.sign("-"):
		t := p.factor()
		p.numeric(t)
		return typed{f: negative(t.f), kind: Float}
	case p.sign("+"):
		t := p.factor()
		p.numeric(t)
		return typed{f: t.f, kind: Float}
	case p.sign("("):
		t := p.or()
		p.want(tSign, ")")
		t.name = ""
		return t
	}
	return p.atom()
}

func (p *parser) atom() typed {
	tok := p.tok
	constant := func(v Value) typed {
		p.advance()
		return typed{f: func(Lookup) Value { return v }, kind: v.Kind}
	}
	switch {
	case tok.kind == tName:
		p.advance()
		return typed{f: func(l Lookup) Value { return l(tok.text) }, name: tok.text}
	case tok.kind == tString:
		return constant(Value{Kind: String, Text: tok.text})
	case tok.kind == tNumber:
		return constant(tok.num)
	case tok.kind == tWord && (tok.text == "TRUE" || tok.text == "FALSE"):
		return constant(BoolOf(tok.text == "TRUE"))
	case tok.kind == tEnd:
		return p.fail("the selector ends too early")
	}
	return p.fail("%q was not expected", tok.text)
}
