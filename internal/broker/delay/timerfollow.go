package delay

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/storage/timerlog"
	"github.com/cometmq/cometmq/internal/vfs"
)

// How a slave's timers follow. A slave keeps no timer log: it only knows how far its master was, in config/timercheck, and makes
// the timer log anew from the timer topic when it becomes master. How far is two numbers:
//
//	QueueIndex  messages of the timer topic before it were taken
//	ReadTime    of those, what was due before it (ms, exact) has been delivered, and nothing else is known to be
//
// Differs from Java: a Java slave makes its own timer log all the time, up to where its master is, and takes whole seconds for
// delivered.

// tellEvery is how far apart it is said how far the timers are.
const tellEvery = 50 * time.Millisecond

type said struct {
	mu   sync.Mutex     // guards what follows
	done timerlog.Check // for our slaves
	java timerlog.Check // for Java's
}

// postponed are timers that came late: they are in a slot behind the one of their time, and that is not loaded yet. In ms; zero is none.
type postponed struct{ due, slot int64 } // the earliest time, the last slot

// postpone notes that a timer which is due at due is in a slot.
func (t *Timer) postpone(due, slot int64) {
	if t.late == (postponed{}) || t.late.slot < t.loaded {
		t.late = postponed{due, slot}
		return
	}
	t.late.due, t.late.slot = min(t.late.due, due), max(t.late.slot, slot)
}

// tell says how far the timers are, when that has changed. What was taken and is not delivered is pending, or ready, or in a slot that
// is not loaded: then it is due after the begin of that slot, unless it came late.
func (t *Timer) tell() {
	done := t.loaded + 1
	if t.late != (postponed{}) && t.late.slot >= t.loaded {
		done = min(done, t.late.due)
	}
	if len(t.pending) > 0 {
		done = min(done, t.pending[0].due)
	}
	if t.at < len(t.ready) {
		done = min(done, t.first)
	}
	c := timerlog.Check{ReadTime: max(done, 0), MasterIndex: int64(t.next), State: t.check.State, Timestamp: t.check.Timestamp, Counter: t.check.Counter}
	if t.rebuild != nil {
		c.ReadTime, c.MasterIndex = t.rebuild.before, int64(t.rebuild.until)
	}
	java := c
	// In whole slots; that of a timer that came late is the one in which it would be if it had come in time.
	java.ReadTime = min(t.readTime(), t.slot(max(c.ReadTime-1, 0)))
	java.LogPos, java.QueueIndex = t.log.End(), c.MasterIndex
	t.said.mu.Lock()
	moved := c != t.said.done
	t.said.done, t.said.java = c, java
	t.said.mu.Unlock()
	if t.o.Moved == nil || t.trailing || !moved && !t.unsaid {
		return
	}
	at := t.o.Now()
	if t.unsaid = at.Sub(t.saidAt) < tellEvery; !t.unsaid {
		t.saidAt = at
		t.o.Moved(c.AppendTo(nil))
	}
}

// Told returns the 56 bytes that say how far the timers are; for Java, as its own checkpoint has them.
func (t *Timer) Told(java bool) []byte {
	t.said.mu.Lock()
	defer t.said.mu.Unlock()
	if java {
		return t.said.java.AppendTo(nil)
	}
	return t.said.done.AppendTo(nil)
}

// Follow writes down what Told of the master has returned, or a Java master. It does not wait for the disk.
func Follow(fsys vfs.FS, dir string, told []byte, java bool) error {
	c, err := checkOf(told, java)
	if err != nil {
		return err
	}
	return c.Put(fsys, checkPath(dir))
}

// Follow is the function Follow for a timer that trails. It counts in whole slots: what was due in the one in which the master is may
// be delivered or not.
func (t *Timer) Follow(told []byte, java bool) error {
	c, err := checkOf(told, java)
	if err == nil {
		v := mq.DataVersion{StateVersion: c.State, Timestamp: c.Timestamp, Counter: c.Counter}
		t.Heard(Progressed{t.slot(max(c.ReadTime-1, 0)), record.Index(c.MasterIndex), v})
	}
	return err
}

func checkOf(told []byte, java bool) (timerlog.Check, error) {
	c, err := timerlog.DecodeCheck(told)
	if err != nil {
		return c, fmt.Errorf("timer checkpoint of the master: %w", err)
	}
	if java {
		c.MasterIndex = c.QueueIndex
		// Its seconds are rounded, and what is due when it is taken may not be delivered yet.
		c.ReadTime = max(c.ReadTime-javaMargin, 0)
	}
	c.LogPos, c.QueueIndex = 0, 0
	return c, nil
}

// javaMargin, in ms, is what may come twice from a Java master.
const javaMargin = 3000

func checkPath(dir string) string { return filepath.Join(dir, "config", "timercheck") }

// rebuild is what makes the timer log anew from the timer topic.
type rebuild struct {
	until  record.Index // the master had taken what is before
	before int64        // and delivered what was due before that, ms
	seed   maphash.Seed
	// A timer that was far away was stored again when half of the way was done, and again. Only the last copy counts; it is found
	// before the timers are taken.
	next, end record.Index // of the search
	copied    map[uint64]struct{}
}

// follow finds out whether the checkpoint is one that Follow wrote, and then removes what there is of timers from earlier.
func (t *Timer) follow() error {
	c, ok, err := timerlog.LoadCheck(t.o.FS, t.checkPath())
	if err != nil || !ok || c.LogPos != 0 || c.QueueIndex != 0 || c.MasterIndex == 0 {
		return err
	}
	if err := removeTimers(t.o.FS, t.o.Dir); err != nil {
		return err
	}
	t.rebuild = &rebuild{
		until: record.Index(c.MasterIndex), before: c.ReadTime, seed: maphash.MakeSeed(), next: t.queue.Min(), end: t.queue.Max(),
		copied: map[uint64]struct{}{},
	}
	t.o.Log.Info("timers are found in the log", "messages", t.rebuild.end-t.rebuild.next, "taken", c.MasterIndex, "delivered", time.UnixMilli(c.ReadTime))
	return nil
}

// deliverNow is deliver, after the search for copies.
func (t *Timer) deliverNow(ctx context.Context, now int64) (int, error) {
	r := t.rebuild
	if r == nil {
		return t.deliver(ctx, now)
	}
	for r.next < r.end && ctx.Err() == nil {
		if err := r.search(t); err != nil {
			return 0, err
		}
	}
	if t.next >= max(r.until, r.end) || t.next >= t.queue.Max() {
		t.rebuild, t.dirty = nil, true
		t.o.Log.Info("timers are complete", "taken", t.next)
	}
	return t.deliver(ctx, now)
}

// search looks for copies among the next messages.
func (r *rebuild) search(t *Timer) error {
	var entries [128]storage.Entry
	n, next, err := t.o.Store.Entries(t.queue, r.next, entries[:])
	if err != nil {
		return err
	}
	if next == r.next {
		r.next = r.end
		return nil
	}
	for i := range entries[:n] {
		e := &entries[i]
		if e.Offset < 0 {
			continue
		}
		if err := t.read(e.Offset, e.Size); err != nil {
			if lostForGood(err) {
				continue
			}
			return err
		}
		if times := t.rolls(); times > 0 {
			r.copied[r.name(t, times-1)] = struct{}{}
		}
	}
	r.next = next
	return nil
}

// rolls is how often msg was stored again.
func (t *Timer) rolls() int64 {
	text, _ := t.msg.Props.Get(record.PropTimerRollTimes)
	n, _ := strconv.ParseInt(bytesview.String(text), 10, 32)
	return n
}

// name tells timers apart: topic, unique key, time, and how often it was stored again.
func (r *rebuild) name(t *Timer, rolls int64) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	for _, name := range []string{record.PropRealTopic, record.PropUniqKey, record.PropTimerOutMS, record.PropTimerDelKey} {
		v, _ := t.msg.Props.Get(name)
		_, _ = h.Write(v)
		_ = h.WriteByte(0)
	}
	_, _ = h.WriteString(strconv.FormatInt(rolls, 10))
	return h.Sum64()
}

// done reports whether msg, which is at e, needs nothing any more.
func (r *rebuild) done(t *Timer, e *storage.Entry) bool {
	if _, ok := t.msg.Props.Get(record.PropUniqKey); ok && len(r.copied) > 0 {
		if _, copied := r.copied[r.name(t, t.rolls())]; copied {
			return true
		}
	}
	if e.Index >= r.until {
		return false
	}
	text, _ := t.msg.Props.Get(record.PropTimerOutMS)
	out, err := strconv.ParseInt(bytesview.String(text), 10, 64)
	return err == nil && out < math.MaxInt64/2 && t.due(out) < r.before
}

// Cut makes what is written of timers fit to a log whose end was cut: the timer topic ends at queueEnd, and what was due at ms or later may
// have been delivered into the part that has gone. The timer log is made anew. The timer must not be open.
func Cut(fsys vfs.FS, dir string, queueEnd record.Index, ms int64) error {
	c, ok, err := timerlog.LoadCheck(fsys, checkPath(dir))
	if err != nil || !ok {
		return err
	}
	c.MasterIndex = min(max(c.MasterIndex, c.QueueIndex), int64(queueEnd))
	c.ReadTime, c.LogPos, c.QueueIndex = max(min(c.ReadTime, ms), 0), 0, 0
	if c.MasterIndex == 0 { // nothing was taken of what is there
		c.ReadTime = 0
		if err := removeTimers(fsys, dir); err != nil {
			return err
		}
	}
	return c.Save(fsys, checkPath(dir))
}

func removeTimers(fsys vfs.FS, dir string) error {
	for _, name := range []string{"timerlog", "timerwheel"} {
		if err := fsys.RemoveAll(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove old timers: %w", err)
		}
	}
	return nil
}
