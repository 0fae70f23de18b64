package pop

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/cometmq/cometmq/internal/mq"
)

// Lease is how long messages are handed out for.
type Lease struct {
	PopTime   int64 // ms; with the index it names the handle
	Invisible int64 // ms
}

// Outcome is what became of an acknowledgement or a change.
type Outcome uint8

// Outcomes. Only Done changed something.
const (
	Done    Outcome = iota
	Already         // it was acknowledged before
	Stale           // the handle is not the one that holds the message now
	Unknown         // the message was not handed out
)

// Shard is one queue as one group consumes it.
//
//	committed = floor                                next
//	    | settled  handed out  settled  handed out    |  never handed out ...
type Shard struct {
	e    *Engine
	key  key
	id   uint64
	turn chan struct{} // held while messages are read to be handed out

	mu           sync.Mutex // guards the fields below
	known        bool       // floor and next mean something
	floor        int64
	next         int64
	committed    int64 // what we committed last
	lowest       int64 // the smallest floor of the journal, before the first look at the committed position
	win          window
	entries      entries
	watched      int64           // when the clock looks here, MaxInt64 when it does not
	crowded      bool            // something waits until there is room
	debts        map[int64]int32 // entries below the floor
	settledBy    map[handle]int64
	order        *order
	orderWatched int64 // like watched, for the order
}

// Group is the group that pops.
func (s *Shard) Group() string { return s.key.group }

// Topic is the topic that is read, which may be a retry topic.
func (s *Shard) Topic() string { return s.key.topic }

// Queue is the queue's number.
func (s *Shard) Queue() int32 { return s.key.queue }

// Lock takes the turn of handing out. Acknowledgements go on meanwhile.
func (s *Shard) Lock() { s.turn <- struct{}{} }

// TryLock is Lock unless somebody else has the turn.
func (s *Shard) TryLock() bool {
	select {
	case s.turn <- struct{}{}:
		return true
	default:
		return false
	}
}

// Unlock gives the turn back.
func (s *Shard) Unlock() { <-s.turn }

// Follow compares the shard with the committed position. false: there is none, and StartAt must be called.
func (s *Shard) Follow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.followLocked()
}

func (s *Shard) followLocked() bool {
	at, ok := s.e.o.Positions.Query(s.key.group, s.key.topic, s.key.queue)
	switch {
	case !ok:
		if s.known {
			s.clearLocked()
			s.e.j.put(s, recForget, 0, 0, 0, 0)
		}
		return false
	case s.known && s.committed == int64(at):
		return true
	case s.known && s.committed == unlooked && int64(at) >= s.lowest && int64(at) <= s.next:
		// The journal and the positions are written one after the other: the one that is further on is right.
		s.settleBelowLocked(int64(at))
		s.commitLocked()
		return true
	}
	s.resetLocked(int64(at))
	return true
}

// unlooked is the committed position before the first look.
const unlooked = math.MinInt64

// StartAt begins at an index and commits it. The position is written at once: what is handed out from here counts only together
// with a position, because a group without one was deleted.
func (s *Shard) StartAt(at mq.Index) {
	s.mu.Lock()
	s.resetLocked(int64(at))
	if s.order != nil {
		s.order = nil
		s.orderChangedLocked()
	}
	s.e.o.Positions.Commit(s.key.group, s.key.topic, s.key.queue, at)
	s.mu.Unlock()
	if err := s.e.o.Positions.Sync(); err != nil {
		s.e.o.Log.Warn("the first position of a group is not in its journal yet", "group", s.key.group, "topic", s.key.topic, "err", err)
	}
}

// resetLocked forgets what is handed out and goes on at an index.
func (s *Shard) resetLocked(at int64) {
	s.clearLocked()
	s.known, s.floor, s.next, s.committed = true, at, at, at
	s.e.j.put(s, recReset, at, 0, 0, 0)
}

func (s *Shard) clearLocked() {
	s.known = false
	s.win.clear()
	s.entries.clear()
	clear(s.debts)
}

func (s *Shard) commitLocked() {
	if s.committed != s.floor {
		s.committed = s.floor
		s.e.o.Positions.Commit(s.key.group, s.key.topic, s.key.queue, mq.Index(s.floor))
	}
}

// Next is the first index that was never handed out.
func (s *Shard) Next() mq.Index {
	s.mu.Lock()
	defer s.mu.Unlock()
	return mq.Index(s.next)
}

// Visible reports how many messages wait to be handed out again at a time in ms.
func (s *Shard) Visible(now int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.surfaceLocked(now)
	n := 0
	for i := s.entries.first; i != none; i = s.entries.slab[i].next {
		n++
	}
	return n
}

// surfaceLocked moves what is visible at now from the heap to the list. What has to go to the retry topic stays.
func (s *Shard) surfaceLocked(now int64) {
	e := &s.entries
	for {
		at, ok := e.earliest()
		if !ok || at > now {
			return
		}
		i := e.heap[0]
		if s.spillsLocked(&e.slab[i]) {
			return // the clock is about to take it
		}
		e.detach(i)
		e.show(i)
	}
}

func (s *Shard) spillsLocked(x *entry) bool { return x.debt || x.attempt >= s.e.o.SpillAfter }

// Again appends to dst up to n messages that are visible again, handed out under l, in the order of their indexes. The
// caller has the turn.
func (s *Shard) Again(dst []Given, n int, l Lease) []Given {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := len(dst)
	e := &s.entries
	s.surfaceLocked(l.PopTime)
	for ; n > 0 && e.first != none; n-- {
		i := e.first
		x := &e.slab[i]
		e.detach(i)
		if !x.suspended {
			x.attempt++
		}
		x.suspended, x.popTime, x.visibleAt = false, l.PopTime, l.PopTime+l.Invisible
		e.hide(i)
		dst = append(dst, Given{mq.Index(x.index), x.attempt, x.popTime})
		s.e.j.put(s, recLease, x.index, x.popTime, l.Invisible, int64(x.attempt))
	}
	if len(dst) > from {
		slices.SortFunc(dst[from:], func(a, b Given) int { return cmp.Compare(a.Index, b.Index) })
		s.watchLocked()
	}
	return dst
}

// Room is how many messages may be handed out now besides those that are. The caller has the turn.
func (s *Shard) Room() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := min(s.e.o.MaxInflight-s.entries.n, s.e.o.MaxSpan-s.win.n)
	if room > 0 {
		return room
	}
	s.crowded = true
	if s.win.n >= s.e.o.MaxSpan {
		s.e.watch(s, 0) // the clock moves the oldest one away
	}
	return 0
}

// HandOut notes that the messages at the given indexes, which rise from Next on, are handed out under l, and that all others
// below next are not wanted. The caller has the turn and has flushed nothing yet.
func (s *Shard) HandOut(l Lease, next mq.Index, given []mq.Index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int64(next) <= s.next {
		return
	}
	s.e.j.putHandOut(s, l, s.next, int64(next), given)
	s.handOutLocked(l, int64(next), given)
	s.commitLocked()
	if len(given) > 0 {
		s.watchLocked()
	}
}

func (s *Shard) handOutLocked(l Lease, next int64, given []mq.Index) {
	e := &s.entries
	for _, at := range given {
		s.skipLocked(int64(at))
		i := e.add()
		x := &e.slab[i]
		x.index, x.popTime, x.visibleAt, x.pos = s.next, l.PopTime, l.PopTime+l.Invisible, inSpilling
		e.hide(i)
		s.win.push(i)
		s.next++
	}
	s.skipLocked(next)
}

// skipLocked settles what is between next and at.
func (s *Shard) skipLocked(at int64) {
	if s.win.n == 0 {
		s.floor, s.next = max(s.floor, at), max(s.next, at)
		return
	}
	for s.next < at {
		s.win.push(settled)
		s.next++
	}
}

// find returns the entry of an index.
func (s *Shard) findLocked(at int64) (int32, Outcome) {
	if at < s.floor {
		if i, ok := s.debts[at]; ok {
			return i, Done
		}
		return none, Already
	}
	if at >= s.next {
		return none, Unknown
	}
	i := *s.win.at(int(at - s.floor))
	if i == settled {
		return none, Already
	}
	return i, Done
}

// Ack settles a message.
func (s *Shard) Ack(at mq.Index, popTime int64) Outcome {
	s.mu.Lock()
	out := s.ackLocked(int64(at), popTime)
	wake := out == Done && s.crowded && s.entries.n < s.e.o.MaxInflight
	if wake {
		s.crowded = false
	}
	s.mu.Unlock()
	if wake && s.e.o.Wake != nil {
		s.e.o.Wake(s)
	}
	return out
}

func (s *Shard) ackLocked(at, popTime int64) Outcome {
	if !s.known && (!s.e.foreign(popTime) || !s.followLocked()) {
		return Unknown
	}
	i, out := s.findLocked(at)
	switch {
	case out == Already && s.e.foreign(popTime):
		s.settleDebtLocked(at, popTime)
		return out
	case out != Done:
		return out
	case s.entries.slab[i].popTime != popTime:
		return Stale
	}
	s.e.j.put(s, recAck, at, 0, 0, 0)
	s.settleLocked(at, i)
	s.commitLocked()
	return Done
}

// settleLocked removes entry i of an index and moves the floor.
func (s *Shard) settleLocked(at int64, i int32) {
	debt := s.entries.slab[i].debt
	s.entries.remove(i)
	if debt {
		delete(s.debts, at)
		return
	}
	*s.win.at(int(at - s.floor)) = settled
	for s.win.n > 0 && *s.win.at(0) == settled {
		s.win.pop()
		s.floor++
	}
}

// settleBelowLocked settles everything below an index that is not above next.
func (s *Shard) settleBelowLocked(at int64) {
	for s.win.n > 0 && s.floor < at {
		if i := *s.win.at(0); i != settled {
			s.entries.remove(i)
		}
		s.win.pop()
		s.floor++
	}
	for s.win.n > 0 && *s.win.at(0) == settled {
		s.win.pop()
		s.floor++
	}
	if s.win.n == 0 {
		s.floor = max(s.floor, at)
		s.next = max(s.next, s.floor)
	}
}

// Change hides a message for a new time under a new handle. suspended: handing it out again does not count as an attempt.
func (s *Shard) Change(at mq.Index, popTime int64, l Lease, suspended bool) Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known && (!s.e.foreign(popTime) || !s.followLocked()) {
		return Unknown
	}
	i, out := s.findLocked(int64(at))
	if out == Already && s.e.foreign(popTime) {
		return s.changeDebtLocked(int64(at), popTime, l)
	}
	if out != Done {
		return out
	}
	x := &s.entries.slab[i]
	if x.popTime != popTime {
		return Stale
	}
	s.entries.detach(i)
	x.popTime, x.visibleAt, x.suspended = l.PopTime, l.PopTime+l.Invisible, suspended
	s.entries.hide(i)
	kind := recLease
	if suspended {
		kind = recSuspend
	}
	s.e.j.put(s, kind, x.index, x.popTime, l.Invisible, int64(x.attempt))
	s.watchLocked()
	return Done
}

// Gone settles a message that was handed out again and cannot be read any more. The caller has the turn.
func (s *Shard) Gone(g Given) { s.Ack(g.Index, g.popTime) }

// watchLocked makes sure that the clock looks here when the next message becomes visible.
func (s *Shard) watchLocked() {
	at, ok := s.entries.earliest()
	if ok && at < s.watched {
		s.watched = at
		s.e.watch(s, at)
	}
}

// Held is how many messages of the shard are handed out and not acknowledged.
func (s *Shard) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries.n
}
