package cluster

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/wireconf"
)

func (b *broker) PutTopic(ctx context.Context, t mq.TopicConfig) error {
	h := topicHeader(&t)
	h.Order, h.Attributes = t.Order, attributesText(t.Attributes)
	_, err := b.call(ctx, protocol.ReqUpdateAndCreateTopic, h, nil)
	return err
}

func (b *broker) PutStaticTopic(ctx context.Context, t mq.TopicConfig, force bool) error {
	h := topicHeader(&t)
	h.Force = force
	_, err := b.call(ctx, protocol.ReqUpdateAndCreateStaticTopic, h, t.Static.JSON())
	return err
}

// topicHeader is what both requests say of a topic.
func topicHeader(t *mq.TopicConfig) *protocol.CreateTopicRequestHeader {
	return &protocol.CreateTopicRequestHeader{
		Topic: t.Name, DefaultTopic: "TBW102", ReadQueueNums: t.ReadQueues, WriteQueueNums: t.WriteQueues, Perm: int32(t.Perm),
		TopicFilterType: cmp.Or(t.Filter, "SINGLE_TAG"), TopicSysFlag: t.SysFlag,
	}
}

// attributesText writes +key=value,-key.
func attributesText(m map[string]string) string {
	list := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if v := m[k]; v != "" {
			k += "=" + v
		}
		list = append(list, k)
	}
	return strings.Join(list, ",")
}

func (b *broker) DeleteTopic(ctx context.Context, name string) error {
	_, err := b.call(ctx, protocol.ReqDeleteTopicInBroker, &protocol.DeleteTopicRequestHeader{Topic: name}, nil)
	return err
}

func (b *broker) Topic(ctx context.Context, name string) (mq.TopicConfig, error) {
	var t protocol.TopicConfigAndQueueMapping
	if err := b.read(ctx, protocol.ReqGetTopicConfig, &protocol.GetTopicConfigRequestHeader{Topic: name, Mapping: true}, t.Decode); err != nil {
		return mq.TopicConfig{}, err
	}
	out := wireconf.ToTopic(&t.TopicConfig)
	if len(t.MappingDetail) > 0 {
		m, err := logicqueue.Parse(t.MappingDetail)
		if err != nil {
			return out, malformed(b.addr, protocol.ReqGetTopicConfig, err)
		}
		out.Static = m
	}
	return out, nil
}

// Topics reads everything at once, which all servers give to who does not ask for pages.
func (b *broker) Topics(ctx context.Context) ([]mq.TopicConfig, mq.DataVersion, error) {
	var w protocol.TopicConfigAndMappingSerializeWrapper
	if err := b.read(ctx, protocol.ReqGetAllTopicConfig, nil, w.Decode); err != nil {
		return nil, mq.DataVersion{}, err
	}
	out := make([]mq.TopicConfig, len(w.TopicConfigTable))
	for i := range w.TopicConfigTable {
		out[i] = wireconf.ToTopic(&w.TopicConfigTable[i])
	}
	return out, mq.DataVersion(w.DataVersion), nil
}

func (b *broker) PutGroup(ctx context.Context, g mq.GroupConfig) error {
	body := wireconf.FromGroup(&g)
	_, err := b.call(ctx, protocol.ReqUpdateAndCreateSubscriptionGroup, nil, body.AppendTo(nil, false))
	return err
}

func (b *broker) DeleteGroup(ctx context.Context, name string, cleanOffsets bool) error {
	_, err := b.call(ctx, protocol.ReqDeleteSubscriptionGroup, &protocol.DeleteSubscriptionGroupRequestHeader{GroupName: name, CleanOffset: cleanOffsets}, nil)
	return err
}

func (b *broker) Group(ctx context.Context, name string) (mq.GroupConfig, error) {
	var g protocol.SubscriptionGroupConfig
	err := b.read(ctx, protocol.ReqGetSubscriptionGroupConfig, &protocol.GetSubscriptionGroupConfigRequestHeader{Group: name}, g.Decode)
	return wireconf.ToGroup(&g), err
}

func (b *broker) Groups(ctx context.Context) ([]mq.GroupConfig, mq.DataVersion, error) {
	var w protocol.SubscriptionGroupWrapper
	if err := b.read(ctx, protocol.ReqGetAllSubscriptionGroupConfig, nil, w.Decode); err != nil {
		return nil, mq.DataVersion{}, err
	}
	out := make([]mq.GroupConfig, len(w.SubscriptionGroupTable))
	for i := range w.SubscriptionGroupTable {
		out[i] = wireconf.ToGroup(&w.SubscriptionGroupTable[i])
	}
	return out, mq.DataVersion(w.DataVersion), nil
}
