package broker

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
)

// Forgetting parts of logical queues that nobody needs any more (Java's TopicQueueMappingCleanService), in the hours of deleteWhen.

// cleanStaticsEvery is how often Java looks, too.
const cleanStaticsEvery = 5 * time.Minute

// cleanStatics forgets old parts until ctx ends.
func (b *Broker) cleanStatics(ctx context.Context) error {
	t := time.NewTicker(cleanStaticsEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if due, err := b.store.CleanHour(b.o.Now()); err != nil || !due {
			continue
		}
		for _, topic := range b.meta.Statics.Topics() {
			if ctx.Err() != nil {
				return nil
			}
			b.cleanStatic(ctx, topic)
		}
	}
}

// cleanStatic forgets of a topic the first parts of the queues that this broker leads if they are empty, and the lists of queues that
// have moved on from the broker to which they were moved from here.
func (b *Broker) cleanStatic(ctx context.Context, topic string) {
	m := b.meta.Statics.Get(topic)
	if m == nil || m.Broker != b.o.Name || len(m.Queues) == 0 {
		return
	}
	next := m.Clone()
	var elsewhere []int32
	changed := false
	for _, id := range slices.Sorted(maps.Keys(m.Queues)) {
		items := m.Queues[id]
		if _, leads := m.Leader(id); !leads {
			if len(items) > 0 {
				elsewhere = append(elsewhere, id)
			}
			continue
		}
		if len(items) > 1 && items[1].Decided() && b.emptyPart(ctx, topic, &items[0]) {
			next.Queues[id] = next.Queues[id][1:]
			changed = true
			b.o.Log.Info("the first part of a logical queue is empty and is forgotten", "topic", topic, "queue", id, "of", items[0].Broker, "was", items[0].Queue)
		}
	}
	for _, id := range b.movedOn(ctx, m, elsewhere) {
		delete(next.Queues, id)
		changed = true
		b.o.Log.Info("a logical queue has moved on and is forgotten here", "topic", topic, "queue", id)
	}
	if !changed {
		return
	}
	if swapped, err := b.meta.Statics.Swap(m, next); err != nil {
		b.o.Log.Error("parts of a static topic are forgotten in memory but not on disk", "topic", topic, "err", err)
	} else if !swapped {
		b.o.Log.Info("a static topic was changed meanwhile: its old parts are looked at again later", "topic", topic)
	}
}

// emptyPart reports whether the physical queue of a part has no messages. A broker that does not answer is asked again the next time.
func (b *Broker) emptyPart(ctx context.Context, topic string, i *logicqueue.Item) bool {
	lo, hi, err := b.partBounds(ctx, topic, i)
	if err != nil {
		b.o.Log.Warn("whether an old part of a logical queue is empty is not known", "topic", topic, "of", i.Broker, "queue", i.Queue, "err", err)
		return false
	}
	return lo == hi || hi == 0
}

func (b *Broker) partBounds(ctx context.Context, topic string, i *logicqueue.Item) (lo, hi mq.Index, err error) {
	if i.Broker == b.o.Name {
		first, end, refusal := b.bounds(topic, i.Queue)
		if refusal != nil {
			return 0, 0, refusal
		}
		return first, end, nil
	}
	if b.o.Peers == nil {
		return 0, 0, errNoPeers
	}
	// The end first: what comes between the questions makes the queue look fuller, not emptier.
	if hi, err = b.o.Peers.MaxIndex(ctx, i.Broker, topic, i.Queue); err == nil {
		lo, err = b.o.Peers.MinIndex(ctx, i.Broker, topic, i.Queue)
	}
	return lo, hi, err
}

// movedOn returns those of the queues that are led by another broker than this one believes, by the word of that broker.
func (b *Broker) movedOn(ctx context.Context, m *logicqueue.Mapping, ids []int32) (gone []int32) {
	if len(ids) == 0 || b.o.Peers == nil {
		return nil
	}
	leaders, err := b.o.Peers.Leaders(ctx, m.Topic)
	if err != nil {
		b.o.Log.Warn("who leads the queues of a static topic is not known", "topic", m.Topic, "err", err)
		return nil
	}
	asked := map[string]*logicqueue.Mapping{}
	for _, id := range ids {
		items := m.Queues[id]
		leader, ok := leaders[id]
		if !ok || leader == b.o.Name || leader == items[len(items)-1].Broker {
			continue
		}
		theirs, known := asked[leader]
		if !known {
			if theirs, err = b.o.Peers.Mapping(ctx, leader, m.Topic); err != nil {
				b.o.Log.Warn("what a broker knows of a static topic is not known", "topic", m.Topic, "of", leader, "err", err)
			}
			asked[leader] = theirs
		}
		if theirs == nil || theirs.Broker != leader || theirs.Total != m.Total || theirs.Epoch != m.Epoch {
			continue
		}
		if _, leads := theirs.Leader(id); leads {
			gone = append(gone, id)
		}
	}
	return gone
}
