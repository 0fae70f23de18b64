package protocol

import (
	"bytes"
	"math"
)

//go:generate go run ../../tools/genheaders/main.go -in headers.tsv -out headers_gen.go

// FieldError says which ext field holds no number. Java logs this and goes on with null, which mostly ends in code 1.
type FieldError struct {
	Key string
	Val string
}

// Error names the field and its text.
func (e *FieldError) Error() string { return "field " + e.Key + " is no number: " + e.Val }

// maxErrorText bounds what an error repeats of a peer's bytes.
const maxErrorText = 64

func badField(key string, v []byte, bad *error) {
	if *bad == nil {
		*bad = &FieldError{Key: key, Val: string(v[:min(len(v), maxErrorText)])}
	}
}

func parseInt32(v []byte, key string, bad *error) int32 {
	n, ok := ParseInt(v)
	if !ok || n != int64(int32(n)) {
		badField(key, v, bad)
		return 0
	}
	return int32(n)
}

func parseInt64(v []byte, key string, bad *error) int64 {
	n, ok := ParseInt(v)
	if !ok {
		badField(key, v, bad)
	}
	return n
}

// ParseInt reads a decimal number with an optional sign as Java's Long.parseLong does.
func ParseInt(v []byte) (int64, bool) {
	neg := false
	if len(v) > 0 && (v[0] == '-' || v[0] == '+') {
		neg = v[0] == '-'
		v = v[1:]
	}
	if len(v) == 0 || len(v) > 19 {
		return 0, false
	}
	var n uint64 // 19 digits cannot overflow it
	for _, c := range v {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + uint64(d)
	}
	if neg {
		return -int64(n), n <= math.MaxInt64+1
	}
	return int64(n), n <= math.MaxInt64
}

// parseBool is Java's Boolean.parseBoolean: only true, in any case, is true; 1 is not.
func parseBool(v []byte) bool {
	return string(v) == "true" || len(v) == 4 && bytes.EqualFold(v, trueText)
}

var trueText = []byte("true")
