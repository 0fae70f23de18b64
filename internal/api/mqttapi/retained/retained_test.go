package retained_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cometmq/cometmq/internal/api/mqttapi/message"
	"github.com/cometmq/cometmq/internal/api/mqttapi/retained"
	"github.com/cometmq/cometmq/internal/api/mqttapi/topic"
)

// TestTableAgreesWithMatches compares with going through all names.
func TestTableAgreesWithMatches(t *testing.T) {
	t.Parallel()
	draw := func(levels ...string) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom(levels), 1, 4).Draw(t, "levels"), "/")
		})
	}
	names, filters := draw("a", "b", "", "$x"), draw("a", "b", "", "$x", "+")
	rapid.Check(t, func(t *rapid.T) {
		table := retained.New()
		model := map[string]bool{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			name := names.Draw(t, "name")
			if model[name] = rapid.Bool().Draw(t, "put"); model[name] {
				table.Put(&message.Message{Topic: name})
			} else {
				table.Remove(name)
				delete(model, name)
			}
		}
		filter := filters.Draw(t, "filter")
		switch rapid.IntRange(0, 2).Draw(t, "rest") {
		case 0:
			filter += "/#"
		case 1:
			filter = "#"
		}
		var got, want []string
		for _, m := range table.Match(filter, 0) {
			got = append(got, m.Topic)
		}
		for name := range model {
			if topic.Matches(filter, name) {
				want = append(want, name)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) || table.Len() != len(model) {
			t.Fatalf("%q: %q, want %q; %d of %d", filter, got, want, table.Len(), len(model))
		}
	})
}

func TestExpiredIsNotFound(t *testing.T) {
	t.Parallel()
	table := retained.New()
	table.Put(&message.Message{Topic: "a", Expiry: 100})
	if len(table.Match("#", 99)) != 1 || len(table.Match("#", 100)) != 0 {
		t.Error("wrong")
	}
}
