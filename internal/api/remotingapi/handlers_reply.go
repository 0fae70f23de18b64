package remotingapi

import "github.com/cometmq/cometmq/internal/protocol"

// replyHandlers are the requests about answers to request messages.
func replyHandlers() map[int32]handler {
	return map[int32]handler{
		protocol.ReqSendReplyMessage:   sendReply,
		protocol.ReqSendReplyMessageV2: sendReplyV2,
	}
}
