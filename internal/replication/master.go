package replication

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
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

func (o MasterOptions) withDefaults() MasterOptions {
	o.Copies = max(o.Copies, 1)
	o.Heartbeat = cmp.Or(o.Heartbeat, 5*time.Second)
	o.Housekeeping = cmp.Or(o.Housekeeping, 20*time.Second)
	o.Batch = min(cmp.Or(o.Batch, 32<<10), maxBody)
	o.MaxGap = cmp.Or(o.MaxGap, 256<<20)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// maxSlaves bounds the connections: each holds a goroutine or two and a block of memory.
const maxSlaves = 256

// quietFor is how long the same complaint is not repeated: a slave that is refused comes back every 5 s.
const quietFor = time.Minute

// Master serves the slaves of a store.
type Master struct {
	o MasterOptions

	mu       sync.Mutex // guards what follows
	slaves   map[*sender]struct{}
	acks     []record.Offset // scratch
	counted  record.Offset   // of the last mark
	grumbled map[string]time.Time
}

// NewMaster returns a Master; Serve makes it work.
func NewMaster(o MasterOptions) *Master {
	return &Master{o: o.withDefaults(), slaves: map[*sender]struct{}{}, grumbled: map[string]time.Time{}}
}

// Serve accepts slaves until ctx ends. It closes l and returns when all connections are closed.
func (m *Master) Serve(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("listener for slaves: %w", err)
			}
			m.grumble("accept", "accept a slave", "err", err) // too many open files passes
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		s := &sender{m: m, c: c, peer: c.RemoteAddr().String(), asked: make(chan record.Offset, 1)}
		if !m.add(s) {
			_ = c.Close()
			m.grumble("many", "a slave is refused, there are too many", "peer", s.peer, "slaves", maxSlaves)
			continue
		}
		wg.Go(func() {
			err := s.run(ctx)
			m.remove(s)
			if ctx.Err() == nil {
				m.part(s, err)
			}
		})
	}
}

func (m *Master) add(s *sender) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.slaves) >= maxSlaves {
		return false
	}
	m.slaves[s] = struct{}{}
	return true
}

func (m *Master) remove(s *sender) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.slaves, s)
}

// part tells why a connection has ended: loudly when an operator must act.
func (m *Master) part(s *sender, err error) {
	if _, ok := errors.AsType[*refusal](err); ok {
		host, _, _ := net.SplitHostPort(s.peer)
		m.grumble(host, "a slave is refused", "peer", s.peer, "err", err)
		return
	}
	m.o.Log.Info("slave has gone", "peer", s.peer, "has", record.Offset(s.acked.Load()), "err", err)
}

// grumble logs an error unless one about the same was logged a moment ago.
func (m *Master) grumble(about, msg string, args ...any) {
	now := time.Now()
	m.mu.Lock()
	again := now.Sub(m.grumbled[about]) < quietFor
	if !again {
		if len(m.grumbled) > maxSlaves {
			clear(m.grumbled)
		}
		m.grumbled[about] = now
	}
	m.mu.Unlock()
	if !again {
		m.o.Log.Error(msg, args...)
	}
}

// refusal is why a slave cannot be served until an operator does something.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

// acked moves the replicated mark after a report of some slave.
func (m *Master) acked() {
	m.mu.Lock()
	m.acks = m.acks[:0]
	for s := range m.slaves {
		m.acks = append(m.acks, record.Offset(s.acked.Load()))
	}
	if len(m.acks) < m.o.Copies {
		m.mu.Unlock()
		return
	}
	slices.Sort(m.acks)
	mark := m.acks[len(m.acks)-m.o.Copies]
	moved := mark > m.counted
	m.counted = max(m.counted, mark)
	m.mu.Unlock()
	if moved {
		m.o.Store.SetReplicated(mark)
	}
}

// SlaveInfo is one slave as its master sees it.
type SlaveInfo struct {
	Addr   string
	Acked  record.Offset // the slave has the log before it
	Sent   record.Offset
	Behind int64 // bytes
	InSync bool  // not further behind than MaxGap
}

// Slaves returns the connected slaves that have said how far they are, sorted by address.
func (m *Master) Slaves() []SlaveInfo {
	end := m.o.Store.Appended()
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []SlaveInfo
	for s := range m.slaves {
		if !s.started.Load() {
			continue
		}
		i := SlaveInfo{Addr: s.peer, Acked: record.Offset(s.acked.Load()), Sent: record.Offset(s.sent.Load())}
		i.Behind = int64(end - i.Acked)
		i.InSync = i.Behind < m.o.MaxGap
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b SlaveInfo) int { return cmp.Compare(a.Addr, b.Addr) })
	return out
}
