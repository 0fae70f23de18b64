package raftlog

import (
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// maxSnapshot bounds what is read of a snapshot before it is looked at.
const maxSnapshot = 256 << 20

// machine makes the library's state machine of a Machine.
type machine struct{ m Machine }

func (m *machine) Apply(l *raft.Log) any { return m.m.Apply(l.Data) }

func (m *machine) Snapshot() (raft.FSMSnapshot, error) { return snapshot(m.m.Snapshot()), nil }

func (m *machine) Restore(r io.ReadCloser) error {
	defer func() { _ = r.Close() }() // it was read only
	data, err := io.ReadAll(io.LimitReader(r, maxSnapshot+1))
	if err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	if len(data) > maxSnapshot {
		return fmt.Errorf("snapshot of more than %d bytes", maxSnapshot)
	}
	return m.m.Restore(data)
}

// snapshot is the bytes of one.
type snapshot []byte

func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(s); err != nil {
		_ = sink.Cancel()
		return fmt.Errorf("write snapshot: %w", err)
	}
	return sink.Close()
}

func (snapshot) Release() {}
