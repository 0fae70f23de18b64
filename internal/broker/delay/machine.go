package delay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// Progress is where the machine keeps how far each level is: meta.Delays.
type Progress interface {
	Get(level int32) (mq.Index, bool)
	// End returns the end that was set with the position, 0 when it is not known.
	End(level int32) mq.Offset
	Set(level int32, at mq.Index, end mq.Offset)
	Sync() error
	Durable(end mq.Offset)
	Fold() error
}

// MachineOptions configures a Machine.
type MachineOptions struct {
	Store    *storage.Store
	Progress Progress
	Levels   Levels
	Fold     time.Duration // flushDelayOffsetInterval: age of delayOffset.json, default 10 s
	Append   Append        // where copies are stored, default Store
	// Delivered is told about each delivered copy and its size; it must be cheap. May be nil.
	Delivered func(q *storage.Queue, bytes int64)
	Now       func() time.Time
	Log       *slog.Logger
}

// Bounds of one delivery: what is read and appended together.
const (
	batchMessages = 512
	batchBytes    = 1 << 20
)

// Machine delivers messages with a delay level. One goroutine serves all levels: within a level messages become due in the order in
// which they were stored, so the first one of each queue is all that has to be watched.
type Machine struct {
	o      MachineOptions
	levels []level
	wake   chan struct{}
	batch  storage.Batch
	queues []*storage.Queue // of the copies in batch
	msg    record.Message
	buf    []byte

	stats struct{ delivered, failures, lost, moves atomic.Int64 }
}

type level struct {
	number int32 // from 1
	delay  time.Duration
	queue  *storage.Queue
	next   record.Index
	due    int64 // of the message at next, ms; math.MaxInt64: there is none
	idle   atomic.Bool
	done   atomic.Int64 // next, for others
}

// NewMachine returns a machine that continues where the files say. It starts nothing.
func NewMachine(o MachineOptions) *Machine {
	if o.Fold <= 0 {
		o.Fold = 10 * time.Second
	}
	if o.Delivered == nil {
		o.Delivered = func(*storage.Queue, int64) {}
	}
	if o.Append == nil {
		o.Append = toStore(o.Store)
	}
	m := &Machine{o: o, levels: make([]level, len(o.Levels)), wake: make(chan struct{}, 1)}
	for i := range m.levels {
		l := &m.levels[i]
		l.number, l.delay = int32(i+1), o.Levels[i]
		l.queue = o.Store.Queue(Topic, int32(i))
	}
	m.locate(false) // Run does it again
	return m
}

// locate continues each level where Progress says.
func (m *Machine) locate(complain bool) {
	for i := range m.levels {
		l := &m.levels[i]
		l.next = 0
		if at, ok := m.o.Progress.Get(l.number); ok {
			l.next = at
		}
		if first, end := l.queue.Min(), l.queue.Max(); l.next < first || l.next > end {
			// As Java does when it loads.
			if complain {
				m.o.Log.Error("delay level continues at another message", "level", l.number, "offset", l.next, "min", first, "max", end)
			}
			l.next = min(max(l.next, first), end)
		}
		l.done.Store(int64(l.next))
	}
}

// Arrived must be called for each message that becomes readable in Topic.
func (m *Machine) Arrived(queue int32) {
	if int(queue) < len(m.levels) && m.levels[queue].idle.Swap(false) {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
}

// Run delivers until ctx ends. It may be called again then: it continues where Progress says, which somebody else may have moved.
func (m *Machine) Run(ctx context.Context) error {
	m.o.Store.CatchUp()
	m.locate(true)
	m.skipDelivered()
	if err := m.o.Progress.Sync(); err != nil { // positions that the log has lost are void for ever
		m.o.Log.Error("the progress of delay levels is not in its journal yet", "err", err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { m.runFold(ctx) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		next := int64(math.MaxInt64)
		for i := range m.levels {
			l := &m.levels[i]
			if !m.serve(ctx, l) {
				return nil
			}
			next = min(next, l.due)
		}
		if wait := m.until(next); wait > 0 {
			timer.Reset(wait)
		} else {
			timer.Reset(0)
		}
		select {
		case <-ctx.Done():
		case <-m.wake:
		case <-timer.C:
		}
	}
	return nil
}

// until returns how long it is to a time in ms, at most an hour: the clock may be set meanwhile.
func (m *Machine) until(ms int64) time.Duration {
	now := m.o.Now()
	if ms-now.UnixMilli() > time.Hour.Milliseconds() {
		return time.Hour
	}
	return time.UnixMilli(ms).Sub(now)
}

// serve delivers some of what is due in l and finds out when the next message is. False: ctx ended.
func (m *Machine) serve(ctx context.Context, l *level) bool {
	var units [128]storage.Entry
	for range 8 { // then it is another level's turn
		l.idle.Store(true) // before looking, so that what comes afterwards wakes us
		n, next, err := m.o.Store.Entries(l.queue, l.next, units[:])
		switch {
		case err != nil:
			m.o.Log.Error("queue of a delay level cannot be read, trying again", "level", l.number, "offset", l.next, "err", err)
			l.due = m.o.Now().Add(time.Second).UnixMilli()
			return ctx.Err() == nil
		case n == 0 && next == l.next:
			l.due = math.MaxInt64
			return true
		case n == 0:
			m.lost(l, int64(next-l.next), "messages of a delay level are gone from the queue", errors.New("deleted or damaged"))
			m.move(l, next, 0)
			continue
		}
		l.idle.Store(false)
		now := m.o.Now().UnixMilli()
		due := 0
		for due < n && l.dueAt(&units[due], now) <= now {
			due++
		}
		if due == 0 {
			l.due = l.dueAt(&units[0], now)
			return true
		}
		if !m.deliver(ctx, l, units[:due]) {
			return false
		}
	}
	l.due = 0
	return ctx.Err() == nil
}

// dueAt returns when a message is due. One that is later than its level allows was stored before the clock went back, or with other
// levels, and is due now, as in Java.
func (l *level) dueAt(e *storage.Entry, now int64) int64 {
	if e.Offset < 0 || e.Tags > now+l.delay.Milliseconds() {
		return now
	}
	return e.Tags
}

// deliver stores copies of the messages of units and moves the level behind them. False: ctx ended.
func (m *Machine) deliver(ctx context.Context, l *level, units []storage.Entry) bool {
	read := storage.Read{From: units[0].Index, MaxCount: min(len(units), batchMessages), MaxBytes: batchBytes, MaxScan: len(units)}
	res := m.o.Store.Read(l.queue, &read, m.buf[:0])
	if cap(res.Records) <= 2*batchBytes {
		m.buf = res.Records
	}
	next := res.Next
	if next <= l.next || next > units[len(units)-1].Index+1 {
		next = units[0].Index + 1 // the queue was cut meanwhile
	}
	if missing := int(next-l.next) - res.Count; missing > 0 {
		m.lost(l, int64(missing), "delayed messages cannot be read from the log and are left out", errors.New("deleted or damaged"))
	}
	m.batch.Reset()
	m.queues = m.queues[:0]
	for recs := res.Records; len(recs) > 0; {
		n, err := record.Decode(recs, &m.msg, false)
		if err != nil {
			m.lost(l, 1, "delayed message is damaged and left out", err)
			break
		}
		recs = recs[n:]
		q, err := addCopy(m.o.Store, &m.batch, &m.msg)
		if err != nil {
			m.lost(l, 1, "delayed message cannot be delivered and is left out", fmt.Errorf("%s: %w", m.msg.String(), err))
			continue
		}
		m.queues = append(m.queues, q)
	}
	end := mq.Offset(0)
	if m.batch.Len() > 0 {
		var ok bool
		if end, ok = appendAll(ctx, m.o.Append, &m.batch, m.o.Log, func() { m.stats.failures.Add(1) }); !ok {
			return false
		}
		m.stats.delivered.Add(int64(m.batch.Len()))
		for i, q := range m.queues {
			m.o.Delivered(q, int64(m.batch.RecordSize(i)))
		}
		if m.batch.Size() > 2*batchBytes {
			m.batch = storage.Batch{}
		}
	}
	m.move(l, next, end)
	return true
}

// move notes that everything before next has been delivered.
func (m *Machine) move(l *level, next record.Index, end mq.Offset) {
	m.stats.moves.Add(1)
	l.next = next
	l.done.Store(int64(next))
	m.o.Progress.Set(l.number, next, end)
	if err := m.o.Progress.Sync(); err != nil {
		// Logged by nobody else, but harmless: after a kill more is delivered again.
		m.o.Log.Debug("the progress of a delay level is not in the journal yet", "level", l.number, "err", err)
	}
}

func (m *Machine) lost(l *level, n int64, what string, err error) {
	if m.stats.lost.Add(n) == n || n > 1 {
		m.o.Log.Error(what, "level", l.number, "offset", l.next, "messages", n, "err", err)
	}
}

// runFold writes delayOffset.json from time to time. It waits for the disk, so it is not the goroutine that delivers.
func (m *Machine) runFold(ctx context.Context) {
	t := time.NewTicker(m.o.Fold)
	defer t.Stop()
	for saved := int64(-1); ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		moves := m.stats.moves.Load()
		if moves == saved {
			continue
		}
		if err := m.save(); err != nil {
			m.o.Log.Error("delayOffset.json is not written, trying again", "err", err)
			continue
		}
		saved = moves
	}
}

// save makes durable what was delivered, then says so in delayOffset.json.
func (m *Machine) save() error {
	if err := m.o.Store.Flush(); err != nil {
		return err
	}
	m.o.Progress.Durable(m.o.Store.Flushed())
	return m.o.Progress.Fold()
}

// Close writes the progress down.
func (m *Machine) Close() error {
	if _, broken := errors.AsType[*storage.ReadOnlyError](m.o.Store.Writable()); broken {
		return nil // the journal has it, and the JSON must not say more than the log
	}
	return m.save()
}

// Stats is what a Machine has done.
type Stats struct{ Delivered, Failures, Lost int64 }

// Stats returns the figures since the start: copies that were stored, attempts to store that failed, messages that could not be
// read.
func (m *Machine) Stats() Stats {
	return Stats{m.stats.delivered.Load(), m.stats.failures.Load(), m.stats.lost.Load()}
}

// Positions returns for each level how far it is and where its queue ends.
func (m *Machine) Positions() (done, end []mq.Index) {
	for i := range m.levels {
		done = append(done, mq.Index(m.levels[i].done.Load()))
		end = append(end, m.levels[i].queue.Max())
	}
	return done, end
}
