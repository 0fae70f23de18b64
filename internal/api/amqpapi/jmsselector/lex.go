package jmsselector

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error says what is wrong with a selector, and where.
type Error struct {
	At   int // byte
	What string
}

// Error names the place, counted from 1.
func (e *Error) Error() string {
	return fmt.Sprintf("invalid selector: %s at character %d", e.What, e.At+1)
}

type tokenKind uint8

const (
	tEnd tokenKind = iota
	tName
	tWord // a reserved word, in capitals
	tString
	tNumber
	tSign // one of = <> < <= > >= + - * / ( ) ,
)

type token struct {
	kind tokenKind
	text string
	num  Value
	at   int
}

var reserved = map[string]bool{
	"NULL": true, "TRUE": true, "FALSE": true, "NOT": true, "AND": true, "OR": true, "BETWEEN": true, "LIKE": true, "IN": true, "IS": true,
	"ESCAPE": true,
}

// lexer cuts a selector into tokens.
type lexer struct {
	src string
	pos int
}

func (x *lexer) next() (token, *Error) {
	for x.pos < len(x.src) && strings.IndexByte(" \t\r\n\f", x.src[x.pos]) >= 0 {
		x.pos++
	}
	at := x.pos
	if at == len(x.src) {
		return token{at: at}, nil
	}
	rest := x.src[at:]
	c := rest[0]
	switch {
	case c == '\'':
		return x.quoted()
	case c >= '0' && c <= '9', c == '.' && len(rest) > 1 && rest[1] >= '0' && rest[1] <= '9':
		return x.number()
	}
	for _, s := range []string{"<>", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "(", ")", ","} {
		if strings.HasPrefix(rest, s) {
			x.pos += len(s)
			return token{kind: tSign, text: s, at: at}, nil
		}
	}
	return x.name()
}

// quoted reads a string, in which a quotation mark is doubled.
func (x *lexer) quoted() (token, *Error) {
	at := x.pos
	var b strings.Builder
	for i := at + 1; i < len(x.src); i++ {
		if x.src[i] != '\'' {
			b.WriteByte(x.src[i])
			continue
		}
		if i+1 < len(x.src) && x.src[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		x.pos = i + 1
		return token{kind: tString, text: b.String(), at: at}, nil
	}
	return token{}, &Error{at, "a string without an end"}
}

// number reads a literal of Java: 7, 0x1F, 7L, 7.5, .5, 7., 7E3, 7.5f, 7d.
func (x *lexer) number() (token, *Error) {
	at, i := x.pos, x.pos
	digits := func(ok func(byte) bool) {
		for i < len(x.src) && ok(x.src[i]) {
			i++
		}
	}
	decimal := func(c byte) bool { return c >= '0' && c <= '9' }
	hex := len(x.src) > i+1 && x.src[i] == '0' && (x.src[i+1] == 'x' || x.src[i+1] == 'X')
	isFloat := false
	if hex {
		i += 2
		digits(func(c byte) bool { return decimal(c) || c|0x20 >= 'a' && c|0x20 <= 'f' })
	} else {
		digits(decimal)
		if i < len(x.src) && x.src[i] == '.' {
			isFloat = true
			i++
			digits(decimal)
		}
		if i < len(x.src) && x.src[i]|0x20 == 'e' {
			isFloat = true
			i++
			if i < len(x.src) && (x.src[i] == '+' || x.src[i] == '-') {
				i++
			}
			digits(decimal)
		}
	}
	text := x.src[at:i]
	if i < len(x.src) {
		switch c := x.src[i] | 0x20; {
		case c == 'l' && !isFloat:
			i++
		case (c == 'f' || c == 'd') && !hex:
			isFloat = true
			i++
		}
	}
	t := token{kind: tNumber, text: text, at: at}
	var err error
	switch {
	case isFloat:
		t.num.Kind = Float
		t.num.Num, err = strconv.ParseFloat(text, 64)
	case hex:
		t.num.Kind = Int
		var n uint64
		n, err = strconv.ParseUint(text[2:], 16, 64)
		t.num.Int = int64(n)
	default:
		t.num.Kind = Int
		t.num.Int, err = strconv.ParseInt(text, 10, 64)
	}
	r, _ := utf8.DecodeRuneInString(x.src[i:])
	if err != nil || i < len(x.src) && isPart(r) {
		return token{}, &Error{at, "a number that is none"}
	}
	x.pos = i
	return t, nil
}

// isStart and isPart are Java's identifier characters, as far as anybody uses them.
func isStart(r rune) bool { return r == '_' || r == '$' || unicode.IsLetter(r) }
func isPart(r rune) bool  { return isStart(r) || unicode.IsDigit(r) || r == '.' }

func (x *lexer) name() (token, *Error) {
	at := x.pos
	for i, r := range x.src[at:] {
		if i == 0 && !isStart(r) {
			return token{}, &Error{at, fmt.Sprintf("the character %q", r)}
		}
		if i > 0 && !isPart(r) {
			break
		}
		x.pos = at + i + utf8.RuneLen(r)
	}
	text := x.src[at:x.pos]
	if w := strings.ToUpper(text); reserved[w] {
		return token{kind: tWord, text: w, at: at}, nil
	}
	return token{kind: tName, text: text, at: at}, nil
}
