package delay

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/storage/timerlog"
)

// takeAtOnce bounds the messages that one round takes from the timer topic: deliveries do not wait longer than that.
const takeAtOnce = 1024

// take notes the next messages of the timer topic. It returns how many.
func (t *Timer) take(now int64) (int, error) {
	var entries [128]storage.Entry
	total := 0
	for total < takeAtOnce {
		room := len(entries)
		if t.trailing {
			if room = int(min(int64(room), int64(t.limit-t.next))); room <= 0 {
				return total, nil
			}
		}
		n, next, err := t.o.Store.Entries(t.queue, t.next, entries[:room])
		if err != nil {
			return total, err
		}
		if next == t.next {
			return total, nil
		}
		if n == 0 {
			t.lose(int64(next-t.next), "messages of the timer topic are gone from the queue", errors.New("deleted or damaged"))
			t.next, t.dirty = next, true
			continue
		}
		done, err := t.note(entries[:n], now)
		total += done
		if err != nil || done < n {
			return total, err
		}
	}
	return total, nil
}

// undoSlot is a slot as it was.
type undoSlot struct {
	ms   int64
	slot timerlog.Slot
}

// note writes the messages of entries down. It returns how many; fewer than all when the wheel cannot look so far yet.
func (t *Timer) note(entries []storage.Entry, now int64) (int, error) {
	t.units = t.units[:0]
	enqueued := t.notedAt(now)
	read := t.readTime()
	n := 0
	var recalls []recall
	for _, e := range entries {
		err := errors.New("there is no message")
		if e.Offset >= 0 {
			err = t.read(e.Offset, e.Size)
		}
		if err == nil && t.rebuild != nil && t.rebuild.done(t, &e) {
			n++
			continue
		}
		var u timerlog.Unit
		if err == nil {
			u, err = t.unit(&e, now, enqueued)
			if err == nil && t.trailing && t.slot(u.Time) < t.loaded {
				n++ // the other broker has delivered it
				continue
			}
			in := u.Time
			if t.fit(&u); err == nil && u.Time > in && t.slot(u.Time) >= t.loaded {
				t.postpone(u.Due, t.slot(u.Time))
			}
		} else if !lostForGood(err) && e.Offset >= 0 {
			return 0, err
		}
		if err != nil {
			t.lose(1, "timer cannot be read and is left out", fmt.Errorf("index %d offset %d: %w", e.Index, e.Offset, err))
			n++
			continue
		}
		if u.Time-read >= t.wheel.Span() {
			break // after a long time down: first what is overdue
		}
		if u.Magic&(timerlog.MagicDelete|timerlog.MagicRoll) == timerlog.MagicDelete && t.slot(u.Time) < t.loaded {
			recalls = append(recalls, recall{t.slot(u.Time), t.recallKey()})
		}
		t.units = append(t.units, u)
		if t.o.Noted != nil && !t.trailing {
			t.tellNoted()
		}
		n++
	}
	if err := t.append(); err != nil {
		return 0, err
	}
	for _, r := range recalls {
		t.takeBack(r.slot, r.key)
	}
	early := t.loaded // slots before it are in memory already
	for i := range t.units {
		u := &t.units[i]
		switch slot := t.slot(u.Time); {
		case slot < early:
			t.push(slot, u)
		case !t.trailing && slot == t.loaded && u.Due < now+t.precision:
			// It had to go into the next slot because older ones are finished for ever, but is due now.
			if err := t.loadNext(); err != nil {
				return n, err
			}
		}
	}
	t.next += record.Index(n)
	t.dirty = t.dirty || n > 0
	t.stats.enqueued.Add(int64(len(t.units)))
	return n, nil
}

// tellNoted tells Noted about msg.
func (t *Timer) tellNoted() {
	text, _ := t.msg.Props.Get(record.PropTimerOutMS)
	topic, _ := t.msg.Props.Get(record.PropRealTopic)
	if out, err := strconv.ParseInt(bytesview.String(text), 10, 64); err == nil && len(topic) > 0 {
		t.o.Noted(topic, out-t.msg.BornTime)
	}
}

type recall struct {
	slot int64
	key  string
}

// moment is when timers were noted, with what decides into which slots late ones go.
type moment struct{ ms, floor, loaded int64 }

// notedAt returns the time under which timers are noted at now. It is another one whenever late timers go into other slots, so that
// those which are alike and have the same time are in the same slot. That makes it sure that a copy which is found after a crash stands
// for a timer which is still to be looked at, see copies.
func (t *Timer) notedAt(now int64) int64 {
	m := moment{now, t.floor, t.loaded}
	if m.floor != t.noted.floor || m.loaded != t.noted.loaded {
		m.ms = max(now, t.noted.ms+1)
	} else {
		m.ms = max(now, t.noted.ms)
	}
	t.noted = m
	return m.ms
}

// unit makes the unit of msg, which is at e.
func (t *Timer) unit(e *storage.Entry, now, enqueued int64) (timerlog.Unit, error) {
	text, _ := t.msg.Props.Get(record.PropTimerOutMS)
	out, err := strconv.ParseInt(bytesview.String(text), 10, 64)
	if err != nil || out <= 0 || out > math.MaxInt64/2 {
		return timerlog.Unit{}, fmt.Errorf("property %s = %q is not a time", record.PropTimerOutMS, text)
	}
	u := timerlog.Unit{
		Magic: timerlog.MagicDefault, Enqueued: enqueued, Time: t.slot(out), Offset: e.Offset, Size: e.Size, Due: t.due(out),
	}
	topic, _ := t.msg.Props.Get(record.PropRealTopic)
	u.TopicHash = record.HashCode(topic)
	if _, ok := t.msg.Props.Get(record.PropTimerDelKey); ok {
		u.Magic |= timerlog.MagicDelete
	}
	if ahead := u.Time - now; ahead >= t.window {
		u.Magic |= timerlog.MagicRoll
		// As Java: the last stretch is not a short one.
		if ahead-t.window < t.window/3 {
			u.Time = t.slot(now + t.window/2)
		} else {
			u.Time = t.slot(now + t.window)
		}
		u.Due = u.Time
	}
	return u, nil
}

// fit keeps a unit out of slots that nobody reads any more, and of those that the wheel needs for a time to come.
func (t *Timer) fit(u *timerlog.Unit) {
	u.Time = max(u.Time, t.floor, t.loaded-t.wheel.Span())
	u.Enqueued = min(u.Enqueued, u.Time) // Java reads the difference as a delay
	if u.Time-u.Enqueued > math.MaxInt32 {
		u.Enqueued = u.Time - math.MaxInt32
	}
}

// due returns the exact time of msg, a timer that Java would deliver at out.
func (t *Timer) due(out int64) int64 {
	text, ok := t.msg.Props.Get(record.PropTimerDueMS)
	if ok {
		if due, err := strconv.ParseInt(bytesview.String(text), 10, 64); err == nil && due > out && due <= out+t.precision {
			return due
		}
	}
	return out + t.precision // taken by a Java broker, which forgets the rest
}

// append writes t.units into log and wheel, all or none.
func (t *Timer) append() error {
	if len(t.units) == 0 {
		return nil
	}
	t.undo = t.undo[:0]
	var wheelErr error
	err := t.log.Append(t.units, func(i int, pos int64) {
		u := &t.units[i]
		s, err := t.wheel.Get(u.Time)
		if err != nil {
			wheelErr = err
			return
		}
		t.undo = append(t.undo, undoSlot{u.Time, s})
		u.Prev = s.Last
		if s.Last = pos; s.First < 0 {
			s.First = pos
		}
		s.Num++
		if u.Magic&timerlog.MagicDelete != 0 {
			s.Num -= 2
		}
		if err := t.wheel.Put(u.Time, s); err != nil {
			wheelErr = err
		}
	})
	if err = errors.Join(err, wheelErr); err == nil {
		return nil
	}
	for _, u := range slices.Backward(t.undo) {
		err = errors.Join(err, t.wheel.Put(u.ms, u.slot))
	}
	return err
}
