package broker_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/vfs"
)

// fault breaks the writes to the commit log while it is set.
type fault struct{ on atomic.Bool }

func (f *fault) set(on bool) { f.on.Store(on) }

func (f *fault) rule(op vfs.Op) error {
	if f.on.Load() && isLogWrite(op) {
		return errors.New("lightning struck")
	}
	return nil
}

func isLogWrite(op vfs.Op) bool {
	return strings.Contains(op.Name, "commitlog") && op.Kind == vfs.OpWrite
}

// stall holds writes to the commit log while it is closed.
type stall struct {
	mu     sync.Mutex
	held   chan struct{}
	opened chan struct{}
}

func (s *stall) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.opened = make(chan struct{}), make(chan struct{})
}

// wait returns when a write is held.
func (s *stall) wait() { <-s.held }

func (s *stall) open() { close(s.opened) }

func (s *stall) rule(op vfs.Op) error {
	if !isLogWrite(op) {
		return nil
	}
	s.mu.Lock()
	held, opened := s.held, s.opened
	s.held = nil
	s.mu.Unlock()
	if held != nil {
		close(held)
		<-opened
	}
	return nil
}
