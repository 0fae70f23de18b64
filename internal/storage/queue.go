package storage

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/commitlog"
	"github.com/cometmq/cometmq/internal/storage/consumequeue"
)

// Queue is the handle of one queue of one topic. There is one for each queue as long as the store is open; it survives
// the deletion of its topic and stands for the new, empty queue then.
type Queue struct {
	s     *Store
	topic string
	id    int32
	own   bool // the records are of this topic; LMQ queues refer to those of others
	cq    atomic.Pointer[consumequeue.Queue]

	compact atomic.Pointer[compacted] // nil: it is not compacted

	seq   commitlog.Seq // the log leader's
	ready atomic.Bool   // seq has been set
	mu    sync.Mutex    // held while seq is set for the first time
}

// Topic returns the name of the topic.
func (q *Queue) Topic() string { return q.topic }

// ID returns the number of the queue.
func (q *Queue) ID() int32 { return q.id }

// Min returns the first index that can be read.
func (q *Queue) Min() record.Index { return q.queue().Min() }

// Max returns the index after the last one that can be read.
func (q *Queue) Max() record.Index { return q.queue().Next() }

// Bounds returns Min and Max, or why they are not known: the files of a queue are opened when it is used first, and Min and
// Max are 0 when that fails.
func (q *Queue) Bounds() (lo, hi record.Index, err error) {
	cq := q.queue()
	if err := cq.Open(); err != nil {
		return 0, 0, fmt.Errorf("open queue %s/%d: %w", q.topic, q.id, err)
	}
	return cq.Min(), cq.Next(), nil
}

// queue returns the queue's files, opened. An error of opening shows again in whatever is done with it.
func (q *Queue) queue() *consumequeue.Queue { return q.cq.Load() }

// prepare makes seq ready for appends.
func (q *Queue) prepare() error {
	if q.ready.Load() {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ready.Load() {
		return nil
	}
	cq := q.queue()
	if err := cq.Open(); err != nil {
		return fmt.Errorf("open queue %s/%d: %w", q.topic, q.id, err)
	}
	// Whatever the log held for this queue was dispatched before the store was open, and nothing has been appended
	// since, because that needs prepare first.
	q.seq.Set(cq.Next())
	q.ready.Store(true)
	return nil
}

// restart makes q stand for the new, empty queue of its topic. Nothing is appended meanwhile.
func (q *Queue) restart() {
	q.mu.Lock() // prepare may be looking at the old one
	defer q.mu.Unlock()
	q.cq.Store(q.s.cqs.Queue(q.topic, q.id))
	q.seq.Set(0)
	q.ready.Store(true)
}

// restart makes the handles of a topic stand for its new, empty queues. Nothing is appended meanwhile.
func (s *Store) restart(topic string) {
	s.queues.mu.RLock()
	defer s.queues.mu.RUnlock()
	if t := s.queues.topics[topic]; t != nil {
		for _, q := range t.list {
			q.restart()
		}
	}
}

// queues is the table of handles.
type queues struct {
	mu     sync.RWMutex // guards the map and the slices in it
	topics map[string]*topicQueues
}

type topicQueues struct {
	name string
	list []*Queue // sorted by id, mostly list[i].id == i
}

func (t *topicQueues) find(id int32) (int, *Queue) {
	if uint32(id) < uint32(len(t.list)) && t.list[id].id == id {
		return int(id), t.list[id]
	}
	i, ok := slices.BinarySearchFunc(t.list, id, func(q *Queue, id int32) int { return int(q.id) - int(id) })
	if !ok {
		return i, nil
	}
	return i, t.list[i]
}

// Queue returns the handle of a queue, which need not exist yet.
func (s *Store) Queue(topic string, id int32) *Queue {
	s.queues.mu.RLock()
	if t := s.queues.topics[topic]; t != nil {
		if _, q := t.find(id); q != nil {
			s.queues.mu.RUnlock()
			return q
		}
	}
	s.queues.mu.RUnlock()
	return s.addQueue(topic, id)
}

// queueOf is Queue for a name that is not a string yet.
func (s *Store) queueOf(topic []byte, id int32) *Queue {
	s.queues.mu.RLock()
	if t := s.queues.topics[string(topic)]; t != nil {
		if _, q := t.find(id); q != nil {
			s.queues.mu.RUnlock()
			return q
		}
	}
	s.queues.mu.RUnlock()
	return s.addQueue(string(topic), id)
}

func (s *Store) addQueue(topic string, id int32) *Queue {
	s.queues.mu.Lock()
	defer s.queues.mu.Unlock()
	t := s.queues.topics[topic]
	if t == nil {
		topic = strings.Clone(topic)
		t = &topicQueues{name: topic}
		s.queues.topics[topic] = t
	}
	i, q := t.find(id)
	if q == nil {
		q = &Queue{s: s, topic: t.name, id: id, own: !IsLight(t.name)}
		q.cq.Store(s.cqs.Queue(t.name, id))
		t.list = slices.Insert(t.list, i, q)
	}
	return q
}

// Lookup returns the handle of a queue that has or had messages.
func (s *Store) Lookup(topic string, id int32) (*Queue, bool) {
	if _, ok := s.cqs.Lookup(topic, id); !ok {
		return nil, false
	}
	return s.Queue(topic, id), true
}

// Queues calls fn for each queue that has or had messages until fn returns false.
func (s *Store) Queues(fn func(*Queue) bool) error {
	return s.cqs.Each(func(cq *consumequeue.Queue) bool { return fn(s.Queue(cq.Topic(), cq.ID())) })
}

// DeleteTopic removes all queues of a topic. Its messages stay in the log until it is cleaned, but are in no queue. New
// messages for the topic start at index 0.
func (s *Store) DeleteTopic(topic string) error {
	if err := s.dropCompacted(topic); err != nil {
		return fmt.Errorf("delete topic %s: %w", topic, err)
	}
	// Most of the work is done before the log stands still.
	if err := s.thorough(); err != nil {
		return fmt.Errorf("delete topic %s: %w", topic, err)
	}
	err := s.log.Exclusive(func() error {
		if err := s.log.Flush(); err != nil {
			return err
		}
		if err := s.dispatchAll(); err != nil {
			return err
		}
		// After a crash the log is dispatched again from the last mark on. It must not bring the old queue back, nor
		// take the new one's first messages for the old one's.
		if err := s.thorough(); err != nil {
			return err
		}
		light := false
		if IsLight(topic) {
			_, light = s.cqs.Lookup(topic, 0)
		}
		if err := s.cqs.Delete(topic); err != nil {
			return err
		}
		if err := s.fs.RemoveAll(filepath.Join(s.o.Dir, extDir, topic)); err != nil {
			return fmt.Errorf("extended entries: %w", err)
		}
		if light {
			s.lightCount.Add(-1)
		}
		s.restart(topic)
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete topic %s: %w", topic, err)
	}
	return nil
}
