package broker_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

func batchOf(n int) string {
	var body []byte
	for i := range n {
		body = record.AppendBatchItem(body, 0, fmt.Append(nil, "m", i), record.Props("TAGS\x01t\x02"))
	}
	return string(body)
}

func pulled(t *testing.T, r *rig, topic string, from mq.Index) (mq.Fetch, []record.Message) {
	t.Helper()
	r.store.CatchUp()
	f, err := r.Pull(t.Context(), &mq.PullRequest{Group: "g", Topic: topic, From: from, MaxMessages: 32, HasExpression: true, Expression: "*"}, nil)
	must(t, err)
	return f, messages(t, f.Records)
}

func TestBatchTopic(t *testing.T) {
	t.Parallel()
	r := start(t)
	attributes := map[string]string{"+queue.type": "BatchCQ"}
	must(t, r.PutTopic(t.Context(), mq.TopicConfig{Name: "B", ReadQueues: 1, WriteQueues: 1, Perm: 6, Attributes: attributes}))
	req := message("B", 0, batchOf(3), "UNIQ_KEY", "U1")
	req.Batch = true
	bare := message("B", 0, batchOf(2))
	bare.Batch = true
	res, _ := r.send(req, message("B", 0, "single", "DELAY", "0"), bare, req)
	for i, want := range []mq.Index{0, 3, 4, 6} {
		if res[i].Err != nil || res[i].Index != want {
			t.Fatalf("request %d: %v, index %d, want %d", i, res[i].Err, res[i].Index, want)
		}
	}
	if res[0].BatchKey != "U1" || res[0].Offsets != nil || res[2].BatchKey != "" || len(res[2].Offsets) != 2 {
		t.Fatalf("%+v", res)
	}
	f, ms := pulled(t, r, "B", 1)
	var got []string
	for _, m := range ms {
		num, _ := m.Props.Get("INNER_NUM")
		got = append(got, fmt.Sprint(m.Index, " ", string(num), " ", m.SysFlag>>6))
	}
	if want := []string{"0 3 3", "3 1 2", "4 1 2", "5 1 2", "6 3 3"}; !slices.Equal(got, want) || f.Count != 9 || f.Next != 9 || f.Max != 9 {
		t.Fatalf("%q, count %d, next %d, max %d", got, f.Count, f.Next, f.Max)
	}
	illegal := req
	illegal.Body = []byte(batchOf(2)[:30])
	inner := message("B", 0, "x", "INNER_NUM", "5")
	flagged := message("B", 0, "x")
	flagged.SysFlag = record.SysFlagInnerBatch
	res, _ = r.send(illegal, inner, flagged)
	for i := range res {
		if mq.KindOf(res[i].Err) != mq.KindMessageIllegal {
			t.Errorf("request %d: %v", i, res[i].Err)
		}
	}
	// What was a topic of batch queues may come again as another one.
	must(t, r.DeleteTopic(t.Context(), "B"))
	r.topic("B", 1)
	if res := r.put(message("B", 0, "x")); res.Index != 0 {
		t.Fatal(res.Index)
	}
	if _, ms := pulled(t, r, "B", 0); len(ms) != 1 || ms[0].SysFlag != 0 {
		t.Fatalf("%v", ms)
	}
}

func TestRefusedBatchTopicLeavesNothing(t *testing.T) {
	t.Parallel()
	r := start(t)
	attributes := map[string]string{"+queue.type": "BatchCQ", "+nonsense": "1"}
	if r.PutTopic(t.Context(), mq.TopicConfig{Name: "B", ReadQueues: 1, WriteQueues: 1, Perm: 6, Attributes: attributes}) == nil {
		t.Fatal("no error")
	}
	if r.store.Queue("B", 0).Batch() {
		t.Fatal("its queues are batch queues")
	}
}

func TestLightQueues(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) {
		o.LightTopics, o.LightDispatch, o.LightQuota, o.storage.LightQueues = true, true, 2, true
	})
	r.topic("T", 2)
	r.put(message("T", 1, "one", record.PropMultiDispatch, "%LMQ%a,%LMQ%b"))
	r.put(message("T", 0, "two", record.PropMultiDispatch, "%LMQ%a", record.PropMultiOffset, "99"))
	r.store.CatchUp()
	f, ms := pulled(t, r, "%LMQ%a", 0)
	if len(ms) != 2 || f.Next != 2 || string(ms[1].Body) != "two" || string(ms[1].Topic) != "T" {
		t.Fatalf("%v, next %d", ms, f.Next)
	}
	res, _ := r.send(message("T", 0, "three", record.PropMultiDispatch, "%LMQ%c"), message("T", 0, "four", record.PropMultiDispatch, "%LMQ%b"))
	refused(t, res[0].Err, mq.KindInternal, "[LMQ_CONSUME_QUEUE_NUM_EXCEEDED]lmq consume queue num exceeded.")
	if res[1].Err != nil {
		t.Fatal(res[1].Err)
	}
	// Nobody made it, nobody can change it, and it is not announced.
	must(t, r.PutTopic(t.Context(), mq.TopicConfig{Name: "%LMQ%a", ReadQueues: 8, WriteQueues: 8, Perm: 6}))
	if _, err := r.Topic(t.Context(), "%LMQ%a"); err == nil {
		t.Fatal("it has a configuration")
	}
	if f, _ := pulled(t, r, "%LMQ%new", 0); f.Count != 0 {
		t.Fatal(f.Count)
	}
	must(t, r.CommitIndex(t.Context(), "g", "%LMQ%a", 0, 2))
	at, err := r.QueryIndex(t.Context(), "g", "%LMQ%a", 0, false)
	if err != nil || at != 2 {
		t.Fatal(at, err)
	}
	// Half messages and retries are in no light queue.
	r.put(message("T", 0, "half", record.PropMultiDispatch, "%LMQ%b", record.PropTransaction, "true", "PGROUP", "p"))
	if _, ms := pulled(t, r, "%LMQ%b", 0); len(ms) != 2 {
		t.Fatalf("%d messages", len(ms))
	}
}

func TestLightQueuesAreOffByDefault(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.put(message("T", 1, "one", record.PropMultiDispatch, "%LMQ%a", record.PropMultiOffset, "0"))
	r.store.CatchUp()
	if _, ok := r.store.Lookup("%LMQ%a", 0); ok {
		t.Fatal("there is a light queue")
	}
	_, err := r.Pull(t.Context(), &mq.PullRequest{Group: "g", Topic: "%LMQ%a", HasExpression: true, Expression: "*"}, nil)
	refused(t, err, mq.KindTopicNotExist, "topic[%LMQ%a] not exist, apply first please! "+faq)
}
