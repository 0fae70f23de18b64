package nameserver

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

type fakeLink struct{ closed error }

func (f *fakeLink) Close(reason error) { f.closed = reason }

// reg makes a registration of one broker with topics of 4 queues and perm 6.
func reg(name string, id int64, addr string, version int64, topics ...string) *registration {
	g := &registration{
		cluster: "C", name: name, addr: addr, haAddr: "ha-" + addr, id: id, hasActing: true, filters: []string{},
		version: protocol.DataVersion{Counter: version, Timestamp: 7},
	}
	for _, t := range topics {
		g.topics = append(g.topics, topicEntry{name: t, read: 4, write: 4, perm: 6})
	}
	return g
}

func start() time.Time { return time.Unix(1_700_000_000, 0) }

func mustRegister(t *testing.T, r *routes, g *registration) registered {
	t.Helper()
	res, _, err := r.register(start(), policy{}, g)
	if err != nil {
		t.Fatalf("register %s/%d: %v", g.name, g.id, err)
	}
	check(t, r)
	return res
}

// check verifies the invariants of the table.
func check(t *testing.T, r *routes) {
	t.Helper()
	for name, tp := range r.topics {
		if tp.name != name || len(tp.queues) == 0 {
			t.Fatalf("topic %q: name %q, %d queues", name, tp.name, len(tp.queues))
		}
		for i, q := range tp.queues {
			if r.groups[q.group.name] != q.group {
				t.Fatalf("topic %q: queue of the unknown group %q", name, q.group.name)
			}
			if _, ok := q.group.topics[tp]; !ok {
				t.Fatalf("topic %q is not in the list of group %q", name, q.group.name)
			}
			if i > 0 && tp.queues[i-1].group.name >= q.group.name {
				t.Fatalf("topic %q: queues are not sorted", name)
			}
		}
	}
	for name, g := range r.groups {
		if g.name != name || len(g.members) == 0 {
			t.Fatalf("group %q: name %q, %d members", name, g.name, len(g.members))
		}
		for tp := range g.topics {
			if _, ok := tp.find(name); !ok || r.topics[tp.name] != tp {
				t.Fatalf("group %q lists topic %q, which does not know it", name, tp.name)
			}
		}
		for i := 1; i < len(g.members); i++ {
			if g.members[i-1].id >= g.members[i].id {
				t.Fatalf("group %q: members are not sorted", name)
			}
		}
	}
	for c, names := range r.clusters {
		if len(names) == 0 {
			t.Fatalf("cluster %q is empty", c)
		}
		for n := range names {
			if r.groups[n] == nil {
				t.Fatalf("cluster %q names the unknown group %q", c, n)
			}
		}
	}
}

func perm(t *testing.T, r *routes, topic, broker string) int32 {
	t.Helper()
	tp := r.topics[topic]
	if tp == nil {
		t.Fatalf("no topic %q", topic)
	}
	i, ok := tp.find(broker)
	if !ok {
		t.Fatalf("topic %q has no queues on %q", topic, broker)
	}
	return tp.queues[i].perm
}

func TestLoneIncrementalRegistrationOfUnknownBrokerIsRefused(t *testing.T) {
	t.Parallel()
	r := newRoutes()
	_, _, err := r.register(start(), policy{}, reg("a", 0, "1:1", 1, "T"))
	if !errors.Is(err, errUnknownBroker) {
		t.Fatalf("err = %v", err)
	}
	if len(r.groups)+len(r.clusters)+len(r.live)+len(r.topics) != 0 {
		t.Fatal("a refused registration left traces")
	}
	mustRegister(t, r, reg("a", 0, "1:1", 1, "T", "U"))
	mustRegister(t, r, reg("a", 0, "1:1", 2, "V"))
	if got := r.topicNames(nil); !slices.Equal(got, []string{"T", "U", "V"}) {
		t.Fatalf("topics = %v", got)
	}
}

func TestTopicIsRewrittenOnlyWhenTheVersionIsNewOrItIsMissing(t *testing.T) {
	t.Parallel()
	r := newRoutes()
	mustRegister(t, r, reg("a", 0, "1:1", 1, "T", "U"))
	if n := r.wipeWrite("a"); n != 2 {
		t.Fatalf("wiped %d", n)
	}
	mustRegister(t, r, reg("a", 0, "1:1", 1, "T", "U"))
	if p := perm(t, r, "T", "a"); p != 4 {
		t.Fatalf("perm after the same version = %d, want 4", p)
	}
	r.deleteTopic("U", "")
	mustRegister(t, r, reg("a", 0, "1:1", 1, "T", "U"))
	if p := perm(t, r, "U", "a"); p != 6 {
		t.Fatalf("perm of the topic that was missing = %d, want 6", p)
	}
	mustRegister(t, r, reg("a", 0, "1:1", 2, "T", "U"))
	if p := perm(t, r, "T", "a"); p != 6 {
		t.Fatalf("perm after a new version = %d, want 6", p)
	}
	r.wipeWrite("a")
	if n := r.addWrite("a"); n != 2 || perm(t, r, "T", "a") != 6 {
		t.Fatalf("added %d, perm %d", n, perm(t, r, "T", "a"))
	}
}

func TestSlaveLearnsItsMasterAndDoesNotTouchTopics(t *testing.T) {
	t.Parallel()
	r := newRoutes()
	mustRegister(t, r, reg("a", 0, "1:1", 1, "T", "U"))
	res := mustRegister(t, r, reg("a", 1, "2:1", 9, "T", "X"))
	if res.masterAddr != "1:1" || res.haAddr != "ha-1:1" {
		t.Fatalf("slave was told %+v", res)
	}
	if got := r.topicNames(nil); !slices.Equal(got, []string{"T", "U"}) {
		t.Fatalf("topics = %v", got)
	}
}

func TestOldBrokerThatIsSlaveNeverDecidesTopics(t *testing.T) {
	t.Parallel()
	for _, hasActing := range []bool{false, true} {
		r := newRoutes()
		g := reg("a", 1, "2:1", 1, "T", "U")
		g.hasActing = hasActing
		mustRegister(t, r, g)
		if got := len(r.topics) > 0; got != hasActing {
			t.Errorf("enableActingMaster present %v: topics taken %v", hasActing, got)
		}
	}
}

func TestActingMasterIsReadOnly(t *testing.T) {
	t.Parallel()
	r := newRoutes()
	g := reg("a", 1, "2:1", 1, "T", "U")
	g.acting = true
	mustRegister(t, r, g)
	if p := perm(t, r, "T", "a"); p != 4 {
		t.Fatalf("perm = %d", p)
	}
	m := reg("a", 0, "1:1", 1, "T", "U")
	m.acting = true
	mustRegister(t, r, m)
	if p := perm(t, r, "T", "a"); p != 6 {
		t.Fatalf("perm with master = %d", p)
	}
	r.unregister(policy{}, departure{"C", "a", "1:1", 0})
	check(t, r)
	if p := perm(t, r, "T", "a"); p != 4 {
		t.Fatalf("perm after the master left = %d", p)
	}
}

func TestOneAddressHasOneID(t *testing.T) {
	t.Parallel()
	r := newRoutes()
	mustRegister(t, r, reg("a", 0, "1:1", 1, "T", "U"))
	mustRegister(t, r, reg("a", 1, "2:1", 1, "T", "U"))
	r.unregister(policy{}, departure{"C", "a", "1:1", 0})
	mustRegister(t, r, reg("a", 0, "2:1", 1, "T", "U"))
	if m := r.groups["a"].members; len(m) != 1 || m[0] != (member{0, "2:1"}) {
		t.Fatalf("members = %v", m)
	}
}

func TestOlderStateVersionCannotTakeAnIDThatIsBound(t *testing.T) {
	t.Parallel()
	r := newRoutes()
	g := reg("a", 0, "1:1", 1, "T", "U")
	g.version.StateVersion = 5
	mustRegister(t, r, g)
	late := reg("a", 0, "2:1", 9, "T", "U", "W")
	late.version.StateVersion = 4
	mustRegister(t, r, late)
	if addr, _ := r.groups["a"].addr(0); addr != "1:1" {
		t.Fatalf("id 0 is at %s", addr)
	}
	if r.live[endpoint{"C", "2:1"}] != nil || r.topics["W"] != nil {
		t.Fatal("the late broker got in")
	}
	late.version.StateVersion = 5
	mustRegister(t, r, late)
	if addr, _ := r.groups["a"].addr(0); addr != "2:1" {
		t.Fatalf("id 0 is at %s", addr)
	}
	// The first one is gone without a word; its silence must not hurt the second.
	r.live[endpoint{"C", "2:1"}].seen = start().Add(time.Hour)
	gone, _, _ := r.expire(start().Add(time.Hour), policy{})
	check(t, r)
	if len(gone) != 1 || gone[0].addr != "1:1" || r.topics["W"] == nil {
		t.Fatalf("gone = %v", gone)
	}
}

func TestMissingTopicsAreDroppedOnlyWhenConfigured(t *testing.T) {
	t.Parallel()
	for _, drop := range []bool{false, true} {
		r := newRoutes()
		mustRegister(t, r, reg("a", 0, "1:1", 1, "T", "U", "V"))
		mustRegister(t, r, reg("b", 0, "1:2", 1, "T", "U", "V"))
		if _, _, err := r.register(start(), policy{dropMissing: drop}, reg("a", 0, "1:1", 2, "T", "W")); err != nil {
			t.Fatal(err)
		}
		check(t, r)
		if got := r.has("U", r.groups["a"]); got == drop {
			t.Errorf("drop %v: U on a = %v", drop, got)
		}
		if !r.has("U", r.groups["b"]) || !r.has("W", r.groups["a"]) {
			t.Errorf("drop %v: wrong topics", drop)
		}
	}
}

func TestUnregisterRemovesWhatOnlyThisBrokerHad(t *testing.T) {
	t.Parallel()
	r := newRoutes()
	mustRegister(t, r, reg("a", 0, "1:1", 1, "T", "U"))
	mustRegister(t, r, reg("b", 0, "1:2", 1, "T", "V"))
	g := reg("a", 1, "2:1", 1, "T", "U")
	g.filters = []string{"f"}
	mustRegister(t, r, g)

	r.unregister(policy{}, departure{"C", "a", "1:1", 0})
	check(t, r)
	if p := perm(t, r, "U", "a"); p != 6 {
		t.Fatalf("perm = %d: without enableActingMaster it stays", p)
	}
	r.unregister(policy{}, departure{"C", "a", "2:1", 1})
	check(t, r)
	if got := r.topicNames(nil); !slices.Equal(got, []string{"T", "V"}) || len(r.filters) != 0 {
		t.Fatalf("topics = %v, filters %v", got, r.filters)
	}
	r.unregister(policy{}, departure{"C", "nobody", "2:1", 1})
	r.unregister(policy{}, departure{"C", "b", "1:2", 0})
	check(t, r)
	if len(r.groups)+len(r.clusters)+len(r.live)+len(r.topics) != 0 {
		t.Fatal("something is left")
	}
}

func TestSilentBrokerExpiresAfterItsOwnTimeout(t *testing.T) {
	t.Parallel()
	r := newRoutes()
	l := &fakeLink{}
	g := reg("a", 0, "1:1", 1, "T", "U")
	g.conn = l
	mustRegister(t, r, g)
	h := reg("b", 0, "1:2", 1, "T", "U")
	h.timeout = 10 * time.Second
	mustRegister(t, r, h)

	at := func(d time.Duration, want ...string) {
		t.Helper()
		gone, _, _ := r.expire(start().Add(d), policy{})
		check(t, r)
		var got []string
		for _, g := range gone {
			got = append(got, g.name)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("gone after %v = %v, want %v", d, got, want)
		}
	}
	at(10 * time.Second)
	at(10*time.Second+time.Millisecond, "b")
	r.heartbeat(start().Add(100*time.Second), "C", "1:1")
	at(220 * time.Second)
	_, conns, _ := r.expire(start().Add(221*time.Second), policy{})
	if len(conns) != 1 || conns[0] != l || len(r.topics) != 0 {
		t.Fatalf("conns = %v", conns)
	}
}

func TestClosedConnectionUnregistersOnlyWhatItRegisteredLast(t *testing.T) {
	t.Parallel()
	r := newRoutes()
	one, two := &fakeLink{}, &fakeLink{}
	g := reg("a", 0, "1:1", 1, "T", "U")
	g.conn = one
	mustRegister(t, r, g)
	g.conn = two
	mustRegister(t, r, g)
	if gone, _ := r.detach(policy{}, one); len(gone) != 0 {
		t.Fatalf("the old connection took %v with it", gone)
	}
	if gone, _ := r.detach(policy{}, two); len(gone) != 1 || len(r.groups) != 0 {
		t.Fatalf("gone = %v", gone)
	}
}

func TestMinBrokerIDNotices(t *testing.T) {
	t.Parallel()
	p := policy{notifyMin: true}
	r := newRoutes()
	do := func(g *registration) *notice {
		t.Helper()
		g.acting = true
		_, n, err := r.register(start(), p, g)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := do(reg("a", 2, "3:1", 1, "T", "U")); n != nil {
		t.Fatalf("first broker: %+v", n)
	}
	n := do(reg("a", 1, "2:1", 1, "T", "U"))
	if want := (&notice{to: []string{"3:1"}, minID: 1, minAddr: "2:1", haAddr: "ha-2:1"}); fmt.Sprint(n) != fmt.Sprint(want) {
		t.Fatalf("smaller id: %+v", n)
	}
	if n = do(reg("a", 3, "4:1", 1, "T", "U")); n != nil {
		t.Fatalf("larger id: %+v", n)
	}
	n = r.unregister(p, departure{"C", "a", "2:1", 1})
	if want := (&notice{to: []string{"3:1", "4:1"}, minID: 2, minAddr: "3:1", offline: "2:1"}); fmt.Sprint(n) != fmt.Sprint(want) {
		t.Fatalf("smallest left: %+v", n)
	}
	if n = r.unregister(p, departure{"C", "a", "4:1", 3}); n != nil {
		t.Fatalf("largest left: %+v", n)
	}
}

func TestRefreshSkipsTheBodyOnlyWhenNothingWouldChange(t *testing.T) {
	t.Parallel()
	master := func() *registration {
		g := reg("a", 0, "1:1", 1, "T", "U")
		g.print = 42
		return g
	}
	for _, tt := range []struct {
		name   string
		change func(r *routes, g *registration)
		want   bool
	}{
		{"same", func(*routes, *registration) {}, true},
		{"other body", func(_ *routes, g *registration) { g.print = 43 }, false},
		{"unknown body", func(_ *routes, g *registration) { g.print = 0 }, false},
		{"other id", func(_ *routes, g *registration) { g.id = 1 }, false},
		{"other address", func(_ *routes, g *registration) { g.addr = "9:1" }, false},
		{"acting changed", func(_ *routes, g *registration) { g.acting = true }, false},
		{"topic deleted", func(r *routes, _ *registration) { r.deleteTopic("T", "") }, false},
		{"perm wiped", func(r *routes, _ *registration) { r.wipeWrite("a") }, true},
		{"unregistered", func(r *routes, _ *registration) { r.unregister(policy{}, departure{"C", "a", "1:1", 0}) }, false},
		{"id taken", func(r *routes, _ *registration) { mustRegister(t, r, reg("a", 0, "2:2", 1, "T", "U")) }, false},
	} {
		r := newRoutes()
		mustRegister(t, r, master())
		g := master()
		tt.change(r, g)
		g.zone = "z"
		if _, ok := r.refresh(start().Add(time.Minute), g); ok != tt.want {
			t.Errorf("%s: refresh = %v", tt.name, ok)
		}
		check(t, r)
		if tt.want && (r.groups["a"].zone != "z" || !r.live[endpoint{"C", "1:1"}].seen.After(start())) {
			t.Errorf("%s: header not taken", tt.name)
		}
	}
}

func TestSlaveThatBecomesPrimeIsNotSkipped(t *testing.T) {
	t.Parallel()
	r := newRoutes()
	mustRegister(t, r, reg("a", 0, "1:1", 1, "T", "U"))
	s := reg("a", 1, "2:1", 1, "T", "X")
	s.print = 5
	mustRegister(t, r, s)
	if res, ok := r.refresh(start(), s); !ok || res.masterAddr != "1:1" {
		t.Fatalf("refresh = %v %v", res, ok)
	}
	r.unregister(policy{}, departure{"C", "a", "1:1", 0})
	if _, ok := r.refresh(start(), s); ok {
		t.Fatal("the slave with the smallest id decides the topics now")
	}
	mustRegister(t, r, s)
	if !r.has("X", r.groups["a"]) {
		t.Fatal("the topic that only the slave knows is missing")
	}
}

func TestRegisterTopicNeedsAllBrokers(t *testing.T) {
	t.Parallel()
	r := newRoutes()
	mustRegister(t, r, reg("a", 0, "1:1", 1, "T", "U"))
	q := queue{read: 1, write: 1, perm: 6}
	if r.registerTopic("N", []brokerQueue{{"a", q}, {"zz", q}}) || r.topics["N"] != nil {
		t.Fatal("a topic with an unknown broker was taken")
	}
	if !r.registerTopic("N", []brokerQueue{{"a", q}}) || perm(t, r, "N", "a") != 6 {
		t.Fatal("the topic was not taken")
	}
	check(t, r)
}

func TestDeleteTopicOfOneCluster(t *testing.T) {
	t.Parallel()
	r := newRoutes()
	mustRegister(t, r, reg("a", 0, "1:1", 1, "T", "U"))
	b := reg("b", 0, "1:2", 1, "T", "U")
	b.cluster = "D"
	mustRegister(t, r, b)
	r.deleteTopic("T", "D")
	check(t, r)
	if !r.has("T", r.groups["a"]) || r.has("T", r.groups["b"]) {
		t.Fatal("wrong cluster")
	}
	r.deleteTopic("U", "nowhere")
	r.deleteTopic("nothing", "")
	r.deleteTopic("T", "")
	check(t, r)
	if got := r.topicNames(nil); !slices.Equal(got, []string{"U"}) {
		t.Fatalf("topics = %v", got)
	}
}

func TestTopicLists(t *testing.T) {
	t.Parallel()
	r := newRoutes()
	g := reg("a", 0, "1:1", 1, "plain", "unit", "sub", "both")
	g.topics[1].sysFlag, g.topics[2].sysFlag, g.topics[3].sysFlag = flagUnit, flagUnitSub, flagUnit|flagUnitSub
	mustRegister(t, r, g)
	b := reg("b", 0, "1:2", 1, "other", "plain")
	b.cluster = "D"
	mustRegister(t, r, b)
	names, addr := r.systemTopics()
	for _, tt := range []struct {
		what      string
		got, want []string
	}{
		{"unit", r.topicNames(unitTopic), []string{"both", "unit"}},
		{"unit sub", r.topicNames(unitSubTopic), []string{"both", "sub"}},
		{"sub not unit", r.topicNames(unitSubNotUnit), []string{"sub"}},
		{"cluster C", r.clusterTopics("C"), []string{"both", "plain", "sub", "unit"}},
		{"cluster D", r.clusterTopics("D"), []string{"other", "plain"}},
		{"cluster ?", r.clusterTopics("?"), nil},
		{"system", append(names, addr), []string{"C", "D", "a", "b", "1:1"}},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s = %v, want %v", tt.what, tt.got, tt.want)
		}
	}
}
