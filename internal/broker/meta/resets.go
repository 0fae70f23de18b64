package meta

import (
	"fmt"
	"strings"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
)

// A reset is a position that an operator has set and that the group's clients do not know of yet. Until the first of them asks
// for messages of the queue, the queue has a pending reset: what clients commit meanwhile is what they were at before it.
//
// Differs from Java: pending resets survive a restart. They are in the journal, and in the JSON file as resetOffsetTable,
// which Java does not read and does not keep.

// Reset sets a position and makes it a pending reset. It is safe from a kill of the process when Sync returned.
func (o *Offsets) Reset(group, topic string, queue int32, at mq.Index) {
	o.mu.Lock()
	s := o.addLocked(group, topic, queue)
	o.mark(s, int64(at)+1)
	o.mu.Unlock()
	o.set(s, at)
}

// Pending reports whether a queue has a pending reset.
func (o *Offsets) Pending(group, topic string, queue int32) bool {
	if o.resets.Load() == 0 {
		return false
	}
	s := o.find(group, topic, queue)
	return s != nil && s.reset.Load() > 0
}

// TakeReset ends a pending reset and returns its position; ok is false when there is none. The caller tells the client.
func (o *Offsets) TakeReset(group, topic string, queue int32) (at mq.Index, ok bool) {
	if o.resets.Load() == 0 {
		return 0, false
	}
	s := o.find(group, topic, queue)
	if s == nil {
		return 0, false
	}
	r := s.reset.Load()
	if r == 0 {
		return 0, false
	}
	s.at.Store(r - 1) // a commit may have come just before the reset
	if !s.reset.CompareAndSwap(r, 0) {
		return 0, false
	}
	o.resets.Add(-1)
	o.touch(s) // the journal gets to know that it is over
	return mq.Index(r - 1), true
}

// position returns where the group is to go on.
func (s *slot) position() mq.Index {
	if r := s.reset.Load(); r > 0 {
		return mq.Index(r - 1)
	}
	return mq.Index(s.at.Load())
}

// mark sets or, with 0, removes the pending reset of a slot.
func (o *Offsets) mark(s *slot, reset int64) {
	had := s.reset.Swap(reset) > 0
	switch has := reset > 0; {
	case has && !had:
		o.resets.Add(1)
	case had && !has:
		o.resets.Add(-1)
	}
}

// Clone gives group to the positions of group from in a topic. It reports whether there are any.
func (o *Offsets) Clone(from, to, topic string) bool {
	queues := o.Queues(from, topic)
	for q, at := range queues {
		o.Commit(to, topic, q, at)
	}
	return queues != nil
}

func (o *Offsets) find(group, topic string, queue int32) *slot {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if p := o.pairs[pairKey{group, topic}]; p != nil {
		return p.queues[queue]
	}
	return nil
}

const resetTable = "resetOffsetTable"

// decodeResets reads the pending resets of the JSON file. A position comes from the table of positions.
func (o *Offsets) decodeResets(v fastjson.Value) error {
	if v.Kind() != fastjson.Object {
		return fmt.Errorf("%s: %w", resetTable, errNoObject)
	}
	for _, m := range v.Members() {
		topic, group, ok := strings.Cut(m.Key.Str(), "@")
		p := o.pairs[pairKey{group, topic}]
		if !ok || p == nil || m.Val.Kind() != fastjson.Object {
			continue
		}
		for _, q := range m.Val.Members() {
			id, err := intOf(q.Key, 32)
			if err != nil {
				return fmt.Errorf("%s: %q: queue %w", resetTable, m.Key.Str(), err)
			}
			if s := p.queues[int32(id)]; s != nil {
				o.mark(s, s.at.Load()+1)
			}
		}
	}
	return nil
}
