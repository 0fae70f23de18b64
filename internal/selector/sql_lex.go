package selector

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// kind is a token's kind, with the numbers of Java's generated parser: they decide the order in its messages.
type kind uint8

const (
	tEOF        kind = 0
	tNot        kind = 8
	tAnd        kind = 9
	tOr         kind = 10
	tBetween    kind = 11
	tIn         kind = 12
	tTrue       kind = 13
	tFalse      kind = 14
	tNull       kind = 15
	tIs         kind = 16
	tContains   kind = 17
	tStartsWith kind = 18
	tEndsWith   kind = 19
	tDecimal    kind = 20
	tFloat      kind = 21
	tString     kind = 23
	tID         kind = 24
	tEqual      kind = 25
	tNotEqual   kind = 26
	tGreater    kind = 27
	tGreaterEq  kind = 28
	tLess       kind = 29
	tLessEq     kind = 30
	tOpen       kind = 31
	tComma      kind = 32
	tClose      kind = 33
	tPlus       kind = 34
	tMinus      kind = 35
	kinds            = 36
)

// kindNames are how Java's messages call the kinds.
var kindNames = [kinds]string{
	tEOF: "<EOF>", tNot: `"NOT"`, tAnd: `"AND"`, tOr: `"OR"`, tBetween: `"BETWEEN"`, tIn: `"IN"`, tTrue: `"TRUE"`,
	tFalse: `"FALSE"`, tNull: `"NULL"`, tIs: `"IS"`, tContains: `"CONTAINS"`, tStartsWith: `"STARTSWITH"`,
	tEndsWith: `"ENDSWITH"`, tDecimal: "<DECIMAL_LITERAL>", tFloat: "<FLOATING_POINT_LITERAL>", tString: "<STRING_LITERAL>",
	tID: "<ID>", tEqual: `"="`, tNotEqual: `"<>"`, tGreater: `">"`, tGreaterEq: `">="`, tLess: `"<"`, tLessEq: `"<="`,
	tOpen: `"("`, tComma: `","`, tClose: `")"`, tPlus: `"+"`, tMinus: `"-"`,
}

// token is a piece of the expression: text[at:end].
type token struct {
	kind    kind
	at, end int
}

// lexer cuts an expression into tokens: the longest match wins, as in Java. It reads no further than it is asked, because
// what stands behind a complete expression is not looked at.
type lexer struct {
	text string
	at   int
}

// next returns the next token. At the end it returns tEOF again and again.
func (l *lexer) next() (token, *Error) {
	if err := l.skipBlank(); err != nil {
		return token{}, err
	}
	at := l.at
	if at == len(l.text) {
		return token{tEOF, at, at}, nil
	}
	c := l.text[at]
	var k kind
	var n int
	switch {
	case isLetter(c):
		n = l.word()
		k = keyword(l.text[at : at+n])
	case isDigit(c) || c == '.':
		if k, n = l.number(); n == 0 {
			return token{}, l.bad(at+1, ".")
		}
	case c == '\'':
		if k, n = tString, l.quoted(); n == 0 {
			return token{}, l.bad(len(l.text), l.text[at:])
		}
	default:
		if k, n = l.sign(); n == 0 {
			return token{}, l.bad(at, "")
		}
	}
	l.at += n
	return token{k, at, l.at}, nil
}

// skipBlank steps over spaces and comments. A line comment needs its end of line; without one it is two minus signs.
func (l *lexer) skipBlank() *Error {
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		switch c := rest[0]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			l.at++
		case strings.HasPrefix(rest, "--"):
			i := strings.IndexAny(rest, "\r\n")
			if i < 0 {
				return nil
			}
			l.at += i + 1
		case strings.HasPrefix(rest, "/*"):
			i := strings.Index(rest[2:], "*/")
			if i < 0 {
				return l.bad(len(l.text), rest)
			}
			l.at += i + 4
		case c == '/':
			return l.bad(l.at+1, "/")
		default:
			return nil
		}
	}
	return nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$'
}

func (l *lexer) word() int {
	n := 1
	for s := l.text[l.at:]; n < len(s) && (isLetter(s[n]) || isDigit(s[n])); n++ {
	}
	return n
}

func keyword(s string) kind {
	for k := tNot; k <= tEndsWith; k++ {
		if name := kindNames[k]; len(s) == len(name)-2 && strings.EqualFold(s, name[1:len(name)-1]) {
			return k
		}
	}
	return tID
}

// number returns the longest number at l.at; n = 0: a point that starts none.
func (l *lexer) number() (k kind, n int) {
	s := l.text[l.at:]
	digits := func(i int) int {
		for i < len(s) && isDigit(s[i]) {
			i++
		}
		return i
	}
	exponent := func(i int) int { // the position after an exponent at i, i when there is none
		j := i
		if j < len(s) && (s[j] == 'e' || s[j] == 'E') {
			j++
			if j < len(s) && (s[j] == '+' || s[j] == '-') {
				j++
			}
			if end := digits(j); end > j {
				return end
			}
		}
		return i
	}
	whole := digits(0)
	if whole < len(s) && s[whole] == '.' {
		end := digits(whole + 1)
		if whole > 0 || end > 1 {
			return tFloat, exponent(end)
		}
		return tEOF, 0
	}
	if end := exponent(whole); end > whole {
		return tFloat, end
	}
	switch {
	case s[0] == '0':
		return tDecimal, 1
	case whole < len(s) && (s[whole] == 'l' || s[whole] == 'L'):
		return tDecimal, whole + 1
	}
	return tDecimal, whole
}

// quoted returns the length of the string at l.at, in which a quote is doubled; 0: it does not end. If a doubled quote is
// followed by no end, the string ends before it.
func (l *lexer) quoted() int {
	s := l.text[l.at:]
	last := 0
	for i := 1; ; {
		j := strings.IndexByte(s[i:], '\'')
		if j < 0 {
			return last
		}
		last = i + j + 1
		if last >= len(s) || s[last] != '\'' {
			return last
		}
		i = last + 1
	}
}

func (l *lexer) sign() (kind, int) {
	s := l.text[l.at:]
	switch s[0] {
	case '=':
		return tEqual, 1
	case '(':
		return tOpen, 1
	case ')':
		return tClose, 1
	case ',':
		return tComma, 1
	case '+':
		return tPlus, 1
	case '-':
		return tMinus, 1
	case '<':
		switch {
		case strings.HasPrefix(s, "<>"):
			return tNotEqual, 2
		case strings.HasPrefix(s, "<="):
			return tLessEq, 2
		}
		return tLess, 1
	case '>':
		if strings.HasPrefix(s, ">=") {
			return tGreaterEq, 2
		}
		return tGreater, 1
	}
	return tEOF, 0
}

// bad is the lexical error at position at, after the start of a token. Java's text names the end of the expression also
// when only one character is left to read.
func (l *lexer) bad(at int, after string) *Error {
	const class = "org.apache.rocketmq.filter.parser.TokenMgrError: "
	r, n := rune(0), 0
	if at < len(l.text) {
		r, n = utf8.DecodeRuneInString(l.text[at:])
	}
	if at+n >= len(l.text) && r < 0x10000 {
		if n > 0 && after != "" {
			after += l.text[at:]
		}
		if utf16Len(after) <= 1 {
			after = ""
		}
		line, col := position(l.text, len(l.text))
		if last := l.text[len(l.text)-1]; last == '\n' || last == '\r' {
			// Java's count starts at 0 in this one place.
			line, col = lineOf(l.text)+1, 0
		}
		return &Error{
			Text: fmt.Sprintf(`%sLexical error at line %d, column %d.  Encountered: <EOF> after : `, class, line, col) + `"` + escape(after) + `"`,
			Line: line, Column: col,
		}
	}
	if r >= 0x10000 {
		r, _ = utf16.EncodeRune(r)
	}
	line, col := position(l.text, at)
	return &Error{
		Text: fmt.Sprintf("%sLexical error at line %d, column %d.  Encountered: ", class, line, col) +
			`"` + escapeUnit(uint16(r)) + `"` + fmt.Sprintf(" (%d), after : ", r) + `"` + escape(after) + `"`,
		Line: line, Column: col,
	}
}

// lineOf is the line of the last character.
func lineOf(text string) int {
	line, _ := position(text[:len(text)-1], len(text)-1)
	return line
}

func utf16Len(s string) (n int) {
	for _, r := range s {
		if n++; r >= 0x10000 {
			n++
		}
	}
	return n
}

// position is the line and column of a place in the text, from 1, counted as Java's parser does: in UTF-16 units, with tab
// stops at each eighth column.
func position(text string, at int) (line, col int) {
	line = 1
	var cr, lf bool
	step := func(c rune) {
		col++
		switch {
		case lf:
			lf = false
			line, col = line+1, 1
		case cr:
			cr = false
			if c == '\n' {
				lf = true
			} else {
				line, col = line+1, 1
			}
		}
		switch c {
		case '\r':
			cr = true
		case '\n':
			lf = true
		case '\t':
			col--
			col += 8 - col%8
		}
	}
	for _, c := range text[:at] {
		if step(c); c >= 0x10000 {
			step(c)
		}
	}
	next := ' '
	if at < len(text) {
		next, _ = utf8.DecodeRuneInString(text[at:])
	}
	step(next)
	return line, col
}

// escape writes text as Java's messages do.
func escape(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		b.WriteString(escapeUnit(u))
	}
	return b.String()
}

func escapeUnit(u uint16) string {
	switch u {
	case 0:
		return ""
	case '\b':
		return `\b`
	case '\t':
		return `\t`
	case '\n':
		return `\n`
	case '\f':
		return `\f`
	case '\r':
		return `\r`
	case '"':
		return `\"`
	case '\'':
		return `\'`
	case '\\':
		return `\\`
	}
	if u < 0x20 || u > 0x7e {
		return fmt.Sprintf(`\u%04x`, u)
	}
	return string(rune(u))
}
