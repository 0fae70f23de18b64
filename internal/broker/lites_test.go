package broker_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// startLite starts a broker with a topic P of lite topics and a group G that consumes them.
func startLite(tb testing.TB, attributes map[string]string, change ...func(o *setup)) *rig {
	tb.Helper()
	r := start(tb, append([]func(o *setup){func(o *setup) {
		o.LightTopics, o.LightDispatch, o.storage.LightQueues = true, true, true
	}}, change...)...)
	must(tb, r.PutTopic(tb.Context(), mq.TopicConfig{
		Name: "P", ReadQueues: 2, WriteQueues: 2, Perm: 6, Attributes: map[string]string{"+message.type": "LITE", "+lite.topic.expiration": "30"},
	}))
	r.liteGroup("G", attributes)
	return r
}

func (r *rig) liteGroup(name string, attributes map[string]string) {
	r.t.Helper()
	g := mq.GroupConfig{
		Name: name, ConsumeEnable: true, RetryQueues: 1, NotifyConsumerIDsChanged: true,
		Attributes: map[string]string{"+lite.bind.topic": "P"},
	}
	for k, v := range attributes {
		g.Attributes["+"+k] = v
	}
	must(r.t, r.PutGroup(r.t.Context(), g))
}

// litePeer is a client that loses lite topics.
type litePeer struct {
	mq.Peer
	mu   sync.Mutex
	lost []string
}

func (p *litePeer) UnsubscribeLite(group, client, lite string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = append(p.lost, group+" "+client+" "+lite)
}

func (r *rig) lite(action mq.LiteAction, client string, lites ...string) {
	r.t.Helper()
	must(r.t, r.SubscribeLite(r.t.Context(), nil, []mq.LiteChange{{Action: action, ClientID: client, Group: "G", Topic: "P", Lites: lites}}))
}

func (r *rig) putLite(lite, body string) {
	r.t.Helper()
	r.put(message("P", 1, body, "__LITE_TOPIC", lite))
	r.settle()
}

// litePopped is one message of a lite topic.
type litePopped struct {
	lite, body, count string
	index             int64
	ack               mq.AckRequest
}

// popLite pops and makes the handles as Java's client does.
func (r *rig) popLite(client string, most int32, change ...func(q *mq.PopRequest)) []litePopped {
	r.t.Helper()
	q := &mq.PopRequest{Group: "G", Topic: "P", MaxMessages: most, Invisible: 60_000, PollTime: 10_000, LiteClient: client}
	for _, f := range change {
		f(q)
	}
	var res mq.PopResult
	must(r.t, r.Pop(r.t.Context(), q, &res))
	must(r.t, r.SyncPops())
	if res.ReviveQID != mq.OrderedReviveQID {
		r.t.Errorf("revive queue %d", res.ReviveQID)
	}
	ms := messages(r.t, res.Records)
	counts := strings.Split(string(res.OrderCounts), ";")
	if len(ms) != res.Count || (len(ms) > 0 && len(counts) != len(ms)) {
		r.t.Fatalf("%d messages, count %d, counts %q", len(ms), res.Count, res.OrderCounts)
	}
	var out []litePopped
	for i, m := range ms {
		lite, _ := m.Props.Get(record.PropLiteTopic)
		_, at := m.Props.Multi()
		p := litePopped{lite: string(lite), body: string(m.Body), count: counts[i]}
		if _, err := fmt.Sscan(string(at), &p.index); err != nil {
			r.t.Fatal(err)
		}
		p.ack = mq.AckRequest{
			Group: "G", Topic: "P", LiteTopic: p.lite, Index: mq.Index(p.index),
			Receipt: fmt.Sprintf("0 %d %d 999 0 broker-a 0 %d", res.PopTime, res.Invisible, p.index),
		}
		out = append(out, p)
	}
	return out
}

func (r *rig) ackLite(list ...litePopped) {
	r.t.Helper()
	for _, p := range list {
		note, err := r.Ack(r.t.Context(), &p.ack)
		if err != nil || note != "" {
			r.t.Fatalf("ack %+v: %q %v", p, note, err)
		}
	}
	must(r.t, r.SyncPops())
}

func liteBodies(list []litePopped) string {
	var out []string
	for _, p := range list {
		out = append(out, p.lite+":"+p.body)
	}
	return strings.Join(out, " ")
}

func TestLiteTopicsArePoppedInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startLite(t, nil)
		r.lite(mq.LiteAdd, "c1", "x", "y")
		if got := r.popLite("c1", 32); got != nil {
			t.Fatalf("nothing was sent: %v", got)
		}
		r.put(message("P", 0, "of no lite topic"))
		for _, m := range []string{"x 1", "y 1", "x 2", "z 1", "x 3"} {
			lite, body, _ := strings.Cut(m, " ")
			r.putLite(lite, body)
		}
		got := r.popLite("c1", 4)
		if liteBodies(got) != "x:1 x:2 x:3 y:1" || got[0].count != "0" {
			t.Fatalf("%+v", got)
		}
		r.putLite("x", "4")
		if more := r.popLite("c1", 32); more != nil {
			t.Fatalf("x is blocked: %v", more)
		}
		r.ackLite(got[0], got[2], got[3])
		if more := r.popLite("c1", 32); more != nil {
			t.Fatalf("x is blocked by one: %v", more)
		}
		r.ackLite(got[1])
		if got = r.popLite("c1", 32); liteBodies(got) != "x:4" || got[0].index != 3 {
			t.Fatalf("%+v", got)
		}
		time.Sleep(59 * time.Second)
		if more := r.popLite("c1", 32); more != nil {
			t.Fatalf("too early: %v", more)
		}
		time.Sleep(2 * time.Second) // invisible for 60 s
		if got = r.popLite("c1", 32); liteBodies(got) != "x:4" || got[0].count != "0 qo0%3 1" {
			t.Fatalf("%+v", got)
		}
		r.ackLite(got...)
	})
}

func TestAPopOfLiteTopicsWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startLite(t, nil)
		r.lite(mq.LiteAdd, "c1", "x")
		begin := time.Now()
		woken := make(chan time.Duration, 1)
		park := func() {
			t.Helper()
			q := &mq.PopRequest{Group: "G", Topic: "P", PollTime: 100_000, BornTime: time.Now().UnixMilli(), LiteClient: "c1"}
			if st := r.ParkPop(q, &mq.Waiter{Wake: func(*mq.Waiter) { woken <- time.Since(begin) }}); st != mq.PopParked {
				t.Fatalf("park: %d", st)
			}
		}
		park()
		go func() {
			time.Sleep(7 * time.Second)
			r.put(message("P", 0, "other", "__LITE_TOPIC", "y"))
			time.Sleep(time.Second)
			r.put(message("P", 0, "mine", "__LITE_TOPIC", "x"))
		}()
		if at := <-woken; at < 8*time.Second || at > 8100*time.Millisecond {
			t.Fatalf("woken after %v", at)
		}
		if got := r.popLite("c1", 32); liteBodies(got) != "x:mine" {
			t.Fatalf("%v", got)
		}
		begin = time.Now()
		park() // until the message may be handed out again
		if at := <-woken; at < 60*time.Second || at > 60100*time.Millisecond {
			t.Fatalf("woken after %v", at)
		}
		if got := r.popLite("c1", 32); liteBodies(got) != "x:mine" {
			t.Fatalf("%v", got)
		}
	})
}

// What was not acknowledged comes again after a restart, what was does not.
func TestLiteTopicsAfterAKill(t *testing.T) {
	t.Parallel()
	r := startLite(t, nil)
	r.lite(mq.LiteAdd, "c1", "x")
	for i := range 4 {
		r.putLite("x", fmt.Sprint(i))
	}
	got := r.popLite("c1", 32)
	if len(got) != 4 {
		t.Fatalf("%v", got)
	}
	r.ackLite(got[0], got[1])
	left := r.crash(t)
	r.stop()
	r = startLite(t, nil, func(o *setup) { o.FS = left })
	r.lite(mq.LiteSet, "c1", "x")
	late := got[3] // of a batch that is forgotten: nothing is settled by it
	if note, err := r.Ack(t.Context(), &late.ack); err != nil || note == "" {
		t.Errorf("ack from before the kill: %q %v", note, err)
	}
	if again := r.popLite("c1", 32); liteBodies(again) != "x:2 x:3" {
		t.Fatalf("%v", again)
	}
}

func TestChangingTheTimeOfLiteMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startLite(t, nil)
		r.lite(mq.LiteAdd, "c1", "x")
		r.putLite("x", "1")
		r.putLite("x", "2")
		got := r.popLite("c1", 32)
		for i, suspend := range []bool{false, true} {
			res, err := r.ChangeInvisible(t.Context(), &mq.ChangeInvisibleRequest{AckRequest: got[0].ack, Invisible: 100_000, Suspend: suspend})
			must(t, err)
			if res.Note != "" || res.ReviveQID != mq.OrderedReviveQID || res.Invisible < 100_000 {
				t.Fatalf("%+v", res)
			}
			time.Sleep(99 * time.Second)
			if more := r.popLite("c1", 32); more != nil {
				t.Fatalf("too early: %v", more)
			}
			time.Sleep(2 * time.Second)
			got = r.popLite("c1", 32)
			// The second time does not count: it was suspended.
			if want := "0 qo0%0 1"; liteBodies(got) != "x:1 x:2" || got[0].count != want {
				t.Fatalf("round %d: %+v, want %s", i, got, want)
			}
		}
	})
}

func TestWhereAGroupBeginsInALiteTopic(t *testing.T) {
	t.Parallel()
	r := startLite(t, nil)
	for i := range 5 {
		r.putLite("x", fmt.Sprint(i))
	}
	for _, c := range []struct {
		start *mq.LiteStart
		want  string
	}{
		{&mq.LiteStart{Kind: "POLICY", Value: 2}, ""},
		{&mq.LiteStart{Kind: "TAIL_N", Value: 2}, "x:3 x:4"},
		{&mq.LiteStart{Kind: "OFFSET", Value: 4}, "x:4"},
		{&mq.LiteStart{Kind: "POLICY", Value: 1}, "x:0 x:1 x:2 x:3 x:4"},
		{&mq.LiteStart{Kind: "POLICY", Value: 0}, ""},
		{&mq.LiteStart{Kind: "TIMESTAMP", Value: 1}, ""},
		{nil, ""},
	} {
		r.lite(mq.LiteRemoveAll, "c1")
		must(t, r.SubscribeLite(t.Context(), nil, []mq.LiteChange{{
			Action: mq.LiteAdd, ClientID: "c1", Group: "G", Topic: "P", Lites: []string{"x"}, Start: c.start,
		}}))
		got := r.popLite("c1", 32)
		if liteBodies(got) != c.want {
			t.Errorf("%+v: %q, want %q", c.start, liteBodies(got), c.want)
		}
		r.ackLite(got...)
	}
}

func TestAnExclusiveLiteTopicChangesHands(t *testing.T) {
	t.Parallel()
	r := startLite(t, map[string]string{"lite.sub.model": "Exclusive", "lite.sub.reset.offset.exclusive": "true"})
	p := &litePeer{}
	add := func(client string) {
		t.Helper()
		must(t, r.SubscribeLite(t.Context(), p, []mq.LiteChange{{Action: mq.LiteAdd, ClientID: client, Group: "G", Topic: "P", Lites: []string{"x"}}}))
	}
	add("c1")
	r.putLite("x", "1")
	got := r.popLite("c1", 32)
	r.ackLite(got...)
	add("c2")
	if !slices.Equal(p.lost, []string{"G c1 x"}) {
		t.Errorf("told: %q", p.lost)
	}
	if got = r.popLite("c2", 32); liteBodies(got) != "x:1" {
		t.Errorf("the new client begins anew: %v", got)
	}
	r.putLite("x", "2")
	if got = r.popLite("c1", 32); got != nil {
		t.Errorf("the old one got %v", got)
	}
}

func TestLiteTopicsExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startLite(t, nil)
		keep := func(client string, lites ...string) { // clients repeat what they have
			for range 45 {
				time.Sleep(time.Minute)
				r.lite(mq.LiteSet, client, lites...)
			}
		}
		r.lite(mq.LiteAdd, "c1", "old", "new")
		r.putLite("old", "1")
		r.ackLite(r.popLite("c1", 32)...)
		go func() {
			time.Sleep(20 * time.Minute)
			r.put(message("P", 0, "1", "__LITE_TOPIC", "new"))
		}()
		keep("c1", "old", "new")
		info, err := r.LiteParent(t.Context(), "P")
		must(t, err)
		if info.Topics != 1 || info.TTL != 30 {
			t.Fatalf("after 45 min: %+v", info)
		}
		if _, ok, _ := offsetOf(r, "%LMQ%$P$old"); ok {
			t.Error("the position in the deleted lite topic is left")
		}
		r.putLite("old", "again")
		got := r.popLite("c1", 32)
		if !slices.ContainsFunc(got, func(p litePopped) bool { return p.body == "again" && p.index == 0 }) {
			t.Errorf("a lite topic that is used again: %v", got)
		}
	})
}

func offsetOf(r *rig, topic string) (mq.Index, bool, error) {
	at, err := r.QueryIndex(r.t.Context(), "G", topic, 0, false)
	return at, err == nil && at > 0, err
}

func TestLiteTopicsGoWithTheirTopic(t *testing.T) {
	t.Parallel()
	r := startLite(t, nil)
	r.putLite("x", "1")
	r.putLite("y", "1")
	must(t, r.DeleteTopic(t.Context(), "P"))
	info, err := r.LiteBroker(t.Context())
	must(t, err)
	if info.Topics != 0 || len(info.Parents) != 0 {
		t.Errorf("%+v", info)
	}
}

func TestRefusalsOfLiteTopics(t *testing.T) {
	t.Parallel()
	r := startLite(t, nil, func(o *setup) { o.Lite.MaxSubscriptions, o.AutoCreateGroup = 1, false })
	r.topic("T", 1)
	must(t, r.PutGroup(t.Context(), mq.GroupConfig{Name: "other", ConsumeEnable: true, Attributes: map[string]string{"+lite.bind.topic": "T"}}))
	ask := func(change func(q *mq.PopRequest)) error {
		q := &mq.PopRequest{Group: "G", Topic: "P", MaxMessages: 1, LiteClient: "c", PollTime: 1000}
		change(q)
		return r.Pop(t.Context(), q, &mq.PopResult{})
	}
	const faq = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
	refused(t, ask(func(q *mq.PopRequest) { q.BornTime = 1 }), mq.KindPollingTimeout, "the broker[10.0.0.2] pop message is timeout too much")
	refused(t, ask(func(q *mq.PopRequest) { q.MaxMessages = 33 }), mq.KindInvalidParameter, "the broker[10.0.0.2] pop message's num is greater than 32")
	refused(t, ask(func(q *mq.PopRequest) { q.Topic = "T" }), mq.KindInvalidParameter, "the topic [T] message type not match")
	refused(t, ask(func(q *mq.PopRequest) { q.Group = "nobody" }), mq.KindGroupNotExist, "subscription group [nobody] not exist, "+faq)
	refused(t, ask(func(q *mq.PopRequest) { q.Group = "other" }), mq.KindInvalidParameter, "subscription bind topic not match, other")
	sub := func(c mq.LiteChange) error { return r.SubscribeLite(t.Context(), nil, []mq.LiteChange{c}) }
	c := mq.LiteChange{Action: mq.LiteAdd, ClientID: "c", Group: "nobody", Topic: "P", Lites: []string{"x"}}
	refused(t, sub(c), mq.KindIllegalOperation, "Consumer group is not allowed to consume.")
	c.Group = "G"
	must(t, sub(c))
	refused(t, sub(c), mq.KindLiteQuota, "lite subscription quota exceeded 1")
	c.Action = "NO_ACTION"
	refused(t, sub(c), mq.KindInternal, "lite subscription: action NO_ACTION is not known")

	r.putLite("x", "1")
	got := r.popLite("c", 1)
	ack := func(change func(q *mq.AckRequest)) error {
		q := got[0].ack
		change(&q)
		_, err := r.Ack(t.Context(), &q)
		return err
	}
	refused(t, ack(func(q *mq.AckRequest) { q.Group = "other" }), mq.KindInvalidParameter, "group type or bind topic not match.")
	refused(t, ack(func(q *mq.AckRequest) { q.QueueID = 1 }), mq.KindInvalidParameter, "ack queue illegal.")
	refused(t, ack(func(q *mq.AckRequest) { q.Index = 7 }), mq.KindNoMessage, "ack offset illegal.")
	refused(t, ack(func(q *mq.AckRequest) { q.Index = 1 }), mq.KindMessageIllegal, "ack offset illegal.")
	if err := ack(func(q *mq.AckRequest) { q.Receipt = "forged" }); mq.KindOf(err) != mq.KindMessageIllegal {
		t.Errorf("forged handle: %v", err)
	}
	r.ackLite(got...)
}

func TestWhatOperatorsSeeOfLiteTopics(t *testing.T) {
	t.Parallel()
	r := startLite(t, nil, func(o *setup) { o.AutoCreateGroup = false })
	r.lite(mq.LiteAdd, "c1", "x", "y")
	for i := range 3 {
		r.putLite("x", fmt.Sprint(i))
	}
	r.ackLite(r.popLite("c1", 1)...)
	info, err := r.LiteBroker(t.Context())
	must(t, err)
	if info.Topics != 1 || info.Subscriptions != 2 || info.ClientsWaiting != 1 || info.OrderInfos != 1 || info.Parents["P"] != 30 ||
		!slices.Equal(info.Groups["P"], []string{"G"}) {
		t.Errorf("%+v", info)
	}
	topic, err := r.LiteTopic(t.Context(), "P", "x")
	must(t, err)
	if topic.Max != 3 || topic.LastUpdate == 0 || !topic.Here || len(topic.Subscribers) != 1 || topic.Subscribers[0].Client != "c1" {
		t.Errorf("%+v", topic)
	}
	cl, err := r.LiteClient(t.Context(), "P", "G", "c1")
	must(t, err)
	if cl.Count != 2 || !slices.Equal(cl.Topics, []string{"%LMQ%$P$x", "%LMQ%$P$y"}) || cl.LastAccess <= 0 {
		t.Errorf("%+v", cl)
	}
	all, err := r.LiteGroup(t.Context(), "G", "", 10)
	must(t, err)
	if all.Behind != 2 || len(all.Most) != 1 || all.Most[0].Topic != "x" || all.Most[0].Behind != 2 {
		t.Errorf("%+v", all)
	}
	one, err := r.LiteGroup(t.Context(), "G", "x", 0)
	must(t, err)
	if one.Behind != 2 || one.Topic == nil || one.Topic.End != 3 || one.Topic.Committed != 1 || one.Earliest <= 0 {
		t.Errorf("%+v", one)
	}
	none, err := r.LiteGroup(t.Context(), "G", "none", 0)
	must(t, err)
	if none.Behind != -1 || none.Earliest != -1 {
		t.Errorf("%+v", none)
	}
	must(t, r.TriggerLite(t.Context(), "G", ""))
	if got := r.popLite("c1", 32); liteBodies(got) != "x:1 x:2" {
		t.Errorf("after a dispatch: %v", got)
	}
	r.topic("T", 1)
	_, err = r.LiteParent(t.Context(), "T")
	refused(t, err, mq.KindInvalidParameter, "Topic [T] type not match.")
	_, err = r.LiteTopic(t.Context(), "none", "x")
	refused(t, err, mq.KindTopicNotExist, "Topic [none] not exist.")
	refused(t, r.TriggerLite(t.Context(), "none", ""), mq.KindGroupNotExist, "Group [none] not exist.")
}

// A slave deletes the lite topics that its master deletes: messages of a successor begin at index 0, and an old queue would hide them
// after a failover.
func TestASlaveDeletesLiteTopicsToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		light := func(o *setup) { o.LightTopics, o.LightDispatch, o.storage.LightQueues = true, true, true }
		p := &couple{t: t, rng: rand.New(rand.NewPCG(1, 3))}
		p.master, p.slave = start(t, asMaster, light), start(t, asSlave, light)
		p.connect()
		defer p.part()
		put := func(bodies ...string) {
			t.Helper()
			must(t, p.master.PutTopic(t.Context(), mq.TopicConfig{
				Name: "P", ReadQueues: 2, WriteQueues: 2, Perm: 6, Attributes: map[string]string{"+message.type": "LITE"},
			}))
			for _, body := range bodies {
				p.master.putLite("x", body)
			}
			time.Sleep(5 * time.Second)
		}
		end := func() mq.Index {
			t.Helper()
			at, err := p.slave.MaxIndex(t.Context(), "%LMQ%$P$x", 0)
			must(t, err)
			return at
		}
		time.Sleep(time.Second)
		put("1", "2", "3")
		if got := end(); got != 3 {
			t.Fatalf("the light queue of the slave ends at %d, want 3", got)
		}
		must(t, p.master.DeleteTopic(t.Context(), "P"))
		put("new")
		if got := end(); got != 1 {
			t.Errorf("after the deletion the light queue of the slave ends at %d, want 1", got)
		}
	})
}
