package delay

import (
	"errors"
	"time"

	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/storage/timerlog"
)

// idleSave is how often the time up to which everything was delivered is written while there are no timers.
const idleSave = time.Minute

// save begins a checkpoint in the background, unless there is nothing new or one is under way.
func (t *Timer) save() {
	now := t.o.Now().UnixMilli()
	idle := t.check.LogPos > 0 && now-t.check.ReadTime > idleSave.Milliseconds()
	if t.saving || t.rebuild != nil || !t.dirty && !idle {
		return
	}
	if err := t.log.Clean(t.o.Store.MinOffset()); err != nil {
		t.complain(t.o.Now(), "old files of the timer log are not removed, trying again", err)
	}
	write, err := t.snapshot()
	if err != nil {
		t.complain(t.o.Now(), "timers are not written down, trying again", err)
		return
	}
	t.saving = true
	go func() { t.saved <- write() }()
}

// snapshot takes what a checkpoint holds; the function that it returns writes it and may run beside everything else.
//
// The order makes each thing true when it is on disk: first the messages and the delivered copies, then the units, which refer to
// messages, then the slots, which refer to units, then the checkpoint, which says what need not be looked at again.
func (t *Timer) snapshot() (func() error, error) {
	if err := t.wheel.Create(); err != nil {
		return nil, err
	}
	c := t.check
	c.ReadTime, c.LogPos, c.QueueIndex, c.MasterIndex = t.readTime(), t.log.End(), int64(t.next), int64(t.next)
	pages := t.wheel.Take()
	t.check, t.floor, t.dirty = c, c.ReadTime, false
	for slot := range t.taken {
		if t.left[slot] == 0 && slot < t.floor {
			delete(t.taken, slot)
		}
	}
	return func() error {
		if err := t.o.Store.Flush(); err != nil {
			return err
		}
		if err := t.log.Sync(); err != nil {
			return err
		}
		if err := pages.Write(); err != nil {
			return err
		}
		return c.Save(t.o.FS, t.checkPath())
	}, nil
}

// finish ends the checkpoint under way.
func (t *Timer) finish(err error) {
	t.saving = false
	t.wheel.Done(err == nil)
	if err != nil {
		t.dirty = true
		t.complain(t.o.Now(), "timers are not written down, trying again", err)
	}
}

// Check returns the last checkpoint, for slaves. Run must have returned.
func (t *Timer) Check() timerlog.Check { return t.check }

// Close writes everything down. Run has returned.
func (t *Timer) Close() error {
	var err error
	if _, broken := errors.AsType[*storage.ReadOnlyError](t.o.Store.Writable()); !broken && t.rebuild == nil && (t.dirty || t.check.LogPos > 0) {
		var write func() error
		if write, err = t.snapshot(); err == nil {
			err = write()
			t.wheel.Done(err == nil)
		}
	}
	return errors.Join(err, t.log.Close(), t.wheel.Close())
}
