package delay

import (
	"context"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// A slave takes timers as its master does, so that it can deliver them when it has to act as the master; what it delivered the
// master learns when it is back. What a broker knows of the other one's timers is two numbers: all timers before an index of the
// timer topic have been taken there, and of these all that were due before a time have been delivered. So
//
//   - a slave takes nothing that its master has not taken. Else it could not tell a timer that its master has delivered from one
//     that came too late to be among those;
//   - a master that is back leaves out what its slave has taken and delivered, and only that. Messages that are stored again
//     because they are due after the roll window are not left out: the brokers may do that at different times.

// Progressed is how far the timers of a broker are: what is before Index in the timer topic and was due before Time, in ms, has
// been delivered. It is what GET_TIMER_CHECK_POINT tells.
type Progressed struct {
	Time  int64
	Index record.Index
	// Version is that of a Java master's checkpoint. It takes over what a slave did whose version is not older than its own.
	Version mq.DataVersion
}

// versionLead is by how much the version of a slave that acts as the master is newer than what it last heard from there: more than the
// master can have counted until it died.
const versionLead = 1 << 20

// Progressed returns how far this broker is.
func (t *Timer) Progressed() Progressed {
	return Progressed{Time: t.stats.safe.Load(), Index: record.Index(t.stats.next.Load())}
}

// safeTime is the time of Progressed. Unlike readTime it knows that a timer that came too late for its slot is in a later one.
func (t *Timer) safeTime() int64 {
	at := t.readTime()
	if len(t.pending) > 0 {
		at = min(at, t.slotOf(&t.pending[0]))
	}
	if t.at < len(t.ready) {
		at = min(at, t.slot(t.first-1))
	}
	return at
}

// slotOf returns the slot in which e would be if it had come in time.
func (t *Timer) slotOf(e *entry) int64 { return t.slot(e.due - 1) }

// doneElsewhere reports whether msg, the message of e, was delivered by another broker.
func (t *Timer) doneElsewhere(e *entry) bool {
	return !e.roll && t.msg.Index < t.elsewhere.Index && t.slotOf(e) < t.elsewhere.Time
}

// Heard tells how far another broker is: the master of a slave whose timer trails, or, before Run, the slave that has acted in
// this master's place.
func (t *Timer) Heard(p Progressed) {
	t.mu.Lock()
	if p.Time >= t.told.Time {
		t.told = p
	}
	t.mu.Unlock()
	t.Arrived()
}

func (t *Timer) heard() Progressed {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.told
}

// Trail takes what the master has taken, and delivers nothing, until ctx ends. What is in memory is forgotten: it is loaded again
// from the first slot that has something to deliver.
func (t *Timer) Trail(ctx context.Context) error {
	if !t.virgin {
		t.loaded = t.readTime()
	}
	t.trailing, t.limit, t.again = true, 0, true
	t.rebuild = nil // what the master has delivered is left out in any case
	t.pending, t.ready, t.at = nil, nil, 0
	clear(t.left)
	clear(t.taken)
	return t.loop(ctx)
}

// trail takes over what was heard.
func (t *Timer) trail() {
	p := t.heard()
	if p.Index == 0 && p.Time == 0 {
		return
	}
	t.version(p.Version, 0)
	at := t.slot(p.Time)
	switch {
	case t.virgin:
		t.loaded, t.floor, t.virgin, t.dirty = at, at, false, true
	case at > t.loaded && p.Index >= t.next:
		// In this order: what was taken until now the master had taken, and has delivered if it was due before that time.
		t.loaded, t.dirty = at, true
	}
	t.limit = max(t.limit, p.Index)
}

// version makes that of the checkpoint v, lead ahead; an unset v changes nothing.
func (t *Timer) version(v mq.DataVersion, lead int64) {
	if v == (mq.DataVersion{}) {
		return
	}
	t.check.State, t.check.Timestamp, t.check.Counter = v.StateVersion, v.Timestamp, v.Counter+lead
}
