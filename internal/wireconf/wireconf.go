// Package wireconf translates the configuration of topics and groups between the contract and the bodies on the wire. Doors, the
// registration at name servers, slaves and the tools' client all do; a field that is added is added here.
//
// The mapping of a static topic is not translated: each body tells it in a way of its own.
package wireconf

import (
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
)

// FromTopic returns t as it goes on the wire.
func FromTopic(t *mq.TopicConfig) protocol.TopicConfig {
	return protocol.TopicConfig{
		TopicName: t.Name, ReadQueueNums: t.ReadQueues, WriteQueueNums: t.WriteQueues, Perm: int32(t.Perm),
		TopicFilterType: t.Filter, TopicSysFlag: t.SysFlag, Order: t.Order, Attributes: t.Attributes,
	}
}

// ToTopic returns t as it came from the wire.
func ToTopic(t *protocol.TopicConfig) mq.TopicConfig {
	return mq.TopicConfig{
		Name: t.TopicName, ReadQueues: t.ReadQueueNums, WriteQueues: t.WriteQueueNums, Perm: mq.Perm(t.Perm), Filter: t.TopicFilterType,
		SysFlag: t.TopicSysFlag, Order: t.Order, Attributes: t.Attributes,
	}
}

// FromGroup returns g as it goes on the wire.
func FromGroup(g *mq.GroupConfig) protocol.SubscriptionGroupConfig {
	return protocol.SubscriptionGroupConfig{
		GroupName: g.Name, ConsumeEnable: g.ConsumeEnable, ConsumeFromMinEnable: g.ConsumeFromMinEnable,
		ConsumeBroadcastEnable: g.ConsumeBroadcastEnable, ConsumeMessageOrderly: g.ConsumeMessageOrderly,
		RetryQueueNums: g.RetryQueues, RetryMaxTimes: g.RetryMaxTimes, GroupRetryPolicy: g.RetryPolicy, BrokerID: g.BrokerID,
		WhichBrokerWhenConsumeSlowly: g.WhichBrokerWhenSlow, NotifyConsumerIDsChangedEnable: g.NotifyConsumerIDsChanged,
		GroupSysFlag: g.SysFlag, ConsumeTimeoutMinute: g.ConsumeTimeoutMinutes, SubscriptionDataSet: g.SubscriptionData,
		Attributes: g.Attributes,
	}
}

// ToGroup returns g as it came from the wire.
func ToGroup(g *protocol.SubscriptionGroupConfig) mq.GroupConfig {
	return mq.GroupConfig{
		Name: g.GroupName, ConsumeEnable: g.ConsumeEnable, ConsumeFromMinEnable: g.ConsumeFromMinEnable,
		ConsumeBroadcastEnable: g.ConsumeBroadcastEnable, ConsumeMessageOrderly: g.ConsumeMessageOrderly,
		RetryQueues: g.RetryQueueNums, RetryMaxTimes: g.RetryMaxTimes, RetryPolicy: g.GroupRetryPolicy, BrokerID: g.BrokerID,
		WhichBrokerWhenSlow: g.WhichBrokerWhenConsumeSlowly, NotifyConsumerIDsChanged: g.NotifyConsumerIDsChangedEnable,
		SysFlag: g.GroupSysFlag, ConsumeTimeoutMinutes: g.ConsumeTimeoutMinute, SubscriptionData: g.SubscriptionDataSet,
		Attributes: g.Attributes,
	}
}
