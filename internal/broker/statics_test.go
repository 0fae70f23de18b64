package broker_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
)

// peers are rigs that ask each other.
type peers map[string]*rig

func (p peers) Pull(ctx context.Context, broker string, r *mq.PullRequest, dst []byte) (mq.Fetch, error) {
	q := *r
	q.Forward = false
	return p[broker].Pull(ctx, &q, dst)
}

func (p peers) CommitIndex(ctx context.Context, broker, group, topic string, queue int32, at mq.Index) error {
	return p[broker].CommitIndex(ctx, group, topic, queue, at)
}

func (p peers) QueryIndex(ctx context.Context, broker, group, topic string, queue int32) (mq.Index, bool, error) {
	at, err := p[broker].QueryIndex(ctx, group, topic, queue, false)
	if mq.KindOf(err) == mq.KindQueryNotFound {
		return 0, false, nil
	}
	return at, err == nil, err
}

func (p peers) MinIndex(ctx context.Context, broker, topic string, queue int32) (mq.Index, error) {
	return p[broker].MinIndex(ctx, topic, queue)
}

func (p peers) MaxIndex(ctx context.Context, broker, topic string, queue int32) (mq.Index, error) {
	return p[broker].MaxIndex(ctx, topic, queue)
}

func (p peers) IndexAtTime(ctx context.Context, broker, topic string, queue int32, ms int64, b mq.Boundary) (mq.Index, error) {
	return p[broker].IndexAtTime(ctx, topic, queue, ms, b)
}

func (p peers) EarliestStoreTime(ctx context.Context, broker, topic string, queue int32) (int64, error) {
	return p[broker].EarliestStoreTime(ctx, topic, queue)
}

func (p peers) Leaders(_ context.Context, topic string) (map[int32]string, error) {
	leaders, epochs := map[int32]string{}, map[int32]int64{}
	for name, r := range p {
		c, err := r.Topic(r.t.Context(), topic)
		if err != nil || c.Static == nil {
			continue
		}
		for id := range c.Static.Current() {
			if old, had := epochs[int32(id)]; !had || c.Static.Epoch > old {
				leaders[int32(id)], epochs[int32(id)] = name, c.Static.Epoch
			}
		}
	}
	return leaders, nil
}

func (p peers) Mapping(ctx context.Context, broker, topic string) (*logicqueue.Mapping, error) {
	c, err := p[broker].Topic(ctx, topic)
	return c.Static, err
}

func item(gen int32, broker string, queue int32, logic mq.Index) logicqueue.Item {
	return logicqueue.Item{Gen: gen, Broker: broker, Queue: queue, Logic: logic, End: -1, TimeOfStart: -1, TimeOfEnd: -1}
}

// static tells r about the logical queues of topic S; the physical queues are 0 and 1.
func (r *rig) static(epoch int64, queues map[int32]logicqueue.Items) error {
	return r.PutStaticTopic(r.t.Context(), mq.TopicConfig{Name: "S", ReadQueues: 2, WriteQueues: 2, Perm: 6, Static: &logicqueue.Mapping{
		Topic: "S", Scope: logicqueue.ScopeGlobal, Total: 4, Broker: r.name, Epoch: epoch, Queues: queues,
	}}, false)
}

// position checks an answer that is a position.
func position(t *testing.T, what string, want mq.Index) func(mq.Index, error) {
	t.Helper()
	return func(at mq.Index, err error) {
		t.Helper()
		if err != nil || at != want {
			t.Errorf("%s: %d, %v, want %d", what, at, err, want)
		}
	}
}

func logicalPull(queue int32, from mq.Index) *mq.PullRequest {
	q := pull("S", queue, from)
	q.Logical, q.Forward = true, true
	return q
}

// twoBrokers starts two brokers that know of each other.
func twoBrokers(t *testing.T) (a, b *rig) {
	t.Helper()
	p := peers{}
	for _, name := range []string{"broker-a", "broker-b"} {
		p[name] = start(t, func(o *setup) { o.Name, o.Peers = name, p })
	}
	return p["broker-a"], p["broker-b"]
}

func TestStaticTopicOfOneBroker(t *testing.T) {
	t.Parallel()
	r := start(t)
	if r.IsStatic("S") {
		t.Fatal("static from the start")
	}
	must(t, r.static(1, map[int32]logicqueue.Items{3: {item(0, "broker-a", 1, 0)}}))
	if got := r.topicsAnnounced(); len(got) != 1 || got[0].Static == nil || got[0].Static.Current()[3] != 1 {
		t.Fatalf("announced %+v", got)
	}
	for i := range 3 {
		res := r.put(message("S", []int32{3, -1, 3}[i], fmt.Sprintf("m%d", i)))
		if res.QueueID != 3 || res.Index != mq.Index(i) {
			t.Errorf("message %d: queue %d, index %d", i, res.QueueID, res.Index)
		}
	}
	res, _ := r.send(message("S", 0, "x"))
	refused(t, res[0].Err, mq.KindNotLeader, "S-0 does not exit in request process of current broker broker-a")
	r.settle()
	f, err := r.Pull(t.Context(), logicalPull(3, 1), nil)
	must(t, err)
	if f.Count != 2 || f.Next != 3 || f.Min != 0 || f.Max != 3 || f.Delta != 0 {
		t.Errorf("pulled %+v", f)
	}
	if _, err = r.Pull(t.Context(), logicalPull(1, 0), nil); err == nil {
		t.Error("a queue of nobody")
	} else {
		refused(t, err, mq.KindNotLeader, "S-1 cannot find mapping item in request process of current broker broker-a")
	}
	if f, err = r.Pull(t.Context(), logicalPull(3, 3), nil); err != nil || f.Status != mq.FetchOffsetOverflowOne || f.WaitQueue != 1 || f.WaitFrom != 3 {
		t.Errorf("at the end: %v, %+v", err, f)
	}
	if f, err = r.Pull(t.Context(), logicalPull(3, 30), nil); err != nil || f.Status != mq.FetchOffsetOverflowBadly || f.Next != 3 {
		t.Errorf("behind the end: %v, %+v", err, f)
	}
	must(t, r.LogicalCommit(t.Context(), "g", "S", 3, 2))
	position(t, "position", 2)(r.LogicalQuery(t.Context(), "g", "S", 3, false))
	position(t, "physical position", 2)(r.QueryIndex(t.Context(), "g", "S", 1, false))
	position(t, "max", 3)(r.LogicalMax(t.Context(), "S", 3))
	err = r.static(0, nil)
	refused(t, err, mq.KindInternal, "Can't accept data with small epoch 0 < 1")
	must(t, r.DeleteTopic(t.Context(), "S"))
	if r.IsStatic("S") {
		t.Error("still static")
	}
}

func TestStaticTopicSurvives(t *testing.T) {
	t.Parallel()
	r := start(t)
	must(t, r.static(7, map[int32]logicqueue.Items{0: {item(0, "broker-a", 0, 0)}}))
	r.stop()
	again := start(t, func(o *setup) { o.FS = r.fs })
	c, err := again.Topic(t.Context(), "S")
	must(t, err)
	if c.Static == nil || c.Static.Epoch != 7 || len(c.Static.Queues[0]) != 1 {
		t.Fatalf("read %+v", c.Static)
	}
}

// TestStaticQueueMoves does what mqadmin remappingStaticTopic does, and reads the queue before, meanwhile and after.
func TestStaticQueueMoves(t *testing.T) {
	t.Parallel()
	a, b := twoBrokers(t)
	ctx := t.Context()
	for _, r := range []*rig{a, b} {
		must(t, r.PutGroup(ctx, mq.DefaultGroupConfig("g")))
	}
	must(t, a.static(1, map[int32]logicqueue.Items{0: {item(0, "broker-a", 1, 0)}}))
	must(t, b.static(1, nil))
	for i := range 3 {
		a.put(message("S", 0, fmt.Sprintf("m%d", i)))
	}
	must(t, a.LogicalCommit(ctx, "g", "S", 0, 1))

	moved := func(logic mq.Index) map[int32]logicqueue.Items {
		return map[int32]logicqueue.Items{0: {item(0, "broker-a", 1, 0), item(1, "broker-b", 0, logic)}}
	}
	must(t, b.static(2, moved(-1)))
	must(t, a.static(2, moved(-1)))
	res, _ := a.send(message("S", 0, "x"))
	refused(t, res[0].Err, mq.KindNotLeader, "S-0 does not exit in request process of current broker broker-a")
	if res := b.put(message("S", 0, "m3")); res.Index != -1 || res.QueueID != 0 {
		t.Errorf("a message without a position: %d in %d", res.Index, res.QueueID)
	}
	a.settle()
	b.settle()
	// The new leader has no positions of its own yet: its queue ends where the old part does.
	f, err := b.Pull(ctx, logicalPull(0, 3), nil)
	if err != nil || f.Status != mq.FetchOffsetOverflowOne || f.Next != 3 {
		t.Errorf("undecided: %v, %+v", err, f)
	}
	position(t, "undecided: max", 3)(b.LogicalMax(ctx, "S", 0))
	must(t, b.static(2, moved(10000)))

	local := logicalPull(0, 1)
	local.Forward = false
	if f, err = b.Pull(ctx, local, nil); err != nil || !f.Elsewhere {
		t.Errorf("without leave to forward: %v, %+v", err, f)
	}
	var got []string
	at, err := b.LogicalQuery(ctx, "g", "S", 0, true)
	must(t, err)
	for steps := 0; len(got) < 3 && steps < 10; steps++ {
		f, err = b.Pull(ctx, logicalPull(0, at), nil)
		must(t, err)
		for _, m := range messages(t, f.Records) {
			got = append(got, fmt.Sprintf("%s@%d", m.Body, m.Index+f.Delta))
		}
		if f.Count > 0 && (f.Min > at || f.Max < at) {
			t.Errorf("at %d: bounds %d to %d", at, f.Min, f.Max)
		}
		at = f.Next
	}
	if want := "[m1@1 m2@2 m3@10000]"; fmt.Sprint(got) != want {
		t.Errorf("read %v, want %s", got, want)
	}
	if res := b.put(message("S", 0, "m4")); res.Index != 10001 {
		t.Errorf("index %d", res.Index)
	}
	b.settle()
	position(t, "max", 10002)(b.LogicalMax(ctx, "S", 0))
	position(t, "min", 0)(b.LogicalMin(ctx, "S", 0))
	ms, err := b.LogicalEarliest(ctx, "S", 0)
	if must(t, err); ms <= 0 {
		t.Errorf("earliest %d", ms)
	}
	for ms, want := range map[int64]mq.Index{0: 0, 1 << 60: 10002} {
		position(t, fmt.Sprint("at time ", ms), want)(b.LogicalIndexAtTime(ctx, "S", 0, ms, mq.BoundaryLower))
	}
	// Positions go to the part that they are in; the newest part decides.
	for _, at := range []mq.Index{2, 10001} {
		must(t, b.LogicalCommit(ctx, "g", "S", 0, at))
		position(t, "position", at)(b.LogicalQuery(ctx, "g", "S", 0, true))
	}
	position(t, "position in the old part", 2)(a.QueryIndex(ctx, "g", "S", 1, false))
	q := logicalPull(0, 10002)
	q.Commit, q.CommitIndex = true, 10002
	if _, err = b.Pull(ctx, q, nil); err != nil {
		t.Fatal(err)
	}
	position(t, "position in the new part", 2)(b.QueryIndex(ctx, "g", "S", 0, false))
	if _, err = a.LogicalMax(ctx, "S", 0); mq.KindOf(err) != mq.KindNotLeader {
		t.Errorf("the old leader says %v", err)
	}
}
