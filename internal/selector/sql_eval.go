package selector

import (
	"math"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/record"
)

// valueKind is the type of a value.
type valueKind uint8

const (
	vNull valueKind = iota
	vBool
	vInt    // Java's Integer: a number that fits 32 bits
	vLong   // Java's Long
	vDouble // Java's Double
	vString
	vFailed // Java throws an exception here: the message does not match, whatever else the expression says
)

// value is what a node yields. Strings of properties are borrowed from the message.
type value struct {
	kind valueKind
	b    bool
	i    int64
	f    float64
	s    string
}

func (v *value) number() bool { return v.kind >= vInt && v.kind <= vDouble }

var (
	null   = value{}
	yes    = value{kind: vBool, b: true}
	no     = value{kind: vBool}
	failed = value{kind: vFailed}
)

func truth(b bool) value {
	if b {
		return yes
	}
	return no
}

// Verdict is what a SQL92 expression says about a message. Only True matches.
type Verdict uint8

// Verdicts.
const (
	False   Verdict = iota
	True            // the message matches
	Unknown         // null: a property is missing
	Failed          // values cannot be compared, as a word with a number; Java throws an exception
)

// String returns a name for messages of tests.
func (v Verdict) String() string { return [...]string{"false", "true", "null", "error"}[v] }

// SQL is a compiled SQL92 expression. It never changes after it was made.
type SQL struct {
	text  string
	root  *tree
	props func(record.Props) bool
}

// inSet is from how many words on IN searches in order.
const inSet = 8

func newSQL(text string, root *tree) *SQL {
	q := &SQL{text: text, root: root}
	q.props = q.Matches
	root.prepare()
	return q
}

// prepare sorts long lists of words.
func (n *tree) prepare() {
	if n.op == opIn && len(n.list) >= inSet {
		slices.Sort(n.list)
	}
	for _, k := range n.kids {
		k.prepare()
	}
}

// Text returns the expression.
func (q *SQL) Text() string { return q.text }

// Match implements Filter: the tags say nothing.
func (q *SQL) Match() func(tagsCode int64) bool { return nil }

// Props implements Filter.
func (q *SQL) Props() func(record.Props) bool { return q.props }

// Matches reports whether the expression is true for a message with these properties. It does not allocate.
func (q *SQL) Matches(p record.Props) bool { return q.Eval(p) == True }

// Eval says what the expression is for a message with these properties.
func (q *SQL) Eval(p record.Props) Verdict {
	v := q.root.eval(p)
	switch {
	case v.kind == vNull:
		return Unknown
	case v.kind == vBool && v.b:
		return True
	case v.kind == vBool:
		return False
	}
	return Failed
}

func (n *tree) eval(p record.Props) value {
	switch n.op {
	case opConst:
		return n.val
	case opProperty:
		if s, ok := p.Get(n.name); ok {
			return value{kind: vString, s: bytesview.String(s)}
		}
		return null
	case opAnd, opOr:
		return n.logic(p)
	case opNot:
		v := n.kids[0].eval(p)
		if v.kind == vBool {
			v.b = !v.b
		}
		return v
	case opCast: // no text is TRUE
		if v := n.kids[0].eval(p); v.kind != vNull {
			return no
		}
		return null
	case opNegate:
		return negate(n.kids[0].eval(p))
	case opIsNull:
		v := n.kids[0].eval(p)
		if v.kind == vFailed {
			return v
		}
		return truth(v.kind == vNull)
	case opEqual:
		a := n.kids[0].eval(p)
		if a.kind == vFailed {
			return a
		}
		b := n.kids[1].eval(p)
		return equal(&a, &b)
	case opIn:
		v := n.kids[0].eval(p)
		if v.kind == vNull {
			return null
		}
		return truth(n.holds(v.s) != n.not)
	case opContains, opStartsWith, opEndsWith:
		return n.search(p)
	default:
		a := n.kids[0].eval(p)
		if a.kind == vNull || a.kind == vFailed {
			return a
		}
		b := n.kids[1].eval(p)
		if b.kind == vNull || b.kind == vFailed {
			return b
		}
		return n.order(&a, &b)
	}
}

// logic is AND or OR: the first kid that decides ends it, a null leaves it open.
func (n *tree) logic(p record.Props) value {
	open := false
	for _, k := range n.kids {
		v := k.eval(p)
		switch {
		case v.kind == vFailed, v.kind == vBool && v.b == (n.op == opOr):
			return v
		case v.kind == vNull:
			open = true
		}
	}
	if open {
		return null
	}
	return truth(n.op == opAnd)
}

func negate(v value) value {
	switch v.kind {
	case vInt:
		v.i = int64(int32(-v.i))
	case vLong:
		v.i = -v.i
	case vDouble:
		v.f = -v.f
	case vFailed:
	default:
		return null
	}
	return v
}

func (n *tree) holds(s string) bool {
	if len(n.list) >= inSet {
		_, found := slices.BinarySearch(n.list, s)
		return found
	}
	return slices.Contains(n.list, s)
}

// search is CONTAINS, STARTSWITH or ENDSWITH. What is no text, and an empty text to search for, is false also with NOT.
func (n *tree) search(p record.Props) value {
	if n.val.s == "" {
		return no
	}
	v := n.kids[0].eval(p)
	if v.kind == vFailed {
		return v
	}
	if v.kind != vString {
		return no
	}
	var found bool
	switch n.op {
	case opContains:
		found = strings.Contains(v.s, n.val.s)
	case opStartsWith:
		found = strings.HasPrefix(v.s, n.val.s)
	default:
		found = strings.HasSuffix(v.s, n.val.s)
	}
	return truth(found != n.not)
}

// equal is "=": null equals null, and a value on the left does not equal null.
func equal(a, b *value) value {
	switch {
	case b.kind == vFailed:
		return *b
	case a.kind == vNull && b.kind == vNull:
		return yes
	case a.kind == vNull:
		return null
	case b.kind == vNull:
		return no
	case a.kind == vString && b.kind == vString:
		return truth(a.s == b.s)
	}
	c, ok := compare(a, b)
	if !ok {
		return failed
	}
	return truth(c == 0)
}

// order is a comparison by size; two texts are compared as numbers.
func (n *tree) order(a, b *value) value {
	var c int
	var ok bool
	if a.kind == vString && b.kind == vString {
		x, okX := parseFloat(bytesview.Bytes(a.s))
		y, okY := parseFloat(bytesview.Bytes(b.s))
		c, ok = compareFloats(x, y), okX && okY
	} else {
		c, ok = compare(a, b)
	}
	if !ok {
		return failed
	}
	switch n.op {
	case opGreater:
		return truth(c > 0)
	case opGreaterEq:
		return truth(c >= 0)
	case opLess:
		return truth(c < 0)
	default:
		return truth(c <= 0)
	}
}

// compare is Java's __compare: it makes both values the same type, a text that of the other side. ok = false: Java throws.
// Values that nothing makes comparable are "less".
func compare(a, b *value) (c int, ok bool) {
	switch {
	case a.kind == vString && b.kind == vString:
		return strings.Compare(a.s, b.s), true
	case a.kind == vString:
		x, ok := asKind(a.s, b.kind)
		return compareSame(&x, b), ok
	case b.kind == vString:
		if a.kind == vBool {
			return 0, false // Java casts the wrong one
		}
		x, ok := asKind(b.s, a.kind)
		return compareSame(a, &x), ok
	case a.kind == vBool != (b.kind == vBool):
		return -1, true
	}
	return compareSame(a, b), true
}

// asKind reads s as a value of kind k.
func asKind(s string, k valueKind) (x value, ok bool) {
	x.kind, ok = k, true
	switch k {
	case vBool:
		x.b = len(s) == 4 && strings.EqualFold(s, "true")
	case vInt:
		x.i, ok = parseWhole(bytesview.Bytes(s), math.MinInt32, math.MaxInt32)
	case vLong:
		x.i, ok = parseWhole(bytesview.Bytes(s), math.MinInt64, math.MaxInt64)
	default:
		x.f, ok = parseFloat(bytesview.Bytes(s))
	}
	return x, ok
}

// compareSame compares two truths or two numbers.
func compareSame(a, b *value) int {
	switch {
	case a.kind == vBool:
		if a.b == b.b {
			return 0
		}
		if b.b {
			return -1
		}
		return 1
	case a.kind == vDouble || b.kind == vDouble:
		return compareFloats(a.double(), b.double())
	case a.i < b.i:
		return -1
	case a.i > b.i:
		return 1
	}
	return 0
}

func (v *value) double() float64 {
	if v.kind == vDouble {
		return v.f
	}
	return float64(v.i)
}
