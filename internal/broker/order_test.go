package broker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/broker/rebalance"
	"github.com/cometmq/cometmq/internal/mq"
)

// Times of Java's orderly consumer.
const (
	lockEvery      = 20 * time.Second // locks are renewed
	lockTrusted    = 30 * time.Second // after that without a renewal it does not consume
	rebalanceEvery = 20 * time.Second
	commitEvery    = 5 * time.Second
	heartbeatEvery = 30 * time.Second
)

// history is what happened in each queue of a topic, checked while it happens.
type history struct {
	t *testing.T

	mu      sync.Mutex // guards what follows
	next    map[int32]int
	inside  map[int32]string
	again   int
	skipped int
	shared  int
}

func (h *history) enter(queue int32, client string, number int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if other := h.inside[queue]; other != "" {
		h.shared++
		h.t.Errorf("%s has message %d of queue %d while %s is in it", client, number, queue, other)
	}
	h.inside[queue] = client
	switch want := h.next[queue]; {
	case number > want:
		h.skipped++
		h.t.Errorf("%s has message %d of queue %d before %d", client, number, queue, want)
	case number < want:
		h.again++
	default:
		h.next[queue]++
	}
}

func (h *history) leave(queue int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inside[queue] = ""
}

func (h *history) consumed() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.next {
		n += k
	}
	return n
}

// orderly is a consumer as Java's ConsumeMessageOrderlyService and RebalanceImpl behave together. It is one goroutine.
type orderly struct {
	mq.Peer // what is not overridden is not called here
	r       *rig
	h       *history
	id      string
	rnd     *rand.Rand
	changed chan struct{}
	session *mq.Session
	queues  map[int32]*owned
}

type owned struct {
	next, committed mq.Index
	lockedAt        time.Time
}

func (c *orderly) ConsumerIDsChanged(string) {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func (c *orderly) Close() {}

func (c *orderly) beat() {
	_, err := c.r.Heartbeat(context.Background(), c.session, &mq.Heartbeat{Consumers: []mq.ConsumerData{{
		Group: "g", Type: mq.ConsumePassively, FromWhere: "CONSUME_FROM_FIRST_OFFSET", Subscriptions: []mq.Subscription{{Topic: "T", Expression: "*", Version: 1}},
	}}})
	must(c.r.t, err)
}

func (c *orderly) lockRequest(ids ...int32) *mq.LockRequest {
	q := &mq.LockRequest{Group: "g", ClientID: c.id}
	for _, id := range ids {
		q.Queues = append(q.Queues, mq.Queue{Topic: "T", Broker: "broker-a", ID: id})
	}
	return q
}

// lock asks for queues and says which of them it has.
func (c *orderly) lock(ids ...int32) map[int32]bool {
	got, err := c.r.Lock(context.Background(), c.lockRequest(ids...))
	must(c.r.t, err)
	out := map[int32]bool{}
	for _, q := range got {
		out[q.ID] = true
	}
	return out
}

func (c *orderly) commit() {
	for id, q := range c.queues {
		if q.committed != q.next {
			must(c.r.t, c.r.CommitIndex(context.Background(), "g", "T", id, q.next))
			q.committed = q.next
		}
	}
}

func (c *orderly) rebalance() {
	members, err := c.r.Members(context.Background(), "g")
	if err != nil {
		return
	}
	var all []mq.Queue
	for id := range int32(orderQueues) {
		all = append(all, mq.Queue{Topic: "T", Broker: "broker-a", ID: id})
	}
	mine, _ := rebalance.Allocate(rebalance.Average, c.id, all, members)
	keep := map[int32]bool{}
	for _, q := range mine {
		keep[q.ID] = true
	}
	c.commit()
	for id := range c.queues {
		if !keep[id] {
			must(c.r.t, c.r.Unlock(context.Background(), c.lockRequest(id)))
			delete(c.queues, id)
		}
	}
	for id := range keep {
		if c.queues[id] != nil || !c.lock(id)[id] {
			continue
		}
		at, err := c.r.QueryIndex(context.Background(), "g", "T", id, true)
		if mq.KindOf(err) == mq.KindQueryNotFound {
			at, err = 0, nil
		}
		must(c.r.t, err)
		c.queues[id] = &owned{next: at, committed: at, lockedAt: time.Now()}
	}
}

func (c *orderly) renew() {
	ids := make([]int32, 0, len(c.queues))
	for id := range c.queues {
		ids = append(ids, id)
	}
	got := c.lock(ids...)
	for id, q := range c.queues {
		if got[id] {
			q.lockedAt = time.Now()
		} else {
			q.lockedAt = time.Time{}
		}
	}
}

// consume takes some messages of a queue, if the consumer trusts its lock.
func (c *orderly) consume(id int32, q *owned) {
	req := pull("T", id, q.next)
	req.MaxMessages = 1 + c.rnd.Int32N(4)
	f, err := c.r.Pull(context.Background(), req, nil)
	must(c.r.t, err)
	if f.Status == mq.FetchOffsetTooSmall || f.Status == mq.FetchOffsetOverflowBadly {
		c.r.t.Errorf("%s pulled queue %d at %d: %v", c.id, id, q.next, f.Status)
	}
	for _, m := range messages(c.r.t, f.Records) {
		if time.Since(q.lockedAt) > lockTrusted {
			return
		}
		n, err := strconv.Atoi(string(m.Body))
		must(c.r.t, err)
		c.h.enter(id, c.id, n)
		time.Sleep(time.Duration(c.rnd.IntN(30)) * time.Millisecond)
		c.h.leave(id)
		q.next = m.Index + 1
	}
}

// How a consumer ends.
const (
	leaves  = iota // commits, unlocks, unregisters
	crashes        // its connection is gone
	stalls         // does nothing for a while and goes on
	kinds
)

// run lives for a while and ends in one way.
func (c *orderly) run(until time.Time, end int) {
	c.session = &mq.Session{ClientID: c.id, Language: "JAVA", Peer: c}
	c.beat()
	due := map[*time.Time]time.Duration{}
	var beat, lock, balance, commit time.Time
	due[&beat], due[&lock], due[&balance], due[&commit] = heartbeatEvery, lockEvery, rebalanceEvery, commitEvery
	is := func(t *time.Time) bool {
		if time.Since(*t) < due[t] {
			return false
		}
		*t = time.Now()
		return true
	}
	stalled := false
	for time.Now().Before(until) {
		select {
		case <-c.changed:
			balance = time.Time{}
		case <-time.After(100 * time.Millisecond):
		}
		if is(&beat) {
			c.beat()
		}
		if is(&balance) {
			c.rebalance()
		}
		if is(&lock) {
			c.renew()
		}
		if is(&commit) {
			c.commit()
		}
		for id, q := range c.queues {
			c.consume(id, q)
		}
		if end == stalls && !stalled && time.Until(until) < 2*time.Minute {
			stalled = true
			time.Sleep(time.Duration(20+c.rnd.IntN(80)) * time.Second)
		}
	}
	if end == leaves || end == stalls {
		c.commit()
		for id := range c.queues {
			must(c.r.t, c.r.Unlock(context.Background(), c.lockRequest(id)))
		}
		c.r.Leave(context.Background(), c.session, "", "g")
	}
	c.r.Detach(c.session)
}

const orderQueues = 8

// TestOrderIsKeptWhileConsumersComeAndGo runs orderly consumers against the broker for a quarter of an hour: they join, leave,
// crash with their locks in hand, and stall longer than a lock lives.
func TestOrderIsKeptWhileConsumersComeAndGo(t *testing.T) {
	for _, tc := range []struct {
		members int
		ends    int // kinds of ends that happen
	}{{1, kinds}, {10, 1}, {10, kinds}} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%d members, %d kinds of ends, seed %d", tc.members, tc.ends, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := start(t)
					r.topic("T", orderQueues)
					must(t, r.PutGroup(t.Context(), mq.DefaultGroupConfig("g")))
					h := &history{t: t, next: map[int32]int{}, inside: map[int32]string{}}
					begin := time.Now()
					stop := begin.Add(15 * time.Minute)
					var wg sync.WaitGroup
					sent := 0
					wg.Go(func() {
						for n := 0; time.Now().Before(stop.Add(-5 * time.Minute)); n++ {
							for id := range int32(orderQueues) {
								r.put(message("T", id, strconv.Itoa(n)))
								sent++
							}
							time.Sleep(500 * time.Millisecond)
						}
					})
					for slot := range tc.members {
						wg.Go(func() {
							rnd := rand.New(rand.NewPCG(seed, uint64(slot)))
							time.Sleep(time.Duration(rnd.IntN(60)) * time.Second)
							for life := 0; time.Now().Before(stop); life++ {
								c := &orderly{
									r: r, h: h, id: fmt.Sprintf("c%d-%d", slot, life), rnd: rnd, changed: make(chan struct{}, 1), queues: map[int32]*owned{},
								}
								until, end := time.Now().Add(time.Duration(30+rnd.IntN(180))*time.Second), rnd.IntN(tc.ends)
								if time.Until(stop) < 4*time.Minute || until.After(stop) {
									until, end = stop, leaves // the rest is consumed in peace
								}
								c.run(until, end)
								time.Sleep(time.Duration(rnd.IntN(20)) * time.Second)
							}
						})
					}
					wg.Wait()
					if got := h.consumed(); got != sent {
						t.Errorf("%d of %d messages consumed", got, sent)
					}
					if tc.ends == 1 && h.again != 0 {
						t.Errorf("%d messages again although nobody crashed", h.again)
					}
					t.Logf("%d messages, %d again", sent, h.again)
				})
			})
		}
	}
}
