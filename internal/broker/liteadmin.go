package broker

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/broker/lite"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/storage"
)

// maxLags bounds how many lite topics an operator is told that a group is behind in.
const maxLags = 10_000

// LiteBroker implements mq.RemoteLite.
func (b *Broker) LiteBroker(context.Context) (mq.LiteBroker, error) {
	info := mq.LiteBroker{
		StoreType: "default", MaxTopics: int32(b.o.Lite.MaxQueues), Topics: int32(b.store.LightQueues()), Subscriptions: int32(b.lites.Active()),
		OrderInfos: int32(b.litePops.Shards()), Positions: int32(b.meta.Offsets.Pairs()), ClientsWaiting: int32(b.lites.EventSets()),
		Parents: map[string]int32{}, Groups: b.liteGroups(),
	}
	tables := map[string]struct{}{}
	if err := b.store.Queues(func(q *storage.Queue) bool { tables[q.Topic()] = struct{}{}; return true }); err != nil {
		return info, mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	info.Queues = int32(len(tables))
	topics, _ := b.meta.Topics.List()
	for _, t := range topics {
		tc := t.Config()
		if minutes, ok := liteTTL(&tc); ok {
			info.Parents[t.Name()] = minutes
		}
	}
	return info, nil
}

// liteGroups returns the groups that consume lite topics, by their parent topic, sorted.
func (b *Broker) liteGroups() map[string][]string {
	out := map[string][]string{}
	groups, _ := b.meta.Groups.List()
	for _, g := range groups {
		if parent, ok := g.Config().Attributes[attrLiteParent]; ok {
			out[parent] = append(out[parent], g.Name())
		}
	}
	for _, list := range out {
		slices.Sort(list)
	}
	return out
}

// parentTopic returns a topic of the kind LITE and how long its lite topics are kept.
func (b *Broker) parentTopic(name string) (ttl int32, refusal *mq.Error) {
	t, ok := b.meta.Topics.Get(name)
	if !ok {
		return 0, mq.Errorf(mq.KindTopicNotExist, "Topic [%s] not exist.", name)
	}
	tc := t.Config()
	if ttl, ok = liteTTL(&tc); !ok {
		return 0, mq.Errorf(mq.KindInvalidParameter, "Topic [%s] type not match.", name)
	}
	return ttl, nil
}

// LiteParent implements mq.RemoteLite.
func (b *Broker) LiteParent(_ context.Context, topic string) (mq.LiteParent, error) {
	ttl, refusal := b.parentTopic(topic)
	if refusal != nil {
		return mq.LiteParent{}, refusal
	}
	p := mq.LiteParent{TTL: ttl, Queues: int32(b.store.LightQueues()), Groups: b.liteGroups()[topic]}
	b.eachLite(topic, func(string) bool { p.Topics++; return true })
	return p, nil
}

// LiteTopic implements mq.RemoteLite.
func (b *Broker) LiteTopic(ctx context.Context, parent, topic string) (mq.LiteTopic, error) {
	var l mq.LiteTopic
	if _, refusal := b.parentTopic(parent); refusal != nil {
		return l, refusal
	}
	queue := lite.QueueName(parent, topic)
	if q, ok := b.store.Lookup(queue, 0); ok && q.Max() > 0 {
		l.Min, l.Max = q.Min(), q.Max()
		if ms, ok := b.store.StoreTimeAt(q, l.Max-1); ok {
			l.LastUpdate = ms
		}
	}
	for _, c := range b.lites.Subscribers(queue) {
		l.Subscribers = append(l.Subscribers, mq.LiteSubscriber{Client: c.ID, Group: c.Group})
	}
	l.Here = b.liteHere(b.routesOf(ctx, parent), queue)
	return l, nil
}

// LiteClient implements mq.RemoteLite.
func (b *Broker) LiteClient(_ context.Context, parent, group, client string) (mq.LiteClient, error) {
	if _, refusal := b.parentTopic(parent); refusal != nil {
		return mq.LiteClient{}, refusal
	}
	bound, refusal := b.liteParentOf(group, "")
	if refusal != nil {
		return mq.LiteClient{}, refusal
	}
	if bound != parent {
		return mq.LiteClient{}, mq.Errorf(mq.KindInvalidParameter, "Subscription [%s]-[%s] not match.", group, parent)
	}
	l := mq.LiteClient{Count: -1, LastAccess: -1}
	if queues, ok := b.lites.Of(client); ok {
		l.Topics, l.Count = queues, int32(len(queues))
	}
	if at, ok := b.lites.Accessed(client); ok {
		l.LastAccess = at.UnixMilli()
	}
	return l, nil
}

// liteParentOf returns the topic whose lite topics a group consumes; notLite is what is refused when it consumes none.
func (b *Broker) liteParentOf(group, notLite string) (string, *mq.Error) {
	g := b.ensureGroup(group)
	if g == nil {
		return "", mq.Errorf(mq.KindGroupNotExist, "Group [%s] not exist.", group)
	}
	parent := g.entry.Config().Attributes[attrLiteParent]
	if parent == "" && notLite != "" {
		return "", mq.Errorf(mq.KindInvalidParameter, notLite, group)
	}
	return parent, nil
}

const noLiteGroup = "Group [%s] is not a LITE group."

// LiteGroup implements mq.RemoteLite. As in Java with its defaults nothing is known by age: liteLagLatencyCollectEnable is not served.
func (b *Broker) LiteGroup(_ context.Context, group, topic string, most int32) (mq.LiteGroup, error) {
	parent, refusal := b.liteParentOf(group, noLiteGroup)
	if refusal != nil {
		return mq.LiteGroup{}, refusal
	}
	l := mq.LiteGroup{Parent: parent, Earliest: -1}
	if topic != "" {
		b.liteLagOf(&l, group, lite.QueueName(parent, topic))
		return l, nil
	}
	for _, queue := range b.meta.Offsets.Topics(group) {
		_, name, ok := lite.Split(queue)
		if !ok {
			continue
		}
		at, _ := b.meta.Offsets.Query(group, queue, 0)
		lag := int64(b.liteEnd(queue) - at)
		if lag <= 0 {
			continue
		}
		l.Behind += lag
		l.Most = append(l.Most, mq.LiteLag{Topic: name, Behind: lag, Earliest: b.storeTime(queue, at)})
	}
	slices.SortFunc(l.Most, func(x, y mq.LiteLag) int {
		return cmp.Or(cmp.Compare(y.Behind, x.Behind), strings.Compare(x.Topic, y.Topic))
	})
	l.Most = l.Most[:min(len(l.Most), int(max(most, 0)), maxLags)]
	return l, nil
}

// liteLagOf fills in how far a group is in one light queue.
func (b *Broker) liteLagOf(l *mq.LiteGroup, group, queue string) {
	end := b.liteEnd(queue)
	if end <= 0 {
		l.Behind = -1
		return
	}
	at, ok := b.meta.Offsets.Query(group, queue, 0)
	if !ok {
		return
	}
	l.Behind, l.Earliest = int64(end-at), b.storeTime(queue, at)
	l.Topic = &mq.LitePosition{End: end, Committed: at}
	if at > 0 {
		l.Topic.LastTime = b.storeTime(queue, at-1)
	}
}

// storeTime is when a message of a light queue was stored, in ms, -1 when it is not there.
func (b *Broker) storeTime(queue string, at mq.Index) int64 {
	if q, ok := b.store.Lookup(queue, 0); ok {
		if ms, ok := b.store.StoreTimeAt(q, at); ok {
			return ms
		}
	}
	return -1
}

// TriggerLite implements mq.RemoteLite.
func (b *Broker) TriggerLite(_ context.Context, group, client string) error {
	if _, refusal := b.liteParentOf(group, noLiteGroup); refusal != nil {
		return refusal
	}
	g := b.ensureGroup(group)
	switch gc := g.entry.Config(); {
	case b.o.Lite.NoEvents:
	case client != "":
		b.liteDo(b.lites.Refill(client))
	default:
		b.liteDo(b.lites.RefillGroup(group, b.liteGroup(&gc).Wildcard))
	}
	return nil
}
