package pop

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
	"github.com/cometmq/cometmq/internal/mq"
)

// What a slave does with the records of its master's journal (see tablefeed). Its engine does not run: it hands out nothing, and
// only keeps what the master knows, in memory and in its own journal, for the day on which it is opened as a master.

// Records returns the full state as records, by the numbers of the shards.
func (e *Engine) Records() []byte {
	b := e.appendOrigin(nil)
	list := e.list()
	slices.SortFunc(list, func(a, b *Shard) int { return cmp.Compare(a.id, b.id) })
	for _, s := range list {
		s.mu.Lock()
		b = s.appendSnapshotLocked(b)
		s.mu.Unlock()
	}
	return b
}

// Apply applies records of the master's journal. Flush makes that survive a kill of the process.
func (e *Engine) Apply(rec []byte) error {
	if err := e.applyRecords(rec); err != nil {
		return err
	}
	e.j.endHere(append(e.j.open(), rec...))
	e.orders.dirty.Store(true)
	if e.j.long(e.o.JournalSize) {
		return e.shorten()
	}
	return nil
}

func (e *Engine) applyRecords(rec []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := journalfile.NewReader(rec)
	for r.More() && r.Err() == nil {
		if err := e.replay(&r); err != nil {
			return fmt.Errorf("what the master says is popped: %w", err)
		}
	}
	return r.Err()
}

// Become makes the state that of Records. It is in the journal when Become returns.
func (e *Engine) Become(rec []byte) error {
	e.mu.Lock()
	e.shards, e.byID, e.nextID = map[key]*Shard{}, map[uint64]*Shard{}, 1
	e.mu.Unlock()
	e.reviveMu.Lock()
	e.revived = nil
	e.reviveMu.Unlock()
	if err := e.applyRecords(rec); err != nil {
		return err
	}
	e.orders.dirty.Store(true)
	return e.shorten()
}

// Clamp forgets what was handed out beyond the end of its queue: those messages went with the end of the log, and others will
// stand there. It returns of how many queues. Call it before the engine is used.
func (e *Engine) Clamp(bound func(topic string, queue int32) mq.Index) int {
	n := 0
	for _, s := range e.list() {
		s.mu.Lock()
		if limit := int64(bound(s.key.topic, s.key.queue)); s.known && s.next > limit {
			s.clampLocked(limit)
			n++
		}
		if o := s.order; o != nil && o.offsets[len(o.offsets)-1] >= int64(bound(s.key.topic, s.key.queue)) {
			s.order = nil
			s.orderChangedLocked()
		}
		s.mu.Unlock()
	}
	return n
}

// clampLocked removes everything at and above an index.
func (s *Shard) clampLocked(limit int64) {
	var keep []entry
	for i := range s.win.n {
		if k := *s.win.at(i); k != settled && s.entries.slab[k].index < limit {
			keep = append(keep, s.entries.slab[k])
		}
	}
	floor, committed, lowest, owed := min(s.floor, limit), s.committed, s.lowest, s.debts
	debts := make([]entry, 0, len(owed))
	for _, i := range owed {
		debts = append(debts, s.entries.slab[i])
	}
	s.clearLocked()
	s.known, s.floor, s.next, s.committed, s.lowest = true, floor, floor, committed, min(lowest, floor)
	for i := range keep {
		x := &keep[i]
		s.handOutLocked(Lease{PopTime: x.popTime, Invisible: x.visibleAt - x.popTime}, x.index+1, []mq.Index{mq.Index(x.index)})
		y := &s.entries.slab[*s.win.at(s.win.n - 1)]
		y.attempt, y.suspended = x.attempt, x.suspended
	}
	s.skipLocked(limit)
	for i := range debts {
		x := &debts[i]
		s.oweLocked(x.index, Lease{PopTime: x.popTime, Invisible: x.visibleAt - x.popTime}, x.attempt)
	}
	s.watched = math.MaxInt64
	s.watchLocked()
	s.snapshotLocked()
	s.commitLocked()
}
