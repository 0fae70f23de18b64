package pop

import (
	"encoding/binary"

	"github.com/cometmq/cometmq/internal/mq"
)

// handle names one handing out of one message.
type handle struct{ index, popTime int64 }

// keepSettled, in ms, is how long an acknowledgement of what a Java broker had handed out is remembered while its checkpoint
// has not been seen, and maxSettled how many.
const (
	keepSettled = 3 * 3600 * 1000
	maxSettled  = 100_000
)

// foreign reports whether a handle is older than this engine's first start on the store: a Java broker gave it.
func (e *Engine) foreign(popTime int64) bool { return popTime < e.born }

// Foreign is foreign for callers that have a handle of a shard that is not known.
func (e *Engine) Foreign(popTime int64) bool { return e.foreign(popTime) }

// Revived is how far the revive queue was read, -1 when that is not known.
func (e *Engine) Revived(queue int32) int64 {
	e.reviveMu.Lock()
	defer e.reviveMu.Unlock()
	if at, ok := e.revived[queue]; ok {
		return at
	}
	return -1
}

// SetRevived notes how far the revive queue was read: everything before is in the journal.
func (e *Engine) SetRevived(queue int32, at int64) {
	e.reviveMu.Lock()
	defer e.reviveMu.Unlock()
	e.setRevivedLocked(queue, at)
	b := e.j.begin(recRevived, 0)
	b = binary.AppendVarint(b, int64(queue))
	e.j.end(binary.AppendVarint(b, at))
}

func (e *Engine) setRevivedLocked(queue int32, at int64) {
	if e.revived == nil {
		e.revived = map[int32]int64{}
	}
	e.revived[queue] = at
}

// journalOrigin appends what belongs to no shard.
func (e *Engine) journalOrigin() { e.j.endHere(e.appendOrigin(e.j.open())) }

func (e *Engine) appendOrigin(b []byte) []byte {
	b = binary.AppendVarint(append(b, recBorn, 0), e.born)
	e.reviveMu.Lock()
	defer e.reviveMu.Unlock()
	for q, at := range e.revived {
		b = binary.AppendVarint(append(b, recRevived, 0), int64(q))
		b = binary.AppendVarint(b, at)
	}
	return b
}

// Debts is how many messages a Java broker had handed out that are neither acknowledged nor in a retry topic.
func (e *Engine) Debts() int {
	n := 0
	for _, s := range e.list() {
		s.mu.Lock()
		n += len(s.debts)
		s.mu.Unlock()
	}
	return n
}

// Owe adds a message that a Java broker had handed out, by its checkpoint. Unless it is acknowledged by then it goes to the retry
// topic when its time is over. What is at or above the floor is handed out here anyway.
func (e *Engine) Owe(group, topic string, queue int32, at mq.Index, l Lease) {
	s := e.Shard(group, topic, queue)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.followLocked() || int64(at) >= s.floor {
		return
	}
	h := handle{int64(at), l.PopTime}
	if _, ok := s.settledBy[h]; ok {
		delete(s.settledBy, h)
		return
	}
	s.e.j.put(s, recDebt, int64(at), l.PopTime, l.Invisible, 0)
	s.oweLocked(int64(at), l, 0)
	s.watchLocked()
}

// oweLocked adds a message below the floor that a Java broker had handed out.
func (s *Shard) oweLocked(at int64, l Lease, attempt int32) {
	if i, ok := s.debts[at]; ok {
		x := &s.entries.slab[i]
		if x.popTime >= l.PopTime {
			return
		}
		s.entries.detach(i) // it was handed out again, or hidden for longer
		x.popTime, x.visibleAt = l.PopTime, l.PopTime+l.Invisible
		s.entries.hide(i)
		return
	}
	if s.debts == nil {
		s.debts = map[int64]int32{}
	}
	i := s.entries.add()
	x := &s.entries.slab[i]
	x.index, x.popTime, x.visibleAt, x.attempt, x.debt, x.pos = at, l.PopTime, l.PopTime+l.Invisible, attempt, true, inSpilling
	s.entries.hide(i)
	s.debts[at] = i
}

// settleDebtLocked remembers the acknowledgement of a message whose checkpoint may still come from a timer.
func (s *Shard) settleDebtLocked(at, popTime int64) {
	h := handle{at, popTime}
	if _, ok := s.settledBy[h]; ok {
		return
	}
	until := s.e.o.Now().UnixMilli() + keepSettled
	s.rememberLocked(h, until)
	s.e.j.put(s, recSettled, at, popTime, until, 0)
}

// changeDebtLocked is Change of a message whose checkpoint may still come.
func (s *Shard) changeDebtLocked(at, popTime int64, l Lease) Outcome {
	if _, ok := s.settledBy[handle{at, popTime}]; ok {
		return Already
	}
	s.settleDebtLocked(at, popTime)
	s.e.j.put(s, recDebt, at, l.PopTime, l.Invisible, 0)
	s.oweLocked(at, l, 0)
	s.watchLocked()
	return Done
}

func (s *Shard) rememberLocked(h handle, until int64) {
	if s.settledBy == nil {
		s.settledBy = map[handle]int64{}
	}
	if len(s.settledBy) >= maxSettled {
		now := s.e.o.Now().UnixMilli()
		for k, v := range s.settledBy {
			if v < now {
				delete(s.settledBy, k)
			}
		}
	}
	if len(s.settledBy) < maxSettled {
		s.settledBy[h] = until
	}
}

func (s *Shard) appendDebts(b []byte) []byte {
	for at, i := range s.debts {
		x := &s.entries.slab[i]
		b = binary.AppendUvarint(append(b, recDebt), s.id)
		b = binary.AppendVarint(b, at)
		b = binary.AppendVarint(b, x.popTime)
		b = binary.AppendVarint(b, x.visibleAt-x.popTime)
		b = binary.AppendVarint(b, int64(x.attempt))
	}
	for h, until := range s.settledBy {
		b = binary.AppendUvarint(append(b, recSettled), s.id)
		b = binary.AppendVarint(b, h.index)
		b = binary.AppendVarint(b, h.popTime)
		b = binary.AppendVarint(b, until)
	}
	return b
}
