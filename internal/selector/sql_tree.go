package selector

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/record"
)

// op is what a node does.
type op uint8

const (
	opConst op = iota
	opProperty
	opCast // a property as something true or false
	opNegate
	opNot
	opAnd
	opOr
	opIsNull
	opEqual
	opGreater
	opGreaterEq
	opLess
	opLessEq
	opIn
	opContains
	opStartsWith
	opEndsWith
)

// opNames are how Java's messages write the operators.
var opNames = [...]string{
	opNegate: "-", opNot: "NOT", opAnd: "&&", opOr: "||", opEqual: "==", opIsNull: "==", opGreater: ">", opGreaterEq: ">=",
	opLess: "<", opLessEq: "<=", opIn: "IN", opContains: "CONTAINS", opStartsWith: "STARTSWITH", opEndsWith: "ENDSWITH",
}

// tree is a node of an expression. AND and OR have two or more kids.
type tree struct {
	op    op
	not   bool // NOT IN, NOT CONTAINS ...
	at    int  // position in the text
	depth int
	name  string // property
	val   value  // constant, text to search for
	list  []string
	kids  []*tree
}

func node(o op, at int, kids ...*tree) *tree {
	n := &tree{op: o, at: at, kids: kids, depth: 1}
	for _, k := range kids {
		n.depth = max(n.depth, k.depth+1)
	}
	return n
}

// boolean reports whether a node is true, false or null and nothing else.
func (n *tree) boolean() bool {
	switch n.op {
	case opConst:
		return n.val.kind == vBool || n.val.kind == vNull
	case opProperty, opNegate:
		return false
	default:
		return true
	}
}

func (n *tree) line(p *parser) int {
	line, _ := position(p.lex.text, n.at)
	return line
}

func (n *tree) column(p *parser) int {
	_, col := position(p.lex.text, n.at)
	return col
}

// String writes the expression as Java's messages do.
func (n *tree) String() string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *tree) write(b *strings.Builder) {
	switch n.op {
	case opConst:
		b.WriteString(n.val.literal())
	case opProperty:
		b.WriteString(n.name)
	case opCast:
		n.kids[0].write(b)
	case opIsNull:
		b.WriteByte('(')
		n.kids[0].write(b)
		b.WriteString(" == NULL)")
	case opIn:
		n.kids[0].write(b)
		b.WriteString(" " + n.symbol() + " ( " + strings.Join(javaOrder(n.list), ", ") + " )")
	case opNegate, opNot, opContains, opStartsWith, opEndsWith:
		b.WriteString("(" + n.symbol() + " ")
		n.kids[0].write(b)
		b.WriteByte(')')
	default:
		b.WriteString(strings.Repeat("(", len(n.kids)-1))
		n.kids[0].write(b)
		for _, k := range n.kids[1:] {
			b.WriteString(" " + n.symbol() + " ")
			k.write(b)
			b.WriteByte(')')
		}
	}
}

// javaOrder is the order in which Java prints the words of an IN: from five words on that of a HashSet.
func javaOrder(list []string) []string {
	const few = 5
	if len(list) < few {
		return list
	}
	size := 16
	for size < len(list)*4/3+1 {
		size *= 2
	}
	bucket := func(w string) uint32 {
		h := uint32(record.HashCode(w))
		return (h ^ h>>16) & uint32(size-1)
	}
	out := make([]string, 0, len(list))
	for _, w := range list {
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(bucket(a), bucket(b)) })
	return out
}

func (n *tree) symbol() string {
	if n.not {
		return "NOT " + opNames[n.op]
	}
	return opNames[n.op]
}

// literal writes a constant as in an expression.
func (v *value) literal() string {
	switch v.kind {
	case vString:
		return "'" + strings.ReplaceAll(v.s, "'", "''") + "'"
	case vBool:
		return strings.ToUpper(strconv.FormatBool(v.b))
	default:
		return v.plain()
	}
}

// plain writes a constant as Java's toString does.
func (v *value) plain() string {
	switch v.kind {
	case vNull:
		return "NULL"
	case vBool:
		return strconv.FormatBool(v.b)
	case vInt, vLong:
		return strconv.FormatInt(v.i, 10)
	case vDouble:
		return javaDouble(v.f)
	default:
		return v.s
	}
}
