package selector_test

import (
	"encoding/hex"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/selector"
)

// TestTagExpressionsAsJava compares with what Java's FilterAPI made of 1,200 expressions (test/golden/generate.sh tags).
func TestTagExpressionsAsJava(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/java/5.5.0/tags.tsv")
	if err != nil {
		t.Fatal(err)
	}
	plain := func(s string) string {
		if s == "-" {
			return ""
		}
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	codes := map[int64]bool{}
	type golden struct {
		expr string
		tags *selector.Tags
		want map[int64]bool
	}
	var all []golden
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		expr := plain(f[0])
		got, err := selector.ParseTags(expr)
		if f[1] == "error" {
			if err == nil || err.Error() != f[2] {
				t.Errorf("%q: error %v, Java says %q", expr, err, f[2])
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", expr, err)
			continue
		}
		g := golden{expr, got, map[int64]bool{}}
		words := map[string]bool{}
		if f[2] != "" {
			for w := range strings.SplitSeq(f[2], ",") {
				words[plain(w)] = true
			}
			for c := range strings.SplitSeq(f[3], ",") {
				n, err := strconv.ParseInt(c, 10, 32)
				if err != nil {
					t.Fatal(err)
				}
				g.want[n], codes[n] = true, true
			}
		}
		have := map[string]bool{}
		for _, w := range got.Words() {
			have[w] = true
		}
		if !maps.Equal(have, words) || got.All() != (f[1] == "true") {
			t.Errorf("%q: %q all %v, Java has %q %s", expr, got.Words(), got.All(), slices.Sorted(maps.Keys(words)), f[1])
		}
		all = append(all, g)
	}
	if len(all) < 1000 || len(codes) < 100 {
		t.Fatalf("%d expressions, %d hashes", len(all), len(codes))
	}
	for _, g := range all {
		for c := range codes {
			if g.tags.Matches(c) != (g.want[c] || g.tags.All()) {
				t.Errorf("%q: a tag with hash %d: %v", g.expr, c, !g.want[c])
			}
		}
	}
}
