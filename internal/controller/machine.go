package controller

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/protocol"
)

// machine holds the present State for the replicated log. Reading it takes no lock.
type machine struct {
	log   *slog.Logger
	state atomic.Pointer[State]
}

func newMachine(log *slog.Logger) *machine {
	m := &machine{log: log}
	m.state.Store(&State{})
	return m
}

// Apply implements raftlog.Machine; what it returns is an Answer.
func (m *machine) Apply(data []byte) any {
	var c Command
	if err := c.Decode(data); err != nil {
		// Each controller comes to the same result: the entry changes nothing.
		m.log.Error("an entry of the controllers' log is left out", "err", err)
		return Answer{Code: protocol.RespSystemError, Remark: err.Error()}
	}
	next, a := m.state.Load().Apply(&c)
	m.state.Store(next)
	return a
}

// Snapshot implements raftlog.Machine.
func (m *machine) Snapshot() []byte { return m.state.Load().AppendTo(nil) }

// Restore implements raftlog.Machine.
func (m *machine) Restore(data []byte) error {
	s, err := DecodeState(data)
	if err != nil {
		return fmt.Errorf("restore the controllers' state: %w", err)
	}
	m.state.Store(s)
	return nil
}
