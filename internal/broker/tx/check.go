package tx

import (
	"context"
	"errors"
	"time"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

const (
	maxLook   = 60 * time.Second // of one look, as Java's MAX_PROCESS_TIME_LIMIT
	stepCount = 512              // half messages that are looked at together
	stepBytes = 1 << 20
	pruneStep = 4096
)

// verdict is what becomes of an undecided half message.
type verdict uint8

const (
	skip   verdict = iota // cannot be read, or a later copy stands for it
	settle                // decided through another copy: only the op record is missing
	giveUp                // to the topic of what was asked about too often or is too old
	delay                 // immune for now: a copy, nobody is asked
	ask                   // a copy, and a producer is asked
	wait                  // too young, as everything behind it
)

type item struct {
	half    Half
	verdict verdict
	n       int // its message in the batch
	props   []byte
}

// checker is what the checking goroutine reuses.
type checker struct {
	buf, rec, id []byte
	items        []item
	batch        storage.Batch
	msg          record.Message
	w            opWriter
	settled      []record.Index
	dead         []record.Index
}

// look asks about what is undecided for too long. What is put back behind the end meanwhile is for the next look.
func (m *Machine) look(ctx context.Context) {
	start := m.o.Now()
	m.store.CatchUp()
	end := m.half.Max()
	m.unasked = 0
	m.progress = min(max(m.progress, m.half.Min()), end)
	for more := m.progress < end; more && ctx.Err() == nil && m.o.Now().Sub(start) < maxLook; {
		var err error
		if more, err = m.step(ctx, end); err != nil {
			m.o.Log.Error("undecided half messages are looked at again later", "index", m.progress, "err", err)
			return
		}
	}
	if m.unasked > 0 {
		m.o.Log.Warn("no producer to ask about half messages", "count", m.unasked)
	}
	m.advanceOps()
	if m.progress == m.saved && m.opProgress == m.savedOps {
		return
	}
	if err := m.commit(); err != nil {
		m.o.Log.Error("progress of transactions", "err", err)
	}
	m.prune()
}

// commit stores the progress after what allows it: the decisions and copies in the log.
func (m *Machine) commit() error {
	if err := m.store.Flush(); err != nil {
		return err
	}
	m.o.Offsets.Commit(meta.GroupTrans, meta.TopicHalf, 0, m.progress)
	m.o.Offsets.Commit(meta.GroupTrans, meta.TopicOpHalf, 0, m.opProgress)
	m.saved, m.savedOps = m.progress, m.opProgress
	return m.o.Offsets.Sync()
}

// step looks at the next undecided half messages. more = false: there is nothing to do behind them either.
func (m *Machine) step(ctx context.Context, end record.Index) (more bool, err error) {
	m.mu.Lock()
	from := m.window.next(m.progress, end)
	n := 0
	for n < stepCount && from+record.Index(n) < end && !m.window.has(from+record.Index(n)) {
		n++
	}
	m.mu.Unlock()
	m.pass(from)
	if n == 0 {
		return false, nil
	}
	c := &m.check
	res := m.store.Read(m.half, &storage.Read{From: from, MaxCount: n, MaxBytes: stepBytes}, c.buf[:0])
	c.buf = res.Records
	if res.Count == 0 {
		if res.Next <= from {
			return false, nil
		}
		m.pass(res.Next) // removed with the log, or damaged, which is logged there
		return true, nil
	}
	next, more := res.Next, true
	if stop, waits := m.judge(res.Records); waits {
		next, more = stop, false
	}
	if m.o.Escape != nil {
		return more, m.escape(ctx, next)
	}
	if len(c.items) > 0 {
		if err := m.putBack(ctx, next); err != nil {
			return false, err
		}
	}
	m.pass(next)
	return more, nil
}

// escape gives the items to another set, as a slave does that acts as the master, and passes them one by one.
//
// Differs from Java: a half message that no other set takes is tried again until one takes it, or until the master is back. Java
// leaves it out after 10 attempts, and nobody decides it any more.
func (m *Machine) escape(ctx context.Context, next record.Index) error {
	m.reconsider()
	for i := range m.check.items {
		it := &m.check.items[i]
		if it.verdict == ask {
			if err := m.o.Escape(ctx, &it.half); err != nil {
				return errors.Join(err, m.commit())
			}
		}
		m.pass(it.half.Msg.Index + 1)
	}
	m.pass(max(next, m.progress))
	return nil
}

// pass moves the progress.
func (m *Machine) pass(to record.Index) {
	if to == m.progress {
		return
	}
	m.progress = to
	m.mu.Lock()
	m.passed = to
	m.window.trim(to)
	m.mu.Unlock()
}

// judge fills the items. waits: the half message at stop is too young, as all behind it are.
func (m *Machine) judge(recs []byte) (stop record.Index, waits bool) {
	c := &m.check
	c.items = c.items[:0]
	now := m.o.Now()
	for len(recs) > 0 {
		if len(c.items) == cap(c.items) {
			c.items = append(c.items, item{})[:len(c.items)]
		}
		c.items = c.items[:len(c.items)+1]
		it := &c.items[len(c.items)-1]
		n, err := it.half.decode(recs)
		if n <= 0 { // the store gives whole records only
			c.items = c.items[:len(c.items)-1]
			return 0, false
		}
		recs = recs[n:]
		it.verdict = skip
		if err != nil {
			m.o.Log.Error("half message left out", "index", it.half.Msg.Index, "offset", it.half.Msg.Offset, "err", err)
			continue
		}
		if it.verdict = m.verdictOf(&it.half, now); it.verdict == wait {
			c.items = c.items[:len(c.items)-1]
			return it.half.Msg.Index, true
		}
	}
	return 0, false
}

// verdictOf is Java's order of the questions. What another set will decide leaves at once: its producer cannot decide it here.
//
// Differs from Java: an immune message is not counted as asked about. Java counts each look at it, so that a message with an
// immunity time of more than transactionCheckMax looks is given up although its producer was never asked.
func (m *Machine) verdictOf(h *Half, now time.Time) verdict {
	age := h.age(now)
	switch {
	case m.o.Escape != nil:
		return ask
	case h.checks >= m.tuned.Load().CheckMax, age > m.tuned.Load().Reserved:
		return giveUp
	case h.hasImmunity && age < h.patience(m.tuned.Load().Timeout):
		return delay
	case !h.hasImmunity && age >= 0 && age < m.tuned.Load().Timeout:
		return wait
	}
	return ask
}

// putBack stores what the verdicts ask for, commits the progress up to next and asks the producers. A half message that was
// decided while it was looked at is left alone.
func (m *Machine) putBack(ctx context.Context, next record.Index) error {
	c := &m.check
	for i := range c.items {
		if c.items[i].verdict == giveUp {
			m.o.GivenUp(ctx)
			break
		}
	}
	if err := m.storeCopies(next); err != nil {
		return err
	}
	if c.batch.Len() == 0 {
		return nil
	}
	if err := m.commit(); err != nil {
		return err
	}
	for i := range c.items {
		switch it := &c.items[i]; it.verdict {
		case ask:
			m.askAbout(it)
		case giveUp:
			m.o.Log.Error("transaction given up: its producer did not decide it",
				"topic", string(it.half.Topic), "group", string(it.half.Group), "key", string(it.half.Unique),
				"checks", it.half.checks, "kept in", meta.TopicCheckMaxTime)
		case skip, settle, delay, wait:
		}
	}
	return nil
}

// storeCopies appends copies and op records while nothing is decided.
func (m *Machine) storeCopies(next record.Index) error {
	c := &m.check
	m.gate.Lock()
	defer m.gate.Unlock()
	m.reconsider()
	c.batch.Reset()
	c.settled = c.settled[:0]
	for i := range c.items {
		it := &c.items[i]
		h := &it.half
		c.msg = h.Msg
		var err error
		switch it.verdict {
		case settle:
			c.settled = append(c.settled, h.Msg.Index)
		case delay:
			it.props = h.appendCopyProps(it.props[:0], h.checks)
			c.msg.Props = it.props
			it.n, err = c.batch.Add(m.half, &c.msg)
		case ask:
			it.props = h.appendCopyProps(it.props[:0], h.checks+1)
			c.msg.Props = it.props
			it.n, err = c.batch.Add(m.half, &c.msg)
		case giveUp:
			c.msg.Topic = bytesview.Bytes(meta.TopicCheckMaxTime)
			it.n, err = c.batch.Add(m.store.Queue(meta.TopicCheckMaxTime, 0), &c.msg)
		case skip, wait:
		}
		if errors.Is(err, record.ErrPropsTooLong) {
			// No room for the number of checks: the half message is kept where somebody can find it.
			it.verdict = giveUp
			c.msg.Props, c.msg.Topic = h.Msg.Props, bytesview.Bytes(meta.TopicCheckMaxTime)
			it.n, err = c.batch.Add(m.store.Queue(meta.TopicCheckMaxTime, 0), &c.msg)
		}
		if err != nil {
			return err
		}
	}
	if err := c.w.add(m, &c.batch, c.settled); err != nil {
		return err
	}
	if c.batch.Len() == 0 {
		return nil
	}
	if err := m.store.Append(&c.batch); err != nil {
		return err
	}
	m.progress = next
	m.mu.Lock()
	defer m.mu.Unlock()
	m.passed = next
	for i := range c.items {
		it := &c.items[i]
		switch it.verdict {
		case ask, delay:
			if at, _, _ := c.batch.Result(it.n); len(m.copies) < maxCopies || m.copies[it.half.Origin] != 0 {
				m.copies[it.half.Origin] = at
			}
		case giveUp:
			delete(m.copies, it.half.Origin)
		case settle:
			m.window.set(it.half.Msg.Index)
		case skip, wait:
		}
	}
	return nil
}

// reconsider takes out what has been decided, itself or through another copy of it, since it was read.
func (m *Machine) reconsider() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.check.items {
		it := &m.check.items[i]
		at, origin := it.half.Msg.Index, it.half.Origin
		if it.verdict == skip {
			continue
		}
		last, known := m.copies[origin]
		_, late := m.late[origin]
		switch {
		case m.window.has(at), known && last > at:
			it.verdict = skip
		case late, m.window.has(origin), known && m.window.has(last):
			it.verdict = settle
		}
	}
}

// askAbout sends the question. The message is as in the half topic, but with its own topic and queue.
func (m *Machine) askAbout(it *item) {
	c, h := &m.check, &it.half
	at, off, storeMs := c.batch.Result(it.n)
	c.msg = h.Msg
	c.msg.Topic, c.msg.QueueID, c.msg.Props, c.msg.StoreHost = h.Topic, h.Queue, it.props, m.o.Host
	var err error
	if c.rec, err = c.msg.AppendTo(c.rec[:0]); err != nil {
		m.o.Log.Error("half message cannot be asked about", "index", at, "err", err)
		return
	}
	record.Patch(c.rec, at, off, storeMs)
	c.id = record.AppendOffsetID(c.id[:0], m.o.Host, off)
	asked := m.o.Ask(&mq.TransactionCheck{
		Group: bytesview.String(h.Group), Topic: meta.TopicHalf, Index: at, Offset: off, TransactionID: bytesview.String(h.Unique),
		OffsetID: bytesview.String(c.id), Record: c.rec,
	})
	if !asked {
		m.unasked++
		m.o.Log.Debug("no producer to ask about a half message", "group", string(h.Group), "index", at)
	}
}

// prune forgets copies that have been passed. Only this goroutine changes the map, so it may walk it without the lock.
func (m *Machine) prune() {
	c := &m.check
	c.dead = c.dead[:0]
	for origin, last := range m.copies {
		if last < m.progress {
			c.dead = append(c.dead, origin)
		}
	}
	for list := c.dead; len(list) > 0; {
		n := min(len(list), pruneStep)
		m.mu.Lock()
		for _, origin := range list[:n] {
			delete(m.copies, origin)
		}
		m.mu.Unlock()
		list = list[n:]
	}
	if cap(c.dead) > maxCopies/16 {
		c.dead = nil
	}
}
