package longpoll

import (
	"context"
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// AnyQueue is the queue id of requests that take messages of any queue of their topic.
const AnyQueue = -1

const fifoShards = 16

// Fifo holds requests of which one at a time is woken: pops. Waiters of one group, topic and queue form a list, first in, first
// out. A message wakes the first one whose filter takes it; until that one has done its work, what arrives wakes nobody else of
// the list but is remembered, because the first takes many at once. So a burst of messages does not wake a crowd of which most
// find nothing, and still nobody sleeps while there is work.
type Fifo struct {
	o      FifoOptions
	seed   maphash.Seed
	shards [fifoShards]fifoShard
	parked atomic.Int64

	aliasMu sync.Mutex // held while aliases change
	aliases atomic.Pointer[map[string][]alias]

	clock
}

// FifoOptions sizes a Fifo. The zero value works.
type FifoOptions struct {
	Workers int // goroutines that run Wake; 0 = 4
	PerList int // popPollingSize, 0 = 1024
	Most    int // maxPopPollingSize, 0 = 100,000
}

// alias says that messages of a topic are for one group of another topic.
type alias struct{ group, topic string }

type fifoShard struct {
	count  atomic.Int32
	mu     sync.Mutex // guards the fields below
	topics map[string]map[string]*fifoGroup
	heap   deadlines
	closed bool
}

type fifoGroup struct{ lists map[int32]*fifoList }

type fifoList struct {
	s           *fifoShard
	topic       string
	group       string
	queue       int32
	first, last *entry
	n           int
	waking      bool // one was woken and has not finished
	missed      bool // something came meanwhile
}

// maxTried is how many waiters of a list are asked whether they want a message.
const maxTried = 16

// NewFifo returns an empty table.
func NewFifo(o FifoOptions) *Fifo {
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.PerList <= 0 {
		o.PerList = 1024
	}
	if o.Most <= 0 {
		o.Most = 100_000
	}
	t := &Fifo{o: o, seed: maphash.MakeSeed()}
	t.init()
	t.ready.after = t.finished
	t.aliases.Store(&map[string][]alias{})
	for i := range t.shards {
		t.shards[i].topics = make(map[string]map[string]*fifoGroup)
	}
	return t
}

func (t *Fifo) shard(topic string) *fifoShard {
	return &t.shards[maphash.String(t.seed, topic)%fifoShards]
}

// Alias makes messages of the topic called from wake the requests of group in topic.
func (t *Fifo) Alias(from, group, topic string) {
	t.aliasMu.Lock()
	defer t.aliasMu.Unlock()
	old := *t.aliases.Load()
	a := alias{group, topic}
	if slices.Contains(old[from], a) {
		return
	}
	next := make(map[string][]alias, len(old)+1)
	maps.Copy(next, old)
	next[from] = append(append([]alias(nil), old[from]...), a)
	t.aliases.Store(&next)
}

// Park keeps w until it is woken or its deadline passes. something is asked after w can be found; when there is something already, or
// there are too many, w is not kept and Wake is never called.
func (t *Fifo) Park(w *mq.Waiter, something func() bool) mq.PopPark {
	e, _ := w.Link.(*entry)
	if e == nil {
		e = new(entry)
		w.Link = e
	}
	deadline := int64(w.Deadline.Sub(t.epoch))
	s := t.shard(w.Topic)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return mq.PopTimeout
	}
	l := s.listLocked(w.Topic, w.Group, w.QueueID)
	if l.n >= t.o.PerList {
		gone := t.sweepLocked(l)
		defer t.ready.push(gone)
		l = s.listLocked(w.Topic, w.Group, w.QueueID)
	}
	if l.n >= t.o.PerList || t.parked.Load() >= int64(t.o.Most) {
		s.dropLocked(l)
		s.mu.Unlock()
		return mq.PopFull
	}
	e.w, e.deadline, e.woken, e.list = w, deadline, nil, l
	e.turn++
	turn := e.turn
	t.linkLocked(s, l, e)
	s.mu.Unlock()
	if something() {
		s.mu.Lock()
		mine := l.holds(e) && e.turn == turn // e may be parked elsewhere already: it is ours to look at only when it is here
		if mine {
			t.unlinkLocked(s, e)
			e.w = nil
		}
		s.mu.Unlock()
		if mine {
			return mq.PopAgain
		}
		return mq.PopParked
	}
	t.watch(deadline)
	return mq.PopParked
}

// sweepLocked takes those out of a list who are gone. The list may be forgotten then.
func (t *Fifo) sweepLocked(l *fifoList) (gone chain) {
	for e, next := l.first, (*entry)(nil); e != nil; e = next {
		if next = e.next; e.w.Gone != nil && e.w.Gone() {
			e.woken = nil
			t.unlinkLocked(l.s, e)
			gone.add(e)
		}
	}
	return gone
}

func (l *fifoList) holds(e *entry) bool {
	for x := l.first; x != nil; x = x.next {
		if x == e {
			return true
		}
	}
	return false
}

func (s *fifoShard) listLocked(topic, group string, queue int32) *fifoList {
	groups := s.topics[topic]
	if groups == nil {
		groups = make(map[string]*fifoGroup)
		s.topics[topic] = groups
	}
	g := groups[group]
	if g == nil {
		g = &fifoGroup{lists: make(map[int32]*fifoList)}
		groups[group] = g
	}
	l := g.lists[queue]
	if l == nil {
		l = &fifoList{s: s, topic: topic, group: group, queue: queue}
		g.lists[queue] = l
	}
	return l
}

// dropLocked forgets a list that is not needed.
func (s *fifoShard) dropLocked(l *fifoList) {
	if l.n > 0 || l.waking {
		return
	}
	g := s.topics[l.topic][l.group]
	if g == nil || g.lists[l.queue] != l {
		return
	}
	delete(g.lists, l.queue)
	if len(g.lists) == 0 {
		delete(s.topics[l.topic], l.group)
	}
	if len(s.topics[l.topic]) == 0 {
		delete(s.topics, l.topic)
	}
}

func (t *Fifo) linkLocked(s *fifoShard, l *fifoList, e *entry) {
	e.prev, e.next = l.last, nil
	if l.last != nil {
		l.last.next = e
	} else {
		l.first = e
	}
	l.last = e
	l.n++
	s.count.Add(1)
	t.parked.Add(1)
	s.heap.push(e)
}

func (t *Fifo) unlinkLocked(s *fifoShard, e *entry) {
	l := e.list
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		l.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		l.last = e.prev
	}
	e.prev, e.next, e.list = nil, nil, nil
	l.n--
	s.count.Add(-1)
	t.parked.Add(-1)
	s.heap.remove(e)
	s.dropLocked(l)
}

// Parked is the number of requests that wait now.
func (t *Fifo) Parked() int { return int(t.parked.Load()) }

// Waiting is how many requests of a group wait on one queue, or on any for AnyQueue.
func (t *Fifo) Waiting(topic, group string, queue int32) int {
	s := t.shard(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.topics[topic][group]; g != nil {
		if l := g.lists[queue]; l != nil {
			return l.n
		}
	}
	return 0
}

// Arrived tells that a message of a queue can be read now. topic may be borrowed.
func (t *Fifo) Arrived(topic string, queue int32, tagsCode int64, props record.Props) {
	if t.parked.Load() == 0 {
		return
	}
	for _, a := range (*t.aliases.Load())[topic] {
		t.Wake(a.topic, a.group, AnyQueue)
	}
	s := t.shard(topic)
	if s.count.Load() == 0 {
		return
	}
	var woken chain
	s.mu.Lock()
	for _, g := range s.topics[topic] {
		for _, q := range [2]int32{AnyQueue, queue} {
			if l := g.lists[q]; l != nil {
				t.arrivedLocked(l, tagsCode, props, false, &woken)
			}
		}
	}
	s.mu.Unlock()
	t.ready.push(woken)
}

// Wake wakes a request of a group that waits for a message of a queue, whatever its filter.
func (t *Fifo) Wake(topic, group string, queue int32) {
	s := t.shard(topic)
	if s.count.Load() == 0 {
		return
	}
	var woken chain
	s.mu.Lock()
	if g := s.topics[topic][group]; g != nil {
		for _, q := range [2]int32{AnyQueue, queue} {
			if l := g.lists[q]; l != nil {
				t.arrivedLocked(l, 0, nil, true, &woken)
			}
			if queue == AnyQueue {
				// What comes from a retry topic may be taken by whoever waits on a single queue, too.
				for id, l := range g.lists {
					if id != AnyQueue {
						t.arrivedLocked(l, 0, nil, true, &woken)
					}
				}
				break
			}
		}
	}
	s.mu.Unlock()
	t.ready.push(woken)
}

func (t *Fifo) arrivedLocked(l *fifoList, tagsCode int64, props record.Props, force bool, woken *chain) {
	if l.waking {
		l.missed = true
		return
	}
	tried := 0
	for e, next := l.first, (*entry)(nil); e != nil && tried < maxTried; e, tried = next, tried+1 {
		next = e.next
		if e.w.Gone != nil && e.w.Gone() {
			e.woken = nil
			t.unlinkLocked(l.s, e)
			woken.add(e)
			continue
		}
		if force || ((e.w.Match == nil || e.w.Match(tagsCode)) && (e.w.Props == nil || e.w.Props(props))) {
			l.waking = true
			e.woken = l
			t.unlinkLocked(l.s, e)
			woken.add(e)
			return
		}
	}
}

// finished is called when a woken request has done its work, which may be that it waits again.
func (t *Fifo) finished(l *fifoList) {
	var woken chain
	l.s.mu.Lock()
	l.waking = false
	if l.missed && !l.s.closed {
		l.missed = false
		t.arrivedLocked(l, 0, nil, true, &woken)
	}
	l.s.dropLocked(l)
	l.s.mu.Unlock()
	t.ready.push(woken)
}

// Run watches the deadlines and runs the callbacks until ctx ends; then it wakes everybody and returns when the last callback
// did.
func (t *Fifo) Run(ctx context.Context) error {
	t.run(ctx, t.o.Workers, t.expire, func() {
		for i := range t.shards {
			s := &t.shards[i]
			s.mu.Lock()
			s.closed = true
			s.mu.Unlock()
			t.expireIn(s, math.MaxInt64)
		}
	})
	return nil
}

// expire wakes who is due and returns the earliest deadline that is left.
func (t *Fifo) expire(now int64) int64 {
	earliest := int64(math.MaxInt64)
	for i := range t.shards {
		earliest = min(earliest, t.expireIn(&t.shards[i], now))
	}
	return earliest
}

// expireIn wakes who is due in s and returns the earliest deadline that is left.
func (t *Fifo) expireIn(s *fifoShard, now int64) int64 {
	if s.count.Load() == 0 {
		return math.MaxInt64
	}
	var woken chain
	s.mu.Lock()
	for len(s.heap) > 0 && s.heap[0].deadline <= now {
		e := s.heap[0]
		t.unlinkLocked(s, e)
		e.woken = nil
		woken.add(e)
	}
	earliest := int64(math.MaxInt64)
	if len(s.heap) > 0 {
		earliest = s.heap[0].deadline
	}
	s.mu.Unlock()
	t.ready.push(woken)
	return earliest
}
