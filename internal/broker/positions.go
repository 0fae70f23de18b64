package broker

import (
	"context"
	"fmt"
	"slices"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/storage"
)

// ResetPositions implements mq.PositionAdmin.
//
// Differs from Java: pulls that wait for a message are answered at once, and a position that comes with the pull that is told
// of the reset does not undo it.
func (b *Broker) ResetPositions(ctx context.Context, r *mq.PositionReset) ([]mq.QueuePosition, error) {
	if b.o.ID != 0 || b.o.Slave {
		return nil, mq.Errorf(mq.KindInternal, "Can not reset offset in slave broker")
	}
	if b.o.ClientReset {
		return b.resetByClients(ctx, r)
	}
	t, ok := b.topic(r.Topic)
	if !ok {
		return nil, mq.Errorf(mq.KindTopicNotExist, "Topic %s does not exist", r.Topic)
	}
	if _, ok := b.group(r.Group); !ok {
		return nil, mq.Errorf(mq.KindGroupNotExist, "Group %s does not exist", r.Group)
	}
	queues := t.entry.Config().ReadQueues
	first, end := int32(0), min(queues, maxQueues)
	if r.QueueID >= 0 {
		if r.QueueID >= maxQueues {
			return nil, mq.Errorf(mq.KindInvalidParameter, "queueId %d must be below %d", r.QueueID, maxQueues)
		}
		first, end = r.QueueID, r.QueueID+1
	}
	to := make([]mq.QueuePosition, 0, end-first)
	for id := first; id < end; id++ {
		at, err := b.resetTarget(ctx, r, id)
		if err != nil {
			return nil, err
		}
		to = append(to, mq.QueuePosition{Queue: mq.Queue{Topic: t.entry.Name(), Broker: b.o.Name, ID: id}, At: at})
	}
	if len(to) == 0 {
		return nil, mq.Errorf(mq.KindInternal, "No queues to reset.")
	}
	for _, p := range to {
		b.meta.Offsets.Reset(r.Group, p.Queue.Topic, p.Queue.ID, p.At)
	}
	if err := b.meta.Offsets.Sync(); err != nil {
		return nil, mq.Errorf(mq.KindInternal, "the positions are reset, but a restart would undo it: %s", err.Error())
	}
	b.o.Log.Info("positions reset", "group", r.Group, "topic", r.Topic, "queues", len(to))
	b.polls.WakeTopic(r.Topic)
	return to, nil
}

// resetTarget returns where a reset goes in one queue.
func (b *Broker) resetTarget(ctx context.Context, r *mq.PositionReset, id int32) (mq.Index, error) {
	if r.QueueID < 0 || !r.HasIndex || r.Index == -1 {
		return b.indexAtOrEnd(ctx, r.Topic, id, r.Time)
	}
	low, err := b.MinIndex(ctx, r.Topic, id)
	if err != nil {
		return 0, err
	}
	high, err := b.MaxIndex(ctx, r.Topic, id)
	if err != nil {
		return 0, err
	}
	if r.Index < low || r.Index > high+1 {
		return 0, mq.Errorf(mq.KindInternal, "Target offset %d not in consume queue range [%d-%d]", r.Index, low, high)
	}
	return r.Index, nil
}

// indexAtOrEnd returns the first message stored at ms or later; the end of the queue when ms is negative.
func (b *Broker) indexAtOrEnd(ctx context.Context, topic string, queue int32, ms int64) (mq.Index, error) {
	if ms < 0 {
		return b.MaxIndex(ctx, topic, queue)
	}
	b.store.CatchUp()
	return b.IndexAtTime(ctx, topic, queue, ms, mq.BoundaryLower)
}

// resetByClients does what Java does with useServerSideResetOffset=false: the clients are told where to go on, and they
// commit it.
func (b *Broker) resetByClients(ctx context.Context, r *mq.PositionReset) ([]mq.QueuePosition, error) {
	t, ok := b.topic(r.Topic)
	if !ok {
		return nil, mq.Errorf(mq.KindTopicNotExist, "[reset-offset] reset offset failed, no topic in this broker. topic=%s", r.Topic)
	}
	var to []mq.QueuePosition
	for id := range min(t.entry.Config().WriteQueues, maxQueues) {
		at, ok := b.meta.Offsets.Query(r.Group, r.Topic, id)
		if !ok {
			return nil, mq.Errorf(mq.KindInternal, "THe consumer group <%s> not exist", r.Group)
		}
		target, err := b.indexAtOrEnd(ctx, r.Topic, id, r.Time)
		if err != nil {
			return nil, err
		}
		if !r.Force {
			target = min(target, at)
		}
		to = append(to, mq.QueuePosition{Queue: mq.Queue{Topic: t.entry.Name(), Broker: b.o.Name, ID: id}, At: target})
	}
	sessions := b.clients.Consumers(r.Group)
	if len(sessions) == 0 {
		return nil, mq.Errorf(mq.KindConsumerNotOnline, "Consumer not online, so can not reset offset, Group: %s Topic: %s Timestamp: %d",
			r.Group, r.Topic, r.Time)
	}
	for _, s := range sessions {
		s.Peer.ResetPositions(r, to)
	}
	return to, nil
}

// pendingReset returns the answer to a pull of a queue whose position was reset, if it was.
func (b *Broker) pendingReset(r *mq.PullRequest, f *mq.Fetch) bool {
	at, ok := b.meta.Offsets.TakeReset(r.Group, r.Topic, r.QueueID)
	if !ok {
		return false
	}
	f.Status, f.Next = mq.FetchOffsetReset, at
	if q, ok := b.store.Lookup(r.Topic, r.QueueID); ok {
		f.Min, f.Max = q.Min(), q.Max()
	}
	return true
}

// ClonePositions implements mq.PositionAdmin. A group that has no positions changes nothing.
//
// Differs from Java: without a topic all topics of the group are cloned. Java means to do so and clones none of them.
func (b *Broker) ClonePositions(_ context.Context, from, to, topic string, live bool) error {
	topics := []string{topic}
	if isBlank(topic) {
		topics = b.meta.Offsets.Topics(from)
	}
	for _, name := range topics {
		if _, ok := b.meta.Topics.Get(name); !ok || live && b.leftTopic(from, name) {
			continue
		}
		b.meta.Offsets.Clone(from, to, name)
	}
	if err := b.meta.Offsets.Sync(); err != nil {
		return mq.Errorf(mq.KindInternal, "the positions are cloned, but a restart would undo it: %s", err.Error())
	}
	return nil
}

// leftTopic reports that a group is online and does not subscribe to topic.
func (b *Broker) leftTopic(group, topic string) bool {
	sub, _, online := b.clients.Find(group, topic)
	return online && sub == nil && len(b.clients.Subscriptions(group)) > 0
}

// maxUnits is how many queue entries one question gets.
const maxUnits = 1024

// QueueUnits implements mq.PositionAdmin.
func (b *Broker) QueueUnits(_ context.Context, group, topic string, queue int32, from mq.Index, count int32) (mq.QueueUnits, error) {
	var out mq.QueueUnits
	q, ok := b.store.Lookup(topic, queue)
	if !ok {
		return out, mq.Errorf(mq.KindInternal, "%d@%s is not exist!", queue, topic)
	}
	b.store.CatchUp()
	out.Min, out.Max = q.Min(), q.Max()
	if group != "" {
		out.FilterText = "null"
		if sub, _, _ := b.clients.Find(group, topic); sub != nil {
			out.Subscription = &sub.Subscription
		} else {
			out.FilterText = fmt.Sprintf("%s@%s is not online!", group, topic)
		}
	}
	if from < out.Min || from >= out.Max {
		return out, mq.Errorf(mq.KindIgnored, "Index %d of %d@%s is not exist!", from, queue, topic)
	}
	units := make([]storage.Unit, max(min(count, maxUnits), 0))
	n, err := b.store.Units(q, from, units)
	if err != nil && n == 0 {
		return out, mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	for _, u := range units[:n] {
		out.Units = append(out.Units, mq.QueueUnit{At: u.Offset, Size: u.Size, TagsCode: u.Tags})
	}
	return out, nil
}

// TopicConsumers implements mq.PositionAdmin.
func (b *Broker) TopicConsumers(_ context.Context, topic string) ([]string, error) {
	groups := append(b.clients.GroupsOf(topic), b.meta.Offsets.Groups(topic)...)
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

// ConsumerTopics implements mq.PositionAdmin.
func (b *Broker) ConsumerTopics(_ context.Context, group string) ([]string, error) {
	return b.meta.Offsets.Topics(group), nil
}

var _ mq.PositionAdmin = (*Broker)(nil)
