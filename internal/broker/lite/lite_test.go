package lite

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// rig is a table with a clock that the test moves, and light queues that a group has consumed or not.
type rig struct {
	*Table
	t      *testing.T
	now    time.Time
	behind map[string]bool // by queue
}

func newRig(t *testing.T, change ...func(o *Options)) *rig {
	t.Helper()
	r := &rig{t: t, now: time.UnixMilli(1_700_000_000_000), behind: map[string]bool{}}
	o := Options{
		Behind: func(_, queue string) bool { return r.behind[queue] },
		Queues: func(parent string, fn func(string) bool) {
			for q := range r.behind {
				if p, _, ok := Split(q); ok && p == parent && !fn(q) {
					return
				}
			}
		},
		Now: func() time.Time { return r.now },
	}
	for _, f := range change {
		f(&o)
	}
	r.Table = NewTable(o)
	return r
}

// tick lets time pass and returns who is woken.
func (r *rig) tick(d time.Duration) (woken []string) {
	r.now = r.now.Add(d)
	r.Tick(func(fx Effects) { woken = append(woken, wakes(fx)...) })
	return woken
}

func wakes(fx Effects) (ids []string) {
	for _, c := range fx.Wake {
		ids = append(ids, c.ID)
	}
	return ids
}

func (r *rig) add(id string, g Group, topics ...string) Effects {
	r.t.Helper()
	fx, err := r.Add(id, g, "P", nil, queues(topics...))
	if err != nil {
		r.t.Fatal(err)
	}
	return fx
}

func queues(topics ...string) []string {
	out := make([]string, len(topics))
	for i, name := range topics {
		out[i] = QueueName("P", name)
	}
	return out
}

// taken returns all events of a client.
func (r *rig) taken(id string) (topics []string) {
	for q, ok := r.Take(id); ok; q, ok = r.Take(id) {
		_, topic, _ := Split(q)
		topics = append(topics, topic)
	}
	return topics
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

var shared = Group{Name: "G", Parent: "P", MaxEvents: 100}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ queue, parent, topic string }{
		{"%LMQ%$P$x", "P", "x"},
		{"%LMQ%$P$", "", ""},
		{"%LMQ%$$x", "", ""},
		{"%LMQ%$P$x$y", "", ""},
		{"%LMQ%$P", "", ""},
		{"%LMQ%P$x", "", ""},
		{"P", "", ""},
	} {
		parent, topic, ok := Split(c.queue)
		if parent != c.parent || topic != c.topic || ok != (c.topic != "") {
			t.Errorf("%s: %q %q %v", c.queue, parent, topic, ok)
		}
	}
	want(t, "name without a topic", QueueName("P", ""), "")
}

// The expected buckets were printed by Guava 32.0.1, as the Java broker carries it: Hashing.consistentHash(name.hashCode(), n).
func TestBucketIsThatOfGuava(t *testing.T) {
	t.Parallel()
	for _, c := range guavaBuckets {
		if got := Bucket(c.name, c.n); got != c.bucket {
			t.Errorf("%q of %d: %d, want %d", c.name, c.n, got, c.bucket)
		}
	}
}

func TestAnEventGoesToOneClientOfEachGroup(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	other := shared
	other.Name = "H"
	r.add("a", shared, "x", "y")
	r.add("b", shared, "x")
	r.add("c", other, "x")
	want(t, "active", r.Active(), 4)
	got := wakes(r.Arrived(QueueName("P", "x")))
	slices.Sort(got)
	if len(got) != 2 || got[1] != "c" {
		t.Fatalf("woken %v", got)
	}
	want(t, "events of "+got[0], r.taken(got[0]), "[x]")
	want(t, "events of c", r.taken("c"), "[x]")
	want(t, "a lite topic that nobody wants", wakes(r.Arrived(QueueName("P", "z"))), "[]")
	want(t, "another topic", wakes(r.Arrived("P")), "[]")
}

func TestAnEventIsThereOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("a", shared, "x", "y")
	for range 3 {
		r.Arrived(QueueName("P", "x"))
		r.Arrived(QueueName("P", "y"))
	}
	want(t, "events", r.taken("a"), "[x y]")
	r.Arrived(QueueName("P", "x"))
	want(t, "events", r.taken("a"), "[x]")
	want(t, "has", r.Has("a"), false)
}

func TestWhoSubscribesLastGetsAnExclusiveLiteTopic(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	g := shared
	g.Exclusive, g.RewindExclusive = true, true
	r.add("a", g, "x", "y")
	fx := r.add("b", g, "x")
	if len(fx.Lost) != 1 || fx.Lost[0].ID != "a" || fx.Lost[0].Queue != QueueName("P", "x") {
		t.Errorf("lost: %+v", fx.Lost)
	}
	want(t, "rewound", fx.Rewind, queues("x"))
	want(t, "subscribers", r.Subscribers(QueueName("P", "x")), "[{b G}]")
	want(t, "woken", wakes(r.Arrived(QueueName("P", "x"))), "[b]")
	if fx = r.add("b", g, "x"); len(fx.Lost)+len(fx.Rewind)+len(fx.Added) > 0 {
		t.Errorf("subscribing again: %+v", fx)
	}
}

func TestSetIsAllThatAClientHas(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("a", shared, "x", "y")
	fx := r.Set("a", shared, "P", nil, queues("y", "z"))
	want(t, "added", fx.Added, queues("z"))
	of, ok := r.Of("a")
	want(t, "has", fmt.Sprint(of, ok), fmt.Sprint(queues("y", "z"), true))
	want(t, "active", r.Active(), 2)
	g := shared
	g.RewindUnsubscribe = true
	want(t, "rewound", r.Remove("a", g, queues("y", "none")).Rewind, queues("y"))
	r.Arrived(QueueName("P", "z"))
	r.Remove("a", shared, queues("z"))
	want(t, "events of what it has left", r.taken("a"), "[]")
	r.Leave("a")
	_, ok = r.Of("a")
	want(t, "known", ok, false)
	want(t, "active", r.Active(), 0)
}

func TestQuotaAndWildcardRefuse(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Max = 2 })
	r.add("a", shared, "x", "y")
	if _, err := r.Add("b", shared, "P", nil, queues("z")); !errors.Is(err, ErrQuota) {
		t.Errorf("error %v", err)
	}
	r.Drop(QueueName("P", "x"))
	g := shared
	g.Wildcard = true
	if _, err := r.Add("b", g, "P", nil, queues("z")); !errors.Is(err, ErrWildcard) {
		t.Errorf("error %v", err)
	}
	want(t, "active", r.Active(), 1)
}

func TestEventsOfAClientThatDoesNotAskGoToAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("a", shared, "x")
	want(t, "woken", wakes(r.Arrived(QueueName("P", "x"))), "[a]")
	r.add("b", shared, "x")
	want(t, "woken at 9 s", r.tick(9*time.Second), "[]")
	want(t, "woken at 11 s", r.tick(2*time.Second), "[b]")
	want(t, "events of a", r.taken("a"), "[]")
	want(t, "events of b", r.taken("b"), "[x]")
	for range 20 { // a is avoided for a while
		want(t, "woken", wakes(r.Arrived(QueueName("P", "x"))), "[b]")
		r.taken("b")
	}
	r.Leave("b")
	want(t, "woken when there is nobody else", wakes(r.Arrived(QueueName("P", "x"))), "[a]")
}

func TestEventsOfAClientThatLeavesGoToAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("a", shared, "x", "y")
	r.Arrived(QueueName("P", "x"))
	r.Arrived(QueueName("P", "y"))
	r.add("b", shared, "x")
	want(t, "woken", wakes(r.Leave("a")), "[b]")
	want(t, "events of b", r.taken("b"), "[x]")
}

func TestSilentClientsExpire(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("a", shared, "x")
	r.now = r.now.Add(2 * time.Minute)
	r.add("b", shared, "x")
	r.now = r.now.Add(90 * time.Second)
	gone, _ := r.Expire(3 * time.Minute)
	want(t, "gone", gone, "[{a G}]")
	want(t, "subscribers", r.Subscribers(QueueName("P", "x")), "[{b G}]")
}

// Events that there is no room for come with a full dispatch.
func TestTooManyEventsAreMadeUpFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	g := shared
	g.MaxEvents = 10
	var names []string
	for i := range 25 {
		names = append(names, fmt.Sprintf("t%02d", i))
	}
	r.add("a", g, names...)
	for _, q := range queues(names...) {
		r.behind[q] = true
		r.Arrived(q)
	}
	seen := map[string]bool{}
	for round := 0; len(seen) < len(names); round++ {
		if round > 20 {
			t.Fatalf("only %d of %d came", len(seen), len(names))
		}
		got := r.taken("a")
		if len(got) > 10 {
			t.Fatalf("%d events", len(got))
		}
		for _, name := range got {
			seen[name] = true
			r.behind[QueueName("P", name)] = false
		}
		r.tick(26 * time.Second) // no client's refill is later than that
	}
}

func TestAWildcardGroupGetsEverything(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	g := shared
	g.Wildcard = true
	r.behind[QueueName("P", "old")] = true
	r.Set("a", g, "P", nil, queues("ignored"))
	r.Set("b", g, "P", nil, nil)
	want(t, "active", r.Active(), 2)
	want(t, "subscribers", r.Subscribers(QueueName("P", "x")), "[{* G}]")
	if got := wakes(r.Arrived(QueueName("P", "x"))); len(got) != 1 {
		t.Errorf("woken %v", got)
	}
	want(t, "another parent", wakes(r.Arrived(QueueName("Q", "x"))), "[]")
	if got := r.tick(6 * time.Second); len(got) != 1 { // what was there before
		t.Errorf("woken %v", got)
	}
	got := append(r.taken("a"), r.taken("b")...)
	slices.Sort(got)
	want(t, "events", strings.Join(got, " "), "old x")
	r.Leave("a")
	r.Leave("b")
	want(t, "active", r.Active(), 0)
	want(t, "subscribers", r.Subscribers(QueueName("P", "x")), "[]")
}

func TestAnOperatorCanHaveLiteTopicsLookedThrough(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("a", shared, "x", "y")
	r.behind[QueueName("P", "y")] = true
	want(t, "woken", wakes(r.RefillGroup("G", false)), "[a]")
	want(t, "events", r.taken("a"), "[y]")
	want(t, "of nobody", wakes(r.Refill("b")), "[]")
}
