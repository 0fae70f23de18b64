package broker_test

import (
	"errors"
	"strings"
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

// stall holds the next write to the commit log between close and open.
type stall struct {
	armed  atomic.Bool
	held   chan struct{}
	opened chan struct{}
}

func (s *stall) close() {
	s.held, s.opened = make(chan struct{}), make(chan struct{})
	s.armed.Store(true)
}

// wait returns when a write is held.
func (s *stall) wait() { <-s.held }

func (s *stall) open() { close(s.opened) }

func (s *stall) rule(op vfs.Op) error {
	if isLogWrite(op) && s.armed.CompareAndSwap(true, false) {
		close(s.held)
		<-s.opened
	}
	return nil
}
