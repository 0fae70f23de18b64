package meta

import (
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/selector"
)

var filtersJSON = path.Join(testRoot, "config/consumerFilter.json")

func sql(topic, expr string, version int64) mq.Subscription {
	return mq.Subscription{Topic: topic, Expression: expr, ExpressionType: selector.TypeSQL92, Version: version}
}

// TestFilterDataFollowJavasVersions walks the rules of Java's ConsumerFilterManager.register.
func TestFilterDataFollowJavasVersions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tb := open(t, newMem(t))
		f := tb.Filters
		f.now = time.Now
		check := func(what, expr string, version int64, dead bool) {
			t.Helper()
			d := f.Get("T", "g")
			switch {
			case expr == "" && d == nil:
			case d == nil || expr == "":
				t.Errorf("%s: %+v", what, d)
			case d.Expression != expr || d.Version != version || d.IsDead() != dead || d.Filter == nil:
				t.Errorf("%s: %+v", what, d)
			}
		}
		f.Register("g", []mq.Subscription{{Topic: "T", Expression: "a", ExpressionType: "TAG"}, sql("U", "", 1)})
		check("tags are not kept", "", 0, false)
		f.Register("g", []mq.Subscription{sql("T", "a >", 1)})
		check("does not compile", "", 0, false)
		f.Register("g", []mq.Subscription{sql("T", "a > 1", 5), {Topic: "X", ExpressionType: "LUA", Expression: "a > 1", Version: 5}})
		check("new", "a > 1", 5, false)
		if f.Get("X", "g") != nil {
			t.Error("an unknown type is kept")
		}
		born := f.Get("T", "g").Born
		f.Register("g", []mq.Subscription{sql("T", "a > 2", 5)})
		check("the same version", "a > 1", 5, false)
		f.Register("g", []mq.Subscription{sql("T", "a > 2", 4)})
		check("an old version", "a > 1", 5, false)
		time.Sleep(time.Second)
		f.Register("g", []mq.Subscription{sql("T", "a > 1", 6)})
		check("a new version", "a > 1", 6, false)
		if f.Get("T", "g").Born != born {
			t.Error("born again without a change")
		}
		f.Register("g", []mq.Subscription{sql("U", "a > 1", 6)})
		check("not subscribed", "a > 1", 6, true)
		f.Register("g", []mq.Subscription{sql("T", "other", 6)})
		check("back with its version", "a > 1", 6, false)
		f.Register("g", []mq.Subscription{sql("T", "a > 3", 7)})
		check("changed", "a > 3", 7, false)
		f.Leave("g")
		check("left", "a > 3", 7, true)
		f.Clean()
		check("just left", "a > 3", 7, true)
		f.Register("g", []mq.Subscription{sql("T", "a > 3", 8)})
		check("back", "a > 3", 8, false)
		f.Register("g", []mq.Subscription{sql("T", "a > ", 9)})
		check("changed to one that does not compile", "", 0, false)
		f.Register("g", []mq.Subscription{sql("T", "a > 1", 1)})
		check("new again", "a > 1", 1, false)
		f.Leave("g")
		time.Sleep(24*time.Hour - time.Second)
		f.Clean()
		check("before the time", "a > 1", 1, true)
		time.Sleep(2 * time.Second)
		f.Clean()
		check("after the time", "", 0, false)
		must(t, tb.Close())
	})
}

// TestFilterFileOfJava reads the shape that Java writes and writes it back.
func TestFilterFileOfJava(t *testing.T) {
	t.Parallel()
	text := `{
	"filterDataByTopic":{
		"T":{
			"groupFilterData":{
				"g":{
					"bloomFilterData":{
						"bitNum":216,
						"bitPos":[84,148,212]
					},
					"bornTime":1795368707754,
					"clientVersion":1,
					"consumerGroup":"g",
					"dead":false,
					"deadTime":0,
					"expression":"a>1",
					"expressionType":"SQL92",
					"topic":"T"
				}
			},
			"topic":"T"
		}
	}
}`
	synctest.Test(t, func(t *testing.T) {
		m := newMem(t)
		put(t, m, filtersJSON, []byte(text))
		tb := open(t, m)
		d := tb.Filters.Get("T", "g")
		if d == nil || d.Filter == nil || !d.IsDead() || d.Dead != d.Born { // whoever was there is dead at first
			t.Fatalf("%+v", d)
		}
		tb.Filters.Register("g", []mq.Subscription{sql("T", "a>1", 1)})
		must(t, tb.Close())
		flat := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if got := string(get(t, m, filtersJSON)); flat(got) != flat(text) {
			t.Errorf("%s", got)
		}
		m = newMem(t)
		put(t, m, filtersJSON, []byte(strings.Replace(text, "a>1", "a>", 1)))
		tb = open(t, m)
		if d := tb.Filters.Get("T", "g"); d == nil || d.Filter != nil {
			t.Errorf("%+v", d)
		}
		must(t, tb.Close())
	})
}
