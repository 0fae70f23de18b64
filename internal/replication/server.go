package replication

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// maxSlaves bounds the connections: each holds a goroutine or two and a block of memory.
const maxSlaves = 256

// quietFor is how long the same complaint is not repeated: a slave that is refused comes back every 5 s.
const quietFor = time.Minute

// serveOptions are those of both kinds of masters.
type serveOptions struct {
	store          *storage.Store
	heartbeat      time.Duration
	housekeeping   time.Duration
	batch          int
	bytesPerSecond int64
	log            *slog.Logger
}

func (o serveOptions) withDefaults() serveOptions {
	o.heartbeat = cmp.Or(o.heartbeat, 5*time.Second)
	o.housekeeping = cmp.Or(o.housekeeping, 20*time.Second)
	o.batch = min(cmp.Or(o.batch, 32<<10), maxFrame-switchHeaderLen)
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	return o
}

// server accepts slaves: what masters of both protocols share.
type server struct {
	o    serveOptions
	talk func(*sender) dialogue // begins a conversation
	gone func(*sender)          // a connection has ended; may be nil

	mu       sync.Mutex // guards what follows
	slaves   map[*sender]struct{}
	grumbled map[string]time.Time
}

func newServer(o serveOptions) *server {
	return &server{o: o.withDefaults(), slaves: map[*sender]struct{}{}, grumbled: map[string]time.Time{}}
}

// serve accepts slaves until ctx ends. It closes l and returns when all connections are closed.
func (m *server) serve(ctx context.Context, l net.Listener) error {
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
		s.d = m.talk(s)
		if !m.add(s) {
			_ = c.Close()
			m.grumble("many", "a slave is refused, there are too many", "peer", s.peer, "slaves", maxSlaves)
			continue
		}
		wg.Go(func() {
			err := s.run(ctx)
			m.remove(s)
			if m.gone != nil {
				m.gone(s)
			}
			if ctx.Err() == nil {
				m.part(s, err)
			}
		})
	}
}

func (m *server) add(s *sender) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.slaves) >= maxSlaves {
		return false
	}
	m.slaves[s] = struct{}{}
	return true
}

func (m *server) remove(s *sender) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.slaves, s)
}

// part tells why a connection has ended: loudly when an operator must act.
func (m *server) part(s *sender, err error) {
	if _, ok := errors.AsType[*refusal](err); ok {
		host, _, _ := net.SplitHostPort(s.peer)
		m.grumble(host, "a slave is refused", "peer", s.peer, "err", err)
		return
	}
	m.o.log.Info("slave has gone", "peer", s.peer, "has", record.Offset(s.acked.Load()), "err", err)
}

// grumble logs an error unless one about the same was logged a moment ago.
func (m *server) grumble(about, msg string, args ...any) {
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
		m.o.log.Error(msg, args...)
	}
}

// refusal is why a slave cannot be served until an operator does something.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }
