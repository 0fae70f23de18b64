package broker_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// callee is a client that answers at once, or with fail.
type callee struct {
	peer
	fail    error
	resets  []mq.QueuePosition
	direct  mq.DirectRequest
	replies []string
	flushes int
}

func (c *callee) ResetPositions(_ *mq.PositionReset, to []mq.QueuePosition) { c.resets = to }

func (c *callee) Positions(_, topic string, done func([]mq.QueuePosition, error)) {
	done([]mq.QueuePosition{{Queue: mq.Queue{Topic: topic}, At: 3}}, c.fail)
}

func (c *callee) RunningInfo(_ *mq.RunningInfoRequest, done func(mq.ClientAnswer, error)) {
	done(mq.ClientAnswer{Code: 5, Remark: "fine"}, c.fail)
}

func (c *callee) ConsumeDirectly(r *mq.DirectRequest, done func(mq.ClientAnswer, error)) {
	c.direct = *r
	done(mq.ClientAnswer{}, c.fail)
}

func (c *callee) PushReply(r *mq.PushedReply, done func(error)) {
	c.replies = append(c.replies, fmt.Sprintf("%s %q", r.Body, r.Props))
	done(c.fail)
}

func (c *callee) Flush() { c.flushes++ }

func (r *rig) connect(id string, c *callee) *mq.Session {
	r.t.Helper()
	s := &mq.Session{ClientID: id, Language: "JAVA", Version: 500, Peer: c, Remote: client}
	_, err := r.Heartbeat(r.t.Context(), s, &mq.Heartbeat{
		Producers: []string{"PG"}, Consumers: []mq.ConsumerData{{Group: "g", Type: mq.ConsumePassively, FromWhere: "X", Subscriptions: subscriptions(1, "T")}},
	})
	must(r.t, err)
	return s
}

func TestAResetWakesWhoWaitsAndIsToldOnce(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 2)
	r.connect("c", &callee{})
	r.fill("T", 0, 10)
	woken := make(chan struct{})
	w := &mq.Waiter{Topic: "T", From: 10, Deadline: time.Now().Add(time.Hour), Wake: func(*mq.Waiter) { close(woken) }}
	if !r.Park(w) {
		t.Fatal("not parked")
	}
	to, err := r.ResetPositions(t.Context(), &mq.PositionReset{Group: "g", Topic: "T", QueueID: -1, Time: 1})
	must(t, err)
	want := []mq.QueuePosition{{Queue: mq.Queue{Topic: "T", Broker: "broker-a"}}, {Queue: mq.Queue{Topic: "T", Broker: "broker-a", ID: 1}}}
	if !slices.Equal(to, want) {
		t.Errorf("%+v", to)
	}
	<-woken
	p := pull("T", 0, 10)
	p.Commit, p.CommitIndex = true, 10
	f, err := r.Pull(t.Context(), p, nil)
	if err != nil || f.Status != mq.FetchOffsetReset || f.Next != 0 || f.Min != 0 || f.Max != 10 {
		t.Errorf("%+v %v", f, err)
	}
	if at, qerr := r.QueryIndex(t.Context(), "g", "T", 0, false); qerr != nil || at != 0 {
		t.Errorf("the pull that was told undid the reset: %d %v", at, qerr)
	}
	f, err = r.Pull(t.Context(), pull("T", 0, 0), nil)
	if err != nil || f.Count != 10 {
		t.Errorf("%+v %v", f, err)
	}
	_, err = r.ResetPositions(t.Context(), &mq.PositionReset{Group: "g", Topic: "T", QueueID: 1 << 20, Time: 1})
	refused(t, err, mq.KindInvalidParameter, "queueId 1048576 must be below 65536")
}

func TestResetByClients(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.ClientReset = true })
	ask := &mq.PositionReset{Group: "g", Topic: "T", QueueID: -1, Time: -1}
	_, err := r.ResetPositions(t.Context(), ask)
	refused(t, err, mq.KindTopicNotExist, "[reset-offset] reset offset failed, no topic in this broker. topic=T")
	r.topic("T", 1)
	must(t, r.PutGroup(t.Context(), mq.DefaultGroupConfig("g")))
	r.fill("T", 0, 10)
	_, err = r.ResetPositions(t.Context(), ask)
	refused(t, err, mq.KindInternal, "THe consumer group <g> not exist")
	must(t, r.CommitIndex(t.Context(), "g", "T", 0, 4))
	_, err = r.ResetPositions(t.Context(), ask)
	refused(t, err, mq.KindConsumerNotOnline, "Consumer not online, so can not reset offset, Group: g Topic: T Timestamp: -1")
	c := &callee{}
	r.connect("c", c)
	for _, x := range []struct {
		force bool
		want  mq.Index
	}{{false, 4}, {true, 10}} {
		ask.Force = x.force
		_, err = r.ResetPositions(t.Context(), ask)
		if err != nil || len(c.resets) != 1 || c.resets[0].At != x.want {
			t.Errorf("force %v: %+v %v", x.force, c.resets, err)
		}
	}
	if at, _ := r.QueryIndex(t.Context(), "g", "T", 0, false); at != 4 {
		t.Errorf("the broker changed the position to %d", at)
	}
}

func TestClientsAreAsked(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	good, bad := &callee{}, &callee{fail: mq.Errorf(mq.KindTimeout, "10 s")}
	r.connect("good", good)
	r.connect("bad", bad)
	at := r.put(message("T", 0, "x")).Offset
	var answer mq.ClientAnswer
	var err error
	done := func(a mq.ClientAnswer, e error) { answer, err = a, e }
	r.RunningInfo(t.Context(), &mq.RunningInfoRequest{Group: "g", ClientID: "good"}, done)
	if err != nil || answer.Code != 5 || answer.Remark != "fine" {
		t.Errorf("%+v %v", answer, err)
	}
	r.RunningInfo(t.Context(), &mq.RunningInfoRequest{Group: "g", ClientID: "bad"}, done)
	refused(t, err, mq.KindTimeout, "consumer <g> <bad> Timeout: 10 s")
	bad.fail = mq.Errorf(mq.KindInternal, "gone")
	r.RunningInfo(t.Context(), &mq.RunningInfoRequest{Group: "g", ClientID: "bad"}, done)
	refused(t, err, mq.KindInternal, "invoke consumer <g> <bad> Exception: gone")
	r.RunningInfo(t.Context(), &mq.RunningInfoRequest{Group: "h", ClientID: "good"}, done)
	refused(t, err, mq.KindInternal, "The Consumer <h> <good> not online")

	r.ConsumeDirectly(t.Context(), &mq.DirectRequest{Group: "g", ClientID: "good", MessageID: "id", At: at, HasMessage: true, Topic: "T"}, done)
	if d := good.direct; err != nil || d.Broker != "broker-a" || !d.TopicExists || !d.GroupExists || string(messages(t, d.Record)[0].Body) != "x" {
		t.Errorf("%+v %v", d, err)
	}
	for _, q := range []*mq.DirectRequest{{Group: "g", ClientID: "good", MessageID: "id"}, {Group: "g", ClientID: "good", MessageID: "id", At: 1 << 40, HasMessage: true}} {
		r.ConsumeDirectly(t.Context(), q, done)
		refused(t, err, mq.KindInternal, "can not find message by msgId, id")
	}

	var list []mq.ClientPositions
	r.ConsumerPositions(t.Context(), "g", "T", "", func(l []mq.ClientPositions, e error) { list, err = l, e })
	if err != nil || len(list) != 1 || list[0].ClientID != "good" || list[0].Positions[0].At != 3 {
		t.Errorf("%+v %v", list, err)
	}
	r.ConsumerPositions(t.Context(), "g", "T", "nobody", func(l []mq.ClientPositions, e error) { list, err = l, e })
	if err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
	r.ConsumerPositions(t.Context(), "h", "T", "", func(l []mq.ClientPositions, e error) { list, err = l, e })
	refused(t, err, mq.KindInternal, "No Any Consumer online in the consumer group: [h]")

	g, err := r.Consumers(t.Context(), "g")
	if err != nil || len(g.Connections) != 2 || g.Connections[0].ClientID != "bad" || g.FromWhere != "X" || len(g.Subscriptions) != 1 {
		t.Errorf("%+v %v", g, err)
	}
	if p, err := r.Producers(t.Context(), "PG"); err != nil || len(p) != 2 || p[0].Language != "JAVA" || p[0].Remote != client {
		t.Errorf("%+v %v", p, err)
	}
}

// TestTheNewestConnectionOfAClientIsCalled: a client that comes back is called on its new connection, also before the old
// one is noticed to be dead.
func TestTheNewestConnectionOfAClientIsCalled(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	old, young := &callee{}, &callee{}
	first := r.connect("c", old)
	time.Sleep(2 * time.Millisecond) // the one that was heard of last
	second := r.connect("c", young)
	ask := func() { r.Reply([]mq.ReplyRequest{answerTo("c", "x", func(mq.ReplyResult) {})}) }
	ask()
	r.Detach(second)
	ask()
	r.Detach(first)
	ask()
	if len(young.replies) != 1 || len(old.replies) != 1 {
		t.Errorf("%d to the new connection, %d to the old one", len(young.replies), len(old.replies))
	}
}

func answerTo(client, body string, done func(mq.ReplyResult)) mq.ReplyRequest {
	m := message("DefaultCluster_REPLY_TOPIC", 0, body, record.PropCorrelationID, "1")
	if client != "" {
		m.Props = record.AppendProp(m.Props, record.PropReplyToClient, client)
	}
	return mq.ReplyRequest{SendRequest: m, Done: done}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, func(o *setup) { o.NoReplyStore, o.FlushSync = !keep, true })
			c := &callee{}
			r.connect("c", c)
			results := make([]mq.ReplyResult, 5)
			var rs []mq.ReplyRequest
			for i, to := range []string{"c", "c", "", "nobody", "c"} {
				rs = append(rs, answerTo(to, fmt.Sprint("body", i), func(res mq.ReplyResult) { results[i] = res }))
			}
			rs[4].QueueID = 9
			r.Reply(rs)
			time.Sleep(time.Second)
			synctest.Wait()
			want := []string{"", "", "reply message properties[REPLY_TO_CLIENT] is null", "push reply message fail, channel of <nobody> not found.", "request"}
			for i, res := range results {
				remark := ""
				if res.Err != nil {
					remark = res.Err.Detail
				}
				if len(remark) < len(want[i]) || remark[:len(want[i])] != want[i] || (want[i] == "") != (remark == "") || res.Stored != (keep && i < 4) {
					t.Errorf("%d: %+v %q", i, res, remark)
				}
				if keep && i < 4 && res.Index != mq.Index(i) {
					t.Errorf("%d: stored at %d", i, res.Index)
				}
			}
			if len(c.replies) != 2 || c.flushes != 1 {
				t.Errorf("%d pushes, %d flushes: %q", len(c.replies), c.flushes, c.replies)
			}
			ms := fmt.Sprint(time.Now().Add(-time.Second).UnixMilli())
			if want := fmt.Sprintf("body0 %q", "CORRELATION_ID\x011\x02REPLY_TO_CLIENT\x01c\x02PUSH_REPLY_TIME\x01"+ms+"\x02"); c.replies[0] != want {
				t.Errorf("pushed %s, want %s", c.replies[0], want)
			}
			c.fail = context.DeadlineExceeded
			r.Reply([]mq.ReplyRequest{answerTo("c", "x", func(res mq.ReplyResult) { results[0] = res })})
			synctest.Wait()
			time.Sleep(time.Second)
			if e := results[0].Err; e == nil || e.Detail != "push reply message to cfail." {
				t.Errorf("%+v", e)
			}
			r.stop()
		})
	}
}

func TestRatesAreOfTheLastMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.topic("T", 2)
		must(t, r.PutGroup(t.Context(), mq.DefaultGroupConfig("g")))
		for range 120 { // two minutes with 5 sends and 10 reads a second
			r.fill("T", 1, 5)
			for range 2 {
				f, err := r.Pull(t.Context(), &mq.PullRequest{Group: "g", Topic: "T", QueueID: 1, MaxMessages: 5, HasExpression: true, Expression: "*"}, nil)
				if err != nil || f.Count != 5 {
					t.Fatalf("%+v %v", f, err)
				}
			}
			time.Sleep(time.Second)
		}
		st, err := r.TopicStats(t.Context(), "T")
		if err != nil || st.PutTPS < 4.9 || st.PutTPS > 5.1 {
			t.Errorf("%+v %v", st, err)
		}
		cs, err := r.ConsumeStats(t.Context(), "g", "T", nil)
		if err != nil || cs.TPS < 9.8 || cs.TPS > 10.2 {
			t.Errorf("%+v %v", cs, err)
		}
		r.stop()
	})
}
