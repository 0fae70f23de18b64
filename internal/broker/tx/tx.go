package tx

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// Offsets keeps the progress in both queues.
type Offsets interface {
	Query(group, topic string, queue int32) (mq.Index, bool)
	Commit(group, topic string, queue int32, at mq.Index)
	Sync() error
}

// Options configures a Machine. Zero values mean Java's defaults.
type Options struct {
	Store   *storage.Store
	Offsets Offsets
	Host    netip.AddrPort // where op records say that they are from

	Timeout  time.Duration // transactionTimeOut: age from which producers are asked, 6 s
	Interval time.Duration // transactionCheckInterval: time between looks at what is undecided, 30 s
	CheckMax int           // transactionCheckMax: how often producers are asked, 15
	OpSize   int           // transactionOpMsgMaxSize: bytes of an op record's body, 4096
	Reserved time.Duration // fileReservedTime: age at which an undecided message is given up, 72 h

	// Ask asks a producer of the group about a half message and returns false when there is none. It must not block.
	Ask func(c *mq.TransactionCheck) bool
	// Escape gives an undecided half message to another set, whose broker asks the producer then. It does not give up before ctx
	// ends. nil: producers are asked from here.
	Escape func(ctx context.Context, h *Half) error
	// GivenUp makes sure that the topic of what is given up exists.
	GivenUp func(ctx context.Context)

	Now func() time.Time
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	span := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	span(&o.Timeout, 6*time.Second)
	span(&o.Interval, 30*time.Second)
	span(&o.Reserved, 72*time.Hour)
	if o.CheckMax <= 0 {
		o.CheckMax = 15
	}
	if o.OpSize <= 0 {
		o.OpSize = 4096
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// maxCopies bounds what is remembered about copies. Without an entry a decision about the original does not reach its copy,
// about which the producer is asked then: it may answer twice, as with Java.
const maxCopies = 1 << 20

// maxLate bounds late in the same way.
const maxLate = 1 << 16

// Machine decides half messages.
type Machine struct {
	o         Options
	tuned     atomic.Pointer[Options] // what Retune changes
	store     *storage.Store
	half, ops *storage.Queue

	// gate is held shared while a batch of decisions is made and stored, exclusively while copies are: what is copied was
	// not decided meanwhile.
	gate sync.RWMutex

	mu     sync.Mutex // guards the fields below, not the progress, which is the checking goroutine's
	window window
	claims map[record.Index]*Ending      // being decided
	copies map[record.Index]record.Index // original: the last copy of it
	late   map[record.Index]struct{}     // originals behind the progress that were decided although no copy was known
	passed record.Index                  // progress, for others

	// The checking goroutine's.
	progress, opProgress record.Index
	saved, savedOps      record.Index // as committed
	known                record.Index // the end of the op records that the window knows from the log
	unasked              int          // of this look: nobody was there
	check                checker
}

// Open returns the machine that goes on with what the store and the offsets say. It starts nothing.
func Open(o Options) *Machine {
	o = o.withDefaults()
	m := &Machine{
		o: o, store: o.Store, half: o.Store.Queue(meta.TopicHalf, 0), ops: o.Store.Queue(meta.TopicOpHalf, 0),
		claims: map[record.Index]*Ending{}, copies: map[record.Index]record.Index{}, late: map[record.Index]struct{}{},
	}
	m.tuned.Store(&o)
	m.progress = m.committed(m.half)
	m.opProgress = m.committed(m.ops)
	m.passed, m.saved, m.savedOps = m.progress, m.progress, m.opProgress
	m.window.reset(m.progress)
	records := m.load()
	m.known = m.ops.Max()
	if n := m.half.Max() - m.progress; n > 0 {
		o.Log.Info("half messages", "after", m.progress, "count", n, "opRecords", records)
	}
	return m
}

// committed returns the progress in a queue: what is committed for it, at least its begin.
func (m *Machine) committed(q *storage.Queue) record.Index {
	at, ok := m.o.Offsets.Query(meta.GroupTrans, q.Topic(), q.ID())
	if !ok || at < 0 {
		return q.Min()
	}
	return min(max(at, q.Min()), q.Max())
}

// Ending is what a batch decides. It is reused.
type Ending struct {
	claimed []record.Index // what the op records of the batch name
	late    []record.Index
	w       opWriter
}

// Claim says what to do about a decision.
type Claim uint8

// Claims.
const (
	Fresh Claim = iota // undecided until now: store what it becomes
	Again              // decided before: nothing to do
	Busy               // being decided by another batch
)

// Enter begins a batch of decisions. Finish must follow soon: copies wait meanwhile.
func (m *Machine) Enter(e *Ending) {
	m.gate.RLock()
	e.claimed, e.late = e.claimed[:0], e.late[:0]
}

// Claim reserves the half message h for e.
//
// Differs from Java: a half message is decided once. There a second "commit", for example the answer to a check that
// crossed the producer's own decision, stores the message again.
func (m *Machine) Claim(e *Ending, h *Half) Claim {
	i := h.Msg.Index
	m.mu.Lock()
	defer m.mu.Unlock()
	last := i
	if c, ok := m.copies[h.Origin]; ok {
		last = max(last, c)
	}
	if m.window.has(i) || m.window.has(last) {
		return Again
	}
	list := [3]record.Index{i, last, h.Origin}
	for _, x := range list {
		if by := m.claims[x]; by == e {
			return Again
		} else if by != nil {
			return Busy
		}
	}
	if i < m.passed && last == i { // there is, or was, a copy that we do not know
		e.late = append(e.late, h.Origin)
	}
	for k, x := range list {
		// The original behind the progress has had its time; Java has no use for its index either.
		if m.claims[x] == nil && (k < 2 || x >= m.passed) {
			m.claims[x] = e
			e.claimed = append(e.claimed, x)
		}
	}
	return Fresh
}

// Unclaim takes back the last Claim that was Fresh: what the half message becomes cannot be stored. n is Claimed before it.
func (m *Machine) Unclaim(e *Ending, n, late int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range e.claimed[n:] {
		delete(m.claims, x)
	}
	e.claimed, e.late = e.claimed[:n], e.late[:late]
}

// Claimed returns the lengths to which Unclaim goes back.
func (e *Ending) Claimed() (n, late int) { return len(e.claimed), len(e.late) }

// AddOps adds the op records of the batch, behind the messages that were committed.
//
// Differs from Java: op records are appended with what they are about. Java keeps them in memory for up to 3 s; after a
// crash it asks about messages that were committed, and a producer that says "commit" again makes a duplicate.
func (m *Machine) AddOps(e *Ending, batch *storage.Batch) error {
	return e.w.add(m, batch, e.claimed)
}

// Finish ends the batch. stored: the op records are in the log.
func (m *Machine) Finish(e *Ending, stored bool) {
	m.mu.Lock()
	for _, x := range e.claimed {
		delete(m.claims, x)
		if stored {
			m.window.set(x)
		}
	}
	if stored {
		for _, x := range e.late {
			m.rememberLate(x)
		}
	}
	m.mu.Unlock()
	m.gate.RUnlock()
}

func (m *Machine) rememberLate(i record.Index) {
	if len(m.late) >= maxLate {
		clear(m.late)
	}
	m.late[i] = struct{}{}
}

// Retune changes Timeout, Interval, CheckMax, OpSize and Reserved of a machine that works; Interval counts from the next look on.
func (m *Machine) Retune(o Options) {
	next := *m.tuned.Load()
	next.Timeout, next.Interval, next.CheckMax, next.OpSize, next.Reserved = o.Timeout, o.Interval, o.CheckMax, o.OpSize, o.Reserved
	next = next.withDefaults()
	m.tuned.Store(&next)
}

// Expired is Half.Expired with the machine's clock and timeout.
func (m *Machine) Expired(h *Half) bool { return h.Expired(m.o.Now(), m.tuned.Load().Timeout) }

// Run looks at what is undecided each Interval until ctx ends. It may be called again then: it goes on where the offsets are, which
// somebody else may have moved.
func (m *Machine) Run(ctx context.Context) error {
	m.resume()
	t := time.NewTimer(m.tuned.Load().Interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		m.look(ctx)
		t.Reset(m.tuned.Load().Interval)
	}
}

// resume learns again what has been decided, if others may have written the log or the offsets since Open.
func (m *Machine) resume() {
	m.store.CatchUp()
	at, opAt := m.committed(m.half), m.committed(m.ops)
	if at <= m.saved && opAt <= m.savedOps && (m.o.Escape == nil || m.ops.Max() == m.known) {
		return
	}
	m.gate.Lock()
	defer m.gate.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.progress, m.opProgress = max(at, m.progress), max(opAt, m.opProgress)
	m.saved, m.savedOps, m.passed = at, opAt, m.progress
	if m.o.Escape == nil {
		// What was decided since Open is in the window already.
		m.window.trim(m.progress)
		return
	}
	m.window.reset(m.progress)
	clear(m.late)
	records := m.load()
	m.known = m.ops.Max()
	m.o.Log.Info("half messages", "after", m.progress, "count", m.half.Max()-m.progress, "opRecords", records)
}

// Close does nothing: what the machine knows is in the log.
func (m *Machine) Close() error { return nil }
