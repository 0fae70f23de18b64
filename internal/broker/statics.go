package broker

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
)

// Static topics: this file is about writing to them, logical.go about reading.

// withStatic adds what is known of a static topic to its configuration.
func (b *Broker) withStatic(c mq.TopicConfig) mq.TopicConfig {
	c.Static = b.meta.Statics.Get(c.Name)
	return c
}

// IsStatic implements mq.StaticQueues.
func (b *Broker) IsStatic(topic string) bool { return b.meta.Statics.Get(topic) != nil }

// PutStaticTopic implements mq.TopicAdmin. When it returns, no send that went by the old mapping is under way any more: the end of a
// queue that this broker leads no longer stands, and tools ask for it next.
//
// Differs from Java: the mapping is checked first. There a mapping that is refused leaves the topic with its new number of queues.
func (b *Broker) PutStaticTopic(ctx context.Context, t mq.TopicConfig, force bool) error {
	if refusal := checkTopicName(t.Name); refusal != nil {
		return refusal
	}
	if refusal := b.systemConflict(t.Name); refusal != nil {
		return refusal
	}
	switch {
	case t.Static == nil || t.Static.Topic != t.Name:
		return mq.Errorf(mq.KindInternal, "the body is no mapping of topic %s", t.Name)
	case t.Static.Broker != b.o.Name:
		return mq.Errorf(mq.KindInternal, "the mapping is that of broker %s, this is %s", t.Static.Broker, b.o.Name)
	case b.o.Slave:
		return errSlave
	case t.ReadQueues < 0 || t.WriteQueues < 0 || t.ReadQueues > maxQueues || t.WriteQueues > maxQueues:
		return mq.Errorf(mq.KindInvalidParameter, "readQueueNums %d and writeQueueNums %d must be 0 to %d.",
			t.ReadQueues, t.WriteQueues, maxQueues)
	}
	err := b.meta.Statics.Put(t.Static, force)
	if refusal, ok := errors.AsType[*mq.Error](err); ok {
		return refusal
	}
	b.staticSends.settle(ctx)
	t.Static = nil // has a table of its own
	e, v, perr := b.meta.Topics.Put(t)
	// Whoever waits for a message asks again: perhaps another broker by now.
	b.polls.WakeTopic(t.Name)
	if refusal, ok := errors.AsType[*mq.Error](perr); ok {
		return refusal
	}
	if err = errors.Join(err, perr); err != nil {
		return mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	b.o.Log.Info("static topic changed", "topic", e.Name(), "config", javaTopic(&t), "leads", len(b.meta.Statics.Get(t.Name).Led()))
	b.announce(ctx, v, e.Config())
	return nil
}

// errNotLeader is Java's answer when another broker leads a logical queue.
func errNotLeader(topic string, queue int32, broker string) *mq.Error {
	return mq.Errorf(mq.KindNotLeader, "%s-%d does not exit in request process of current broker %s", topic, queue, broker)
}

// leadQueue returns where a message to a static topic goes, whose topic sendTopic has left in s: the logical queue, one that this
// broker leads if the producer has no wish, and the physical one, which is in part.
//
// Differs from Java: of the queues that this broker leads one is drawn. There it is the first in a hash table, led or not.
func (b *Broker) leadQueue(s *sender, r *mq.SendRequest) (logical, id int32, part *logicqueue.Item, refusal *mq.Error) {
	if s.gated == 0 {
		b.staticSends.enter(s)
	}
	logical = r.QueueID
	m := b.meta.Statics.Get(r.Topic)
	if m == nil { // gone meanwhile
		id, refusal = chooseQueue(&s.cfg, r)
		return logical, id, nil, refusal
	}
	if logical < 0 {
		if led := m.Led(); len(led) > 0 {
			logical = led[rand.IntN(len(led))]
		}
	}
	items, ok := m.Leader(logical)
	if !ok {
		return 0, 0, nil, errNotLeader(r.Topic, logical, m.Broker)
	}
	part = &items[len(items)-1]
	if id = part.Queue; id >= max(s.cfg.WriteQueues, s.cfg.ReadQueues) || id >= maxQueues {
		return 0, 0, nil, mq.Errorf(mq.KindInvalidParameter, "request queueId[%d] is illegal, %s Producer: %s",
			id, javaTopic(&s.cfg), r.BornHost.String())
	}
	return logical, id, part, nil
}

// staticSends counts the sends that have looked at a mapping and are not appended yet, in two turns: to wait for those that may have
// seen the old one the turn is changed, and its count goes down to zero.
type staticSends struct {
	turn  atomic.Int64
	count [2]atomic.Int64
}

func (c *staticSends) enter(s *sender) {
	for {
		n := c.turn.Load()
		c.count[n&1].Add(1)
		if c.turn.Load() == n {
			s.gated = int(n&1) + 1
			return
		}
		c.count[n&1].Add(-1)
	}
}

func (c *staticSends) leave(s *sender) {
	if s.gated > 0 {
		c.count[s.gated-1].Add(-1)
		s.gated = 0
	}
}

// settle waits, at most a second, for the sends that are under way.
func (c *staticSends) settle(ctx context.Context) {
	const (
		step = time.Millisecond
		most = time.Second
	)
	old := &c.count[(c.turn.Add(1)-1)&1]
	if old.Load() == 0 {
		return
	}
	t := time.NewTicker(step)
	defer t.Stop()
	for left := most; left > 0 && old.Load() > 0; left -= step {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
