package selector

import (
	"fmt"
	"strings"
)

// Error says why an expression does not compile.
type Error struct {
	Text         string // what Java says, with its class
	Line, Column int    // from 1; 0 when Java's text has no place and we know none either
}

// Error returns Java's text, and the place when the text does not name it.
func (e *Error) Error() string {
	if e.Line == 0 || strings.Contains(e.Text, "at line ") {
		return e.Text
	}
	return fmt.Sprintf("%s (at line %d, column %d)", e.Text, e.Line, e.Column)
}

// Exceptions that Java's parser throws besides its own.
const (
	classRuntime = "java.lang.RuntimeException: "
	classNumber  = "java.lang.NumberFormatException: "
	classParse   = "org.apache.rocketmq.filter.parser.ParseException: "
)

// refuse is an error in the meaning of n.
func (p *parser) refuse(n *tree, format string, args ...any) *Error {
	return p.fail(n.at, classRuntime+fmt.Sprintf(format, args...))
}

func (p *parser) fail(at int, text string) *Error {
	line, col := position(p.lex.text, at)
	return &Error{Text: text, Line: line, Column: col}
}

// syntaxError stands for every syntax error while looking ahead.
const syntaxError = "syntax"

// unexpected is the syntax error at t.
func (p *parser) unexpected(t token) *Error {
	if p.dry {
		return &Error{Text: syntaxError}
	}
	var b strings.Builder
	for k := range kind(kinds) {
		if p.want&setOf(k) != 0 && k != tPlus {
			b.WriteString(kindNames[k] + " ...\n    ")
		}
	}
	if p.want&setOf(tPlus) != 0 {
		b.WriteString(kindNames[tPlus] + " ...\n    ")
	}
	expecting := "Was expecting one of:\n    "
	if p.want&(p.want-1) == 0 {
		expecting = "Was expecting:\n    "
	}
	return p.syntax(t, p.encountered(t), expecting+b.String())
}

// unexpectedNot is the syntax error at a NOT that is followed by nothing it goes with.
func (p *parser) unexpectedNot(t, next token) *Error {
	if p.dry {
		return &Error{Text: syntaxError}
	}
	var b strings.Builder
	for k := range kind(kinds) {
		if wantCompare&setOf(k) != 0 && k != tNot {
			b.WriteString(kindNames[k] + " ...\n    ")
		}
	}
	for _, k := range [...]kind{tContains, tStartsWith, tEndsWith, tBetween, tIn} {
		b.WriteString(kindNames[tNot] + " " + kindNames[k] + " ...\n    ")
	}
	return p.syntax(t, p.encountered(t)+" "+p.encountered(next), "Was expecting one of:\n    "+b.String())
}

func (p *parser) encountered(t token) string {
	if t.kind == tEOF {
		return kindNames[tEOF]
	}
	return " " + kindNames[t.kind] + ` "` + escape(p.lex.text[t.at:t.end]) + ` "`
}

func (p *parser) syntax(t token, what, expected string) *Error {
	line, col := position(p.lex.text, t.at)
	if t.kind == tEOF { // Java counts the end as the last character that was read
		line, col = p.endPosition()
	}
	return &Error{
		Text: classParse + `Encountered "` + what + `"` + fmt.Sprintf(" at line %d, column %d.\n%s", line, col, expected),
		Line: line, Column: col,
	}
}

// endPosition is where Java sees the end of the expression: at its last character.
func (p *parser) endPosition() (line, col int) {
	s := p.lex.text
	if s == "" {
		return 0, 0
	}
	at := len(s) - 1
	for at > 0 && s[at]&0xC0 == 0x80 {
		at--
	}
	return position(s, at)
}
