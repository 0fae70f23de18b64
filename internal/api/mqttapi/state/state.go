// Package state keeps what MQTT sessions must not forget: records under text keys, changed in order and in groups.
//
// Invariants:
//   - Changes are applied in the order of the calls of Apply, and their done functions are called in that order, by one goroutine, when
//     the change is on disk.
//   - Whoever waits for nothing blocks nobody: one transaction of the file takes all changes that came meanwhile.
//   - After a change that could not be written all later ones fail with the same error: what is in memory is ahead of the file then.
package state

import (
	"bytes"
	"fmt"
	"maps"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/cometmq/cometmq/internal/kvfile"
)

// Op puts a value, or removes the key when Value is nil.
type Op struct {
	Key   string
	Value []byte
}

var bucket = []byte("mqtt")

type change struct {
	ops  []Op
	done func(error)
}

// Store is the file.
type Store struct {
	file *kvfile.File // nil: in memory
	mem  map[string][]byte

	mu     sync.Mutex // guards what follows
	queue  []change
	closed bool
	failed error
	wake   chan struct{} // one slot
	ended  chan struct{}
}

// Open makes a store on a file, or one in memory when file is nil. It is to be closed.
func Open(file *kvfile.File) *Store {
	s := &Store{file: file, mem: map[string][]byte{}, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go s.run()
	return s
}

// Apply queues a change. done may be nil. It is never called from inside Apply. ops and its values belong to the store.
func (s *Store) Apply(ops []Op, done func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.queue = append(s.queue, change{ops, done})
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close writes what was queued and ends. Changes that come later are never done.
func (s *Store) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.wake)
	}
	s.mu.Unlock()
	<-s.ended
	if s.file != nil {
		return s.file.Close()
	}
	return nil
}

func (s *Store) run() {
	defer close(s.ended)
	for range s.wake {
		s.drain()
	}
	s.drain()
}

func (s *Store) drain() {
	for {
		s.mu.Lock()
		group := s.queue
		s.queue = nil
		err := s.failed
		s.mu.Unlock()
		if len(group) == 0 {
			return
		}
		if err == nil {
			if err = s.write(group); err != nil {
				err = fmt.Errorf("write the state of sessions: %w", err)
				s.mu.Lock()
				s.failed = err
				s.mu.Unlock()
			}
		}
		for _, c := range group {
			if c.done != nil {
				c.done(err)
			}
		}
	}
}

func (s *Store) write(group []change) error {
	if s.file == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range group {
			for _, op := range c.ops {
				if op.Value == nil {
					delete(s.mem, op.Key)
				} else {
					s.mem[op.Key] = op.Value
				}
			}
		}
		return nil
	}
	return s.file.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucket)
		if err != nil {
			return err
		}
		for _, c := range group {
			for _, op := range c.ops {
				if op.Value == nil {
					err = b.Delete([]byte(op.Key))
				} else {
					err = b.Put([]byte(op.Key), op.Value)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Load calls f with each record whose key begins with prefix. What it gets is valid during the call only.
func (s *Store) Load(prefix string, f func(key string, value []byte) error) error {
	if s.file == nil {
		s.mu.Lock()
		all := maps.Clone(s.mem)
		s.mu.Unlock()
		for k, v := range all {
			if len(k) >= len(prefix) && k[:len(prefix)] == prefix {
				if err := f(k, v); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return s.file.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, v := c.Seek([]byte(prefix)); k != nil && bytes.HasPrefix(k, []byte(prefix)); k, v = c.Next() {
			if err := f(string(k), v); err != nil {
				return err
			}
		}
		return nil
	})
}
