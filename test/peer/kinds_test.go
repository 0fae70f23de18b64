//go:build peer

package peer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

// kinds talks to a broker about a topic of batch queues and about light queues.
type kinds struct {
	*testing.T
	c *bench.Client
}

func (k kinds) call(code int32, h interface {
	AppendTo(w *protocol.FieldWriter)
}, body []byte,
) *bench.Reply {
	k.Helper()
	r, err := k.c.Call(code, h, body)
	if err != nil || r.Code != 0 {
		k.Fatalf("code %d: %v %+v", code, err, r)
	}
	return r
}

// put stores a batch of two, and a message that is in a light queue, too.
func (k kinds) put(name string) {
	k.Helper()
	var body []byte
	for i := range 2 {
		body = record.AppendBatchItem(body, 0, fmt.Append(nil, name, i), nil)
	}
	h := protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "p", Topic: "Batches", DefaultTopic: "TBW102", DefaultTopicQueueNums: 1, BornTimestamp: time.Now().UnixMilli(),
		MaxReconsumeTimes: -1, Properties: "UNIQ_KEY\x01" + name + "\x02", Batch: true,
	}
	k.call(protocol.ReqSendBatchMessage, &h, body)
	h.Topic, h.Batch, h.Properties = "Parent", false, "INNER_MULTI_DISPATCH\x01%LMQ%one,%LMQ%two\x02"
	k.call(protocol.ReqSendMessageV2, &h, []byte(name))
}

// read returns the bodies in a queue, the parts of batches one by one, and checks its end.
func (k kinds) read(topic string, want ...string) {
	k.Helper()
	end := time.Now().Add(time.Minute)
	for {
		var got []string
		r, err := k.c.Call(protocol.ReqPullMessage, &protocol.PullMessageRequestHeader{
			ConsumerGroup: "g", Topic: topic, MaxMsgNums: 32, SysFlag: 4, Subscription: "*", ExpressionType: "TAG", RequestSource: -1,
		}, nil)
		if err != nil {
			k.Fatal(err)
		}
		for p := r.Body; r.Code == 0 && len(p) > 0; {
			var m record.Message
			n, err := record.Decode(p, &m, true)
			if err != nil {
				k.Fatal(err)
			}
			p = p[n:]
			if m.SysFlag&record.SysFlagNeedUnwrap == 0 {
				got = append(got, string(m.Body))
				continue
			}
			it := record.IterBatch(m.Body)
			for _, body, _, ok := it.Next(); ok; _, body, _, ok = it.Next() {
				got = append(got, string(body))
			}
		}
		next, _ := r.Int("nextBeginOffset")
		if slices.Equal(got, want) && int(next) == len(want) {
			return
		}
		if time.Now().After(end) {
			k.Fatalf("%s has %q (next %d), want %q", topic, got, next, want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (k kinds) readAll(names ...string) {
	k.Helper()
	var parts []string
	for _, n := range names {
		parts = append(parts, n+"0", n+"1")
	}
	k.read("Batches", parts...)
	for _, topic := range []string{"Parent", "%LMQ%one", "%LMQ%two"} {
		k.read(topic, names...)
	}
}

// TestKindsOfQueuesSwap takes batch queues and light queues from Java to us and back.
func TestKindsOfQueuesSwap(t *testing.T) {
	for _, how := range []string{"clean", "kill"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			target.NeedJava(t, "server-5.5.0")
			dir := t.TempDir()
			conf := map[string]string{"enableLmq": "true", "enableMultiDispatch": "true"}
			var names []string
			for i, o := range []target.Options{
				{Kind: target.Java, Set: "server-5.5.0", Dir: dir, Heap: "512m", Conf: conf},
				{Kind: target.Ours, Dir: dir, Conf: conf},
				{Kind: target.Java, Set: "server-5.5.0", Dir: dir, Heap: "512m", Conf: conf},
				{Kind: target.Ours, Dir: dir, Conf: conf},
			} {
				c := target.New(t, o)
				registered(t, c, "TBW102")
				client, err := bench.Dial(t.Context(), nil, c.Addrs[0], protocol.JSON)
				if err != nil {
					t.Fatal(err)
				}
				k := kinds{t, client}
				if i == 0 {
					for topic, attributes := range map[string]string{"Batches": "+queue.type=BatchCQ", "Parent": ""} {
						k.call(protocol.ReqUpdateAndCreateTopic, &protocol.CreateTopicRequestHeader{
							Topic: topic, DefaultTopic: "TBW102", ReadQueueNums: 1, WriteQueueNums: 1, Perm: 6, TopicFilterType: "SINGLE_TAG",
							Attributes: attributes,
						}, nil)
					}
				} else {
					k.readAll(names...)
				}
				for j := range 3 {
					name := fmt.Sprint(strings.Repeat("n", i+1), j)
					k.put(name)
					names = append(names, name)
				}
				k.readAll(names...)
				client.Close()
				if how == "kill" {
					time.Sleep(2 * time.Second)
					c.Brokers[0].Kill()
				} else if err := c.Brokers[0].Stop(60 * time.Second); err != nil {
					t.Fatal(err)
				}
				c.Namesrv.Kill()
			}
		})
	}
}

// make creates a topic with an attribute.
func (k kinds) make(topic, attribute string, queues int32) {
	k.Helper()
	k.call(protocol.ReqUpdateAndCreateTopic, &protocol.CreateTopicRequestHeader{
		Topic: topic, DefaultTopic: "TBW102", ReadQueueNums: queues, WriteQueueNums: queues, Perm: 6, TopicFilterType: "SINGLE_TAG", Attributes: attribute,
	}, nil)
}

// TestKindsOfTopics has the clients' own producers and consumers use topics of batch queues and compacted ones, also when they are opened
// again after a kill.
func TestKindsOfTopics(t *testing.T) {
	t.Parallel()
	const (
		batches = "Batches in a topic of batch queues (BatchCQ): sent as one record, consumed one by one"
		keyed   = "Compacted topic (cleanup.policy=COMPACTION): send with keys and consume, before and after a kill"
	)
	lacks(goV2, batches, "it does not take batches apart")
	for i, client := range []string{java55, java49} {
		t.Run(client, func(t *testing.T) {
			variant(t, i)
			t.Parallel()
			target.NeedJava(t, client)
			cl := newCluster(t, target.Options{Kind: target.Ours})
			c, err := bench.Dial(t.Context(), nil, cl.Addrs[0], protocol.JSON)
			if err != nil {
				t.Fatal(err)
			}
			k := kinds{t, c}
			k.make("KindBatches", "+queue.type=BatchCQ", 2)
			k.make("KindKeyed", "+cleanup.policy=COMPACTION", 2)
			_ = c.Close()
			t.Run("batches", func(t *testing.T) {
				covers(t, client, batches)
				m := javaMain(t, client, "Kinds", "batches", cl.NS, "KindBatches", "kind_g", "30")
				want(t, m, "ok", 30)
				want(t, m, "got", 120)
				want(t, m, "distinct", 120)
				want(t, m, "wrong", 0)
			})
			t.Run("keyed", func(t *testing.T) {
				covers(t, client, keyed)
				for _, group := range []string{"kind_k", "kind_l"} {
					m := javaMain(t, client, "Kinds", "keyed", cl.NS, "KindKeyed", group, "40")
					want(t, m, "ok", 40)
					want(t, m, "distinct", 40)
					want(t, m, "wrong", 0)
					cl.Brokers[0].Kill()
					cl.Brokers[0].Start()
					registered(t, cl, "KindKeyed")
				}
			})
		})
	}
}

func TestPriorities(t *testing.T) {
	t.Parallel()
	const feature = "Messages with a priority: setPriority chooses the queue"
	covers(t, java55, feature)
	lacks(java49, feature, "new in 5.5")
	lacks(goV2, feature, "not in this client")
	target.NeedJava(t, java55)
	cl := newCluster(t, target.Options{Kind: target.Ours})
	c, err := bench.Dial(t.Context(), nil, cl.Addrs[0], protocol.JSON)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kinds{t, c}.make("Priorities", "+message.type=PRIORITY", 4)
	if got := javaMain(t, java55, "Priority", cl.NS, "Priorities")["queues"]; got != "0 1 2 3 3 3" {
		t.Errorf("priorities 0 to 5 went to the queues %q", got)
	}
}
