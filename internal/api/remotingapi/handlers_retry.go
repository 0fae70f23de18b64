package remotingapi

import "github.com/cometmq/cometmq/internal/protocol"

// retryHandlers are the requests about given-back messages and recalled timers.
func retryHandlers() map[int32]handler {
	return map[int32]handler{
		protocol.ReqConsumerSendMsgBack: sendMsgBack,
		protocol.ReqRecallMessage:       recallMessage,
	}
}
