// Package sqlgen makes SQL92 filter expressions and message properties for tests: legal ones of every form, odd ones, and ones
// with mistakes. A seed makes the same cases on each machine.
package sqlgen

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/cometmq/cometmq/internal/record"
)

// Case is an expression and the properties of a message.
type Case struct {
	Expr  string
	Props record.Props
}

// Gen makes cases.
type Gen struct {
	r     *rand.Rand
	plain bool // only forms that compile
}

// New returns a generator.
func New(seed uint64) *Gen { return &Gen{r: rand.New(rand.NewPCG(seed, 0x5317))} }

// Cases returns the fixed cases and n made ones.
func Cases(seed uint64, n int) []Case {
	g := New(seed)
	out := make([]Case, 0, len(fixed)+n)
	for _, e := range fixed {
		out = append(out, Case{e, g.props()})
	}
	for range n {
		out = append(out, g.Next())
	}
	return out
}

// Next returns one case: mostly a legal expression.
func (g *Gen) Next() Case {
	g.plain = g.r.IntN(4) > 0
	e := g.or(g.r.IntN(4))
	switch g.r.IntN(12) {
	case 0:
		e = g.spoil(e)
	case 1:
		e = g.soup()
	}
	return Case{e, g.props()}
}

func (g *Gen) pick(list ...string) string { return list[g.r.IntN(len(list))] }

func (g *Gen) or(depth int) string {
	parts := []string{g.and(depth)}
	for g.r.IntN(3) == 0 {
		parts = append(parts, g.pick(" OR ", " or ", "\tOr\n"), g.and(depth))
	}
	return strings.Join(parts, "")
}

func (g *Gen) and(depth int) string {
	parts := []string{g.equality(depth)}
	for g.r.IntN(3) == 0 {
		parts = append(parts, g.pick(" AND ", " and ", " /* x */ And ", " -- y\n AND "), g.equality(depth))
	}
	return strings.Join(parts, "")
}

func (g *Gen) equality(depth int) string {
	if g.plain {
		return g.simple(depth)
	}
	s := g.comparison(depth)
	switch g.r.IntN(12) {
	case 0, 1, 2:
		return s + g.pick(" = ", "=") + g.comparison(depth)
	case 3:
		return s + " <> " + g.comparison(depth)
	case 4:
		return s + " IS NULL"
	case 5:
		return s + g.pick(" IS NOT NULL", " is not null")
	}
	return s
}

// simple is a condition that compiles.
func (g *Gen) simple(depth int) string {
	not := g.pick("", " NOT")
	switch g.r.IntN(14) {
	case 0, 1:
		return g.name() + g.pick(" = ", " <> ", "=") + g.pick(g.text(), g.small(), "TRUE", "false", g.name())
	case 2:
		return g.pick(g.text(), g.small(), "true") + g.pick(" = ", " <> ") + g.pick(g.name(), g.name(), "-"+g.small())
	case 3, 4:
		return g.name() + g.pick(" > ", " >= ", " < ", "<=") + g.pick(g.small(), g.name(), "-"+g.small())
	case 5:
		return g.small() + g.pick(" > ", " >= ", " < ", "<=") + g.name()
	case 6:
		return g.name() + not + " BETWEEN " + g.pick("0", "1", "-5", "0.5") + " AND " + g.pick("7", "10", "2.5", "3000000000")
	case 7:
		list := make([]string, 1+g.r.IntN(10))
		for i := range list {
			list[i] = g.text()
		}
		return g.name() + not + " IN (" + strings.Join(list, ",") + ")"
	case 8, 9:
		return g.name() + not + g.pick(" CONTAINS ", " STARTSWITH ", " ENDSWITH ") + g.text()
	case 10:
		return g.name() + g.pick(" IS NULL", " IS NOT NULL")
	case 11:
		return g.pick("TRUE", "FALSE", "NULL", g.name())
	}
	if depth == 0 {
		return g.name() + " IS" + not + " NULL"
	}
	return g.pick("", "NOT ", "not ") + "(" + g.or(depth-1) + ")"
}

// small is a number that compiles.
func (g *Gen) small() string {
	return g.pick("0", "1", "2", "5", "10", "007", "1L", "1.5", "1.", ".5", "1e3", "2147483647", "2147483648", "9223372036854775807")
}

func (g *Gen) comparison(depth int) string {
	s := g.unary(depth)
	not := g.pick("", "", " NOT", " not")
	switch g.r.IntN(16) {
	case 0, 1, 2:
		return s + g.pick(" > ", " >= ", " < ", " <= ", ">", "<=") + g.unary(depth)
	case 3:
		return s + not + " BETWEEN " + g.number() + " AND " + g.number()
	case 4:
		return s + not + " BETWEEN " + g.unary(depth) + " and " + g.unary(depth)
	case 5, 6:
		n := 1 + g.r.IntN(4)
		if g.r.IntN(4) == 0 {
			n += 8
		}
		list := make([]string, n)
		for i := range list {
			list[i] = g.text()
		}
		return g.name() + not + " IN (" + strings.Join(list, ", ") + ")"
	case 7:
		return s + not + g.pick(" CONTAINS ", " contains ") + g.text()
	case 8:
		return s + not + g.pick(" STARTSWITH ", " StartsWith ") + g.text()
	case 9:
		return s + not + " ENDSWITH " + g.text()
	}
	return s
}

func (g *Gen) unary(depth int) string {
	switch g.r.IntN(14) {
	case 0:
		return "-" + g.unary(depth)
	case 1:
		return "+" + g.unary(depth)
	case 2:
		return "NOT " + g.unary(depth)
	case 3, 4, 5:
		if depth > 0 {
			return "(" + g.or(depth-1) + ")"
		}
	case 6, 7:
		return g.number()
	case 8:
		return g.text()
	case 9:
		return g.pick("TRUE", "FALSE", "true", "False", "NULL", "null")
	}
	return g.name()
}

func (g *Gen) name() string { return g.pick(names...) }

var names = []string{"a", "b", "n", "color", "TAGS", "x1", "_u", "$d", "A", "missing", "is_vip", "nothing"}

func (g *Gen) number() string {
	switch g.r.IntN(8) {
	case 0:
		return g.pick("0", "1", "2", "10", "-1", "-10", "00", "007", "1L", "5l", "0L")
	case 1:
		return g.pick("2147483647", "2147483648", "-2147483648", "9223372036854775807", "9223372036854775808", "3000000000", "9223372036854775807L")
	case 2:
		return g.pick("1.5", "1.", ".5", "0.0", "1e3", "1E-3", "1.5e400", "2.5E+2", "4.9E-324", "1e-400", "0.1", "123456789.123", "1e7", "1.0")
	}
	return fmt.Sprint(g.r.IntN(12))
}

func (g *Gen) text() string {
	return "'" + strings.ReplaceAll(g.pick("red", "blue", "green", "", "it's", "1", "2", "10", "1.5", "true", "TRUE", "é", "日本", "😀", "a b", "r", "e", "''"), "'", "''") + "'"
}

// props makes properties: some of the names, values of all sorts.
func (g *Gen) props() record.Props {
	var p []byte
	for _, n := range names[:len(names)-3] {
		if g.r.IntN(5) > 0 {
			p = record.AppendProp(p, n, g.pick(values...))
		}
	}
	if g.r.IntN(10) == 0 {
		p = record.AppendProp(p, "a", g.pick(values...)) // the last one counts
	}
	if g.r.IntN(10) == 0 && len(p) > 0 {
		p = p[:len(p)-1]
	}
	return p
}

var values = []string{
	"0", "1", "2", "5", "7", "10", "-1", "+3", "-0", "007", "1.5", "1.0", "2147483647", "2147483648", "-2147483648", "9223372036854775807",
	"9223372036854775808", "1e3", " 1", "1 ", " 1.5 ", "0x10", "0x1p3", "0x1.8p1d", "1f", "1.5D", "NaN", "Infinity", "-Infinity", "inf", "1_000",
	".5", "5.", "+", "-", ".", "e5", "1e", "1e400", "1e-400", "-0.0", "٣", "１２", "red", "blue", "green", "dark red", "redish", "it's", "true",
	"TRUE", "tRuE", "false", "null", "é", "日本", "日本語", "😀", "a b", "x",
}

// spoil makes a small mistake in an expression.
func (g *Gen) spoil(e string) string {
	r := []rune(e)
	at := g.r.IntN(len(r) + 1)
	switch g.r.IntN(5) {
	case 0:
		return string(r[:at])
	case 1:
		return string(r[at:])
	case 2:
		if at < len(r) {
			return string(r[:at]) + string(r[at+1:])
		}
	case 3:
		return string(r[:at]) + g.pick(pieces...) + string(r[at:])
	}
	return string(r[:at]) + g.pick("#", "'", "\"", "!", "é", "😀", "\x00", "/", ".", "\t#", "\n;") + string(r[at:])
}

// soup is pieces in any order.
func (g *Gen) soup() string {
	var b strings.Builder
	for range 1 + g.r.IntN(8) {
		b.WriteString(g.pick(pieces...))
		b.WriteString(g.pick(" ", " ", "", "\n", "\t"))
	}
	return b.String()
}

var pieces = []string{
	"a", "b", "n", "1", "2.5", "'x'", "TRUE", "NULL", "NOT", "AND", "OR", "IS", "IN", "BETWEEN", "CONTAINS", "STARTSWITH", "ENDSWITH", "=", "<>",
	">", ">=", "<", "<=", "(", ")", ",", "+", "-", "--", "/*", "*/", "'", "('x')", "IS NULL", "IS NOT NULL", "!=", "==", "LIKE", ";", "a = 1",
}

// fixed are forms that made or could make a difference.
var fixed = []string{
	"", " ", "\n", "a", "1", "'x'", "TRUE", "NULL", "FALSE", "not true", "-a", "+a", "a b", "a = 1 b = 2", "a = 1 )", "a = 1 #", "a = 1 b #", "a =", "= a",
	"a = 1 and", "(a = 1", "(a = 1 b", "()", "a in ()", "a in ('x'", "a in ('x' 'y')", "a in ('x',)", "a in (1)", "1 in ('x')", "(a) in ('x')",
	"a is", "a is b", "a is not", "a is not b", "a not b", "a not", "a not #", "a is #", "a not in 'x'", "a contains b", "a contains 1", "a not contains b",
	"a between 1", "a between 1 and", "a between 1 or 2", "a between 3 and 1", "a between 1 and 3", "a not between 3 and 1", "a between null and 1",
	"a between 1 and null", "a between 'x' and 1", "a between 1 and 'x'", "a between '1' and '2'", "a between true and false", "a between 'x' and true",
	"a between true and 'x'", "a between 1.5 and 2", "a between 1 and b", "a between -1 and 1", "a between 1 and 3000000000", "a between 2.5 and '1'",
	"a between ' ' and 1.5", "a > 'x'", "a > true", "a > null", "a > (b = 1)", "(a = 1) > 1", "a > -'x'", "a > -true", "-true > 1", "a = null", "null = a",
	"a <> null", "null is null", "null is not null", "-null is null", "a = true", "true = a", "a = false", "true = 1", "1 = true", "1 = 1", "'1' = 1",
	"1 = '1'", "'x' = 1", "1.0 = 1", "1 = 1.0", "true = true", "true = false", "true = null", "true = 'x'", "'x' = true", "a = b", "a <> b", "missing = missing",
	"missing = a", "a = missing", "missing is null", "missing > 1", "missing in ('x')", "missing not in ('x')", "missing contains 'x'", "missing not contains 'x'",
	"a contains ''", "a not contains ''", "a startswith ''", "(a = 1) contains 't'", "1 contains '1'", "'abc' contains 'b'", "not a = 1", "not (a = 1)", "not not a",
	"a = b = color", "a = 1 = true", "a > 1 > 2", "a is null is null", "a is null > 1", "(a is null > 1)", "a is null = true", "a and b", "a or b", "a and 1", "1 or a",
	"a and 'x'", "a and -b", "a and true", "a and null", "- - 1 = 1", "--1 = 1", "a = --1\n 5", "a = 1 -- c", "a = 1 --", "a /* c */ = 1", "a /* c = 1", "a = 1 /*", "/**/a=1",
	"/* ** */a=1", "/***/a=1", "a / 1", "a = 1 /", "a = /", ".", "a = .", "a = .x", "a = .5", "a = 5.", "a = 1e", "a = 1e5", "a = 1.5f", "a = 007", "a = 00.5", "a = 0L",
	"a = 9223372036854775807", "a = 9223372036854775808", "a = -9223372036854775808", "a = 9223372036854775808L", "a = 2147483648", "-2147483648 = a", "a > 0.0",
	"a > 1e400", "a > 1e-400", "a = 1.7976931348623157E308", "a = 'it''s'", "a = 'it''s", "a = 'x''", "a = '", "a = '''", "a = ''''", "a = 'x\ny'", "A = 1", "a != 1", "a == 1",
	"a like 'x'", "a = \"x\"", "a + 1 = 2", "a = 1 + 1", "+ )", "+(a", "+(a = 1", "+(a and)", "+", "+ +", "a = +", "a = + )", "+(a = 1) = true", "+(1 > 'x' and )", "\ta = #", "a\t= #",
	"a\n\n= #", "a\r\n= #", "a\r= #", "a = 'é' #", "a = '😀' #", "é = 1", "a = é", "日本 = 1", "😀", "a = 1 😀", "a#", "a\n#", "#\n", "a=\n", "a\n", "a = 'x\n", "a = 'x\r", "and", "or a", "not",
	"in", "is null", "(a is null)", "((a = 1) or (b = 2)) and n between 1 and 10", "$d = 1", "_u = 1", "a1b_$ is null", "nota = 1", "isnull is null", "a isnull", "a = 1and b = 2",
	"a in ('1','2','3','4','5','6','7','8','9','10','red')", "a not in ('1','2','3','4','5','6','7','8','9','10','red')", "(a in ('x')) > 1", "(a contains 'x') > 1", "(a between 1 and 2) > 1",
	"(a = 1 and b = 2 and n = 3) > 1", "(a = 1 or b = 2 or n = 3) > 1", "(a = 1 and (b = 2 and n = 3)) > 1", "(not a) > 1", "-(a) = 1", "(a is not null) > 1", "(a <> 1.5e10) > 1", "(a = 1e7) > 1", "(a = 123456.7) > 1",
	"(a = 'it''s') > 1", "(a = 0.001) > 1", "(a = 0.0001) > 1", "a = 1;", "a > b", "a >= b", "a < b", "a <= b", "a > 1.5", "a >= 1.0", "1 > a", "1.5 > a", "3000000000 > a", "a > 3000000000", "a = 'TRUE'",
	"TAGS = 'red'", "TAGS is not null and TAGS in ('red', 'blue')", "color startswith 're'", "color endswith 'ed'", "color not startswith 're'", "color not endswith 'ed'",
}

// Differs compares our answer ("true", "false", "null", "error" or "!" and the message of the compiler) with Java's and says
// in what they differ, "" when in nothing that counts: the list of what was expected behind a syntax error may, and where
// Java names no place we do.
func Differs(ours, java string) string {
	switch {
	case ours == java:
		return ""
	case (ours[0] == '!') != (java[0] == '!'):
		return "one compiles it, one does not"
	case ours[0] != '!':
		return "the verdict"
	}
	if at := strings.LastIndex(ours, " (at line "); at > 0 && ours[:at] == java {
		return ""
	}
	if place(java) == "" || place(ours) != place(java) {
		return "the place of the mistake"
	}
	if word(ours) != word(java) {
		return "what was met"
	}
	return ""
}

// place is "at line 1, column 2" in a message.
func place(s string) string {
	_, s, _ = strings.Cut(s, "at line ")
	end := strings.IndexByte(s, '.')
	if end < 0 {
		return ""
	}
	return s[:end]
}

// word is the start of a message, up to the first token that it quotes.
func word(s string) string {
	s, _, _ = strings.Cut(s, "at line ")
	return strings.Join(strings.SplitN(s, " ", 4)[:min(3, strings.Count(s, " ")+1)], " ")
}
