package pop

import "encoding/binary"

// handle names one handing out of one message.
type handle struct{ index, popTime int64 }

// keepSettled, in ms, is how long an acknowledgement of what a Java broker had handed out is remembered while its checkpoint
// has not been seen, and maxSettled how many.
const (
	keepSettled = 3 * 3600 * 1000
	maxSettled  = 100_000
)

// oweLocked adds a message below the floor that a Java broker had handed out.
func (s *Shard) oweLocked(at int64, l Lease, attempt int32) {
	if _, ok := s.debts[at]; ok {
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

// settleDebtLocked remembers an acknowledgement of something below the floor that was handed out before this broker started:
// a checkpoint of a Java broker may still come, and then it is settled already.
func (s *Shard) settleDebtLocked(at, popTime int64) {
	h := handle{at, popTime}
	if _, ok := s.settledBy[h]; ok {
		return
	}
	until := s.e.o.Now().UnixMilli() + keepSettled
	s.rememberLocked(h, until)
	s.e.j.put(s, recSettled, at, popTime, until, 0)
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
