package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
)

const slaveAddr = "127.0.0.1:10921"

// handOver makes the slave of a master the master, and the reverse, so that nothing is lost: the master stops taking messages, the
// slave gets the rest of its log.
func handOver(t *testing.T, from, to *Node, haAddr string) {
	t.Helper()
	ctx := t.Context()
	must(t, from.Become(ctx, Role{Kind: Fenced, ID: -1, Why: "it hands over"}))
	for end := from.broker.now().store.Appended(); to.broker.now().store.Appended() < end; {
		time.Sleep(time.Millisecond)
	}
	must(t, to.Become(ctx, Role{Kind: SyncMaster}))
	must(t, from.Become(ctx, Role{Kind: Slave, ID: 1, MasterHA: haAddr}))
}

func TestARoleChangesWhileTheProcessLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		set := map[string]string{"brokerRole": "SYNC_MASTER", "inSyncReplicas": "2"}
		a := w.start(w.options(set))
		b := w.slave("/slave", map[string]string{"inSyncReplicas": "2"})
		time.Sleep(15 * time.Second)
		w.roundTrip(a, "one")
		time.Sleep(15 * time.Second) // the tables
		handOver(t, a, b, "127.0.0.1:10922")
		time.Sleep(time.Second)
		if r, err := bench.RouteOf(t.Context(), w.net.Dial, nsAddr, "one"); err != nil || len(r.Write) == 0 || r.Write[0].Addr != slaveAddr {
			t.Errorf("a second after the change the route is %+v, %v", r, err)
		}
		if a.Role().Kind != Slave || b.Role().Kind != SyncMaster {
			t.Errorf("roles %v and %v", a.Role(), b.Role())
		}
		w.roundTrip(b, "two")
		if x, y := a.broker.now().store.Appended(), b.broker.now().store.Appended(); x != y {
			t.Errorf("the logs end at %d and %d", x, y)
		}
		time.Sleep(15 * time.Second)
		handOver(t, b, a, "127.0.0.1:10912")
		time.Sleep(time.Second)
		w.roundTrip(a, "three")
		must(t, b.Shutdown(t.Context()))
		must(t, a.Shutdown(t.Context()))
		w.free()
	})
}

func TestAFencedBrokerIsReadAndNotWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.start(w.options(nil))
		w.roundTrip(n, "topic")
		end := n.broker.now().store.Appended()
		must(t, n.Become(t.Context(), Role{Kind: Fenced, ID: -1, Why: "no controller has confirmed it"}))
		c := w.caller(t)
		r := c.send(brokerAddr, "topic", 0, 1)
		if r.Code != protocol.RespServiceNotAvailable || r.Remark != "service not available now. This broker takes no messages: no controller has confirmed it" {
			t.Errorf("a send is answered %d %q", r.Code, r.Remark)
		}
		if got := c.all(brokerAddr, "topic", 0); len(got) == 0 {
			t.Error("nothing can be read")
		}
		time.Sleep(time.Minute)
		if got := n.broker.now().store.Appended(); got != end {
			t.Errorf("the log ends at %d, it was %d", got, end)
		}
		if r, err := bench.RouteOf(t.Context(), w.net.Dial, nsAddr, "topic"); err == nil && len(r.Write) > 0 {
			t.Errorf("it is registered: %+v", r)
		}
		must(t, n.Become(t.Context(), Role{Kind: Master}))
		w.roundTrip(n, "again")
		must(t, n.Shutdown(t.Context()))
	})
}

// caller is a client on one connection to each broker.
type caller struct {
	t *testing.T
	c *remoting.Client
}

func (w *world) caller(t *testing.T) *caller {
	t.Helper()
	c := remoting.NewClient(remoting.ClientOptions{Dial: w.net.Dial})
	t.Cleanup(c.Close)
	return &caller{t, c}
}

func (c *caller) call(addr string, code int32, h remoting.HeaderAppender, body []byte) *remoting.Response {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r, err := c.c.Invoke(ctx, addr, &remoting.Command{Code: code, Header: h, Body: body})
	if err != nil {
		return &remoting.Response{Code: -1, Remark: err.Error()}
	}
	return r
}

func (c *caller) send(addr, topic string, queue int32, n uint64) *remoting.Response {
	h := protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "p", Topic: topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: queue, BornTimestamp: 1, MaxReconsumeTimes: -1,
	}
	return c.call(addr, protocol.ReqSendMessageV2, &h, binary.BigEndian.AppendUint64(nil, n))
}

// pull returns the messages from an index on. A long poll waits for one second.
func (c *caller) pull(addr, topic string, queue int32, from int64, wait bool) (recs []record.Message, code int32) {
	h := protocol.PullMessageRequestHeader{
		ConsumerGroup: "g_" + topic, Topic: topic, QueueID: queue, QueueOffset: from, MaxMsgNums: 32, SysFlag: 4, Subscription: "*", ExpressionType: "TAG", RequestSource: -1,
	}
	if wait {
		h.SysFlag, h.SuspendTimeoutMillis = 6, 1000
	}
	r := c.call(addr, protocol.ReqPullMessage, &h, nil)
	for b := r.Body; len(b) > 0; {
		var m record.Message
		n, err := record.Decode(b, &m, false)
		if err != nil {
			c.t.Error(err)
			break
		}
		recs, b = append(recs, m), b[n:]
	}
	return recs, r.Code
}

// all reads a queue.
func (c *caller) all(addr, topic string, queue int32) (out []record.Message) {
	for {
		recs, _ := c.pull(addr, topic, queue, int64(len(out)), false)
		if len(recs) == 0 {
			return out
		}
		out = append(out, recs...)
	}
}

// stream is a producer and a consumer of one queue, which follow the master.
type stream struct {
	master *atomic.Pointer[string]
	queue  int32
	acked  map[mq.Index]uint64 // by what the producer was told
	sent   uint64
	seen   []uint64 // by index
	lost   int
}

// produce sends numbers, each until it is acknowledged.
func (s *stream) produce(c *caller, stop <-chan struct{}) {
	for n := uint64(1); ; {
		select {
		case <-stop:
			return
		default:
		}
		r := c.send(*s.master.Load(), "load", s.queue, n)
		if r.Code != protocol.RespSuccess {
			time.Sleep(2 * time.Millisecond)
			continue
		}
		var h protocol.SendMessageResponseHeader
		if err := h.Decode(r.Fields); err != nil {
			c.t.Error(err)
		}
		if old, ok := s.acked[mq.Index(h.QueueOffset)]; ok {
			c.t.Errorf("queue %d: index %d is given to %d and to %d", s.queue, h.QueueOffset, old, n)
		}
		s.acked[mq.Index(h.QueueOffset)] = n
		s.sent = n
		n++
		time.Sleep(10 * time.Millisecond)
	}
}

// consume reads in order until it has seen the number `last` (once that is set).
func (s *stream) consume(c *caller, last *atomic.Uint64) {
	for tries := 0; ; {
		if n := last.Load(); n > 0 && (len(s.seen) > 0 && s.seen[len(s.seen)-1] >= n || tries > 100) {
			return
		}
		recs, code := c.pull(*s.master.Load(), "load", s.queue, int64(len(s.seen)), true)
		if code != protocol.RespSuccess {
			time.Sleep(2 * time.Millisecond)
			if last.Load() > 0 {
				tries++
			}
		}
		for i := range recs {
			if int64(recs[i].Index) != int64(len(s.seen)) {
				c.t.Errorf("queue %d: index %d follows %d", s.queue, recs[i].Index, len(s.seen)-1)
				return
			}
			s.seen = append(s.seen, binary.BigEndian.Uint64(recs[i].Body))
		}
	}
}

// check compares what the producer was told with what a consumer has got.
func (s *stream) check(t *testing.T) {
	t.Helper()
	for at, n := range s.acked {
		if int(at) >= len(s.seen) || s.seen[at] != n {
			s.lost++
		}
	}
	if s.lost > 0 {
		t.Errorf("queue %d: %d of %d acknowledged messages are not where they were", s.queue, s.lost, len(s.acked))
	}
	for i := 1; i < len(s.seen); i++ {
		if s.seen[i] < s.seen[i-1] || s.seen[i] > s.seen[i-1]+1 {
			t.Errorf("queue %d: %d is followed by %d", s.queue, s.seen[i-1], s.seen[i])
		}
	}
}

// load starts streams. The result ends them and checks.
func load(t *testing.T, master *atomic.Pointer[string], client func() *caller) (end func() (messages int)) {
	t.Helper()
	const queues = 4
	var producers, consumers sync.WaitGroup
	stop := make(chan struct{})
	streams := make([]*stream, queues)
	lasts := make([]atomic.Uint64, queues)
	for i := range streams {
		s := &stream{master: master, queue: int32(i), acked: map[mq.Index]uint64{}}
		streams[i] = s
		p, c := client(), client()
		producers.Go(func() { s.produce(p, stop) })
		consumers.Go(func() { s.consume(c, &lasts[i]) })
	}
	return func() int {
		close(stop)
		producers.Wait()
		for i, s := range streams {
			lasts[i].Store(max(s.sent, 1))
		}
		consumers.Wait()
		n := 0
		for _, s := range streams {
			s.check(t)
			n += len(s.acked)
		}
		return n
	}
}

// TestRolesChangeUnderLoad: two brokers take turns as the master while messages come and go.
func TestRolesChangeUnderLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		set := map[string]string{"brokerRole": "SYNC_MASTER", "inSyncReplicas": "2", "defaultTopicQueueNums": "4"}
		a := w.start(w.options(set))
		b := w.slave("/slave", map[string]string{"inSyncReplicas": "2"})
		time.Sleep(15 * time.Second)
		w.caller(t).send(brokerAddr, "load", 0, 0) // makes the topic
		time.Sleep(15 * time.Second)               // the slave has it
		addrs := [2]string{brokerAddr, slaveAddr}
		var master atomic.Pointer[string]
		master.Store(&addrs[0])
		end := load(t, &master, func() *caller { return w.caller(t) })
		nodes := [2]*Node{a, b}
		for i := range 10 {
			time.Sleep(3 * time.Second)
			from, to := i%2, 1-i%2
			handOver(t, nodes[from], nodes[to], fmt.Sprint("127.0.0.1:", 10912+10*to))
			master.Store(&addrs[to])
		}
		time.Sleep(time.Second)
		t.Logf("%d messages", end())
		must(t, b.Shutdown(t.Context()))
		must(t, a.Shutdown(t.Context()))
		w.free()
	})
}

// A slave whose log has parted from its master's goes on when its part has been cut, and one without anything in common when its
// store was put aside.
func TestASlaveLosesWhatItsMasterDoesNotHave(t *testing.T) {
	t.Parallel()
	for _, wipe := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			a := w.start(w.options(map[string]string{"brokerRole": "SYNC_MASTER"}))
			b := w.slave("/slave", nil)
			time.Sleep(15 * time.Second)
			w.roundTrip(a, "one")
			time.Sleep(15 * time.Second)
			ctx := t.Context()
			common := a.broker.now().store.Appended()
			// Both are masters for a while: what no operator should do.
			must(t, b.Become(ctx, Role{Kind: Master, ID: 1}))
			w.roundTrip(b, "theirs")
			w.roundTrip(a, "ours")
			r := Role{Kind: Slave, ID: 1, MasterHA: "127.0.0.1:10912", TruncateTo: &common}
			if wipe {
				r.TruncateTo, r.Wipe = nil, true
			}
			must(t, b.Become(ctx, r))
			w.roundTrip(a, "more")
			time.Sleep(15 * time.Second)
			x, y := a.broker.now().store, b.broker.now().store
			if x.Appended() != y.Appended() || x.Appended() == common {
				t.Errorf("wipe %v: the logs end at %d and %d\n%s", wipe, x.Appended(), y.Appended(), &w.diary)
			}
			for _, topic := range []string{"one", "ours", "more", "theirs"} {
				for q := range int32(4) {
					if i, j := x.Queue(topic, q).Max(), y.Queue(topic, q).Max(); i != j {
						t.Errorf("wipe %v: %s/%d ends at %d and %d", wipe, topic, q, i, j)
					}
				}
			}
			must(t, b.Shutdown(ctx))
			must(t, a.Shutdown(ctx))
		})
	}
}
