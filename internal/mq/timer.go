package mq

import (
	"context"
	"net/netip"
)

// Timers is taking back messages that are not due yet (Java: RecallMessageProcessor).
type Timers interface {
	// Recall takes a message back. done is called exactly once, from any goroutine and under no lock, perhaps before Recall
	// returns: with nil when it is as safe as a message that was sent that the message will not be delivered, unless it was
	// already. It must not block. The unique key of the message is in the handle: id is valid when the refusal is nil.
	Recall(ctx context.Context, r *RecallRequest, done func(id string, refusal *Error))
}

// RecallRequest is RECALL_MESSAGE.
type RecallRequest struct {
	Group  string // the producer's
	Topic  string
	Handle string // SendResult.RecallHandle
	From   netip.AddrPort
}

// TimerProgress is how far the timers of a broker are (GET_TIMER_CHECK_POINT): what is before Index in the timer topic and was due
// before Time, in ms, has been delivered.
type TimerProgress struct {
	Time  int64
	Index Index
}
