package mq

import "context"

// Retries is giving messages back that could not be consumed (Java: AbstractSendMessageProcessor.consumerSendMsgBack).
type Retries interface {
	// GiveBack stores a message once more, to be delivered to the same group later, or in the group's dead-letter topic
	// when it has been tried often enough. done is called exactly once, from any goroutine and under no lock, perhaps
	// before GiveBack returns: with nil when the copy is as safe as a message that was sent, else with why there is none
	// or how safe it is not. It must not block.
	GiveBack(ctx context.Context, r *GiveBackRequest, done func(*Error))
}

// GiveBackRequest is CONSUMER_SEND_MSG_BACK.
type GiveBackRequest struct {
	Group string
	At    Offset // where the message is that was consumed
	// DelayLevel is when to try again: 0 by how often it was tried, negative never.
	DelayLevel int32
	// MaxReconsume is after how many tries to give up, if HasMax; else the group's configuration says.
	MaxReconsume int32
	HasMax       bool
	UnitMode     bool
}
