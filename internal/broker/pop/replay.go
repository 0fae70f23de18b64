package pop

import (
	"encoding/binary"
	"fmt"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
	"github.com/cometmq/cometmq/internal/mq"
)

// maxReplaySpan bounds what a damaged record may claim.
const maxReplaySpan = 1 << 24

// replay applies one record. What does not fit to what is known is left out: that can only make a message come twice.
func (e *Engine) replay(r *journalfile.Reader) error {
	kind, id := r.Byte(), r.Uint()
	if kind == recDefine {
		group, topic, queue := string(r.Text()), string(r.Text()), int32(r.Int())
		if r.Err() == nil {
			k := key{group, topic, queue}
			if old := e.shards[k]; old != nil && old.id != id {
				delete(e.byID, old.id)
			}
			if s := e.byID[id]; s == nil || s.key != k {
				e.addLocked(k, id).committed = unlooked
			}
		}
		return r.Err()
	}
	s := e.byID[id]
	if s == nil {
		s = &Shard{e: e} // read past it
		s.entries.init()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replay(kind, r)
}

func (s *Shard) replay(kind byte, r *journalfile.Reader) error {
	switch kind {
	case recHandOut:
		return s.replayHandOut(r)
	case recLease, recSuspend:
		at, l, attempt := r.Int(), Lease{PopTime: r.Int(), Invisible: r.Int()}, r.Int()
		if i, out := s.findLocked(at); out == Done && r.Err() == nil {
			x := &s.entries.slab[i]
			s.entries.detach(i)
			x.popTime, x.visibleAt, x.attempt, x.suspended = l.PopTime, l.PopTime+l.Invisible, int32(attempt), kind == recSuspend
			s.entries.hide(i)
		}
	case recAck:
		at := r.Int()
		if i, out := s.findLocked(at); out == Done && r.Err() == nil {
			s.settleLocked(at, i)
		}
	case recReset:
		if at := r.Int(); r.Err() == nil {
			s.clearLocked()
			s.known, s.floor, s.next, s.lowest = true, at, at, at
		}
	case recForget:
		s.clearLocked()
	case recShard:
		return s.replayShard(r)
	case recOrder:
		if blob := r.Text(); r.Err() == nil {
			s.order = decodeOrder(blob)
		}
	case recDebt:
		at, l, attempt := r.Int(), Lease{PopTime: r.Int(), Invisible: r.Int()}, r.Int()
		if r.Err() == nil {
			s.oweLocked(at, l, int32(attempt))
		}
	case recSettled:
		at, popTime, until := r.Int(), r.Int(), r.Int()
		if r.Err() == nil {
			s.rememberLocked(handle{at, popTime}, until)
		}
	case recBorn:
		s.e.born = r.Int()
	case recRevived:
		if q, at := r.Int(), r.Int(); r.Err() == nil {
			s.e.reviveMu.Lock()
			s.e.setRevivedLocked(int32(q), at)
			s.e.reviveMu.Unlock()
		}
	case recFile:
		if blob := r.Text(); r.Err() == nil {
			s.e.orders.known(blob)
		}
	default:
		return fmt.Errorf("unknown record %d", kind)
	}
	return r.Err()
}

func (s *Shard) replayHandOut(r *journalfile.Reader) error {
	l := Lease{PopTime: r.Int(), Invisible: r.Int()}
	from, span := r.Int(), r.Int()
	given := make([]mq.Index, r.Count())
	at := from
	for i := range given {
		at += r.Int()
		given[i] = mq.Index(at)
	}
	if r.Err() != nil {
		return r.Err()
	}
	if span < 0 || span > maxReplaySpan {
		return fmt.Errorf("hand out of %d indexes", span)
	}
	if !s.known || from != s.next {
		return nil // a record before is missing, or the shard is not ours
	}
	for i, at := range given {
		if int64(at) >= from+span || int64(at) < from || (i > 0 && at <= given[i-1]) {
			return fmt.Errorf("hand out of index %d in %d to %d", at, from, from+span)
		}
	}
	s.handOutLocked(l, from+span, given)
	return nil
}

func (s *Shard) replayShard(r *journalfile.Reader) error {
	known, floor, span, n := r.Int(), r.Int(), r.Int(), r.Count()
	if r.Err() == nil && (span < 0 || span > maxReplaySpan) {
		return fmt.Errorf("snapshot of %d indexes", span)
	}
	s.clearLocked()
	s.known, s.floor, s.next, s.lowest = known != 0, floor, floor, floor
	at := floor
	for range n {
		at += r.Int()
		l, attempt, flags := Lease{PopTime: r.Int(), Invisible: r.Int()}, r.Int(), r.Byte()
		if r.Err() != nil {
			return r.Err()
		}
		if at < s.next || at >= floor+span {
			return fmt.Errorf("snapshot with index %d after %d of %d", at, s.next, floor+span)
		}
		s.handOutLocked(l, at+1, []mq.Index{mq.Index(at)})
		x := &s.entries.slab[*s.win.at(s.win.n - 1)]
		x.attempt, x.suspended = int32(attempt), flags&1 != 0
	}
	s.skipLocked(floor + span)
	return r.Err()
}

// shorten writes the journal anew: all that is known, and nothing of how it came to be.
func (e *Engine) shorten() error {
	if err := e.j.rotate(); err != nil {
		return err
	}
	for _, s := range e.list() {
		s.mu.Lock()
		s.snapshotLocked()
		s.mu.Unlock()
	}
	e.orders.journal(e)
	e.journalOrigin()
	if err := e.j.settle(); err != nil {
		e.j.mu.Lock()
		e.j.anew = true
		e.j.mu.Unlock()
		return err
	}
	return nil
}

// snapshotLocked appends everything about s to the journal.
func (s *Shard) snapshotLocked() { s.e.j.endHere(s.appendSnapshotLocked(s.e.j.open())) }

func (s *Shard) appendSnapshotLocked(b []byte) []byte {
	b = s.appendDefinition(binary.AppendUvarint(append(b, recDefine), s.id))
	b = binary.AppendUvarint(append(b, recShard), s.id)
	known := int64(0)
	if s.known {
		known = 1
	}
	b = binary.AppendVarint(b, known)
	b = binary.AppendVarint(b, s.floor)
	b = binary.AppendVarint(b, s.next-s.floor)
	b = binary.AppendVarint(b, int64(s.entries.n-len(s.debts)))
	at := s.floor
	for k := range s.win.n {
		i := *s.win.at(k)
		if i == settled {
			continue
		}
		x := &s.entries.slab[i]
		b = binary.AppendVarint(b, x.index-at)
		at = x.index
		b = binary.AppendVarint(b, x.popTime)
		b = binary.AppendVarint(b, x.visibleAt-x.popTime)
		b = binary.AppendVarint(b, int64(x.attempt))
		flags := byte(0)
		if x.suspended {
			flags = 1
		}
		b = append(b, flags)
	}
	if s.order != nil {
		b = binary.AppendUvarint(append(b, recOrder), s.id)
		b = appendText(b, s.order.encode(nil))
	}
	return s.appendDebts(b)
}
