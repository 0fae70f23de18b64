package broker

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/broker/stats"
	"github.com/cometmq/cometmq/internal/mq"
)

// TopicStats implements mq.PositionAdmin.
func (b *Broker) TopicStats(_ context.Context, topic string) (mq.TopicStats, error) {
	t, ok := b.topic(topic)
	if !ok {
		return mq.TopicStats{}, mq.Errorf(mq.KindTopicNotExist, "topic[%s] not exist", topic)
	}
	b.store.CatchUp()
	c := t.entry.Config()
	out := mq.TopicStats{PutTPS: t.past.PerSecond(stats.Num)}
	for id := range min(max(c.ReadQueues, c.WriteQueues), maxQueues) {
		s := mq.QueueStats{Queue: b.queueName(t, id)}
		if q, ok := b.store.Lookup(topic, id); ok {
			if s.Min, s.Max = q.Min(), q.Max(); s.Max > 0 {
				s.LastUpdate, _ = b.store.StoreTimeAt(q, s.Max-1)
			}
		}
		out.Queues = append(out.Queues, s)
	}
	return out, nil
}

func (b *Broker) queueName(t *topic, id int32) mq.Queue {
	return mq.Queue{Topic: t.entry.Name(), Broker: b.o.Name, ID: id}
}

// ConsumeStats implements mq.PositionAdmin.
func (b *Broker) ConsumeStats(_ context.Context, group, topic string, list []string) (mq.ConsumeStats, error) {
	var out mq.ConsumeStats
	topics := list
	switch {
	case len(list) > 0:
	case isBlank(topic):
		topics = b.meta.Offsets.Topics(group)
	default:
		topics = []string{topic}
	}
	if len(list) == 0 {
		topics = slices.DeleteFunc(topics, func(name string) bool { return b.leftTopic(group, name) })
	}
	b.store.CatchUp()
	g, _ := b.group(group)
	for _, name := range topics {
		t, ok := b.topic(name)
		if !ok {
			continue
		}
		var gt *groupTopic
		if g != nil {
			gt = g.topic(t)
			out.TPS += gt.past.PerSecond(stats.Num)
		}
		for id := range min(t.entry.Config().ReadQueues, maxQueues) {
			out.Queues = append(out.Queues, b.progress(group, t, gt, id))
		}
	}
	return out, nil
}

// progress returns how far a group is in one queue. gt may be nil.
func (b *Broker) progress(group string, t *topic, gt *groupTopic, id int32) mq.ConsumeProgress {
	p := mq.ConsumeProgress{Queue: b.queueName(t, id)}
	at, known := b.meta.Offsets.Query(group, p.Queue.Topic, id)
	p.Committed = max(at, 0)
	if !known && b.meta.Statics.Get(p.Queue.Topic) != nil {
		p.Committed = -1 // as Java: tools then look into the older parts of the logical queue
	}
	p.Pulled = p.Committed
	if gt != nil {
		p.Pulled = max(p.Pulled, gt.pulledTo(id))
	}
	if q, ok := b.store.Lookup(p.Queue.Topic, id); ok {
		p.End = q.Max()
		if p.Committed > 0 {
			p.LastConsume, _ = b.store.StoreTimeAt(q, p.Committed-1)
		}
	}
	return p
}

// ConsumeSpans implements mq.PositionAdmin.
func (b *Broker) ConsumeSpans(_ context.Context, group, topic string) ([]mq.QueueSpan, error) {
	t, ok := b.topic(topic)
	if !ok {
		return nil, mq.Errorf(mq.KindTopicNotExist, "topic[%s] not exist", topic)
	}
	b.store.CatchUp()
	now := b.o.Now().UnixMilli()
	var out []mq.QueueSpan
	for id := range min(t.entry.Config().WriteQueues, maxQueues) {
		s := mq.QueueSpan{Queue: b.queueName(t, id), First: -1, Last: -1}
		at, committed := b.meta.Offsets.Query(group, topic, id)
		if q, ok := b.store.Lookup(topic, id); ok && q.Max() > q.Min() {
			s.First, s.Last = noTime(b.store.StoreTimeAt(q, q.Min())), noTime(b.store.StoreTimeAt(q, q.Max()-1))
			s.Consumed = s.First
			if committed && at > 0 {
				s.Consumed = noTime(b.store.StoreTimeAt(q, at-1))
			}
			if at < q.Max() {
				if ms, ok := b.store.StoreTimeAt(q, max(at, q.Min())); ok {
					s.Behind = now - ms
				}
			}
		} else {
			s.Consumed = -1
		}
		out = append(out, s)
	}
	return out, nil
}

func noTime(ms int64, ok bool) int64 {
	if !ok {
		return -1
	}
	return ms
}

// pulled holds up to where a group has pulled, by queue. It is not kept over a restart, as in Java.
type pulled struct {
	queues atomic.Pointer[[]atomic.Int64]
}

// notePull notes a position. A queue that is new makes the list longer; two at once may lose a note, which the next pull repeats.
func (p *pulled) notePull(queue int32, at mq.Index) {
	list := p.queues.Load()
	if list == nil || int(queue) >= len(*list) {
		grown := make([]atomic.Int64, max(4, 2*int(queue)))
		if list != nil {
			for i := range *list {
				grown[i].Store((*list)[i].Load())
			}
		}
		p.queues.CompareAndSwap(list, &grown)
		if list = p.queues.Load(); int(queue) >= len(*list) {
			return
		}
	}
	(*list)[queue].Store(int64(at))
}

func (p *pulled) pulledTo(queue int32) mq.Index {
	if list := p.queues.Load(); list != nil && int(queue) < len(*list) {
		return mq.Index((*list)[queue].Load())
	}
	return 0
}
