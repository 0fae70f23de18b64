package cluster

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
)

func (b *broker) PutTopic(ctx context.Context, t mq.TopicConfig) error {
	filter := t.Filter
	if filter == "" {
		filter = "SINGLE_TAG"
	}
	_, err := b.call(ctx, protocol.ReqUpdateAndCreateTopic, &protocol.CreateTopicRequestHeader{
		Topic: t.Name, DefaultTopic: "TBW102", ReadQueueNums: t.ReadQueues, WriteQueueNums: t.WriteQueues, Perm: int32(t.Perm),
		TopicFilterType: filter, TopicSysFlag: t.SysFlag, Order: t.Order, Attributes: attributesText(t.Attributes),
	}, nil)
	return err
}

func (b *broker) PutStaticTopic(ctx context.Context, t mq.TopicConfig, force bool) error {
	_, err := b.call(ctx, protocol.ReqUpdateAndCreateStaticTopic, &protocol.CreateTopicRequestHeader{
		Topic: t.Name, DefaultTopic: "TBW102", ReadQueueNums: t.ReadQueues, WriteQueueNums: t.WriteQueues, Perm: int32(t.Perm),
		TopicFilterType: cmp.Or(t.Filter, "SINGLE_TAG"), TopicSysFlag: t.SysFlag, Force: force,
	}, t.Static.JSON())
	return err
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
	err := b.read(ctx, protocol.ReqGetTopicConfig, &protocol.GetTopicConfigRequestHeader{Topic: name}, t.Decode)
	return topicConfig(&t.TopicConfig), err
}

func topicConfig(t *protocol.TopicConfig) mq.TopicConfig {
	return mq.TopicConfig{
		Name: t.TopicName, ReadQueues: t.ReadQueueNums, WriteQueues: t.WriteQueueNums, Perm: mq.Perm(t.Perm), Filter: t.TopicFilterType,
		SysFlag: t.TopicSysFlag, Order: t.Order, Attributes: t.Attributes,
	}
}

// Topics reads everything at once, which all servers give to who does not ask for pages.
func (b *broker) Topics(ctx context.Context) ([]mq.TopicConfig, mq.DataVersion, error) {
	var w protocol.TopicConfigAndMappingSerializeWrapper
	if err := b.read(ctx, protocol.ReqGetAllTopicConfig, nil, w.Decode); err != nil {
		return nil, mq.DataVersion{}, err
	}
	out := make([]mq.TopicConfig, len(w.TopicConfigTable))
	for i := range w.TopicConfigTable {
		out[i] = topicConfig(&w.TopicConfigTable[i])
	}
	return out, mq.DataVersion(w.DataVersion), nil
}

func (b *broker) PutGroup(ctx context.Context, g mq.GroupConfig) error {
	body := protocol.SubscriptionGroupConfig{
		GroupName: g.Name, ConsumeEnable: g.ConsumeEnable, ConsumeFromMinEnable: g.ConsumeFromMinEnable,
		ConsumeBroadcastEnable: g.ConsumeBroadcastEnable, ConsumeMessageOrderly: g.ConsumeMessageOrderly,
		RetryQueueNums: g.RetryQueues, RetryMaxTimes: g.RetryMaxTimes, GroupRetryPolicy: g.RetryPolicy, BrokerID: g.BrokerID,
		WhichBrokerWhenConsumeSlowly: g.WhichBrokerWhenSlow, NotifyConsumerIDsChangedEnable: g.NotifyConsumerIDsChanged,
		GroupSysFlag: g.SysFlag, ConsumeTimeoutMinute: g.ConsumeTimeoutMinutes, SubscriptionDataSet: g.SubscriptionData,
		Attributes: g.Attributes,
	}
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
	return groupConfig(&g), err
}

func groupConfig(g *protocol.SubscriptionGroupConfig) mq.GroupConfig {
	return mq.GroupConfig{
		Name: g.GroupName, ConsumeEnable: g.ConsumeEnable, ConsumeFromMinEnable: g.ConsumeFromMinEnable,
		ConsumeBroadcastEnable: g.ConsumeBroadcastEnable, ConsumeMessageOrderly: g.ConsumeMessageOrderly,
		RetryQueues: g.RetryQueueNums, RetryMaxTimes: g.RetryMaxTimes, RetryPolicy: g.GroupRetryPolicy, BrokerID: g.BrokerID,
		WhichBrokerWhenSlow: g.WhichBrokerWhenConsumeSlowly, NotifyConsumerIDsChanged: g.NotifyConsumerIDsChangedEnable,
		SysFlag: g.GroupSysFlag, ConsumeTimeoutMinutes: g.ConsumeTimeoutMinute, SubscriptionData: g.SubscriptionDataSet,
		Attributes: g.Attributes,
	}
}

func (b *broker) Groups(ctx context.Context) ([]mq.GroupConfig, mq.DataVersion, error) {
	var w protocol.SubscriptionGroupWrapper
	if err := b.read(ctx, protocol.ReqGetAllSubscriptionGroupConfig, nil, w.Decode); err != nil {
		return nil, mq.DataVersion{}, err
	}
	out := make([]mq.GroupConfig, len(w.SubscriptionGroupTable))
	for i := range w.SubscriptionGroupTable {
		out[i] = groupConfig(&w.SubscriptionGroupTable[i])
	}
	return out, mq.DataVersion(w.DataVersion), nil
}
