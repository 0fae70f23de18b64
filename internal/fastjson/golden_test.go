package fastjson

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The golden files are made by test/golden/json.

func golden(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "java", "5.5.0", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestFormsEqualJavas(t *testing.T) {
	t.Parallel()
	compact, pretty := golden(t, "compact.json"), golden(t, "pretty.json")
	for _, src := range [][]byte{compact, pretty} {
		v, err := Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.AppendTo(nil, Compact); !bytes.Equal(got, compact) {
			t.Errorf("compact:\n%s\nwant\n%s", got, compact)
		}
		if got := v.AppendTo(nil, Pretty); !bytes.Equal(got, pretty) {
			t.Errorf("pretty:\n%s\nwant\n%s", got, pretty)
		}
	}
}

func TestEscapesEqualJavas(t *testing.T) {
	t.Parallel()
	want := make(map[rune]string)
	for line := range strings.Lines(string(golden(t, "escapes.txt"))) {
		code, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		r, err := strconv.ParseInt(code, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		want[rune(r)] = text
	}
	for r := range rune(0x10000) {
		if r >= 0xD800 && r < 0xE000 {
			continue
		}
		text, ok := want[r]
		if !ok {
			text = `"` + string(r) + `"`
		}
		var w Writer
		w.Str(string(r))
		if string(w.Bytes()) != text {
			t.Errorf("U+%04X: got %s, want %s", r, w.Bytes(), text)
		}
		if v, err := ParseString(text); err != nil || v.Str() != string(r) {
			t.Errorf("U+%04X: %s was read as %q, %v", r, text, v.Str(), err)
		}
	}
}

func TestDoublesEqualJavas(t *testing.T) {
	t.Parallel()
	n := 0
	for line := range strings.Lines(string(golden(t, "doubles.txt"))) {
		code, want, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		u, err := strconv.ParseUint(code, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		f := math.Float64frombits(u)
		n++
		got := string(AppendDouble(nil, f))
		if back, err := strconv.ParseFloat(got, 64); err != nil || math.Float64bits(back) != u {
			t.Errorf("%s reads back as %v, %v", got, back, err)
		}
		// Java prints a digit more than needed at the very small end.
		if a := math.Abs(f); got != want && (a == 0 || a > 1e-300) {
			t.Errorf("%x: got %s, want %s", u, got, want)
		}
	}
	if n < 400 {
		t.Errorf("only %d doubles", n)
	}
}
