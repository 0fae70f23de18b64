package broker_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// fill stores n messages whose tags take turns.
func (r *rig) fill(topic string, queue int32, n int, tags ...string) {
	r.t.Helper()
	b := &mq.SendBatch{}
	for i := range n {
		m := message(topic, queue, fmt.Sprint(i))
		if len(tags) > 0 && tags[i%len(tags)] != "" {
			m = message(topic, queue, fmt.Sprint(i), "TAGS", tags[i%len(tags)])
		}
		b.Requests = append(b.Requests, m)
	}
	if r.Send(r.t.Context(), b) {
		r.t.Fatal("pending")
	}
	for i := range b.Results {
		if err := b.Results[i].Err; err != nil {
			r.t.Fatal(err)
		}
	}
	r.settle()
}

// session is a connected consumer.
func session(id string) *mq.Session { return &mq.Session{ClientID: id, Peer: &peer{}, Remote: client} }

type peer struct {
	mq.Peer
	told   atomic.Int32
	closed atomic.Bool
	checks chan mq.TransactionCheck // nil: it takes none
}

func (p *peer) ConsumerIDsChanged(string) { p.told.Add(1) }

func (p *peer) CheckTransaction(c *mq.TransactionCheck) bool {
	if p.checks == nil {
		return false
	}
	kept := *c
	kept.Group, kept.TransactionID, kept.OffsetID = strings.Clone(c.Group), strings.Clone(c.TransactionID), strings.Clone(c.OffsetID)
	kept.Record = bytes.Clone(c.Record)
	p.checks <- kept
	return true
}
func (p *peer) Close() { p.closed.Store(true) }

func (r *rig) consume(s *mq.Session, d mq.ConsumerData) {
	r.t.Helper()
	_, err := r.Heartbeat(r.t.Context(), s, &mq.Heartbeat{Consumers: []mq.ConsumerData{d}})
	must(r.t, err)
}

func TestPullStatuses(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 3)
	r.fill("T", 0, 100)
	r.fill("T", 2, 50, "blue")
	for _, c := range []struct {
		name       string
		queue      int32
		from, next mq.Index
		expr       string
		status     mq.FetchStatus
		count      int
		max        mq.Index
	}{
		{"from the begin", 0, 0, 32, "*", mq.FetchFound, 32, 100},
		{"the rest", 0, 90, 100, "*", mq.FetchFound, 10, 100},
		{"at the end", 0, 100, 100, "*", mq.FetchOffsetOverflowOne, 0, 100},
		{"behind the end", 0, 101, 100, "*", mq.FetchOffsetOverflowBadly, 0, 100},
		{"before the begin", 0, -1, 0, "*", mq.FetchOffsetTooSmall, 0, 100},
		{"no message yet", 1, 0, 0, "*", mq.FetchNoMessageInQueue, 0, 0},
		{"no message yet, from far", 1, 77, 0, "*", mq.FetchNoMessageInQueue, 0, 0},
		{"other tags", 2, 0, 50, "red || green", mq.FetchNoMatchedMessage, 0, 50},
		{"its tag", 2, 0, 32, "red || blue", mq.FetchFound, 32, 50},
		{"all", 2, 10, 42, "", mq.FetchFound, 32, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := pull("T", c.queue, c.from)
			p.Expression = c.expr
			f, err := r.Pull(t.Context(), p, []byte("kept"))
			must(t, err)
			if f.Status != c.status || f.Next != c.next || f.Count != c.count || f.Min != 0 || f.Max != c.max || f.SuggestBroker != 0 {
				t.Errorf("%s next %d count %d min %d max %d suggest %d", f.Status, f.Next, f.Count, f.Min, f.Max, f.SuggestBroker)
			}
			if string(f.Records[:4]) != "kept" {
				t.Error("the buffer was not appended to")
			}
			ms := messages(t, f.Records[4:])
			if len(ms) != c.count {
				t.Errorf("%d records", len(ms))
			}
			for i, m := range ms {
				if m.Index != c.from+mq.Index(i) || m.QueueID != c.queue {
					t.Errorf("record %d is %s", i, &m)
				}
			}
			if wantsAll := c.expr == "*" || c.expr == ""; (f.Match == nil) != wantsAll {
				t.Error("match")
			}
		})
	}
}

func TestPullRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.AutoCreateGroup, o.NoLitePull = false, true })
	r.topic("T", 2)
	r.topic("Ordered", 1)
	must(t, r.PutTopic(t.Context(), mq.TopicConfig{Name: "WriteOnly", ReadQueues: 1, WriteQueues: 1, Perm: 2}))
	group := func(name string, change func(*mq.GroupConfig)) {
		g := mq.DefaultGroupConfig(name)
		change(&g)
		must(t, r.PutGroup(t.Context(), g))
	}
	group("g", func(*mq.GroupConfig) {})
	group("off", func(g *mq.GroupConfig) { g.ConsumeEnable = false })
	group("nobc", func(g *mq.GroupConfig) { g.ConsumeBroadcastEnable = false })
	s := session("c")
	sub := func(topic, kind string) mq.Subscription {
		return mq.Subscription{Topic: topic, Expression: "*", ExpressionType: kind, Version: 10}
	}
	group("live", func(*mq.GroupConfig) {})
	r.consume(s, mq.ConsumerData{Group: "live", Subscriptions: []mq.Subscription{sub("T", "TAG"), {
		Topic: "Ordered", Expression: "a > 1", ExpressionType: "SQL92", Version: 10,
	}}})
	r.consume(s, mq.ConsumerData{Group: "nobc", Broadcast: true, Subscriptions: []mq.Subscription{sub("T", "")}})
	for _, c := range []struct {
		name      string
		change    func(*mq.PullRequest)
		kind      mq.Kind
		forbidden int32
		text      string
	}{
		{"lite pull", func(p *mq.PullRequest) { p.Lite = true }, mq.KindNoPermission, 1, "the broker[10.0.0.2] for lite pull consumer is forbidden"},
		{"group", func(p *mq.PullRequest) { p.Group = "none" }, mq.KindGroupNotExist, 0, "subscription group [none] does not exist, " + faq},
		{"disabled group", func(p *mq.PullRequest) { p.Group = "off" }, mq.KindNoPermission, 2, "subscription group no permission, off"},
		{"topic", func(p *mq.PullRequest) { p.Topic = "None" }, mq.KindTopicNotExist, 0, "topic[None] not exist, apply first please! " + faq},
		{"unreadable topic", func(p *mq.PullRequest) { p.Topic = "WriteOnly" }, mq.KindNoPermission, 3, "the topic[WriteOnly] pulling message is forbidden"},
		{
			"queue", func(p *mq.PullRequest) { p.QueueID = 2 }, mq.KindInvalidParameter, 0,
			"queueId[2] is illegal, topic:[T] topicConfig.readQueueNums:[2] consumer:[/10.0.0.9:4711]",
		},
		{
			"negative queue", func(p *mq.PullRequest) { p.QueueID = -1 }, mq.KindInvalidParameter, 0,
			"queueId[-1] is illegal, topic:[T] topicConfig.readQueueNums:[2] consumer:[/10.0.0.9:4711]",
		},
		{"expression", func(p *mq.PullRequest) { p.Expression = "||" }, mq.KindSubscriptionIllegal, 0, "parse the consumer's subscription failed"},
		{
			"no SQL", func(p *mq.PullRequest) { p.Expression, p.ExpressionType = "a > 1", "SQL92" }, mq.KindInternal, 0,
			"The broker does not support consumer to filter message by SQL92",
		},
		{
			"empty SQL", func(p *mq.PullRequest) { p.Expression, p.ExpressionType = "", "SQL92" }, mq.KindSubscriptionIllegal, 0,
			"parse the consumer's subscription failed",
		},
		{"offline", func(p *mq.PullRequest) { p.HasExpression = false }, mq.KindSubscriptionNotExist, 0, "the consumer's group info not exist" + faq},
		{
			"broadcast", func(p *mq.PullRequest) { p.Group, p.HasExpression = "nobc", false }, mq.KindNoPermission, 4,
			"the consumer group[nobc] can not consume by broadcast way",
		},
		{
			"no subscription", func(p *mq.PullRequest) { p.Group, p.Topic, p.HasExpression = "live", "BenchmarkTest", false },
			mq.KindSubscriptionNotExist, 0, "the consumer's subscription not exist" + faq,
		},
		{
			"old subscription", func(p *mq.PullRequest) { p.Group, p.HasExpression, p.SubVersion = "live", false, 11 },
			mq.KindSubscriptionNotLatest, 0, "the consumer's subscription not latest",
		},
		{
			"SQL subscription", func(p *mq.PullRequest) { p.Group, p.Topic, p.HasExpression = "live", "Ordered", false }, mq.KindInternal, 0,
			"The broker does not support consumer to filter message by SQL92",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := pull("T", 0, 0)
			p.Commit, p.CommitIndex = true, 99 // must not happen
			c.change(p)
			_, err := r.Pull(t.Context(), p, nil)
			refused(t, err, c.kind, c.text)
			if e := err.(*mq.Error); e.Forbidden != c.forbidden { //nolint:errorlint // never wrapped
				t.Errorf("forbidden type %d, want %d", e.Forbidden, c.forbidden)
			}
		})
	}
	if _, err := r.QueryIndex(t.Context(), "g", "T", 0, false); mq.KindOf(err) != mq.KindQueryNotFound {
		t.Error("a refused pull committed")
	}
	p := pull("T", 0, 0)
	p.Group, p.HasExpression, p.SubVersion = "live", false, 10
	_, err := r.Pull(t.Context(), p, nil)
	must(t, err)
}

func TestPullOfABrokerThatIsNotReadable(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.Perm = mq.PermWrite })
	_, err := r.Pull(t.Context(), pull("BenchmarkTest", 0, 0), nil)
	refused(t, err, mq.KindNoPermission, "the broker[10.0.0.2] pulling message is forbidden")
}

func TestPullMakesGroupsAndCommits(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	p := pull("T", 0, 0)
	p.Commit, p.CommitIndex = true, 42
	_, err := r.Pull(t.Context(), p, nil)
	must(t, err)
	if at, qerr := r.QueryIndex(t.Context(), "g", "T", 0, false); qerr != nil || at != 42 {
		t.Errorf("%d %v", at, qerr)
	}
	p.Group = "not legal"
	_, err = r.Pull(t.Context(), p, nil)
	refused(t, err, mq.KindGroupNotExist, "subscription group [not legal] does not exist, "+faq)
}

func TestSystemGroupsAreMadeEvenSo(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.AutoCreateGroup = false })
	p := pull("BenchmarkTest", 0, 0)
	p.Group = "CID_RMQ_SYS_X"
	_, err := r.Pull(t.Context(), p, nil)
	must(t, err)
	r = start(t, func(o *setup) { o.AutoCreateGroup, o.NoSystemGroups = false, true })
	_, err = r.Pull(t.Context(), p, nil)
	refused(t, err, mq.KindGroupNotExist, "subscription group [CID_RMQ_SYS_X] does not exist, "+faq)
}

func TestPullLimits(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.PullMessages, o.PullBytes = 10, 4000 })
	r.topic("T", 1)
	r.fill("T", 0, 20)
	for i := range 5 {
		r.put(message("T", 0, strings.Repeat("x", 1500+i)))
	}
	r.put(message("T", 0, strings.Repeat("x", 100_000)))
	r.settle()
	for _, c := range []struct {
		from  mq.Index
		asked int32
		count int
	}{{0, 32, 10}, {0, 3, 3}, {0, 0, 1}, {0, -5, 1}, {20, 32, 2}, {25, 32, 1}} {
		p := pull("T", 0, c.from)
		p.MaxMessages = c.asked
		f, err := r.Pull(t.Context(), p, nil)
		must(t, err)
		if f.Count != c.count || f.Next != c.from+mq.Index(c.count) {
			t.Errorf("from %d, %d asked: %d messages, next %d", c.from, c.asked, f.Count, f.Next)
		}
	}
}

// TestColdReadsMayBeShorter reads what is not in the cache any more.
func TestColdReadsMayBeShorter(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 8} {
		r := start(t, func(o *setup) { o.DiskMessages, o.storage.CacheBytes = limit, 512<<10 })
		r.topic("T", 1)
		for range 100 {
			b := &mq.SendBatch{}
			for i := range 50 {
				b.Requests = append(b.Requests, message("T", 0, strings.Repeat("x", 2000), "TAGS", []string{"a", "b"}[i%2]))
			}
			r.Send(t.Context(), b)
		}
		r.settle()
		want := 32
		if limit > 0 {
			want = limit
		}
		p := pull("T", 0, 100)
		p.Expression = "a"
		f, err := r.Pull(t.Context(), p, []byte("kept"))
		must(t, err)
		ms := messages(t, f.Records[4:])
		if f.Count != want || len(ms) != want {
			t.Errorf("limit %d: %d messages, %d records", limit, f.Count, len(ms))
			continue
		}
		if next := f.Next - ms[want-1].Index; next < 1 || next > 2 {
			t.Errorf("limit %d: last index %d, next %d", limit, ms[want-1].Index, f.Next)
		}
	}
}

func TestSlowReadersAreSentToAReplica(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.SlaveRead, o.HotBytes = true, 2000 })
	r.topic("T", 1)
	r.fill("T", 0, 50)
	for from, want := range map[mq.Index]int64{0: 1, 49: 0, 50: 0} {
		p := pull("T", 0, from)
		p.MaxMessages = 1
		f, err := r.Pull(t.Context(), p, nil)
		must(t, err)
		if f.SuggestBroker != want {
			t.Errorf("from %d: broker %d", from, f.SuggestBroker)
		}
	}
}

func TestLongPolling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.topic("T", 2)
		r.fill("T", 0, 3, "a")
		wakes := make(chan time.Duration, 10)
		began := time.Now()
		park := func(queue int32, from mq.Index, expr string, wait time.Duration) bool {
			p := pull("T", queue, from)
			p.Expression = expr
			f, err := r.Pull(t.Context(), p, nil)
			must(t, err)
			return r.Park(&mq.Waiter{
				Topic: "T", QueueID: queue, From: f.Next, Match: f.Match, Props: f.Props, Deadline: time.Now().Add(wait),
				Wake: func(*mq.Waiter) { wakes <- time.Since(began).Round(time.Second) },
			})
		}
		if !park(0, 3, "a", time.Minute) {
			t.Fatal("not parked")
		}
		time.Sleep(10 * time.Second)
		r.put(message("T", 1, "x", "TAGS", "a"))
		r.put(message("T", 0, "x", "TAGS", "b"))
		time.Sleep(time.Second)
		if len(wakes) != 0 {
			t.Error("woken for nothing")
		}
		r.put(message("T", 0, "x", "TAGS", "a"))
		if d := <-wakes; d != 11*time.Second {
			t.Errorf("woken after %v", d)
		}
		began = time.Now()
		park(0, 5, "*", 15*time.Second)
		if d := <-wakes; d != 15*time.Second {
			t.Errorf("deadline after %v", d)
		}
		if r.Park(&mq.Waiter{Topic: "T", QueueID: 0, From: 4, Deadline: time.Now().Add(time.Minute)}) {
			t.Error("parked although there is a message")
		}
		for _, w := range []*mq.Waiter{{Topic: "None"}, {Topic: "T", QueueID: 2}, {Topic: "T", QueueID: -1}} {
			if r.Park(w) {
				t.Errorf("%s/%d parked", w.Topic, w.QueueID)
			}
		}
		began = time.Now()
		park(0, 5, "*", time.Hour)
		time.Sleep(time.Second)
		must(t, r.DeleteTopic(t.Context(), "T"))
		if d := <-wakes; d != time.Second {
			t.Errorf("woken %v after", d)
		}
		r.topic("T", 2)
		park(0, 0, "*", time.Hour)
		r.stop()
		<-wakes
	})
}

func TestWithoutLongPollingRequestsAreHeldForASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(o *setup) { o.NoLongPolling = true })
		r.topic("T", 1)
		began := time.Now()
		woken := make(chan time.Duration)
		if !r.Park(&mq.Waiter{Topic: "T", Deadline: began.Add(time.Minute), Wake: func(*mq.Waiter) { woken <- time.Since(began) }}) {
			t.Fatal("not parked")
		}
		r.put(message("T", 0, "x"))
		if d := <-woken; d != time.Second {
			t.Errorf("woken after %v", d)
		}
		r.stop()
	})
}

// TestNobodyMissesAMessage lets consumers follow a queue by long polling alone.
func TestNobodyMissesAMessage(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	const total, consumers = 3000, 4
	done := make(chan int, consumers)
	for c := range consumers {
		go func() {
			p := pull("T", 0, 0)
			p.Group = fmt.Sprint("g", c)
			seen := 0
			wake := make(chan struct{}, 1)
			w := &mq.Waiter{Topic: "T", Wake: func(*mq.Waiter) { wake <- struct{}{} }}
			var buf []byte
			for seen < total {
				f, err := r.Pull(t.Context(), p, buf[:0])
				if err != nil {
					t.Error(err)
					break
				}
				buf = f.Records
				seen += f.Count
				p.From = f.Next
				if f.Count == 0 {
					w.From, w.Deadline = f.Next, time.Now().Add(time.Minute)
					if r.Park(w) {
						<-wake
					}
				}
			}
			done <- seen
		}()
	}
	b := &mq.SendBatch{}
	for sent := 0; sent < total; {
		b.Reset()
		for range 1 + sent%7 {
			if sent < total {
				b.Requests = append(b.Requests, message("T", 0, "x"))
				sent++
			}
		}
		r.Send(t.Context(), b)
	}
	for range consumers {
		if n := <-done; n != total {
			t.Errorf("%d of %d seen", n, total)
		}
	}
	_, groups := r.Figures()
	if len(groups) != consumers || groups[0].Gets != total || groups[0].Topic != "T" {
		t.Errorf("%+v", groups)
	}
}

func TestTagHashOfTheDispatcherIsJavas(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	r.fill("T", 0, 4, "\u4e2d\U0001f600", "", "a", "b")
	p := pull("T", 0, 0)
	p.Expression = "\u4e2d\U0001f600 || b"
	f, err := r.Pull(t.Context(), p, nil)
	must(t, err)
	var got []mq.Index
	for _, m := range messages(t, f.Records) {
		got = append(got, m.Index)
	}
	if fmt.Sprint(got) != "[0 3]" || f.Next != 4 {
		t.Errorf("%v next %d", got, f.Next)
	}
	if !f.Match(int64(record.HashCode("b"))) {
		t.Error("match")
	}
}
