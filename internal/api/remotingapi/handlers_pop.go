package remotingapi

import "github.com/cometmq/cometmq/internal/protocol"

// popHandlers are the requests about consumers that pop.
func popHandlers() map[int32]handler {
	return map[int32]handler{
		protocol.ReqPopMessage:                 popMessage,
		protocol.ReqAckMessage:                 ackMessage,
		protocol.ReqBatchAckMessage:            batchAckMessage,
		protocol.ReqChangeMessageInvisibleTime: changeInvisibleTime,
		protocol.ReqPeekMessage:                peekMessage,
		protocol.ReqNotification:               notification,
		protocol.ReqPollingInfo:                pollingInfo,
		protocol.ReqSetMessageRequestMode:      setRequestMode,
		protocol.ReqGetAllMessageRequestMode:   allRequestModes,
		protocol.ReqPopLiteMessage:             popLiteMessage,
		protocol.ReqLiteSubscriptionCtl:        controlLite,
		protocol.ReqGetBrokerLiteInfo:          brokerLiteInfo,
		protocol.ReqGetParentTopicInfo:         parentTopicInfo,
		protocol.ReqGetLiteTopicInfo:           liteTopicInfo,
		protocol.ReqGetLiteClientInfo:          liteClientInfo,
		protocol.ReqGetLiteGroupInfo:           liteGroupInfo,
		protocol.ReqTriggerLiteDispatch:        triggerLite,
	}
}
