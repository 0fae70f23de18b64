package sim

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/node"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
)

// ack is a message that a broker has acknowledged.
type ack struct {
	number     int64
	queue      int
	index      int64
	offset     int64      // in the log
	broker     netip.Addr // that said so
	asked, got int64      // when, by the fleet's count of events: what was got before another was asked happened before
	sent       time.Time
	heard      time.Time
}

// ledger is what clients were told.
type ledger struct {
	events *atomic.Int64

	book       *sync.Mutex // guards what follows
	issued     [queues]int64
	acks       []ack
	seen       [queues]map[int64]int64 // index -> number, by consumers, where the mode promises that it stays
	marks      [queues]positions
	reads      int
	lost       int // acknowledged and not there, where the mode allows it
	epochCount int
	floors     int // positions that were held against brokers later
}

// positions is what is known of the position of a queue's consumer.
type positions struct {
	last    int64            // that a broker has taken
	floor   int64            // a calm has passed since this was the position: no broker may forget it
	within  map[tenure]int64 // by who was the master then
	unknown bool             // a position was sent and not answered since the last calm: it may come late
}

// tenure is one broker in one epoch in one process.
type tenure struct {
	n     *node.Node
	epoch int32
}

func newLedger() ledger {
	l := ledger{events: new(atomic.Int64), book: new(sync.Mutex)}
	for q := range queues {
		l.seen[q] = map[int64]int64{}
		l.marks[q].within = map[tenure]int64{}
	}
	return l
}

// client is a process on one of the clients' hosts.
type client struct {
	f    *fleet
	rng  *rand.Rand
	host string
	c    *remoting.Client
	addr string // of the broker that it uses
}

func (f *fleet) newClient(host string) *client {
	return &client{
		f: f, rng: rand.New(rand.NewPCG(f.rng.Uint64(), 1)), host: host,
		c: remoting.NewClient(remoting.ClientOptions{Dial: f.net.Host(host).Dial, DialTimeout: 500 * time.Millisecond}),
	}
}

// pause returns false when ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (k *client) call(ctx context.Context, code int32, h remoting.HeaderAppender, body []byte, wait time.Duration) (*remoting.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return k.c.Invoke(ctx, k.addr, &remoting.Command{Code: code, Header: h, Body: body})
}

// look finds a broker: the one that a name server names as the master, or now and then any, as a client with an old route does.
func (k *client) look(ctx context.Context, any bool) {
	f := k.f
	if any && k.rng.IntN(3) == 0 {
		k.addr = f.brokers[k.rng.IntN(len(f.brokers))].addr()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := bench.RouteOf(ctx, f.net.Host(k.host).Dial, f.names[k.rng.IntN(len(f.names))].addr(), topic)
	if err == nil && len(r.Write) > 0 {
		k.addr = r.Write[0].Addr
	}
}

// produce sends numbers to a queue. A number is sent once; what is not acknowledged may be there or not.
func (k *client) produce(ctx context.Context, q int) {
	f := k.f
	defer k.c.Close()
	for pause(ctx, time.Duration(10+k.rng.IntN(120))*time.Millisecond) {
		if k.addr == "" {
			k.look(ctx, true)
			continue
		}
		f.book.Lock()
		n := f.issued[q]
		f.issued[q]++
		f.book.Unlock()
		h := protocol.SendMessageRequestHeaderV2{
			ProducerGroup: "sim", Topic: topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: int32(q), BornTimestamp: time.Now().UnixMilli(),
			MaxReconsumeTimes: -1, Properties: "KEYS\x01k\x02",
		}
		a := ack{number: n, queue: q, asked: f.events.Add(1), sent: time.Now()}
		r, err := k.call(ctx, protocol.ReqSendMessageV2, &h, binary.BigEndian.AppendUint64(make([]byte, 0, 64), uint64(n)), 2*time.Second)
		if err != nil || r.Code != protocol.RespSuccess {
			if err != nil {
				f.note("message %d of queue %d to %s: %v", n, q, k.addr, err)
			} else {
				f.note("message %d of queue %d to %s: %d %s", n, q, k.addr, r.Code, r.Remark)
			}
			k.addr = ""
			continue
		}
		a.got, a.heard = f.events.Add(1), time.Now()
		var rh protocol.SendMessageResponseHeader
		if err := rh.Decode(r.Fields); err != nil {
			f.Errorf("answer to a send: %v", err)
			return
		}
		id, err := hex.DecodeString(rh.MsgID)
		if err != nil || len(id) != 16 {
			f.Errorf("message id %q", rh.MsgID)
			return
		}
		a.index, a.broker, a.offset = rh.QueueOffset, netip.AddrFrom4([4]byte(id)), int64(binary.BigEndian.Uint64(id[8:]))
		f.book.Lock()
		f.acks = append(f.acks, a)
		f.book.Unlock()
	}
}

// losePositions is called when a disk has lost what was not synced: positions are not waited for.
func (f *fleet) losePositions() {
	f.loss.Add(1)
	f.book.Lock()
	defer f.book.Unlock()
	for q := range queues {
		f.marks[q].floor, f.marks[q].last = 0, -1
		clear(f.marks[q].within)
	}
}

func (f *fleet) acknowledged() int {
	f.book.Lock()
	defer f.book.Unlock()
	return len(f.acks)
}

// pull reads some messages of queue q from at on, and returns where to go on; at when there is nothing or the broker does not answer.
func (k *client) pull(ctx context.Context, q int, at int64, wait bool) (next int64, ok bool) {
	h := protocol.PullMessageRequestHeader{
		ConsumerGroup: group, Topic: topic, QueueID: int32(q), QueueOffset: at, MaxMsgNums: 32, SysFlag: 4, Subscription: "*", ExpressionType: "TAG", RequestSource: -1,
	}
	if wait {
		h.SysFlag, h.SuspendTimeoutMillis = 6, 1000
	}
	r, err := k.call(ctx, protocol.ReqPullMessage, &h, nil, 3*time.Second)
	if err != nil {
		return at, false
	}
	for b := r.Body; r.Code == protocol.RespSuccess && len(b) > 0; {
		var m record.Message
		n, err := record.Decode(b, &m, true)
		if err != nil {
			k.f.Errorf("a pull at %d of queue %d of %s: bad bytes: %v", at, q, k.addr, err)
			return at, false
		}
		k.f.saw(k.addr, q, int64(m.Index), int64(binary.BigEndian.Uint64(m.Body)))
		b = b[n:]
		next = int64(m.Index) + 1
	}
	switch r.Code {
	case protocol.RespSuccess:
		return next, true
	case protocol.RespPullNotFound:
		return at, true
	}
	return at, false // a slave sends its readers to the master: RespPullRetryImmediately
}

// saw notes what a reader got, from a master or from a slave.
func (f *fleet) saw(addr string, q int, index, number int64) {
	f.book.Lock()
	defer f.book.Unlock()
	f.reads++
	if number < 0 || number >= f.issued[q] {
		f.Errorf("%s shows message %d at index %d of queue %d, which was never sent", addr, number, index, q)
	}
	if !f.mode.confirmed {
		return
	}
	if had, ok := f.seen[q][index]; ok && had != number {
		f.Errorf("%s shows message %d at index %d of queue %d, a reader saw %d there", addr, number, index, q, had)
	}
	f.seen[q][index] = number
}

// read pulls anywhere from anybody, slaves too.
func (k *client) read(ctx context.Context) {
	defer k.c.Close()
	for pause(ctx, time.Duration(100+k.rng.IntN(500))*time.Millisecond) {
		k.addr = k.f.brokers[k.rng.IntN(len(k.f.brokers))].addr()
		q := k.rng.IntN(queues)
		k.f.book.Lock()
		most := k.f.issued[q]
		k.f.book.Unlock()
		k.pull(ctx, q, max(0, most-k.rng.Int64N(200)), false)
	}
}

// tenure is who the broker at addr is now; zero when it is no master.
func (f *fleet) tenure(addr string) (t tenure) {
	for _, m := range f.brokers {
		if n := m.running(); n != nil && m.addr() == addr {
			if r := n.Role(); r.Kind == node.SyncMaster {
				t = tenure{n, r.Epoch}
			}
		}
	}
	return t
}

// consume reads queue q from the master and commits what it has read. It goes on at the committed position whenever it finds
// another broker.
func (k *client) consume(ctx context.Context, q int) {
	defer k.c.Close()
	for pause(ctx, 200*time.Millisecond) {
		if k.look(ctx, false); k.addr == "" {
			continue
		}
		at, ok := k.position(ctx, q)
		for route := time.Now(); ok && pause(ctx, time.Millisecond); { // the way there and back takes some time
			if was := k.addr; time.Since(route) > 5*time.Second {
				if k.look(ctx, false); k.addr != was {
					break
				}
				route = time.Now()
			}
			var next int64
			if next, ok = k.pull(ctx, q, at, true); ok && next > at {
				at = next
				ok = k.commit(ctx, q, at)
			}
		}
	}
}

// position asks where the consumer of queue q is.
func (k *client) position(ctx context.Context, q int) (int64, bool) {
	f := k.f
	lost, who := f.loss.Load(), f.tenure(k.addr)
	f.book.Lock()
	p := f.marks[q]
	least := p.within[who]
	f.book.Unlock()
	r, err := k.call(ctx, protocol.ReqQueryConsumerOffset, &protocol.QueryConsumerOffsetRequestHeader{ConsumerGroup: group, Topic: topic, QueueID: int32(q)}, nil, 2*time.Second)
	var h protocol.QueryConsumerOffsetResponseHeader
	switch {
	case err != nil:
		return 0, false
	case r.Code == protocol.RespQueryNotFound: // nobody has committed
	case r.Code != protocol.RespSuccess:
		return 0, false
	default:
		if err := h.Decode(r.Fields); err != nil {
			f.Errorf("answer to a question for a position: %v", err)
			return 0, false
		}
	}
	at := h.Offset
	f.book.Lock()
	defer f.book.Unlock()
	if lost != f.loss.Load() || p.unknown || f.marks[q].unknown || who.n == nil || who != f.tenure(k.addr) {
		return at, true // what a slave says does not count: it may be one that has just had its log cut
	}
	if at < p.floor {
		f.Errorf("queue %d: the master %s knows position %d of the consumer, and %d was known when all brokers were in sync", q, k.addr, at, p.floor)
	}
	if at < least {
		f.Errorf("queue %d: the master %s knows position %d of the consumer, it had acknowledged %d in the same epoch", q, k.addr, at, least)
	}
	return at, true
}

func (k *client) commit(ctx context.Context, q int, at int64) bool {
	f := k.f
	lost, who := f.loss.Load(), f.tenure(k.addr)
	r, err := k.call(ctx, protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{
		ConsumerGroup: group, Topic: topic, QueueID: int32(q), CommitOffset: at,
	}, nil, 2*time.Second)
	f.book.Lock()
	defer f.book.Unlock()
	p := &f.marks[q]
	if err != nil { // it may come late, and set the position back
		p.unknown = true
		return false
	}
	if r.Code != protocol.RespSuccess || lost != f.loss.Load() {
		return false
	}
	// A slave takes positions, too, as Java's does, and they end there: clients give them to whom they know as the master.
	p.last = -1
	if who.n != nil && who == f.tenure(k.addr) {
		p.last, p.within[who] = at, at
	}
	return true
}

// settle waits until a calm has brought the positions of consumers to all brokers: within a second, by
// docs/operations/high-availability.md. Then no broker may forget them.
func (f *fleet) settle() {
	f.Helper()
	time.Sleep(3 * time.Second) // what was sent and not answered has arrived
	f.book.Lock()
	var now [queues]int64
	for q := range queues {
		f.marks[q].unknown, f.marks[q].floor = false, 0
		clear(f.marks[q].within)
		now[q] = -1
		f.marks[q].last = -1
	}
	lost := f.loss.Load()
	f.book.Unlock()
	time.Sleep(2 * time.Second) // new positions are committed
	f.book.Lock()
	for q := range queues {
		now[q] = f.marks[q].last
	}
	f.book.Unlock()
	time.Sleep(1100 * time.Millisecond)
	f.book.Lock()
	defer f.book.Unlock()
	for q := range queues {
		if now[q] > 0 && lost == f.loss.Load() {
			f.marks[q].floor = now[q]
			f.floors++
		}
	}
}
