package broker_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// crash returns what a kill of the process leaves.
func (r *rig) crash(tb testing.TB) vfs.FS {
	tb.Helper()
	return r.fsOf(r.fs.(*vfs.Mem))
}

// fsOf is crash for a rig that sees its files through something else.
func (r *rig) fsOf(m *vfs.Mem) vfs.FS {
	return m.CrashClone(rand.New(rand.NewPCG(1, 2)), vfs.ProcessKill)
}

// popped is one message of a pop with its handle.
type popped struct {
	body      string
	queue     int32
	index     mq.Index
	reconsume int32
	handle    string
	retry     string
}

func popRequest(group, topic string, invisible time.Duration) *mq.PopRequest {
	return &mq.PopRequest{
		Group: group, Topic: topic, QueueID: -1, MaxMessages: 32, Invisible: invisible.Milliseconds(), PollTime: 10_000, ClientHost: client,
	}
}

// pop pops and makes the handles as a client does.
func (r *rig) pop(q *mq.PopRequest) []popped {
	r.t.Helper()
	var res mq.PopResult
	c := *q
	must(r.t, r.Pop(r.t.Context(), &c, &res))
	must(r.t, r.SyncPops())
	starts := map[string]string{}
	for e := range strings.SplitSeq(string(res.StartOffsets), ";") {
		if f := strings.Fields(e); len(f) == 3 {
			if starts[f[0]+" "+f[1]] != "" {
				r.t.Fatalf("two entries of one queue: %s", res.StartOffsets)
			}
			starts[f[0]+" "+f[1]] = f[2]
		}
	}
	listed := 0
	for e := range strings.SplitSeq(string(res.MsgOffsets), ";") {
		if f := strings.Fields(e); len(f) == 3 {
			offs := strings.Split(f[2], ",")
			listed += len(offs)
			if !slices.IsSortedFunc(offs, func(a, b string) int { x, _ := strconv.Atoi(a); y, _ := strconv.Atoi(b); return x - y }) {
				r.t.Errorf("offsets %s", f[2])
			}
		}
	}
	var out []popped
	for _, m := range messages(r.t, res.Records) {
		if string(m.Topic) != q.Topic {
			r.t.Errorf("topic %s", m.Topic)
		}
		p := popped{body: string(m.Body), queue: m.QueueID, index: m.Index, reconsume: m.Reconsume, retry: "0"}
		if ck, ok := m.Props.Get("POP_CK"); ok {
			p.handle = string(ck)
			p.retry = strings.Fields(p.handle)[4]
		} else {
			p.handle = fmt.Sprintf("%s %d %d %d 0 broker-a %d %d", starts[fmt.Sprintf("0 %d", m.QueueID)], res.PopTime, res.Invisible, res.ReviveQID, m.QueueID, m.Index)
		}
		out = append(out, p)
	}
	if len(out) != res.Count || listed != res.Count {
		r.t.Fatalf("%d messages, %d listed, count %d", len(out), listed, res.Count)
	}
	return out
}

func (r *rig) ackOf(group, topic string, p popped) *mq.AckRequest {
	switch p.retry {
	case "1":
		topic = "%RETRY%" + group + "_" + topic
	case "2":
		topic = "%RETRY%" + group + "+" + topic
	}
	return &mq.AckRequest{Group: group, Topic: topic, QueueID: p.queue, Index: p.index, Receipt: p.handle, ClientHost: client}
}

func (r *rig) ack(group, topic string, list ...popped) {
	r.t.Helper()
	for _, p := range list {
		note, err := r.Ack(r.t.Context(), r.ackOf(group, topic, p))
		if err != nil || note != "" {
			r.t.Fatalf("ack %v: %q %v", p, note, err)
		}
	}
	must(r.t, r.SyncPops())
}

func texts(list []popped) string {
	var out []string
	for _, p := range list {
		out = append(out, p.body)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestPopHandsOutOnceAndAgainAfterInvisibleTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.topic("T", 2)
		for i := range 4 {
			r.put(message("T", int32(i%2), fmt.Sprintf("m%d", i)))
		}
		r.settle()
		q := popRequest("g", "T", 10*time.Second)
		first := r.pop(q)
		if texts(first) != "m0 m1 m2 m3" {
			t.Fatalf("popped %v", first)
		}
		if again := r.pop(q); len(again) != 0 {
			t.Fatalf("handed out twice: %v", again)
		}
		r.ack("g", "T", first[1:]...)
		time.Sleep(10*time.Second - time.Millisecond)
		if again := r.pop(q); len(again) != 0 {
			t.Fatalf("too early: %v", again)
		}
		time.Sleep(time.Millisecond)
		again := r.pop(q)
		if len(again) != 1 || again[0].body != first[0].body || again[0].reconsume != 1 || again[0].index != first[0].index {
			t.Fatalf("again %v, want %v", again, first[0])
		}
		// The old handle is over, the new one is good.
		if note, err := r.Ack(t.Context(), r.ackOf("g", "T", first[0])); err != nil || !strings.Contains(note, "popTime") {
			t.Errorf("old handle: %q %v", note, err)
		}
		if at, err := r.QueryIndex(t.Context(), "g", "T", again[0].queue, false); err != nil || at != again[0].index {
			t.Errorf("the position passed a message that is not acknowledged: %d %v", at, err)
		}
		r.ack("g", "T", again...)
		for id := range int32(2) {
			if at, err := r.QueryIndex(t.Context(), "g", "T", id, false); err != nil || at != 2 {
				t.Errorf("queue %d: position %d %v", id, at, err)
			}
		}
	})
}

// A handle whose time is over is good as long as nobody else has the message: that saves a second delivery.
func TestLateAckIsTakenWhileNobodyElseHasTheMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.topic("T", 1)
		r.put(message("T", 0, "x"))
		r.settle()
		p := r.pop(popRequest("g", "T", time.Second))
		time.Sleep(time.Minute)
		r.ack("g", "T", p...)
		if again := r.pop(popRequest("g", "T", time.Second)); len(again) != 0 {
			t.Fatalf("%v", again)
		}
	})
}

// A parked pop gets a message that becomes visible within 100 ms.
func TestParkedPopIsWokenWhenAMessageIsVisibleAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.topic("T", 3)
		r.put(message("T", 1, "x"))
		r.settle()
		begin := time.Now()
		if p := r.pop(popRequest("g", "T", 7*time.Second)); len(p) != 1 {
			t.Fatalf("%v", p)
		}
		woken := make(chan time.Duration, 1)
		w := &mq.Waiter{Wake: func(*mq.Waiter) { woken <- time.Since(begin) }}
		q := popRequest("g", "T", time.Second)
		q.BornTime, q.PollTime = time.Now().UnixMilli(), 60_000
		if st := r.ParkPop(q, w); st != mq.PopParked {
			t.Fatalf("park: %d", st)
		}
		if at := <-woken; at < 7*time.Second || at > 7100*time.Millisecond {
			t.Fatalf("woken after %v", at)
		}
		if p := r.pop(q); len(p) != 1 || p[0].reconsume != 1 {
			t.Fatalf("%v", p)
		}
	})
}

// What is handed out too often goes to the retry topic, and comes from there with the topic that was asked for.
func TestPopGoesToTheRetryTopicAfterSomeTimes(t *testing.T) {
	t.Parallel()
	for _, v2 := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, func(o *setup) { o.PopRetryV2 = v2 })
			r.topic("T", 1)
			r.put(message("T", 0, "x", "K", "v"))
			r.settle()
			var seen []int32
			var last popped
			for range 7 {
				list := r.pop(popRequest("g", "T", time.Second))
				if len(list) != 1 {
					t.Fatalf("after %v: %v", seen, list)
				}
				last = list[0]
				seen = append(seen, last.reconsume)
				time.Sleep(1100 * time.Millisecond)
				synctest.Wait()
				r.settle()
			}
			if fmt.Sprint(seen) != "[0 1 2 3 4 5 6]" {
				t.Errorf("reconsume times %v", seen)
			}
			want := "1"
			if v2 {
				want = "2"
			}
			if last.retry != want {
				t.Errorf("retry flag %s", last.retry)
			}
			r.ack("g", "T", last)
			time.Sleep(time.Minute)
			if list := r.pop(popRequest("g", "T", time.Second)); len(list) != 0 {
				t.Errorf("%v", list)
			}
			if at, _ := r.QueryIndex(t.Context(), "g", "T", 0, false); at != 1 {
				t.Errorf("position %d", at)
			}
		})
	}
}

func TestPopToRetryTopicAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(o *setup) { o.PopToRetryTopic = true })
		r.topic("T", 1)
		r.put(message("T", 0, "x"))
		r.settle()
		r.pop(popRequest("g", "T", time.Second))
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		r.settle()
		list := r.pop(popRequest("g", "T", time.Second))
		if len(list) != 1 || list[0].retry != "1" || list[0].reconsume != 1 {
			t.Fatalf("%v", list)
		}
		r.ack("g", "T", list...)
	})
}

func TestPopTakesOnlyWhatTheFilterTakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.topic("T", 1)
		for i := range 6 {
			r.put(message("T", 0, fmt.Sprintf("m%d", i), "TAGS", string(rune('A'+i%2))))
		}
		r.settle()
		q := popRequest("g", "T", time.Second)
		q.Expression, q.ExpressionType = "B", "TAG"
		list := r.pop(q)
		if texts(list) != "m1 m3 m5" {
			t.Fatalf("%v", list)
		}
		r.ack("g", "T", list...)
		if at, _ := r.QueryIndex(t.Context(), "g", "T", 0, false); at != 6 {
			t.Errorf("position %d", at)
		}
	})
}

func TestChangeInvisible(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.topic("T", 1)
		r.put(message("T", 0, "x"))
		r.settle()
		p := r.pop(popRequest("g", "T", time.Second))[0]
		time.Sleep(500 * time.Millisecond)
		res, err := r.ChangeInvisible(t.Context(), &mq.ChangeInvisibleRequest{AckRequest: *r.ackOf("g", "T", p), Invisible: 10_000})
		if err != nil || res.Note != "" || res.PopTime != time.Now().UnixMilli() || res.Invisible != 10_000 {
			t.Fatalf("%+v %v", res, err)
		}
		time.Sleep(9 * time.Second)
		if list := r.pop(popRequest("g", "T", time.Second)); len(list) != 0 {
			t.Fatalf("%v", list)
		}
		f := strings.Fields(p.handle)
		f[1], f[2] = strconv.FormatInt(res.PopTime, 10), "10000"
		p.handle = strings.Join(f, " ")
		r.ack("g", "T", p)
		time.Sleep(time.Minute)
		if list := r.pop(popRequest("g", "T", time.Second)); len(list) != 0 {
			t.Fatalf("%v", list)
		}
	})
}

// A position that an operator sets wins over what is handed out.
func TestPopFollowsAReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.topic("T", 1)
		r.putN("T", 5)
		r.settle()
		r.ack("g", "T", r.pop(popRequest("g", "T", time.Hour))...)
		must(t, r.CommitIndex(t.Context(), "g", "T", 0, 2))
		if list := r.pop(popRequest("g", "T", time.Hour)); texts(list) != "m2 m3 m4" {
			t.Fatalf("%v", list)
		}
		must(t, r.CommitIndex(t.Context(), "g", "T", 0, 4))
		if list := r.pop(popRequest("g", "T", time.Hour)); texts(list) != "m4" {
			t.Fatalf("%v", list)
		}
	})
}

func TestOrderedPopBlocksTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.topic("T", 1)
		r.putN("T", 6)
		r.settle()
		q := popRequest("g", "T", 10*time.Second)
		q.Order, q.MaxMessages, q.AttemptID = true, 3, "a1"
		first := r.pop(q)
		if texts(first) != "m0 m1 m2" || !strings.Contains(first[0].handle, " 999 ") {
			t.Fatalf("%v", first)
		}
		q.AttemptID = "a2"
		if list := r.pop(q); len(list) != 0 {
			t.Fatalf("not blocked: %v", list)
		}
		q.AttemptID = "a1" // the answer was lost
		if list := r.pop(q); texts(list) != "m0 m1 m2" {
			t.Fatalf("same attempt: %v", list)
		}
		q.AttemptID = "a3"
		time.Sleep(10 * time.Second)
		var res mq.PopResult
		c := *q
		must(t, r.Pop(t.Context(), &c, &res))
		if string(res.OrderCounts) != "0 qo0%0 1;0 qo0%1 1;0 qo0%2 1;0 0 1" {
			t.Errorf("order counts %s", res.OrderCounts)
		}
		for i := range 3 {
			h := fmt.Sprintf("0 %d 10000 999 0 broker-a 0 %d", res.PopTime, i)
			if _, err := r.Ack(t.Context(), &mq.AckRequest{Group: "g", Topic: "T", Index: mq.Index(i), Receipt: h}); err != nil {
				t.Fatal(err)
			}
			if at, _ := r.QueryIndex(t.Context(), "g", "T", 0, false); at != mq.Index(i+1) {
				t.Errorf("position %d after %d", at, i)
			}
		}
		if list := r.pop(q); texts(list) != "m3 m4 m5" {
			t.Fatalf("%v", list)
		}
		// A queue that becomes free by time wakes who waits.
		woken := make(chan struct{})
		w := &mq.Waiter{Wake: func(*mq.Waiter) { close(woken) }}
		q.BornTime, q.PollTime, q.AttemptID = time.Now().UnixMilli(), 60_000, "a4"
		if st := r.ParkPop(q, w); st != mq.PopParked {
			t.Fatal(st)
		}
		begin := time.Now()
		<-woken
		if d := time.Since(begin); d < 10*time.Second || d > 10100*time.Millisecond {
			t.Errorf("woken after %v", d)
		}
	})
}

func TestPopRefusals(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 2)
	r.put(message("T", 0, "x"))
	r.settle()
	var res mq.PopResult
	ask := func(change func(q *mq.PopRequest)) error {
		q := popRequest("g", "T", time.Minute)
		change(q)
		return r.Pop(t.Context(), q, &res)
	}
	refused(t, ask(func(q *mq.PopRequest) { q.BornTime = 1 }), mq.KindPollingTimeout, "the broker[10.0.0.2] pop message is timeout too much")
	refused(t, ask(func(q *mq.PopRequest) { q.MaxMessages = 33 }), mq.KindInvalidParameter, "the broker[10.0.0.2] pop message's num is greater than 32")
	refused(t, ask(func(q *mq.PopRequest) { q.QueueID = 2 }), mq.KindInvalidParameter,
		"queueId[2] is illegal, topic:[T] topicConfig.readQueueNums:[2] consumer:[/10.0.0.9:4711]")
	if err := ask(func(q *mq.PopRequest) { q.Topic = "none" }); mq.KindOf(err) != mq.KindTopicNotExist {
		t.Error(err)
	}
	if err := ask(func(q *mq.PopRequest) { q.Expression = "||" }); mq.KindOf(err) != mq.KindSubscriptionIllegal {
		t.Error(err)
	}
	p := r.pop(popRequest("g", "T", time.Minute))[0]
	for _, c := range []struct {
		name   string
		change func(a *mq.AckRequest)
		kind   mq.Kind
		text   string // of the error, or of the note
		ok     bool
	}{
		{"topic", func(a *mq.AckRequest) { a.Topic = "none" }, mq.KindTopicNotExist, "topic[none] not exist", false},
		{"queue", func(a *mq.AckRequest) { a.QueueID = 7 }, mq.KindMessageIllegal, "queueId[7] is illegal", false},
		{"index", func(a *mq.AckRequest) { a.Index = 5 }, mq.KindNoMessage, "offset is illegal", false},
		{"handle", func(a *mq.AckRequest) { a.Receipt = "what" }, mq.KindMessageIllegal, "8 fields", false},
		{"pop time", func(a *mq.AckRequest) { a.Receipt = strings.Replace(a.Receipt, "60000", "x", 1) }, mq.KindMessageIllegal, "invisibleTime", false},
		{"other queue", func(a *mq.AckRequest) { a.QueueID, a.Index = 1, 0 }, mq.KindMessageIllegal, "queueId", false},
		{"other broker", func(a *mq.AckRequest) { a.Receipt = strings.Replace(a.Receipt, "broker-a", "b", 1) }, mq.KindMessageIllegal, "brokerName", false},
		{"other group", func(a *mq.AckRequest) { a.Group = "g2" }, 0, "popTime", true},
		{"forged", func(a *mq.AckRequest) {
			f := strings.Fields(a.Receipt)
			f[1] = "12345"
			a.Receipt = strings.Join(f, " ")
		}, 0, "popTime 12345", true},
	} {
		a := r.ackOf("g", "T", p)
		c.change(a)
		note, err := r.Ack(t.Context(), a)
		switch {
		case c.ok && (err != nil || !strings.Contains(note, c.text)):
			t.Errorf("%s: %q %v", c.name, note, err)
		case !c.ok && (mq.KindOf(err) != c.kind || err == nil || !strings.Contains(err.Error(), c.text)):
			t.Errorf("%s: %v", c.name, err)
		}
	}
	r.ack("g", "T", p) // nothing of that changed anything
}

// Restarts keep what is handed out and what was acknowledged: also a kill, after which only what was synced counts.
func TestPopStateSurvivesAKill(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	r.putN("T", 10)
	r.settle()
	q := popRequest("g", "T", time.Hour)
	q.MaxMessages = 8
	list := r.pop(q)
	r.ack("g", "T", list[1:5]...)
	must(t, r.SyncPops())
	fs := r.crash(t)
	r2 := start(t, func(o *setup) { o.FS = fs })
	q.MaxMessages = 32
	if again := r2.pop(q); texts(again) != "m8 m9" {
		t.Fatalf("after the kill: %v", again)
	}
	r2.ack("g", "T", list[0], list[5], list[6], list[7])
	if at, _ := r2.QueryIndex(t.Context(), "g", "T", 0, false); at != 8 {
		t.Errorf("position %d", at)
	}
}

func TestOrderedPopSurvivesAKill(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	r.putN("T", 4)
	r.settle()
	q := popRequest("g", "T", time.Hour)
	q.Order, q.MaxMessages, q.AttemptID = true, 2, "a"
	list := r.pop(q)
	r.ack("g", "T", list[0])
	fs := r.crash(t)
	r2 := start(t, func(o *setup) { o.FS = fs })
	q.AttemptID = "b"
	if again := r2.pop(q); len(again) != 0 {
		t.Fatalf("the block is lost: %v", again)
	}
	r2.ack("g", "T", list[1])
	if again := r2.pop(q); texts(again) != "m2 m3" {
		t.Fatalf("%v", again)
	}
}
