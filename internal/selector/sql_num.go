package selector

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cometmq/cometmq/internal/bytesview"
)

// parseWhole is Java's Integer.valueOf and Long.valueOf: decimal digits of any script with an optional sign, nothing else,
// between low and high.
func parseWhole(s []byte, low, high int64) (int64, bool) {
	neg := false
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		neg = s[0] == '-'
		s = s[1:]
	}
	if len(s) == 0 {
		return 0, false
	}
	var n int64 // counts downwards: the negative side is larger by one
	for len(s) > 0 {
		d, size := digit(s)
		if d < 0 || n < math.MinInt64/10 || n == math.MinInt64/10 && d > 8 {
			return 0, false
		}
		n = n*10 - d
		s = s[size:]
	}
	if !neg {
		if n == math.MinInt64 {
			return 0, false
		}
		n = -n
	}
	return n, n >= low && n <= high
}

// digit returns the value of the decimal digit at the start of s, -1 when there is none. Java looks at UTF-16 units, so only
// at characters of the basic plane.
func digit(s []byte) (d int64, size int) {
	if c := s[0]; c < utf8.RuneSelf {
		if isDigit(c) {
			return int64(c - '0'), 1
		}
		return -1, 1
	}
	r, size := utf8.DecodeRune(s)
	if r < 0x10000 {
		for _, run := range unicode.Nd.R16 {
			if rune(run.Lo) <= r && r <= rune(run.Hi) {
				return int64(r-rune(run.Lo)) % 10, size // runs begin with a zero
			}
		}
	}
	return -1, size
}

// parseFloat is Java's Double.valueOf: spaces around it are ignored, a type letter may follow, hexadecimal needs its
// exponent, NaN and Infinity are numbers.
func parseFloat(s []byte) (float64, bool) {
	for len(s) > 0 && s[0] <= ' ' {
		s = s[1:]
	}
	for len(s) > 0 && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	t := bytesview.String(s)
	body := strings.TrimLeft(t, "+-")
	if len(t)-len(body) > 1 {
		return 0, false
	}
	neg := t != "" && t[0] == '-'
	switch body {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		if neg {
			return math.Inf(-1), true
		}
		return math.Inf(1), true
	case "":
		return 0, false
	}
	hex := len(body) > 1 && body[0] == '0' && (body[1] == 'x' || body[1] == 'X')
	if c := body[len(body)-1] | 0x20; c == 'd' || c == 'f' {
		body = body[:len(body)-1] // in hexadecimal, too: behind the exponent, which must be there
		t = t[:len(t)-1]
	}
	if !floatForm(body, hex) {
		return 0, false
	}
	f, _ := strconv.ParseFloat(t, 64) // what is too large is infinite, as in Java
	return f, true
}

// floatForm checks what stands behind the sign: [0x] digits [. digits] [exponent], at least one digit before the exponent.
func floatForm(s string, hex bool) bool {
	mark := byte('e')
	if hex {
		mark = 'p'
		s = s[2:]
	}
	i, digits := 0, 0
	run := func(hex bool) (n int) {
		for i < len(s) && (isDigit(s[i]) || hex && isHex(s[i])) {
			i++
			n++
		}
		return n
	}
	digits += run(hex)
	if i < len(s) && s[i] == '.' {
		i++
		digits += run(hex)
	}
	if digits == 0 {
		return false
	}
	if i == len(s) {
		return !hex
	}
	if s[i]|0x20 != mark {
		return false
	}
	i++
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	return run(false) > 0 && i == len(s)
}

func isHex(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'f' }

// compareFloats is Java's Double.compare: -0 is less than 0, NaN equals itself and is greater than all others.
func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	x, y := orderBits(a), orderBits(b)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func orderBits(f float64) int64 {
	if math.IsNaN(f) {
		return 0x7ff8000000000000
	}
	return int64(math.Float64bits(f))
}

// javaDouble writes a number as Java's Double.toString does.
func javaDouble(f float64) string {
	abs := math.Abs(f)
	if abs == math.SmallestNonzeroFloat64 {
		return strconv.FormatFloat(f, 'E', 1, 64) // two digits, where one would do
	}
	if abs >= 1e-3 && abs < 1e7 {
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	s := strconv.FormatFloat(f, 'E', -1, 64)
	mantissa, exp, ok := strings.Cut(s, "E")
	if !ok {
		return s
	}
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, err := strconv.Atoi(exp)
	if err != nil {
		return s
	}
	return mantissa + "E" + strconv.Itoa(n)
}
