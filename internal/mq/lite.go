package mq

import "context"

// Lites is what clients of lite topics say (Java's LiteSubscriptionCtlProcessor). Popping and acknowledging is that of Pops: see
// PopRequest.LiteClient and AckRequest.LiteTopic.
type Lites interface {
	// SubscribeLite applies what clients say about their lite topics, in order. The first that is refused ends it. s tells them when
	// they lose one.
	SubscribeLite(ctx context.Context, p Peer, list []LiteChange) error
}

// LiteAction is what a LiteChange does.
type LiteAction string

// Actions as on the wire.
const (
	LiteAdd       LiteAction = "PARTIAL_ADD"
	LiteRemove    LiteAction = "PARTIAL_REMOVE"
	LiteSet       LiteAction = "COMPLETE_ADD"
	LiteRemoveAll LiteAction = "COMPLETE_REMOVE"
)

// LiteChange is what one client says about its lite topics (Java LiteSubscriptionDTO).
type LiteChange struct {
	Action   LiteAction
	ClientID string
	Group    string
	Topic    string // the parent
	Lites    []string
	Start    *LiteStart // where the group is to go on in lite topics that are added; nil: where it is
}

// LiteStart is a position (Java OffsetOption).
type LiteStart struct {
	Kind  string // POLICY, OFFSET, TAIL_N or TIMESTAMP
	Value int64  // of POLICY: 0 where the group is, 1 first, 2 end; of TAIL_N: so many messages back
}
