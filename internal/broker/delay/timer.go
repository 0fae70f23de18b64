package delay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/storage/timerlog"
	"github.com/cometmq/cometmq/internal/vfs"
)

// TimerTopic is where messages with a time of their own are kept until they are due, all in queue 0.
const TimerTopic = "rmq_sys_wheel_timer"

// TimerOptions configures a Timer. Zero values are Java's defaults.
type TimerOptions struct {
	Store *storage.Store
	FS    vfs.FS
	Dir   string // storePathRootDir

	FileSize   int64         // mappedFileSizeTimerLog, default 100 MiB
	Slots      int           // seconds that the wheel looks ahead, default timerlog.JavaSlots; other values are for tests
	Precision  time.Duration // timerPrecisionMs, default 1 s
	RollWindow time.Duration // timerRollWindowSlot, as a time, default 2 days
	Flush      time.Duration // timerFlushIntervalMs, default 1 s

	Append Append // where copies are stored, default Store

	// Delivered is told about each delivered copy and its size; it must be cheap. May be nil.
	Delivered func(q *storage.Queue, bytes int64)
	// Noted is told about each timer that is taken, for which topic it is and how many ms after the birth of its message it is due; it must
	// be cheap and not keep topic. May be nil.
	Noted func(topic []byte, ahead int64)
	// Moved is told how far the timers are, for slaves; may be nil.
	Moved func(told []byte)
	Now   func() time.Time
	Log   *slog.Logger
}

func (o TimerOptions) withDefaults() TimerOptions {
	span := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	if o.FileSize <= 0 {
		o.FileSize = 100 << 20
	}
	if o.Slots <= 0 {
		o.Slots = timerlog.JavaSlots
	}
	span(&o.Precision, time.Second)
	span(&o.RollWindow, 48*time.Hour)
	span(&o.Flush, time.Second)
	if o.Delivered == nil {
		o.Delivered = func(*storage.Queue, int64) {}
	}
	if o.Append == nil {
		o.Append = toStore(o.Store)
	}
	return o
}

// Timer delivers messages at the time that they ask for.
//
// What is stored in TimerTopic is taken in its order, noted in the timer log under the second in which it is due, and forgotten.
// When that second comes near its units are loaded; they are all that is in memory. A message that is farther away than the roll
// window is stored again before the log would be too old to have it.
//
// One goroutine does all that; a second one waits for the disk. In a broker that may act as another one's substitute it delivers
// only at times, see act.go.
type Timer struct {
	o         TimerOptions
	precision int64 // ms
	window    int64 // ms
	queue     *storage.Queue
	log       *timerlog.Log
	wheel     *timerlog.Wheel
	check     timerlog.Check // as last saved or about to be

	next    record.Index // of the next message to take
	loaded  int64        // ms: the first slot that is not in memory
	floor   int64        // ms: no slot before it is read after a crash
	pending heap
	ready   []entry // due; from at on they are not delivered
	at      int
	first   int64                         // the earliest time of those in ready
	noted   moment                        // when timers were last noted
	left    map[int64]int                 // how many of each slot are pending
	taken   map[int64]map[string]struct{} // what was taken back in slots that are loaded
	rebuild *rebuild                      // nil unless this was a slave

	late   postponed
	said   said
	saidAt time.Time
	unsaid bool // something has moved since

	again    bool    // what is loaded next may have been delivered before
	copies   *copies // what was delivered since the checkpoint that was found; nil when all of that is past
	copiesTo int64   // ms: slots from then on have no such copies

	reader *storage.Reader
	msg    record.Message
	units  []timerlog.Unit
	chain  []timerlog.Unit // of the slot that is loaded
	undo   []undoSlot
	batch  storage.Batch
	queues []*storage.Queue
	props  []byte

	trailing  bool         // see Trail
	virgin    bool         // no checkpoint: how far its master is is not known
	limit     record.Index // while it trails: of what may be taken
	elsewhere Progressed   // what another broker has delivered

	mu   sync.Mutex // guards told
	told Progressed // how far the other broker is

	wake    chan struct{}
	saved   chan error // of the checkpoint under way
	saving  bool
	dirty   bool // something has changed since the last checkpoint
	lastErr time.Time

	stats struct {
		enqueued, delivered, rolled, recalled, lost, failures atomic.Int64
		pending, read, next, safe                             atomic.Int64
	}
}

// OpenTimer finds out where a former broker was. It starts nothing.
func OpenTimer(o TimerOptions) (*Timer, error) {
	o = o.withDefaults()
	t := &Timer{
		o: o, precision: o.Precision.Milliseconds(), queue: o.Store.Queue(TimerTopic, 0),
		left: map[int64]int{}, taken: map[int64]map[string]struct{}{}, reader: o.Store.NewReader(),
		wake: make(chan struct{}, 1), saved: make(chan error, 1),
	}
	if t.precision < 1 {
		return nil, fmt.Errorf("timerPrecisionMs = %d: must be at least 1", t.precision)
	}
	err := t.follow()
	if err != nil {
		return nil, err
	}
	if t.log, err = timerlog.OpenLog(o.FS, filepath.Join(o.Dir, "timerlog"), o.FileSize); err != nil {
		return nil, err
	}
	if t.wheel, err = timerlog.OpenWheel(o.FS, filepath.Join(o.Dir, "timerwheel"), o.Slots, t.precision); err != nil {
		return nil, errors.Join(err, t.log.Close())
	}
	// Half of what the wheel holds leaves room for one that is behind.
	t.window = min(o.RollWindow.Milliseconds(), t.wheel.Span()/2)
	if err = t.recover(); err != nil {
		return nil, errors.Join(err, t.log.Close(), t.wheel.Close())
	}
	t.publish()
	return t, nil
}

func (t *Timer) checkPath() string { return checkPath(t.o.Dir) }

func (t *Timer) slot(ms int64) int64 { return ms - ms%t.precision }

// recover reads the checkpoint and brings the wheel up to the end of the log.
func (t *Timer) recover() error {
	check, ok, err := timerlog.LoadCheck(t.o.FS, t.checkPath())
	if err != nil {
		return err
	}
	now := t.slot(t.o.Now().UnixMilli())
	t.check, t.next, t.loaded = check, record.Index(check.QueueIndex), t.slot(check.ReadTime)
	if t.virgin = !ok || check.ReadTime == 0; t.virgin {
		t.loaded = 0 // all that is in the log
	}
	// Java begins a file earlier than the checkpoint says, and so do we: its wheel is written while it changes.
	var last timerlog.Unit
	newest := map[int64]int64{}
	err = t.log.Recover(max(check.LogPos-t.o.FileSize, 0), func(pos int64, u *timerlog.Unit) bool {
		if pos >= check.LogPos && !t.sound(u) {
			t.o.Log.Warn("the timer log is cut: the message of a unit is not in the log", "position", pos, "offset", u.Offset)
			return false
		}
		last = *u
		slot := t.slot(u.Time)
		if slot < t.loaded {
			return true // delivered
		}
		newest[slot] = pos
		if u.Due > 0 && u.Due <= slot && u.Magic&timerlog.MagicRoll == 0 {
			t.postpone(u.Due, slot) // it came late then
		}
		return true
	})
	for slot, pos := range newest {
		s, werr := t.wheel.Get(slot)
		if s.First < 0 || s.First > pos {
			s.First = pos
		}
		if s.Last < pos || s.Last >= t.log.End() {
			s.Last = pos
			werr = errors.Join(werr, t.wheel.Put(slot, s))
		}
		err = errors.Join(err, werr)
	}
	if err == nil && t.virgin {
		err = t.begin(now, newest)
	}
	if err != nil {
		return fmt.Errorf("recover timers: %w", err)
	}
	if last.Size > 0 && t.read(last.Offset, last.Size) == nil {
		t.next = max(t.next, t.msg.Index+1)
	}
	first, end := t.queue.Min(), t.queue.Max()
	if t.rebuild != nil {
		t.next = first
	}
	if t.next < first || t.next > end {
		t.o.Log.Error("timers continue at another message", "offset", t.next, "min", first, "max", end)
		t.next = min(max(t.next, first), end)
	}
	t.floor = t.loaded
	t.reader.Close()
	t.noted.ms = last.Enqueued
	t.again = true
	if end > 0 {
		t.o.Log.Info("timers recovered", "from", time.UnixMilli(t.loaded), "taken", t.next, "of", end, "log", t.log.End())
	}
	return nil
}

// begin decides which slot is the first one when no checkpoint says it: the oldest one with timers in the wheel or in the log, whose slots
// newest has. What was delivered of them is in the log of messages, see findCopies.
func (t *Timer) begin(now int64, newest map[int64]int64) error {
	oldest, err := t.wheel.Oldest()
	if t.loaded = now; oldest > 0 {
		t.loaded = min(now, oldest)
	}
	for slot := range newest {
		t.loaded = min(t.loaded, slot)
	}
	return err
}

// sound reports whether the message of a unit is in the log.
func (t *Timer) sound(u *timerlog.Unit) bool { return t.read(u.Offset, u.Size) == nil }

var errOtherTopic = errors.New("it is no message of " + TimerTopic)

// read makes msg the message at a place of the log, if it is one of the timer topic.
func (t *Timer) read(off record.Offset, size int32) error {
	rec, err := t.reader.Record(off, int(size))
	if err != nil {
		return err
	}
	if _, err = record.Decode(rec, &t.msg, false); err != nil {
		return err
	}
	if string(t.msg.Topic) != TimerTopic {
		return errOtherTopic
	}
	return nil
}

// lostForGood reports whether an error of read will stay.
func lostForGood(err error) bool {
	_, bad := errors.AsType[*record.CorruptError](err)
	return bad || storage.IsLost(err) || errors.Is(err, errOtherTopic) || errors.Is(err, record.ErrShort)
}

// Arrived must be called when a message becomes readable in TimerTopic.
func (t *Timer) Arrived() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// coalesce is how long after a delivery the next one is at the earliest: timers that are due within it share an append.
const coalesce = 5 * time.Millisecond

// Run delivers until ctx ends. It may be called again.
func (t *Timer) Run(ctx context.Context) error {
	t.trailing, t.virgin, t.elsewhere = false, false, t.heard()
	t.version(t.elsewhere.Version, versionLead)
	if t.again {
		if err := t.findCopies(); err != nil {
			t.o.Log.Error("timers that were delivered before are not known and may be delivered again", "err", err)
		}
		t.again = false
	}
	return t.loop(ctx)
}

func (t *Timer) loop(ctx context.Context) error {
	defer t.reader.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	flush := time.NewTicker(t.o.Flush)
	defer flush.Stop()
	var last time.Time // of a delivery
	for ctx.Err() == nil {
		now := t.o.Now()
		ms := now.UnixMilli()
		n, err := 0, error(nil)
		if t.trailing {
			t.trail()
		} else {
			if n, err = t.deliverNow(ctx, ms); n > 0 {
				last = now
			}
			if err == nil {
				err = t.load(ms)
			}
		}
		more := n > 0
		if err == nil {
			var took int
			took, err = t.take(ms)
			more = more || took > 0
		}
		t.publish()
		wait := t.idle(now, last)
		switch {
		case err != nil:
			t.complain(now, "timers cannot be served, trying again", err)
			wait = firstRetry
		case more:
			wait = 0
		}
		if t.unsaid {
			wait = min(wait, tellEvery)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-t.wake:
		case <-timer.C:
		case err := <-t.saved:
			t.finish(err)
		case <-flush.C:
			t.save()
		}
	}
	if t.saving {
		t.finish(<-t.saved)
	}
	return nil
}

// idle returns how long there is nothing to do: until the next timer, or the next slot is to be loaded.
func (t *Timer) idle(now, last time.Time) time.Duration {
	wait := time.Minute
	if t.trailing {
		return wait
	}
	if t.waiting() < maxPending {
		wait = time.UnixMilli(t.loaded - t.precision).Sub(now)
	}
	if len(t.pending) > 0 {
		due := time.UnixMilli(t.pending[0].due).Sub(now)
		if next := coalesce - now.Sub(last); due < next && next <= coalesce {
			due = next
		}
		wait = min(wait, due)
	}
	return min(wait, time.Minute) // the clock may be set
}

func (t *Timer) complain(now time.Time, what string, err error) {
	if now.Sub(t.lastErr) >= 10*time.Second {
		t.lastErr = now
		t.o.Log.Error(what, "err", err)
	}
}

// waiting is how many timers are in memory.
func (t *Timer) waiting() int { return len(t.pending) + len(t.ready) - t.at }

// publish copies figures for others.
func (t *Timer) publish() {
	t.tell()
	t.stats.pending.Store(int64(t.waiting()))
	read := t.readTime()
	if read > t.copiesTo {
		t.copies = nil
	}
	t.stats.read.Store(read)
	t.stats.next.Store(int64(t.next))
	t.stats.safe.Store(t.safeTime())
}

// readTime is the first slot, as a time in ms, in which something may not have been delivered.
func (t *Timer) readTime() int64 {
	first := t.loaded
	for s := range t.left {
		first = min(first, s)
	}
	return first
}

// ripen moves what is due at now from the heap to t.ready, unless that still has some.
func (t *Timer) ripen(now int64) {
	if t.at < len(t.ready) {
		return
	}
	if t.ready, t.at = t.ready[:0], 0; cap(t.ready) > maxPending {
		t.ready = nil // a rare crowd does not keep its memory
	}
	if len(t.pending) > 0 {
		t.first = t.pending[0].due
	}
	for len(t.pending) > 0 && t.pending[0].due <= now {
		t.ready = append(t.ready, t.pending[0])
		t.pending.pop()
	}
	if len(t.ready) > batchMessages {
		// All of them are late. In the order of the log they are read many at a time.
		slices.SortFunc(t.ready, func(a, b entry) int { return cmp.Compare(a.offset, b.offset) })
	}
}

// deliver stores copies of what is due at now and returns how many timers are done.
func (t *Timer) deliver(ctx context.Context, now int64) (int, error) {
	t.ripen(now)
	t.batch.Reset()
	t.queues = t.queues[:0]
	entries := t.ready[t.at:min(t.at+batchMessages, len(t.ready))]
	n := 0
	for n < len(entries) && t.batch.Size() < batchBytes {
		e := &entries[n]
		err := t.read(e.offset, e.size)
		if err != nil && !lostForGood(err) {
			if n == 0 {
				return 0, err
			}
			break // those before it first
		}
		n++
		if err == nil && !t.doneElsewhere(e) && !t.isDelivered(e) {
			err = t.add(e, now)
		}
		if err != nil {
			t.lose(1, "timer cannot be delivered and is left out", fmt.Errorf("offset %d: %w", e.offset, err))
		}
	}
	if t.batch.Len() > 0 {
		if _, ok := appendAll(ctx, t.o.Append, &t.batch, t.o.Log, func() { t.stats.failures.Add(1) }); !ok {
			return 0, nil
		}
		for i, q := range t.queues {
			t.o.Delivered(q, int64(t.batch.RecordSize(i)))
		}
		if t.batch.Size() > 2*batchBytes {
			t.batch = storage.Batch{}
		}
	}
	for _, e := range entries[:n] {
		t.done(e.slot)
	}
	t.at += n
	return n, nil
}

// add adds msg, the message of e, to the batch as it is to be stored now.
func (t *Timer) add(e *entry, now int64) error {
	if !e.roll && t.recalled(e.slot) {
		t.stats.recalled.Add(1)
		return nil
	}
	num := func(name string, v int64) {
		t.props = append(strconv.AppendInt(append(append(t.props, name...), 1), v, 10), 2)
	}
	drop := []string{record.PropTimerEnqueueMS, record.PropTimerDequeueMS, record.PropTimerDueMS, record.PropTimerRollTimes}
	rolls, _ := t.msg.Props.Get(record.PropTimerRollTimes)
	due, hasDue := t.msg.Props.Get(record.PropTimerDueMS)
	t.props = t.msg.Props.AppendWithout(t.props[:0], drop...)
	num(record.PropTimerEnqueueMS, e.enqueued)
	num(record.PropTimerDequeueMS, now)
	times, _ := strconv.ParseInt(bytesview.String(rolls), 10, 32)
	if e.roll {
		times++
	}
	if times > 0 {
		num(record.PropTimerRollTimes, times)
	}
	if e.roll && hasDue {
		t.props = record.AppendProp(t.props, record.PropTimerDueMS, bytesview.String(due))
	}
	t.msg.Props = t.props
	if e.roll {
		t.msg.Magic, t.msg.PreparedOffset = 0, 0
		if _, err := t.batch.Add(t.queue, &t.msg); err != nil {
			return err
		}
		t.queues = append(t.queues, t.queue)
		t.stats.rolled.Add(1)
		return nil
	}
	q, err := addCopy(t.o.Store, &t.batch, &t.msg)
	if err != nil {
		return err
	}
	t.queues = append(t.queues, q)
	t.stats.delivered.Add(1)
	return nil
}

func (t *Timer) lose(n int64, what string, err error) {
	t.stats.lost.Add(n)
	t.complain(t.o.Now(), what, err)
}

// TimerStats is what a Timer has done since the start, and where it is.
type TimerStats struct {
	Enqueued, Delivered, Rolled, Recalled, Lost, Failures int64

	Pending  int64 // timers in memory
	ReadTime int64 // ms: everything before it has been delivered
	Next     mq.Index
	End      mq.Index // of the timer topic
}

// Stats returns the figures.
func (t *Timer) Stats() TimerStats {
	s := &t.stats
	return TimerStats{
		s.enqueued.Load(), s.delivered.Load(), s.rolled.Load(), s.recalled.Load(), s.lost.Load(), s.failures.Load(),
		s.pending.Load(), s.read.Load(), mq.Index(s.next.Load()), t.queue.Max(),
	}
}
