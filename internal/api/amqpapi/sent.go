package amqpapi

import (
	"context"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// sent knows where the last messages of this door are. A message is answered for when it is in the log, a little before it is in its queue;
// but a client that has sent a message and then asks whether there is one must get it.
type sent struct {
	mu   sync.Mutex // guards last
	last map[string]map[int32]mq.Index
}

func (s *sent) note(topic string, queue int32, at mq.Index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[string]map[int32]mq.Index{}
	}
	q := s.last[topic]
	if q == nil {
		q = map[int32]mq.Index{}
		s.last[topic] = q
	}
	q[queue] = max(q[queue], at)
}

// take returns what was noted for a topic, and forgets it.
func (s *sent) take(topic string) map[int32]mq.Index {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.last[topic]
	delete(s.last, topic)
	return q
}

const (
	// catchUpFor bounds the wait for messages that are in the log to be in their queues.
	catchUpFor  = time.Second
	catchUpEach = time.Millisecond
)

// catchUp waits until the last messages of this door are in the queues of a topic. It reports false when they were noticed to be before.
func (s *Server) catchUp(ctx context.Context, topic string) bool {
	queues := s.sent.take(topic)
	for end := time.Now().Add(catchUpFor); ; {
		behind := false
		for id, at := range queues {
			next, err := s.o.Service.MaxIndex(ctx, topic, id)
			behind = behind || err == nil && next <= at
		}
		if !behind || time.Now().After(end) {
			return len(queues) > 0
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(catchUpEach):
		}
	}
}
