package selector_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/selector"
)

func TestParseTags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expr  string
		words []string
		all   bool
		err   error
	}{
		{expr: "", all: true},
		{expr: "*", all: true},
		{expr: "a", words: []string{"a"}},
		{expr: " a || b ", words: []string{"a", "b"}},
		{expr: "a||b||", words: []string{"a", "b"}},
		{expr: "||a", words: []string{"a"}},
		{expr: "a|b", words: []string{"a|b"}},
		{expr: "|||", words: []string{"|"}},
		{expr: "a || * ", words: []string{"a", "*"}},
		{expr: "  "},
		{expr: "||", err: selector.ErrSyntax},
		{expr: "||||", err: selector.ErrSyntax},
		{expr: "\u4e2d\u6587||\U0001f600", words: []string{"\u4e2d\u6587", "\U0001f600"}},
	} {
		t.Run(c.expr, func(t *testing.T) {
			t.Parallel()
			got, err := selector.ParseTags(c.expr)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			if !slices.Equal(got.Words(), c.words) || got.All() != c.all || (got.Match() == nil) != c.all {
				t.Errorf("words %q all %v match nil %v", got.Words(), got.All(), got.Match() == nil)
			}
			for _, w := range c.words {
				if code := int64(record.HashCode(w)); !got.Matches(code) || !got.Match()(code) {
					t.Errorf("does not match its own word %q", w)
				}
			}
			if got.Matches(0) != c.all {
				t.Errorf("a message without tags: %v", got.Matches(0))
			}
		})
	}
}

func TestMatchLooksAtTheLow32Bits(t *testing.T) {
	t.Parallel()
	one := selector.FromCodes([]int32{-5})
	two := selector.FromCodes([]int32{7, -5, 7})
	for _, m := range []*selector.Tags{one, two} {
		if !m.Matches(-5) || !m.Match()(-5) || !m.Matches(0xfffffffb) || m.Matches(5) || m.Match()(6) {
			t.Error("wrong match")
		}
	}
}

func TestManyTags(t *testing.T) {
	t.Parallel()
	var words []string
	for i := range 100 {
		words = append(words, fmt.Sprintf("tag-%d", i))
	}
	m, err := selector.ParseTags(strings.Join(words, " || "))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range words {
		if !m.Matches(int64(record.HashCode(w))) {
			t.Errorf("%s does not match", w)
		}
	}
	if m.Matches(int64(record.HashCode("tag-100"))) {
		t.Error("tag-100 matches")
	}
}

func TestIsTag(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{"": true, "TAG": true, "SQL92": false, "tag": false, "X": false} {
		if selector.IsTag(s) != want {
			t.Errorf("IsTag(%q)", s)
		}
	}
}

func FuzzParseTags(f *testing.F) {
	for _, s := range []string{"*", "a||b", "||", "|||", "a || b || c", "\xff||\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		m, err := selector.ParseTags(expr)
		if err != nil {
			return
		}
		for _, w := range m.Words() {
			if w == "" || !m.Matches(int64(record.HashCode(w))) {
				t.Fatalf("%q: word %q does not match", expr, w)
			}
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	m, _ := selector.ParseTags("a || b || c")
	match := m.Match()
	b.ReportAllocs()
	for b.Loop() {
		match(99)
	}
}
