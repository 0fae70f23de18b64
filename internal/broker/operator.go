package broker

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/broker/stats"
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

var _ mq.OperatorAdmin = (*Broker)(nil)

// PutTopics implements mq.OperatorAdmin. As in Java all names are looked at before anything is changed.
func (b *Broker) PutTopics(ctx context.Context, list []mq.TopicConfig) error {
	for i := range list {
		if refusal := b.checkPut(&list[i]); refusal != nil {
			return refusal
		}
	}
	for i := range list {
		if err := b.PutTopic(ctx, list[i]); err != nil {
			return err
		}
	}
	return nil
}

// PutGroups implements mq.OperatorAdmin.
func (b *Broker) PutGroups(ctx context.Context, list []mq.GroupConfig) error {
	for i := range list {
		if refusal := checkGroupName(list[i].Name); refusal != nil {
			return refusal
		}
	}
	for i := range list {
		if err := b.PutGroup(ctx, list[i]); err != nil {
			return err
		}
	}
	return nil
}

// SystemTopics implements mq.OperatorAdmin.
func (b *Broker) SystemTopics(context.Context) ([]string, error) {
	names := meta.ReservedTopics()
	for _, t := range meta.SystemTopics(b.live.Load().systemOptions()) {
		names = append(names, t.Name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// forbidReadBit is the number of forbidRead among the bits of a group.
const forbidReadBit = 2

// Forbid implements mq.OperatorAdmin.
func (b *Broker) Forbid(_ context.Context, group, topic string, forbidden bool) error {
	if _, err := b.meta.Groups.Forbid(group, topic, forbidReadBit, forbidden); err != nil {
		return mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	b.o.Log.Info("group is allowed or forbidden to read a topic", "group", group, "topic", topic, "forbidden", forbidden)
	return nil
}

// Forbidden implements mq.OperatorAdmin.
func (b *Broker) Forbidden(_ context.Context, group, topic string) (bool, error) {
	return b.meta.Groups.Forbidden(group, topic)&forbidRead != 0, nil
}

// GroupsStats implements mq.OperatorAdmin. As in Java these are the groups that have a configuration, and of them topics that exist.
func (b *Broker) GroupsStats(_ context.Context, ordered bool) ([]mq.GroupStats, error) {
	b.store.CatchUp()
	entries, _ := b.meta.Groups.List()
	out := make([]mq.GroupStats, 0, len(entries))
	for _, e := range entries {
		name := e.Name()
		st := mq.GroupStats{Group: name}
		g, _ := b.group(name)
		for _, topic := range b.meta.Offsets.Topics(name) {
			t, ok := b.topic(topic)
			if !ok || ordered && !t.entry.Config().Order || b.leftTopic(name, topic) {
				continue
			}
			var one mq.ConsumeStats
			var gt *groupTopic
			if g != nil {
				gt = g.topic(t)
				one.TPS = gt.past.PerSecond(stats.Num)
			}
			for id := range min(t.entry.Config().WriteQueues, maxQueues) {
				one.Queues = append(one.Queues, b.progress(name, t, gt, id))
			}
			st.Stats = append(st.Stats, one)
		}
		out = append(out, st)
	}
	return out, nil
}

// Corrections implements mq.OperatorAdmin.
//
// Differs from Java: the positions of the groups in filter are left out, there they are deleted. A queue in which only compare has a
// position is left out, there the request fails.
func (b *Broker) Corrections(_ context.Context, topic, compare string, filter []string) (map[int32]mq.Index, error) {
	b.store.CatchUp()
	out := map[int32]mq.Index{}
	for _, g := range b.meta.Offsets.Groups(topic) {
		if slices.Contains(filter, g) {
			continue
		}
		for id, at := range b.meta.Offsets.Queues(g, topic) {
			if q, ok := b.store.Lookup(topic, id); ok && at < q.Min() {
				continue
			}
			if least, ok := out[id]; !ok || at < least {
				out[id] = at
			}
		}
	}
	for id, at := range b.meta.Offsets.Queues(compare, topic) {
		if least, ok := out[id]; ok && least > at {
			out[id] = math.MaxInt64
		}
	}
	return out, nil
}

// AllProducers implements mq.OperatorAdmin.
func (b *Broker) AllProducers(context.Context) (map[string][]mq.ProducerInfo, error) {
	out := map[string][]mq.ProducerInfo{}
	for group, list := range b.clients.AllProducers() {
		for _, p := range list {
			out[group] = append(out[group], mq.ProducerInfo{
				Connection: mq.Connection{ClientID: p.ClientID, Language: p.Language, Version: p.Version, Remote: p.Remote},
				LastSeen:   p.Seen.UnixMilli(),
			})
		}
		slices.SortFunc(out[group], func(a, b mq.ProducerInfo) int { return cmp.Compare(a.ClientID, b.ClientID) })
	}
	return out, nil
}

// AllConsumers implements mq.OperatorAdmin.
func (b *Broker) AllConsumers(context.Context) (map[string]mq.ConsumerGroup, error) {
	all := b.clients.AllConsumers()
	out := make(map[string]mq.ConsumerGroup, len(all))
	for group, g := range all {
		out[group] = mq.ConsumerGroup{Type: g.Type, Broadcast: g.Broadcast, FromWhere: g.FromWhere, Connections: connections(g.Sessions)}
	}
	return out, nil
}

// Clean implements mq.OperatorAdmin.
func (b *Broker) Clean(_ context.Context, what mq.Cleaning) error {
	b.o.Log.Info("asked to clean up", "what", [...]string{"expired queues", "expired log files", "unused topics"}[what])
	switch what {
	case mq.CleanExpiredQueues:
		b.store.CleanSoon(false)
	case mq.CleanExpiredLog:
		b.store.CleanSoon(true)
	case mq.CleanUnusedTopics:
		return b.cleanUnused()
	}
	return nil
}

// cleanUnused deletes the queues of topics that do not exist.
func (b *Broker) cleanUnused() error {
	unused := map[string]struct{}{}
	err := b.store.Queues(func(q *storage.Queue) bool {
		name := q.Topic()
		if _, ok := b.meta.Topics.Get(name); !ok && !storage.IsLight(name) && !meta.IsSystemTopic(b.system, name) {
			unused[name] = struct{}{}
		}
		return true
	})
	for _, name := range slices.Sorted(maps.Keys(unused)) {
		if _, ok := b.meta.Topics.Get(name); err != nil || ok { // made meanwhile
			continue
		}
		if err = b.store.DeleteTopic(name); err == nil {
			b.o.Log.Info("queues of a topic that does not exist were deleted", "topic", name)
		}
	}
	if err != nil {
		return mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	return nil
}

// RecheckHalf implements mq.OperatorAdmin. Like Java's it takes any message, mostly one of TRANS_CHECK_MAX_TIME_TOPIC.
//
// Differs from Java: a message that is no half message is refused. There it becomes one that nobody can decide.
func (b *Broker) RecheckHalf(_ context.Context, at mq.Offset) error {
	const failed = "Exception was thrown when putting message back to RMQ_SYS_TRANS_HALF_TOPIC."
	if b.refuse != nil {
		return b.refuse
	}
	rec, err := b.store.ReadAt(at, nil)
	if err != nil {
		return mq.Errorf(mq.KindInternal, failed)
	}
	var m record.Message
	if _, err := record.Decode(rec, &m, true); err != nil {
		return mq.Errorf(mq.KindInternal, failed)
	}
	if _, ok := m.Props.Get(record.PropRealTopic); !ok {
		return mq.Errorf(mq.KindInternal, "the message at log offset %d is no half message", at)
	}
	props := m.Props.AppendWithout(nil, record.PropCheckTimes)
	m.Props = record.AppendProp(props, record.PropCheckTimes, "0")
	w := b.takeInner()
	defer w.release()
	m.Topic = bytesview.Bytes(meta.TopicHalf)
	if _, refusal := w.addAt(&m, place{meta.TopicHalf, 0}); refusal != nil {
		return refusal
	}
	if _, refusal := w.store(false, nil); refusal != nil {
		return refusal
	}
	b.o.Log.Info("half message put back, its producer is asked again", "offset", int64(at))
	return nil
}
