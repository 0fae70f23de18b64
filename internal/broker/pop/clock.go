package pop

import (
	"container/heap"
	"context"
	"math"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// step, in ms, is how finely the clock works: what becomes visible within one step is handled at once.
const step = 10

// retrySpill, in ms, is when a message that could not be moved is tried again.
const retrySpill = 1000

// clock knows when which shard has to be looked at. A shard may be in it more than once; looking too early does no harm.
type clock struct {
	mu     sync.Mutex // guards the fields below
	heap   alarms
	rewind chan struct{} // an earlier one was added
}

type alarm struct {
	at int64
	s  *Shard
}

type alarms []alarm

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].at < a[j].at }
func (a alarms) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *alarms) Push(x any)        { *a = append(*a, x.(alarm)) }
func (a *alarms) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	(*a)[last] = alarm{}
	*a = (*a)[:last]
	return x
}

func (c *clock) init() { c.rewind = make(chan struct{}, 1) }

// watch makes the clock look at s at a time in ms.
func (e *Engine) watch(s *Shard, at int64) {
	c := &e.clock
	c.mu.Lock()
	first := len(c.heap) == 0 || at < c.heap[0].at
	heap.Push(&c.heap, alarm{at, s})
	c.mu.Unlock()
	if first {
		select {
		case c.rewind <- struct{}{}:
		default:
		}
	}
}

// due takes a shard out that has to be looked at, or says when the next one has.
func (c *clock) due(now int64) (s *Shard, next int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.heap) == 0 {
		return nil, math.MaxInt64
	}
	if c.heap[0].at > now {
		return nil, c.heap[0].at
	}
	return heap.Pop(&c.heap).(alarm).s, 0
}

func (e *Engine) runClock(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := e.o.Now().UnixMilli()
		s, next := e.clock.due(now)
		if s != nil {
			e.look(s, now)
			continue
		}
		pause := time.Hour
		if next < now+time.Hour.Milliseconds() {
			pause = time.Duration((next+step-1)/step*step-now) * time.Millisecond
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return
		case <-e.clock.rewind:
		case <-timer.C:
		}
	}
}

// look handles what has become visible in a shard: it wakes those who wait for it, and moves to the retry topic what has
// been handed out too often or stands in the way.
func (e *Engine) look(s *Shard, now int64) {
	s.mu.Lock()
	s.watched, s.orderWatched = math.MaxInt64, math.MaxInt64
	var spills []Given
	shown := s.order.due(now)
	for {
		at, ok := s.entries.earliest()
		if !ok || at > now {
			break
		}
		i := s.entries.heap[0]
		x := &s.entries.slab[i]
		s.entries.detach(i)
		if s.spillsLocked(x) {
			spills = append(spills, given(x))
			continue
		}
		s.entries.show(i)
		shown = true
	}
	if s.win.n >= e.o.MaxSpan {
		if i := *s.win.at(0); i != settled && s.entries.slab[i].pos != inSpilling {
			s.entries.detach(i)
			spills = append(spills, given(&s.entries.slab[i]))
		}
	}
	s.watchLocked()
	s.watchOrderLocked(now)
	s.mu.Unlock()
	if len(spills) > 0 {
		e.spills.put(s, spills)
	}
	if shown && e.o.Wake != nil {
		e.o.Wake(s)
	}
}

func given(x *entry) Given {
	g := Given{Index: mq.Index(x.index), Attempt: x.attempt + 1, popTime: x.popTime}
	if x.suspended {
		g.Attempt--
	}
	return g
}

// spills is what the clock found for the retry topic. Moving it may take long, and the clock must not wait.
type spills struct {
	mu   sync.Mutex // guards list
	list []spill
	more chan struct{}
}

type spill struct {
	s    *Shard
	list []Given
}

func (q *spills) put(s *Shard, list []Given) {
	q.mu.Lock()
	q.list = append(q.list, spill{s, list})
	q.mu.Unlock()
	select {
	case q.more <- struct{}{}:
	default:
	}
}

func (q *spills) take() []spill {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.list
	q.list = nil
	return list
}

func (e *Engine) runSpills(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.spills.more:
		}
		for _, x := range e.spills.take() {
			if ctx.Err() != nil {
				return // they are in the journal and visible at the next start
			}
			if e.spill(x.s, x.list, e.o.Now().UnixMilli()) && e.o.Wake != nil {
				e.o.Wake(x.s)
			}
		}
	}
}

// spill moves messages to the retry topic. They were detached; an acknowledgement may come meanwhile, and then there is one
// delivery too many. What cannot be moved is tried again later. It reports whether a waiting hand out has room now.
func (e *Engine) spill(s *Shard, list []Given, now int64) (room bool) {
	err := e.o.Spill(s, list)
	if err != nil {
		e.o.Log.Error("messages that were not acknowledged are not in the retry topic yet, trying again",
			"group", s.key.group, "topic", s.key.topic, "queue", s.key.queue, "count", len(list), "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range list {
		i, out := s.findLocked(int64(g.Index))
		if out != Done || s.entries.slab[i].popTime != g.popTime {
			continue
		}
		if err == nil {
			s.e.j.put(s, recAck, int64(g.Index), 0, 0, 0)
			s.settleLocked(int64(g.Index), i)
			continue
		}
		s.entries.detach(i)
		s.entries.slab[i].visibleAt = now + retrySpill
		s.entries.hide(i)
	}
	s.commitLocked()
	s.watchLocked()
	room = err == nil && s.crowded
	if room {
		s.crowded = false
	}
	return room
}
