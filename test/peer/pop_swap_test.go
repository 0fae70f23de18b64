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

const (
	swapTopic = "popswap"
	swapGroup = "popswap_g"
)

// popSwap is a raw client of one broker.
type popSwap struct {
	t *testing.T
	c *bench.Client
}

// swapped is a message with the acknowledgement that settles it.
type swapped struct {
	body string
	ack  protocol.AckMessageRequestHeader
}

func swapClient(t *testing.T, c *target.Cluster) *popSwap {
	t.Helper()
	b, err := bench.Dial(t.Context(), nil, c.Addrs[0], protocol.JSON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return &popSwap{t, b}
}

func (p *popSwap) send(body string) {
	p.t.Helper()
	r, err := p.c.Call(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "p", Topic: swapTopic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 1, BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: -1,
	}, []byte(body))
	if err != nil || r.Code != 0 {
		p.t.Fatalf("send: %v %+v", err, r)
	}
}

// pop pops for at most so long, until want messages came.
func (p *popSwap) pop(want int, invisible, patience time.Duration) []swapped {
	p.t.Helper()
	var out []swapped
	for end := time.Now().Add(patience); len(out) < want && time.Now().Before(end); {
		now := time.Now().UnixMilli()
		r, err := p.c.Call(protocol.ReqPopMessage, &protocol.PopMessageRequestHeader{
			ConsumerGroup: swapGroup, Topic: swapTopic, QueueID: -1, MaxMsgNums: 32, InvisibleTime: invisible.Milliseconds(), PollTime: 1000,
			BornTime: now, ExpressionType: "TAG", Expression: "*",
		}, nil)
		if err != nil {
			p.t.Fatal(err)
		}
		if r.Code != 0 {
			continue
		}
		field := func(key string) string { v, _ := r.Fields.Get(key); return string(v) }
		start := ""
		for s := range strings.SplitSeq(field("startOffsetInfo"), ";") {
			if f := strings.Fields(s); len(f) == 3 && f[0] == "0" {
				start = f[2]
			}
		}
		for rest := r.Body; len(rest) > 0; {
			var m record.Message
			n, err := record.Decode(rest, &m, true)
			if err != nil {
				p.t.Fatal(err)
			}
			rest = rest[n:]
			s := swapped{string(m.Body), protocol.AckMessageRequestHeader{
				ConsumerGroup: swapGroup, Topic: swapTopic, QueueID: m.QueueID, Offset: int64(m.Index),
				ExtraInfo: fmt.Sprintf("%s %s %s %s 0 broker-a %d %d", start, field("popTime"), field("invisibleTime"), field("reviveQid"), m.QueueID, m.Index),
			}}
			if ck, ok := m.Props.Get("POP_CK"); ok {
				s.ack.ExtraInfo, s.ack.Topic = string(ck), "%RETRY%"+swapGroup+"_"+swapTopic
			}
			out = append(out, s)
		}
	}
	return out
}

func (p *popSwap) ack(list ...swapped) {
	p.t.Helper()
	for _, s := range list {
		r, err := p.c.Call(protocol.ReqAckMessage, &s.ack, nil)
		if err != nil || r.Code != 0 {
			p.t.Fatalf("ack of %s: %v %+v", s.body, err, r)
		}
	}
}

func swapBodies(list []swapped) string {
	var out []string
	for _, s := range list {
		out = append(out, s.body)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestPopStoreSwap takes what is popped from Java to us and back: what was acknowledged to Java does not come again here, what was
// not does, handles of Java are good here, and Java goes on with all that is not acknowledged.
func TestPopStoreSwap(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, java55)
	dir := t.TempDir()
	java := target.New(t, target.Options{Kind: target.Java, Set: java55, Dir: dir, Heap: "512m"})
	registered(t, java, "TBW102")
	p := swapClient(t, java)
	if err := p.c.CreateTopic(swapTopic, 1); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		p.send(fmt.Sprintf("m%d", i))
	}
	list := p.pop(6, 45*time.Second, 30*time.Second) // longer than the change to ours takes on a busy machine
	if swapBodies(list) != "m0 m1 m2 m3 m4 m5" {
		t.Fatalf("Java: %v", list)
	}
	p.ack(list[0], list[3])
	time.Sleep(6 * time.Second) // Java writes its positions every 5 s
	if err := java.Brokers[0].Stop(60 * time.Second); err != nil {
		t.Fatal(err)
	}
	java.Namesrv.Kill()

	ours := newCluster(t, target.Options{Kind: target.Ours, Dir: dir})
	registered(t, ours, swapTopic)
	p = swapClient(t, ours)
	p.ack(list[1]) // a handle of Java, whose checkpoint still is in a timer
	p.send("m6")
	if got := swapBodies(p.pop(1, time.Hour, 15*time.Second)); got != "m6" {
		t.Errorf("new here: %s", got)
	}
	again := p.pop(3, time.Hour, 120*time.Second)
	if got := swapBodies(again); got != "m2 m4 m5" {
		t.Errorf("again here: %s", got)
	}
	if rest := p.pop(1, time.Hour, 8*time.Second); len(rest) != 0 {
		t.Errorf("too much here: %v", rest)
	}
	p.ack(again[0]) // of the retry topic; m6 and the two others stay out
	if err := ours.Brokers[0].Stop(60 * time.Second); err != nil {
		t.Fatal(err)
	}
	ours.Namesrv.Kill()

	back := target.New(t, target.Options{Kind: target.Java, Set: java55, Dir: dir, Heap: "512m"})
	registered(t, back, swapTopic)
	p = swapClient(t, back)
	var left []string
	for _, s := range again[1:] {
		left = append(left, s.body)
	}
	left = append(left, "m6")
	slices.Sort(left)
	got := swapBodies(p.pop(len(left), time.Hour, 90*time.Second))
	for _, body := range left {
		if !strings.Contains(got, body) {
			t.Errorf("Java lacks %s: %s", body, got)
		}
	}
}
