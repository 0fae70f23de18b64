package replication

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// MasterOptions configure a Master. Keys in comments are the operator's names; zero values mean Java's defaults.
type MasterOptions struct {
	Store *storage.Store
	// Copies is how many slaves must have a message for it to count as replicated: inSyncReplicas less the master itself; at
	// least 1.
	Copies         int
	Heartbeat      time.Duration // haSendHeartbeatInterval, 5 s
	Housekeeping   time.Duration // haHousekeepingInterval, 20 s: a slave that is silent for so long is dropped
	Batch          int           // haTransferBatchSize, 32 KiB
	MaxGap         int64         // haMaxGapNotInSync, 256 MiB: a slave that is further behind is not in sync
	BytesPerSecond int64         // maxHaTransferByteInSecond, to each slave; 0: no limit
	Log            *slog.Logger
}

// Master serves the slaves of a store by DefaultHA.
type Master struct {
	*server
	copies int
	maxGap int64

	// Guarded by the server's mutex.
	acks    []record.Offset // scratch
	counted record.Offset   // of the last mark
}

// NewMaster returns a Master; Serve makes it work.
func NewMaster(o MasterOptions) *Master {
	m := &Master{copies: max(o.Copies, 1), maxGap: cmp.Or(o.MaxGap, 256<<20)}
	m.server = newServer(serveOptions{
		store: o.Store, heartbeat: o.Heartbeat, housekeeping: o.Housekeeping, batch: o.Batch, bytesPerSecond: o.BytesPerSecond, log: o.Log,
	})
	m.talk = func(s *sender) dialogue { return &plainTalk{m: m, s: s} }
	return m
}

// Serve accepts slaves until ctx ends. It closes l and returns when all connections are closed.
func (m *Master) Serve(ctx context.Context, l net.Listener) error { return m.serve(ctx, l) }

// recount moves the replicated mark after a report of some slave.
func (m *Master) recount() {
	m.mu.Lock()
	m.acks = m.acks[:0]
	for s := range m.slaves {
		m.acks = append(m.acks, record.Offset(s.acked.Load()))
	}
	if len(m.acks) < m.copies {
		m.mu.Unlock()
		return
	}
	slices.Sort(m.acks)
	mark := m.acks[len(m.acks)-m.copies]
	moved := mark > m.counted
	m.counted = max(m.counted, mark)
	m.mu.Unlock()
	if moved {
		m.o.store.SetReplicated(mark)
	}
}

// SlaveInfo is one slave as its master sees it.
type SlaveInfo struct {
	Addr   string
	Acked  record.Offset // the slave has the log before it
	Sent   record.Offset
	Behind int64 // bytes
	InSync bool  // not further behind than MaxGap; in controller mode: in the sync-state set

	// In controller mode only.
	ID       int64 // of the broker
	Learner  bool
	CaughtUp time.Time // when it had all that there was
}

// info returns what both kinds of masters know of a slave; end is that of the log.
func (s *sender) info(end record.Offset) SlaveInfo {
	i := SlaveInfo{Addr: s.peer, Acked: record.Offset(s.acked.Load()), Sent: record.Offset(s.sent.Load())}
	i.Behind = int64(end - i.Acked)
	return i
}

// Slaves returns the connected slaves that have said how far they are, sorted by address.
func (m *Master) Slaves() []SlaveInfo {
	end := m.o.store.Appended()
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []SlaveInfo
	for s := range m.slaves {
		if !s.started.Load() {
			continue
		}
		i := s.info(end)
		i.InSync = i.Behind < m.maxGap
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b SlaveInfo) int { return cmp.Compare(a.Addr, b.Addr) })
	return out
}

// plainTalk is a conversation by DefaultHA.
type plainTalk struct {
	m     *Master
	s     *sender
	in    reports
	first record.Offset
	have  bool // first has come
	odd   bool // first is yet to be told from a handshake
}

// handshakeWait is how long the second half of what may be a handshake of the controller mode is waited for. Java writes both
// halves at once.
const handshakeWait = time.Second

// hear implements dialogue.
func (t *plainTalk) hear(p []byte) error {
	before := t.s.acked.Load()
	err := t.in.feed(p, t.take)
	if err == nil && t.s.acked.Load() != before {
		t.m.recount()
	}
	return err
}

func (t *plainTalk) take(end record.Offset) error {
	switch {
	case !t.have:
		t.have, t.first, t.odd = true, end, maybeHandshake(end)
		if !t.odd {
			return t.s.start(end, true)
		}
		return nil
	case t.odd:
		t.odd = false
		if end < t.first { // a broker id; a slave's log does not shrink
			return &refusal{ErrController.Error()}
		}
		if err := t.s.start(t.first, true); err != nil {
			return err
		}
	}
	return t.s.ack(end)
}

// patience implements dialogue.
func (t *plainTalk) patience() time.Duration {
	if t.odd {
		return handshakeWait
	}
	return t.m.o.housekeeping
}

// late implements dialogue.
func (t *plainTalk) late() error {
	if !t.odd {
		return errSilent
	}
	t.odd = false
	if err := t.s.start(t.first, true); err != nil {
		return err
	}
	t.m.recount()
	return nil
}

// header implements dialogue. DefaultHA's frames know nothing but the file.
func (t *plainTalk) header(dst []byte, off record.Offset, n int) []byte {
	return appendHeader(dst, off, n)
}

// border implements dialogue.
func (t *plainTalk) border(record.Offset) record.Offset { return forever }

// offered implements dialogue.
func (t *plainTalk) offered(record.Offset) {}
