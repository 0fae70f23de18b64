package selector

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Limits of an expression. Java has none but its stack.
const (
	maxExpression = 1 << 20 // bytes
	maxNesting    = 1000    // of parentheses, signs, NOT and chains of comparisons
)

// ParseSQL compiles a SQL92 expression. The error is an *Error. Nothing of expr is kept.
//
// As in Java what stands behind a complete expression is ignored ("a = 1 b = 2" means "a = 1"), NOT binds closer than a
// comparison, and a number like 0.0 is refused as too small.
//
// Differs from Java: an expression is limited to 1 MiB and 1,000 levels; Java ends with its stack.
func ParseSQL(expr string) (*SQL, error) {
	if len(expr) > maxExpression {
		return nil, &Error{Text: fmt.Sprintf("the expression has %d bytes, more than %d", len(expr), maxExpression)}
	}
	expr = strings.Clone(expr)
	p := parser{lex: lexer{text: expr}}
	n, err := p.parse()
	if err != nil {
		return nil, err
	}
	return newSQL(expr, n), nil
}

// Binding powers of what stands between operands: the higher, the closer.
const (
	bindNone = iota
	bindOr
	bindAnd
	bindEqual
	bindCompare
	bindUnary
)

// binding returns the power of a token behind an operand, bindNone for one that ends the expression.
func binding(k kind) int {
	switch k {
	case tOr:
		return bindOr
	case tAnd:
		return bindAnd
	case tIs, tEqual, tNotEqual:
		return bindEqual
	case tNot, tBetween, tIn, tContains, tStartsWith, tEndsWith, tGreater, tGreaterEq, tLess, tLessEq:
		return bindCompare
	default:
		return bindNone
	}
}

// set is a set of kinds.
type set uint64

func setOf(ks ...kind) (s set) {
	for _, k := range ks {
		s |= 1 << k
	}
	return s
}

// What may follow, for messages.
var (
	wantOperand = setOf(tNot, tTrue, tFalse, tNull, tDecimal, tFloat, tString, tID, tOpen, tMinus)
	wantCompare = setOf(tNot, tBetween, tIn, tContains, tStartsWith, tEndsWith, tGreater, tGreaterEq, tLess, tLessEq)
	wantEqual   = setOf(tIs, tEqual, tNotEqual)
	wantAnd     = setOf(tAnd)
	wantOr      = setOf(tOr)
)

// parser is a Pratt parser: operand reads what starts an expression, expression goes on as long as the operators bind more
// closely than its caller's.
type parser struct {
	lex   lexer
	ahead []token // read but not consumed
	want  set     // what was tried since the last token was consumed
	depth int
	// checked is where a look ahead behind a plus sign has ended: up to there the syntax is right.
	checked int
	dry     bool // look ahead only: no meaning is checked, no node is made
}

// peek returns the i-th token that is not consumed yet.
func (p *parser) peek(i int) (token, *Error) {
	for len(p.ahead) <= i {
		t, err := p.lex.next()
		if err != nil {
			return t, err
		}
		p.ahead = append(p.ahead, t)
	}
	return p.ahead[i], nil
}

// consume takes the next token, which has been peeked at.
func (p *parser) consume() token {
	t := p.ahead[0]
	p.ahead = p.ahead[1:]
	p.want = 0
	return t
}

// expect consumes the next token, which must be a k.
func (p *parser) expect(k kind) (token, *Error) {
	t, err := p.peek(0)
	if err != nil {
		return t, err
	}
	if t.kind != k {
		p.want |= setOf(k)
		return t, p.unexpected(t)
	}
	return p.consume(), nil
}

func (p *parser) parse() (*tree, error) {
	n, err := p.expression(bindNone)
	if err == nil {
		n, err = p.truth(n)
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

// enter counts a level of nesting.
func (p *parser) enter() *Error {
	if p.depth++; p.depth > maxNesting {
		return &Error{Text: fmt.Sprintf("the expression has more than %d levels", maxNesting)}
	}
	return nil
}

// expression reads operands and operators that bind more closely than floor.
func (p *parser) expression(floor int) (*tree, *Error) {
	left, err := p.unary()
	if err != nil {
		return nil, err
	}
	top := bindCompare // what has been read binds as closely as that: a comparison cannot follow an equality
	for {
		if floor < bindCompare && top >= bindCompare {
			p.want |= wantCompare
		}
		p.want |= wantAbove(floor, top)
		t, err := p.peek(0)
		if err != nil {
			return nil, err
		}
		power := binding(t.kind)
		if power <= floor || power > top {
			return left, nil
		}
		if err = p.tooDeep(left); err != nil {
			return nil, err
		}
		if left, err = p.operator(left, t, power); err != nil {
			return nil, err
		}
		top = power
	}
}

// wantAbove is which operators may follow besides comparisons.
func wantAbove(floor, top int) (s set) {
	for _, c := range [...]struct {
		power int
		ops   set
	}{{bindEqual, wantEqual}, {bindAnd, wantAnd}, {bindOr, wantOr}} {
		if floor < c.power && c.power <= top {
			s |= c.ops
		}
	}
	return s
}

func (p *parser) tooDeep(n *tree) *Error {
	if n != nil && n.depth >= maxNesting {
		return &Error{Text: fmt.Sprintf("the expression has more than %d levels", maxNesting)}
	}
	return nil
}

// operator reads the operator t and what stands behind it.
func (p *parser) operator(left *tree, t token, power int) (*tree, *Error) {
	switch power {
	case bindOr, bindAnd:
		p.consume()
		right, err := p.expression(power)
		if err != nil {
			return nil, err
		}
		return p.logic(t, left, right)
	case bindEqual:
		if t.kind == tIs {
			return p.isNull(left)
		}
		p.consume()
		right, err := p.expression(power)
		if err != nil {
			return nil, err
		}
		return p.equal(t, left, right)
	}
	return p.comparison(left, t)
}

func (p *parser) logic(t token, left, right *tree) (*tree, *Error) {
	if p.dry {
		return nil, nil
	}
	l, err := p.truth(left)
	if err != nil {
		return nil, err
	}
	r, err := p.truth(right)
	if err != nil {
		return nil, err
	}
	op := opAnd
	if t.kind == tOr {
		op = opOr
	}
	if l.op == op { // a chain is one node, however long it is
		l.kids = append(l.kids, r)
		l.depth = max(l.depth, r.depth+1)
		return l, nil
	}
	return node(op, l.at, l, r), nil
}

// isNull reads IS [NOT] NULL.
func (p *parser) isNull(left *tree) (*tree, *Error) {
	if _, err := p.peek(1); err != nil {
		return nil, err
	}
	t := p.consume()
	next, err := p.peek(0)
	if err != nil {
		return nil, err
	}
	not := next.kind == tNot
	if not {
		p.consume()
	} else if next.kind != tNull {
		p.want = setOf(tNot, tNull)
		return nil, p.unexpected(next)
	}
	if _, err := p.expect(tNull); err != nil {
		return nil, err
	}
	if p.dry {
		return nil, nil
	}
	n := node(opIsNull, t.at, left)
	if not {
		n = node(opNot, t.at, n)
	}
	return n, nil
}

func (p *parser) equal(t token, left, right *tree) (*tree, *Error) {
	if p.dry {
		return nil, nil
	}
	for _, n := range [...]*tree{left, right} {
		if n.op == opConst && n.val.kind == vNull {
			return nil, p.refuse(n, "'%s' cannot be compared.", n)
		}
	}
	if left.op == opConst && right.op == opConst && left.val.kind == vBool && right.val.kind != vBool {
		return nil, p.refuse(left, "'%s' cannot be compared with '%s'", left, right)
	}
	n := node(opEqual, t.at, left, right)
	if t.kind == tNotEqual {
		n = node(opNot, t.at, n)
	}
	return n, nil
}

// comparison reads the operators that bind closest. NOT stands in front of some of them.
func (p *parser) comparison(left *tree, t token) (*tree, *Error) {
	not := t.kind == tNot
	if not {
		next, err := p.peek(1)
		if err != nil {
			return nil, err
		}
		switch next.kind {
		case tContains, tStartsWith, tEndsWith, tBetween, tIn:
			p.consume()
			t = next
		default:
			return nil, p.unexpectedNot(t, next)
		}
	}
	p.consume()
	switch t.kind {
	case tContains:
		return p.search(opContains, left, t, not)
	case tStartsWith:
		return p.search(opStartsWith, left, t, not)
	case tEndsWith:
		return p.search(opEndsWith, left, t, not)
	case tIn:
		return p.in(left, t, not)
	case tBetween:
		return p.between(left, t, not)
	case tGreater:
		return p.size(opGreater, left, t)
	case tGreaterEq:
		return p.size(opGreaterEq, left, t)
	case tLess:
		return p.size(opLess, left, t)
	default:
		return p.size(opLessEq, left, t)
	}
}

// search reads the text that CONTAINS and its like look for.
func (p *parser) search(op op, left *tree, t token, not bool) (*tree, *Error) {
	s, err := p.expect(tString)
	if err != nil || p.dry {
		return nil, err
	}
	n := node(op, t.at, left)
	n.not, n.val = not, p.str(s)
	return n, nil
}

// size reads the right side of a comparison by size.
func (p *parser) size(op op, left *tree, t token) (*tree, *Error) {
	right, err := p.unary()
	if err != nil || p.dry {
		return nil, err
	}
	return p.less(op, t, left, right)
}

// less makes a comparison by size.
func (p *parser) less(op op, t token, left, right *tree) (*tree, *Error) {
	for _, n := range [...]*tree{left, right} {
		if n.op == opConst && !n.val.number() || n.op != opConst && n.boolean() {
			return nil, p.refuse(n, "Value '%s' cannot be compared.", n)
		}
	}
	return node(op, t.at, left, right), nil
}

func (p *parser) in(left *tree, t token, not bool) (*tree, *Error) {
	_, err := p.expect(tOpen)
	if err != nil {
		return nil, err
	}
	var list []string
	for {
		var s, next token
		if s, err = p.expect(tString); err != nil {
			return nil, err
		}
		if !p.dry {
			list = append(list, p.str(s).s)
		}
		p.want = setOf(tComma)
		if next, err = p.peek(0); err != nil {
			return nil, err
		}
		if next.kind != tComma {
			break
		}
		p.consume()
	}
	if _, err = p.expect(tClose); err != nil || p.dry {
		return nil, err
	}
	if left.op != opProperty {
		return nil, p.refuse(left, "Expected a property for In expression, got: %s", left)
	}
	n := node(opIn, t.at, left)
	n.not, n.list = not, list
	return n, nil
}

func (p *parser) between(left *tree, t token, not bool) (*tree, *Error) {
	low, err := p.unary()
	if err != nil {
		return nil, err
	}
	if _, err = p.expect(tAnd); err != nil {
		return nil, err
	}
	high, err := p.unary()
	if err != nil || p.dry {
		return nil, err
	}
	lower, upper, join := opGreaterEq, opLessEq, opAnd
	if not {
		lower, upper, join = opLess, opGreater, opOr
	} else if err = p.rangeOf(low, high); err != nil {
		return nil, err
	}
	a, err := p.less(lower, t, left, low)
	if err != nil {
		return nil, err
	}
	b, err := p.less(upper, t, left, high)
	if err != nil {
		return nil, err
	}
	return node(join, t.at, a, b), nil
}

// rangeOf checks the constants of a BETWEEN.
func (p *parser) rangeOf(low, high *tree) *Error {
	if low.op != opConst || high.op != opConst {
		return nil
	}
	if low.val.kind == vNull || high.val.kind == vNull {
		return p.refuse(low, "Illegal values of between, values can not be null!")
	}
	c, ok := compare(&high.val, &low.val)
	switch {
	case !ok && high.val.kind == vBool:
		return &Error{
			Text: "java.lang.ClassCastException: class java.lang.Boolean cannot be cast to class java.lang.String " +
				"(java.lang.Boolean and java.lang.String are in module java.base of loader 'bootstrap')",
			Line: low.line(p), Column: low.column(p),
		}
	case !ok:
		word := high.val.s
		if high.val.kind != vString {
			word = low.val.s
		}
		return p.refuse(low, "%s%s", classNumber, numberText(word, low.val.kind == vDouble || high.val.kind == vDouble))
	case c < 0:
		return p.refuse(low, "Illegal values of between, left value(%s) must less than or equal to right value(%s)",
			low.val.plain(), high.val.plain())
	}
	return nil
}

// numberText is the text of Java's NumberFormatException.
func numberText(s string, float bool) string {
	if float && strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }) == "" {
		return "empty String"
	}
	return `For input string: "` + s + `"`
}

// unary reads an operand with its signs.
func (p *parser) unary() (*tree, *Error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	t, err := p.peek(0)
	if err != nil {
		return nil, err
	}
	switch t.kind {
	case tPlus:
		if err := p.checkPlus(t); err != nil {
			return nil, err
		}
		p.consume()
		return p.unary()
	case tMinus, tNot:
		p.want |= wantOperand
		p.consume()
		n, err := p.unary()
		if err != nil || p.dry {
			return nil, err
		}
		if t.kind == tMinus {
			return node(opNegate, t.at, n), nil
		}
		if n, err = p.truth(n); err != nil {
			return nil, err
		}
		return node(opNot, t.at, n), nil
	default:
		return p.primary(t)
	}
}

// checkPlus looks whether an operand follows a plus sign. Java does so before it takes the sign, and finds the mistake there.
func (p *parser) checkPlus(t token) *Error {
	if p.dry || t.at < p.checked {
		return nil
	}
	scan := parser{lex: p.lex, ahead: append([]token(nil), p.ahead...), depth: p.depth, dry: true}
	scan.consume()
	if _, err := scan.unary(); err != nil {
		if err.Text != syntaxError {
			return err
		}
		p.want |= wantOperand | setOf(tPlus)
		return p.unexpected(t)
	}
	p.checked = scan.lex.at
	if len(scan.ahead) > 0 {
		p.checked = scan.ahead[0].at
	}
	return nil
}

func (p *parser) primary(t token) (*tree, *Error) {
	switch t.kind {
	case tOpen:
		p.consume()
		n, err := p.expression(bindNone)
		if err != nil {
			return nil, err
		}
		if _, err := p.expect(tClose); err != nil {
			return nil, err
		}
		return n, nil
	case tID:
		p.consume()
		if p.dry {
			return nil, nil
		}
		n := node(opProperty, t.at)
		n.name = p.lex.text[t.at:t.end]
		return n, nil
	case tString, tDecimal, tFloat, tTrue, tFalse, tNull:
		p.consume()
		if p.dry {
			return nil, nil
		}
		return p.constant(t)
	default:
		p.want |= wantOperand | setOf(tPlus)
		return nil, p.unexpected(t)
	}
}

func (p *parser) constant(t token) (*tree, *Error) {
	n := node(opConst, t.at)
	text := p.lex.text[t.at:t.end]
	switch t.kind {
	case tString:
		n.val = p.str(t)
	case tTrue, tFalse:
		n.val = value{kind: vBool, b: t.kind == tTrue}
	case tDecimal:
		text = strings.TrimRight(text, "lL")
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, p.fail(t.at, classNumber+`For input string: "`+text+`"`)
		}
		n.val = value{kind: vLong, i: i}
		if i <= math.MaxInt32 {
			n.val.kind = vInt
		}
	case tFloat:
		f, _ := parseFloat([]byte(text))
		if math.IsInf(f, 0) {
			return nil, p.fail(t.at, classRuntime+text+" is greater than 1.7976931348623157E308")
		}
		if f == 0 {
			return nil, p.fail(t.at, classRuntime+text+" is less than 4.9E-324")
		}
		n.val = value{kind: vDouble, f: f}
	default:
	}
	return n, nil
}

// str decodes a string literal.
func (p *parser) str(t token) value {
	s := p.lex.text[t.at+1 : t.end-1]
	if strings.Contains(s, "''") {
		s = strings.ReplaceAll(s, "''", "'")
	}
	return value{kind: vString, s: s}
}

// truth returns n as something that is true or false: a property alone is asked whether it is TRUE, which no text is.
func (p *parser) truth(n *tree) (*tree, *Error) {
	switch {
	case p.dry || n.boolean():
		return n, nil
	case n.op == opProperty:
		return node(opCast, n.at, n), nil
	}
	return nil, p.fail(n.at, classParse+"Expression will not result in a boolean value: "+n.String())
}
