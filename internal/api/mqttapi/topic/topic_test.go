package topic_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cometmq/cometmq/internal/api/mqttapi/topic"
)

func TestPlacesAreThoseOfTheGateway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, topic, queue, light, peer string }{
		{"t", "t", "t", "%LMQ%t", ""},
		{"t/a", "t", "t/a/", "%LMQ%t%a%", ""},
		{"t/a/b", "t", "t/a/b/", "%LMQ%t%a%b%", ""},
		{"t/a/b/", "t", "t/a/b/", "%LMQ%t%a%b%", ""},
		{"t/", "t", "t/", "%LMQ%t%", ""},
		{"/t/a", "t", "/t/a/", "%LMQ%%t%a%", ""},
		{"/t", "t", "/t/", "%LMQ%%t%", ""},
		{"t//a", "t", "t//a/", "%LMQ%t%%a%", ""},
		{"t/p2p/C", "t", "/p2p/C/", "%LMQ%%p2p%C%", "C"},
		{"t/p2p/C/x/y", "t", "/p2p/C/", "%LMQ%%p2p%C%", "C"},
		{"/t/p2p/C", "t", "/p2p/C/", "%LMQ%%p2p%C%", "C"},
		{"t/p2p", "t", "t/p2p/", "%LMQ%t%p2p%", ""},
		{"t/a/p2p/C", "t", "t/a/p2p/C/", "%LMQ%t%a%p2p%C%", ""},
		{"/", "", "/", "%LMQ%%", ""},
		{"//a", "", "//a/", "%LMQ%%%a%", ""},
	} {
		p := topic.Locate(c.name)
		if p.Topic != c.topic || p.Queue != c.queue || p.Peer != c.peer || topic.Light(p.Queue) != c.light {
			t.Errorf("%q: %+v, light queue %q", c.name, p, topic.Light(p.Queue))
		}
	}
	if q := topic.RetryQueue("C"); topic.Light(q) != "%LMQ%%retry%C%" {
		t.Error(q)
	}
	for in, want := range map[string]string{
		"%LMQ%t%a%":              "t/a/",
		"%LMQ%t%a%,%LMQ%t%+%":    "t/a/",
		"%LMQ%t%#%,%LMQ%t%a%b%":  "t/a/b/",
		"%LMQ%t%#%":              "",
		"%LMQ%%p2p%C%,%LMQ%t%x%": "t/x/",
	} {
		if got := topic.FromLight(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestNamesAndFilters(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a": true, "a/b": true, "/": true, "a b": true, "ä/€": true, "$SYS/x": true, "a/b/c/d": true,
		"": false, "a/+": false, "#": false, "a\x00": false, "a/b/c/d/e": false, "\xff": false, strings.Repeat("a", 65536): false,
	} {
		if topic.ValidName(name, 4) != want {
			t.Errorf("name %.20q", name)
		}
	}
	for in, want := range map[string]topic.Filter{
		"a": {Text: "a"}, "a/+/b": {Text: "a/+/b"}, "#": {Text: "#"}, "+": {Text: "+"}, "/+": {Text: "/+"}, "a/#": {Text: "a/#"},
		"+/+/#": {Text: "+/+/#"}, "$share/g/a/#": {Share: "g", Text: "a/#"}, "$share/g//a": {Share: "g", Text: "/a"},
		"$shared": {Text: "$shared"}, "a/$share/g": {Text: "a/$share/g"},
	} {
		f, err := topic.ParseFilter(in, 4)
		if err != nil || f != want || f.String() != in {
			t.Errorf("filter %q: %+v, %v", in, f, err)
		}
	}
	for _, in := range []string{"", "a#", "a/#/b", "a+/b", "+a", "##", "$share/g", "$share//a", "$share/g/", "$share/+/a", "a/b/c/d/e", "a\x00"} {
		if f, err := topic.ParseFilter(in, 4); err == nil {
			t.Errorf("filter %q: %+v", in, f)
		}
	}
	for name, want := range map[string]bool{"t": true, "%LMQ%t": true, "a-b_c|d": true, "": false, "a b": false, "$SYS": false, "ä": false, strings.Repeat("t", 128): false} {
		if topic.CanBeTopic(name) != want {
			t.Errorf("topic %q", name)
		}
	}
}

func TestTopicsOfTheBrokerAreReserved(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"%RETRY%g": true, "%DLQ%g": true, "%LMQ%t": true, "RMQ_SYS_TRACE_TOPIC": true, "rmq_sys_wheel_timer": true, "SCHEDULE_TOPIC_XXXX": true,
		"TBW102": true, "t": false, "a%b": false, "RMQ_SYS": false, "TBW1020": false,
	} {
		if topic.Reserved(name) != want {
			t.Errorf("%q", name)
		}
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter, name string
		want         bool
	}{
		{"a/b", "a/b", true},
		{"a/b", "a/b/", false},
		{"a/b", "a", false},
		{"a", "a/b", false},
		{"A", "a", false},
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/#", "sport", true},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"#", "a/b", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		{"#", "$SYS/a", false},
		{"+/a", "$SYS/a", false},
		{"$SYS/#", "$SYS/a", true},
		{"$SYS/+", "$SYS/a", true},
		{"a/#", "a/$x", true},
		{"a/+", "a/$x", true},
		{"#", "/", true},
		{"+/+", "/", true},
		{"a//b", "a//b", true},
		{"a/+/b", "a//b", true},
	} {
		if topic.Matches(c.filter, c.name) != c.want {
			t.Errorf("%q and %q", c.filter, c.name)
		}
	}
}

// TestTrieAgreesWithMatches adds and removes at random and compares with going through all filters.
func TestTrieAgreesWithMatches(t *testing.T) {
	t.Parallel()
	level := rapid.SampledFrom([]string{"a", "b", "", "+", "$x"})
	text := rapid.Custom(func(t *rapid.T) string {
		s := strings.Join(rapid.SliceOfN(level, 1, 4).Draw(t, "levels"), "/")
		if rapid.Bool().Draw(t, "rest") {
			s += "/#"
		}
		return s
	})
	type key struct {
		filter string
		who    int
	}
	rapid.Check(t, func(t *rapid.T) {
		var trie topic.Trie[int, string]
		model := map[key]string{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			k := key{text.Draw(t, "filter"), rapid.IntRange(0, 2).Draw(t, "who")}
			if rapid.Bool().Draw(t, "put") {
				trie.Put(k.filter, k.who, k.filter)
				model[k] = k.filter
				continue
			}
			_, had := model[k]
			if trie.Remove(k.filter, k.who) != had {
				t.Fatalf("remove %+v", k)
			}
			delete(model, k)
		}
		if trie.Len() != len(model) {
			t.Fatalf("%d filters, want %d", trie.Len(), len(model))
		}
		name := strings.NewReplacer("+", "c", "/#", "").Replace(text.Draw(t, "name"))
		var got, want []string
		trie.Match(name, func(k int, v string) { got = append(got, v+string(rune('0'+k))) })
		for k := range model {
			if topic.Matches(k.filter, name) {
				want = append(want, k.filter+string(rune('0'+k.who)))
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%q: %q, want %q", name, got, want)
		}
		for k := range model {
			trie.Remove(k.filter, k.who)
		}
		trie.Match(name, func(int, string) { t.Fatal("it is not empty") })
	})
}

func FuzzFilter(f *testing.F) {
	f.Add("$share/g/a/#", "a/b")
	f.Add("+/+", "/x")
	f.Fuzz(func(t *testing.T, filter, name string) {
		fl, err := topic.ParseFilter(filter, 64)
		if err != nil || !topic.ValidName(name, 64) {
			return
		}
		var trie topic.Trie[int, int]
		trie.Put(fl.Text, 1, 1)
		n := 0
		trie.Match(name, func(int, int) { n++ })
		if want := topic.Matches(fl.Text, name); (n == 1) != want || n > 1 {
			t.Fatalf("%q and %q: %d, want %v", fl.Text, name, n, want)
		}
		if q := topic.Light(topic.Locate(name).Queue); strings.Contains(q, "/") {
			t.Fatalf("%q is in %q", name, q)
		}
	})
}
