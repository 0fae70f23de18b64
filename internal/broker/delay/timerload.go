package delay

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/timerlog"
)

// maxPending is how many timers may be in memory before another slot is loaded.
const maxPending = 100_000

// load brings the slots up to one second ahead into memory.
func (t *Timer) load(now int64) error {
	ahead := t.slot(now) + t.precision
	begin := t.loaded
	for t.loaded <= ahead && t.waiting() < maxPending {
		if t.loaded-begin > 2*t.wheel.Span() {
			break // it has come round: there is nothing before now
		}
		if err := t.loadNext(); err != nil {
			return err
		}
	}
	if t.loaded <= ahead && t.waiting() == 0 {
		t.loaded = t.slot(now)
	}
	return nil
}

// loadNext brings slot t.loaded into memory.
func (t *Timer) loadNext() error {
	slot := t.loaded
	s, err := t.wheel.Get(slot)
	if err != nil {
		return err
	}
	if s.Last >= 0 {
		if err := t.loadChain(slot, s.Last); err != nil {
			return err
		}
		t.dirty = true
	}
	t.loaded = slot + t.precision
	return nil
}

// loadChain brings the units from the one at pos backwards into memory. If the chain is damaged all units of the slot are looked for
// in the whole log.
func (t *Timer) loadChain(slot, pos int64) error {
	units := t.chain[:0]
	var u timerlog.Unit
	for pos >= 0 {
		if pos < t.log.Begin() {
			break // the messages of older files are gone
		}
		err := t.log.Read(pos, &u)
		if err == nil && t.slot(u.Time) != slot {
			err = fmt.Errorf("%w: the unit at %d is of another slot", timerlog.ErrDamaged, pos)
		}
		if errors.Is(err, timerlog.ErrDamaged) {
			t.o.Log.Error("the timers of a second are searched for in the whole timer log", "second", time.UnixMilli(slot), "err", err)
			units = units[:0]
			err = t.log.Each(func(_ int64, u *timerlog.Unit) {
				if t.slot(u.Time) == slot {
					units = append(units, *u)
				}
			})
			pos = -1
		} else {
			units = append(units, u)
			pos = u.Prev
		}
		if err != nil {
			return err
		}
	}
	for i := range units {
		u := &units[i]
		if u.Magic&(timerlog.MagicDelete|timerlog.MagicRoll) != timerlog.MagicDelete {
			continue
		}
		err := t.read(u.Offset, u.Size)
		switch {
		case err == nil:
			t.takeBack(slot, t.recallKey())
		case lostForGood(err):
			t.lose(1, "what takes a timer back cannot be read", err)
		default:
			return err
		}
	}
	for i := range units {
		t.push(slot, &units[i])
	}
	if t.chain = units[:0]; cap(t.chain) > 4*takeAtOnce {
		t.chain = nil
	}
	return nil
}

// push puts a unit of a loaded slot among what is pending.
func (t *Timer) push(slot int64, u *timerlog.Unit) {
	if u.Magic&(timerlog.MagicDelete|timerlog.MagicRoll) == timerlog.MagicDelete {
		return
	}
	due := u.Due
	if due == 0 { // Java's
		due = u.Time + t.precision
		if u.Magic&timerlog.MagicRoll != 0 {
			due = u.Time
		}
	}
	t.pending.push(entry{due: due, offset: u.Offset, slot: slot, enqueued: u.Enqueued, size: u.Size, roll: u.Magic&timerlog.MagicRoll != 0})
	t.left[slot]++
}

// done takes an entry off its slot.
func (t *Timer) done(slot int64) {
	t.dirty = true
	if t.left[slot]--; t.left[slot] <= 0 {
		delete(t.left, slot)
		if slot < t.floor {
			delete(t.taken, slot)
		}
	}
}

// recallKey returns the key of what msg takes back: topic and unique key.
func (t *Timer) recallKey() string {
	topic, _ := t.msg.Props.Get(record.PropRealTopic)
	key, _ := t.msg.Props.Get(record.PropTimerDelKey)
	if n := len(topic); len(key) > n && key[n] == '+' && bytes.Equal(key[:n], topic) {
		key = key[n+1:] // appendTopicForTimerDeleteKey
	}
	return string(topic) + "+" + string(key)
}

func (t *Timer) takeBack(slot int64, key string) {
	if t.taken[slot] == nil {
		t.taken[slot] = map[string]struct{}{}
	}
	t.taken[slot][key] = struct{}{}
}

// recalled reports whether msg, of a slot, was taken back.
func (t *Timer) recalled(slot int64) bool {
	keys := t.taken[slot]
	if len(keys) == 0 {
		return false
	}
	topic, _ := t.msg.Props.Get(record.PropRealTopic)
	key, _ := t.msg.Props.Get(record.PropUniqKey)
	_, ok := keys[string(topic)+"+"+string(key)]
	return ok
}
