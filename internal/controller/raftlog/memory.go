package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"

	"github.com/hashicorp/raft"
)

// Memory is a disk of one member in memory, for simulations: it outlives the member as a folder does, and each write is
// durable at once. The zero value is an empty one.
type Memory struct {
	mu          sync.Mutex // guards the fields below
	first, last uint64     // of entries, 0 when there are none
	entries     map[uint64]raft.Log
	votes       map[string]uint64
	values      map[string][]byte
	snap        *memorySnapshot // the newest one, nil when there is none
	snaps       int
}

// memorySnapshot does not change once it is in a Memory.
type memorySnapshot struct {
	meta raft.SnapshotMeta
	data []byte
}

// Clone returns what is on the disk at this moment. The member whose disk it was goes on with the old one, unseen: that is a kill.
func (m *Memory) Clone() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Memory{
		first: m.first, last: m.last, entries: maps.Clone(m.entries), votes: maps.Clone(m.votes), values: maps.Clone(m.values), snap: m.snap, snaps: m.snaps,
	}
}

// FirstIndex implements raft.LogStore.
func (m *Memory) FirstIndex() (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.first, nil
}

// LastIndex implements raft.LogStore.
func (m *Memory) LastIndex() (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last, nil
}

// GetLog implements raft.LogStore.
func (m *Memory) GetLog(index uint64, e *raft.Log) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	got, ok := m.entries[index]
	if !ok {
		return raft.ErrLogNotFound
	}
	*e = got
	return nil
}

// StoreLog implements raft.LogStore.
func (m *Memory) StoreLog(e *raft.Log) error { return m.StoreLogs([]*raft.Log{e}) }

// StoreLogs implements raft.LogStore.
func (m *Memory) StoreLogs(entries []*raft.Log) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = map[uint64]raft.Log{}
	}
	for _, e := range entries {
		m.entries[e.Index] = *e
		if m.first == 0 {
			m.first = e.Index
		}
		m.last = max(m.last, e.Index)
	}
	return nil
}

// DeleteRange implements raft.LogStore; both ends are included.
func (m *Memory) DeleteRange(first, last uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := first; i <= last; i++ {
		delete(m.entries, i)
	}
	if first <= m.first {
		m.first = last + 1
	}
	if last >= m.last {
		m.last = first - 1
	}
	if m.first > m.last {
		m.first, m.last = 0, 0
	}
	return nil
}

// Set implements raft.StableStore.
func (m *Memory) Set(key, val []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil {
		m.values = map[string][]byte{}
	}
	m.values[string(key)] = bytes.Clone(val)
	return nil
}

// Get implements raft.StableStore.
func (m *Memory) Get(key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[string(key)]
	if !ok {
		return nil, errNotSet
	}
	return bytes.Clone(v), nil
}

// SetUint64 implements raft.StableStore.
func (m *Memory) SetUint64(key []byte, val uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.votes == nil {
		m.votes = map[string]uint64{}
	}
	m.votes[string(key)] = val
	return nil
}

// GetUint64 implements raft.StableStore: 0 for what was never set.
func (m *Memory) GetUint64(key []byte) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.votes[string(key)], nil
}

// Create implements raft.SnapshotStore. What is written counts when the sink is closed.
func (m *Memory) Create(
	v raft.SnapshotVersion, index, term uint64, c raft.Configuration, configured uint64, _ raft.Transport,
) (raft.SnapshotSink, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.snaps++
	return &memorySink{to: m, s: memorySnapshot{meta: raft.SnapshotMeta{
		Version: v, ID: fmt.Sprintf("%d-%d-%d", term, index, m.snaps), Index: index, Term: term, Configuration: c, ConfigurationIndex: configured,
	}}}, nil
}

// List implements raft.SnapshotStore.
func (m *Memory) List() ([]*raft.SnapshotMeta, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.snap == nil {
		return nil, nil
	}
	meta := m.snap.meta
	return []*raft.SnapshotMeta{&meta}, nil
}

// Open implements raft.SnapshotStore.
func (m *Memory) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.snap == nil || m.snap.meta.ID != id {
		return nil, nil, errors.New("there is no snapshot " + id)
	}
	meta := m.snap.meta
	return &meta, io.NopCloser(bytes.NewReader(m.snap.data)), nil
}

// memorySink takes a snapshot.
type memorySink struct {
	to   *Memory
	s    memorySnapshot
	done bool
}

func (k *memorySink) ID() string { return k.s.meta.ID }

func (k *memorySink) Write(p []byte) (int, error) {
	k.s.data = append(k.s.data, p...)
	return len(p), nil
}

func (k *memorySink) Close() error {
	if k.done {
		return nil
	}
	k.done = true
	k.s.meta.Size = int64(len(k.s.data))
	k.to.mu.Lock()
	defer k.to.mu.Unlock()
	if old := k.to.snap; old == nil || old.meta.Index <= k.s.meta.Index {
		k.to.snap = &k.s
	}
	return nil
}

func (k *memorySink) Cancel() error {
	k.done = true
	return nil
}
