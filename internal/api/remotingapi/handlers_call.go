package remotingapi

import "github.com/cometmq/cometmq/internal/protocol"

// callHandlers are the requests about calls to connected clients and the questions that go with them.
func callHandlers() map[int32]handler {
	return map[int32]handler{
		protocol.ReqGetTopicStatsInfo:               topicStats,
		protocol.ReqGetConsumerConnectionList:       consumerConnections,
		protocol.ReqGetProducerConnectionList:       producerConnections,
		protocol.ReqGetConsumeStats:                 consumeStats,
		protocol.ReqInvokeBrokerToResetOffset:       resetOffset,
		protocol.ReqInvokeBrokerToGetConsumerStatus: consumerStatus,
		protocol.ReqQueryTopicConsumeByWho:          topicConsumers,
		protocol.ReqQueryConsumeTimeSpan:            consumeTimeSpan,
		protocol.ReqGetConsumerRunningInfo:          runningInfo,
		protocol.ReqConsumeMessageDirectly:          consumeDirectly,
		protocol.ReqCloneGroupOffset:                cloneGroupOffset,
		protocol.ReqQueryConsumeQueue:               queryConsumeQueue,
		protocol.ReqQueryTopicsByConsumer:           consumerTopics,
		protocol.ReqQuerySubscriptionByConsumer:     consumerSubscription,
	}
}
