package delay

import "github.com/cometmq/cometmq/internal/record"

// What was delivered between the last checkpoint and a crash is not delivered again.

// findCopies looks for what a former broker delivered of the slots that are to be read: those whose end the checkpoint does not know.
func (t *Timer) findCopies() error {
	now := t.slot(t.o.Now().UnixMilli())
	// A timer that comes late is put into a slot up to two later than its time, so it may have been delivered before its slot.
	margin := 3 * t.precision
	first := int64(-1)
	for slot := t.loaded; slot <= now+margin && slot-t.loaded <= 2*t.wheel.Span() && first < 0; slot += t.precision {
		s, err := t.wheel.Get(slot)
		if err != nil {
			return err
		}
		if s.Last >= t.log.Begin() {
			first = slot
		}
	}
	if first < 0 {
		return nil
	}
	c := newCopies()
	store := t.o.Store
	store.Peek(store.SeekTime(first-margin), func(m *record.Message) bool {
		c.addTimer(m)
		return true
	})
	if len(c.n) > 0 {
		t.copies, t.copiesTo = c, now+margin
		t.o.Log.Info("timers that were delivered since the last checkpoint are not delivered again", "messages", len(c.n))
	}
	return nil
}

// isDelivered reports whether msg, the message of e, was delivered before the crash.
func (t *Timer) isDelivered(e *entry) bool {
	if t.copies == nil {
		return false
	}
	kind := kindTimer
	if e.roll {
		kind = kindRoll
	}
	return t.copies.take(t.copies.key(&t.msg, kind, e.enqueued))
}
