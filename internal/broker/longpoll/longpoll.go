package longpoll

import (
	"context"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

const shardCount = 64

// Options sizes a Table. The zero value works.
type Options struct {
	Workers int // goroutines that run Wake; 0 = 4
	// SkipDelay is how long a request stays parked after a message passed by that its filter refused. The client
	// then learns the new position, so that its progress can be seen. 0 = 5 s, as Java's scan.
	SkipDelay time.Duration
}

// Table holds all parked requests of a broker.
type Table struct {
	o      Options
	seed   maphash.Seed
	shards [shardCount]shard
	parked atomic.Int64
	clock
}

// key names a queue.
type key struct {
	topic string
	queue int32
}

type shard struct {
	count  atomic.Int32 // waiters in here; read without the lock
	mu     sync.Mutex
	queues map[key]*entry // first of each queue's list
	heap   deadlines
	closed bool
}

// entry is what the table knows of one waiter. It is kept in Waiter.Link and used again when the waiter parks again.
type entry struct {
	w          *mq.Waiter
	prev, next *entry // list of the queue while parked; next alone links the ready queue
	deadline   int64
	pos        int32  // in the heap
	turn       uint32 // how often it was parked: tells one stay from the next
	skipped    bool   // a message that did not match has passed by

	list, woken *fifoList // of a Fifo: where it is parked, and whose turn of waking it has
}

// New returns an empty table. Nothing wakes before Run is called.
func New(o Options) *Table {
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.SkipDelay <= 0 {
		o.SkipDelay = 5 * time.Second
	}
	t := &Table{o: o, seed: maphash.MakeSeed()}
	t.init()
	for i := range t.shards {
		t.shards[i].queues = make(map[key]*entry)
	}
	return t
}

// Parked is the number of requests that wait now.
func (t *Table) Parked() int { return int(t.parked.Load()) }

func (t *Table) shard(topic string, queue int32) *shard {
	h := maphash.String(t.seed, topic) + uint64(uint32(queue))*0x9e3779b97f4a7c15
	return &t.shards[(h>>32)%shardCount]
}

// End knows the index behind the last message of a queue that can be read.
type End interface{ Max() mq.Index }

// Park keeps w until a message at or after w.From arrives, its deadline passes or Run ends. queue is asked for its end
// after w can be found by Arrived; nil means that only the deadline counts. Park returns false, and never calls Wake,
// when the queue already reaches beyond w.From or the table is closed.
func (t *Table) Park(w *mq.Waiter, queue End) bool {
	e, _ := w.Link.(*entry)
	if e == nil {
		e = new(entry)
		w.Link = e
	}
	deadline := int64(w.Deadline.Sub(t.epoch))
	s := t.shard(w.Topic, w.QueueID)
	k := key{w.Topic, w.QueueID}

	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	from := w.From // w is not ours any more once the lock is free
	e.w, e.deadline, e.skipped = w, deadline, false
	e.turn++
	turn := e.turn
	t.linkLocked(s, k, e)
	s.mu.Unlock()

	if queue != nil && queue.Max() > from {
		return !t.takeBack(s, k, e, turn) // the dispatcher may have been faster: then Wake comes or came
	}
	t.watch(deadline)
	return true
}

// takeBack removes e if it still is parked since that turn. It may have been woken, and even be parked again on another
// queue, so only its presence in this queue's list makes it safe to look at.
func (t *Table) takeBack(s *shard, k key, e *entry, turn uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := s.queues[k]; x != nil; x = x.next {
		if x == e {
			if e.turn != turn {
				return false
			}
			t.removeLocked(s, e)
			e.w = nil
			return true
		}
	}
	return false
}

// Arrived tells that the message at index at of a queue can be read now and has this tags hash and these properties. The
// dispatcher calls it for each message, so it is cheap when nobody waits. topic and props may be borrowed.
func (t *Table) Arrived(topic string, queue int32, at mq.Index, tagsCode int64, props record.Props) {
	s := t.shard(topic, queue)
	if s.count.Load() == 0 {
		return
	}
	var woken chain
	s.mu.Lock()
	for e := s.queues[key{topic, queue}]; e != nil; {
		following := e.next
		switch {
		case at < e.w.From:
		case (e.w.Match == nil || e.w.Match(tagsCode)) && (e.w.Props == nil || e.w.Props(props)):
			t.removeLocked(s, e)
			woken.add(e)
		case !e.skipped:
			e.skipped = true
			if d := t.now() + int64(t.o.SkipDelay); d < e.deadline {
				e.deadline = d
				s.heap.fix(e)
				t.watch(d)
			}
		}
		e = following
	}
	s.mu.Unlock()
	t.ready.push(woken)
}

// WakeTopic wakes everybody who waits on a queue of a topic: the topic is gone or has changed.
func (t *Table) WakeTopic(topic string) {
	for i := range t.shards {
		t.wakeIf(&t.shards[i], func(k key) bool { return k.topic == topic })
	}
}

func (t *Table) wakeIf(s *shard, want func(key) bool) {
	var woken chain
	s.mu.Lock()
	for k, e := range s.queues {
		if !want(k) {
			continue
		}
		for e != nil {
			following := e.next
			t.removeLocked(s, e)
			woken.add(e)
			e = following
		}
	}
	s.mu.Unlock()
	t.ready.push(woken)
}

func (t *Table) linkLocked(s *shard, k key, e *entry) {
	s.count.Add(1)
	t.parked.Add(1)
	head := s.queues[k]
	e.prev, e.next = nil, head
	if head != nil {
		head.prev = e
	}
	s.queues[k] = e
	s.heap.push(e)
}

// removeLocked takes e out of its list and heap. The caller owns it then.
func (t *Table) removeLocked(s *shard, e *entry) {
	if e.next != nil {
		e.next.prev = e.prev
	}
	switch {
	case e.prev != nil:
		e.prev.next = e.next
	case e.next != nil:
		s.queues[key{e.w.Topic, e.w.QueueID}] = e.next
	default:
		delete(s.queues, key{e.w.Topic, e.w.QueueID})
	}
	s.heap.remove(e)
	e.prev, e.next = nil, nil
	s.count.Add(-1)
	t.parked.Add(-1)
}

// Run watches the deadlines and runs the callbacks until ctx ends; then it wakes everybody who still waits, refuses
// new ones, and returns when the last callback did.
func (t *Table) Run(ctx context.Context) error {
	t.run(ctx, t.o.Workers, t.expire, func() {
		for i := range t.shards {
			s := &t.shards[i]
			s.mu.Lock()
			s.closed = true
			s.mu.Unlock()
			t.wakeIf(s, func(key) bool { return true })
		}
	})
	return nil
}

// expire wakes who is due and returns the earliest deadline that is left.
func (t *Table) expire(now int64) int64 {
	earliest := int64(math.MaxInt64)
	for i := range t.shards {
		s := &t.shards[i]
		if s.count.Load() == 0 {
			continue
		}
		var woken chain
		s.mu.Lock()
		for len(s.heap) > 0 && s.heap[0].deadline <= now {
			e := s.heap[0]
			t.removeLocked(s, e)
			woken.add(e)
		}
		if len(s.heap) > 0 {
			earliest = min(earliest, s.heap[0].deadline)
		}
		s.mu.Unlock()
		t.ready.push(woken)
	}
	return earliest
}
