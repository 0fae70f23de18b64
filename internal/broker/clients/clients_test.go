package clients_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/broker/clients"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer counts what it is told.
type peer struct {
	mq.Peer
	mu     sync.Mutex
	told   []string
	closed bool
}

func (p *peer) ConsumerIDsChanged(group string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, group)
}

func (p *peer) CheckTransaction(*mq.TransactionCheck) bool { return true }

func (p *peer) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

// take returns what was told since the last call.
func (p *peer) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.told = nil }()
	return p.told
}

func session(id string) (*mq.Session, *peer) {
	p := &peer{}
	return &mq.Session{ClientID: id, Peer: p}, p
}

func sub(topic string, version int64) mq.Subscription {
	return mq.Subscription{Topic: topic, Expression: "*", Version: version}
}

func consumer(group string, subs ...mq.Subscription) *mq.ConsumerData {
	return &mq.ConsumerData{Group: group, Type: mq.ConsumePassively, Subscriptions: subs}
}

func wantTold(t *testing.T, p *peer, want ...string) {
	t.Helper()
	if got := p.take(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestMembersAreToldAboutChanges(t *testing.T) {
	t.Parallel()
	r := clients.New(time.Now)
	a, pa := session("a")
	b, pb := session("b")
	if !r.Consume(a, consumer("g", sub("T", 1)), false, true) {
		t.Error("a new member is no change")
	}
	wantTold(t, pa, "g")
	if r.Consume(a, consumer("g", sub("T", 1)), false, true) {
		t.Error("the same again is a change")
	}
	wantTold(t, pa)
	r.Consume(b, consumer("g", sub("T", 1)), false, true)
	wantTold(t, pa, "g")
	wantTold(t, pb, "g")
	r.Consume(b, consumer("g", sub("T", 2)), false, true) // a newer version only
	wantTold(t, pa)
	r.Consume(b, consumer("g", sub("T", 2), sub("U", 1)), false, true)
	wantTold(t, pa, "g")
	wantTold(t, pb, "g")
	r.Consume(b, consumer("g"), true, true) // V2 without subscriptions leaves them
	wantTold(t, pa)
	if s, _, _ := r.Find("g", "U"); s == nil {
		t.Error("subscription lost")
	}
	r.Consume(a, consumer("g", sub("U", 1)), false, true) // T is removed
	wantTold(t, pa, "g")
	wantTold(t, pb, "g")
	r.Consume(a, consumer("quiet", sub("T", 1)), false, false)
	bc := consumer("bc", sub("T", 1))
	bc.Broadcast = true
	r.Consume(a, bc, false, true)
	wantTold(t, pa)

	if ids, ok := r.Members("g"); !ok || !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("members %q", ids)
	}
	r.LeaveConsumer(b, "nothing", true)
	r.LeaveConsumer(b, "g", true)
	wantTold(t, pa, "g")
	wantTold(t, pb)
	r.LeaveConsumer(b, "g", true)
	wantTold(t, pa)
	r.LeaveConsumer(a, "g", true)
	if _, ok := r.Members("g"); ok {
		t.Error("an empty group is there")
	}
}

func TestTheConnectionIsTheMember(t *testing.T) {
	t.Parallel()
	r := clients.New(time.Now)
	old, oldPeer := session("a")
	again, againPeer := session("a")
	other, otherPeer := session("b")
	for _, s := range []*mq.Session{old, again, other} {
		r.Consume(s, consumer("g", sub("T", 1)), false, true)
		r.Consume(s, consumer("h", sub("T", 1)), false, true)
		r.Produce(s, "p")
	}
	if ids, _ := r.Members("g"); !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("members %q", ids)
	}
	for _, p := range []*peer{oldPeer, againPeer, otherPeer} {
		p.take()
	}
	r.Detach(old)
	wantTold(t, oldPeer)
	for _, p := range []*peer{againPeer, otherPeer} {
		got := p.take()
		slices.Sort(got)
		if !slices.Equal(got, []string{"g", "h"}) {
			t.Errorf("told %q", got)
		}
	}
	if ids, _ := r.Members("g"); !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("members %q", ids)
	}
	if n := len(r.Producers("p")); n != 2 {
		t.Errorf("%d producers", n)
	}
	r.Detach(old)
	r.Detach(again)
	r.Detach(other)
	if s, c, p := r.Counts(); s+c+p != 0 {
		t.Errorf("%d sessions, %d consumer groups, %d producer groups are left", s, c, p)
	}
}

// matches asks a tag filter.
func matches(s *clients.Subscription, code int32) bool {
	f := s.Filter.Match()
	return f == nil || f(int64(code))
}

func TestSubscriptionsByVersionAndHash(t *testing.T) {
	t.Parallel()
	r := clients.New(time.Now)
	a, _ := session("a")
	code := record.HashCode("red")
	tagged := mq.Subscription{Topic: "T", Expression: "red", Tags: []string{"red"}, Codes: []int32{code}, Version: 5}
	r.Consume(a, consumer("g", tagged, sub("%RETRY%g", 1)), false, true)
	if _, _, known := r.Find("h", "T"); known {
		t.Error("h is known")
	}
	if s, _, known := r.Find("g", "U"); s != nil || !known {
		t.Error("U is subscribed")
	}
	s, broadcast, known := r.Find("g", "T")
	if s == nil || broadcast || !known || s.Version != 5 || !matches(s, code) || matches(s, 0) {
		t.Fatalf("%+v", s)
	}
	older := sub("T", 4)
	r.Consume(a, consumer("g", older, sub("%RETRY%g", 1)), false, true)
	if s, _, _ := r.Find("g", "T"); s.Version != 5 {
		t.Error("an older version replaced a newer one")
	}
	for _, c := range []struct {
		sub  mq.Subscription
		want bool // matches red
	}{
		{mq.Subscription{Expression: "red"}, true}, // no hashes sent
		{mq.Subscription{Expression: "||"}, false},
		{mq.Subscription{Expression: "blue", ClassFilter: true}, true},
		{mq.Subscription{Expression: ""}, true},
	} {
		c.sub.Topic, c.sub.Version = "T", 6
		g := "x" + c.sub.Expression
		r.Consume(a, consumer(g, c.sub), false, true)
		if s, _, _ := r.Find(g, "T"); matches(s, code) != c.want {
			t.Errorf("%+v matches red: %v", c.sub, !c.want)
		}
	}
	r.Consume(a, consumer("sql", mq.Subscription{Topic: "T", Expression: "a > 1", ExpressionType: "SQL92"}), false, true)
	if s, _, _ := r.Find("sql", "T"); s.Filter != nil {
		t.Error("SQL92 compiled as tags")
	}
	if c, ok := r.Group("sql"); !ok || c.Type != mq.ConsumePassively || c.Members != 1 {
		t.Errorf("%+v", c)
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := clients.New(time.Now)
		dead, deadPeer := session("dead")
		half, halfPeer := session("half")
		live, livePeer := session("live")
		r.Consume(dead, consumer("g", sub("T", 1)), false, true)
		r.Produce(dead, "p")
		r.Consume(half, consumer("g", sub("T", 1)), false, true)
		for range 5 {
			r.Consume(live, consumer("g", sub("T", 1)), false, true)
			r.Produce(half, "p")
			time.Sleep(30 * time.Second)
		}
		livePeer.take()
		if n := r.Expire(); n != 1 || !deadPeer.closed || halfPeer.closed || livePeer.closed {
			t.Errorf("closed %d", n)
		}
		if got := livePeer.take(); len(got) == 0 {
			t.Error("the rest of the group was not told")
		}
		if ids, _ := r.Members("g"); !slices.Equal(ids, []string{"live"}) {
			t.Errorf("members %q", ids)
		}
		if s, c, p := r.Counts(); s != 2 || c != 1 || p != 1 {
			t.Errorf("%d %d %d", s, c, p)
		}
	})
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	r := clients.New(time.Now)
	for i, c := range []struct {
		print int32
		want  bool
	}{{7, false}, {7, false}, {8, true}, {8, false}, {0, true}} {
		if got := r.Fingerprint("g", c.print); got != c.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	r := clients.New(time.Now)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 200 {
				s, _ := session(fmt.Sprintf("c%d", i))
				r.Consume(s, consumer(fmt.Sprintf("g%d", n%3), sub("T", int64(n))), n%2 == 0, true)
				r.Produce(s, "p")
				r.Find("g1", "T")
				r.Members("g1")
				r.Expire()
				r.Detach(s)
			}
		})
	}
	wg.Wait()
	if s, c, p := r.Counts(); s+c+p != 0 {
		t.Errorf("%d %d %d are left", s, c, p)
	}
}
