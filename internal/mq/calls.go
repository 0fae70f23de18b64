package mq

import (
	"context"
	"net/netip"
)

// Peer is how the core calls a connected client back. A door implements it. Nothing that is passed to it is kept.
type Peer interface {
	// ConsumerIDsChanged tells the client that members of group came or went (code 40, one-way).
	ConsumerIDsChanged(group string)
	// UnsubscribeLite tells the client that it has lost a lite topic to another one of its group (code 200073, one-way).
	UnsubscribeLite(group, clientID, lite string)
	// ResetPositions tells the client where to go on in a topic (code 220, one-way).
	ResetPositions(r *PositionReset, to []QueuePosition)

	// The following ask the client. done is called exactly once, from any goroutine and under no lock: with its answer, or
	// with an *Error of KindTimeout or KindInternal. It must not block.

	// Positions asks how far the client is in a topic (code 221, within 5 s).
	Positions(group, topic string, done func([]QueuePosition, error))
	// RunningInfo asks what the client is doing (code 307, within 10 s).
	RunningInfo(r *RunningInfoRequest, done func(ClientAnswer, error))
	// ConsumeDirectly has the client consume one message now (code 309, within 10 s).
	ConsumeDirectly(r *DirectRequest, done func(ClientAnswer, error))
	// PushReply gives the client the answer to a request message (code 326, within 10 s). It leaves with Flush.
	PushReply(r *PushedReply, done func(error))

	// Flush sends what PushReply left.
	Flush()
	// CheckTransaction asks the client about a half message (code 39, one-way). It returns false when nothing was sent
	// because the connection is gone or does not take what it is sent already.
	CheckTransaction(c *TransactionCheck) bool
	// Close ends the connection.
	Close()
}

// ClientAnswer is what a client said, to be handed through as it is: the code is the client's own, not one of ours.
type ClientAnswer struct {
	Code   int32
	Remark string
	Body   []byte
}

// RunningInfoRequest is GET_CONSUMER_RUNNING_INFO.
type RunningInfoRequest struct {
	Group, ClientID string
	Stacks          bool // with the stacks of the client's threads
}

// DirectRequest is CONSUME_MESSAGE_DIRECTLY. The core fills in what is not from the tool.
type DirectRequest struct {
	Group, ClientID string
	MessageID       string // offset message id, or what the tool sent
	At              Offset // what MessageID says
	HasMessage      bool   // there is an At
	Topic           string // "" = not given

	Broker                   string // filled in, as the rest
	Record                   []byte // the stored message
	TopicSysFlag             int32
	GroupSysFlag             int32
	TopicExists, GroupExists bool
}

// ClientPositions are the positions of one client.
type ClientPositions struct {
	ClientID  string
	Positions []QueuePosition
}

// Connection is one client of a group.
type Connection struct {
	ClientID string
	Language string
	Version  int32
	Remote   netip.AddrPort
}

// ConsumerGroup is the live state of a consumer group.
type ConsumerGroup struct {
	Type          ConsumeType
	Broadcast     bool
	FromWhere     string
	Connections   []Connection
	Subscriptions []Subscription
}

// ClientAdmin is about clients that are connected to this broker. What calls a client does not wait for it: done is called
// once, from any goroutine, under no lock, and must not block.
type ClientAdmin interface {
	// RunningInfo hands a question on to a client of a consumer group.
	RunningInfo(ctx context.Context, r *RunningInfoRequest, done func(ClientAnswer, error))
	// ConsumeDirectly has a client consume a stored message.
	ConsumeDirectly(ctx context.Context, r *DirectRequest, done func(ClientAnswer, error))
	// ConsumerPositions asks the clients of a group how far they are in a topic; clientID "" = all of them. Clients that do
	// not answer are left out.
	ConsumerPositions(ctx context.Context, group, topic, clientID string, done func([]ClientPositions, error))
	// Consumers returns who consumes for a group; KindConsumerNotOnline when nobody does.
	Consumers(ctx context.Context, group string) (ConsumerGroup, error)
	// Producers returns who produces for a group.
	Producers(ctx context.Context, group string) ([]Connection, error)
	// Subscription returns what the clients of a group want of a topic, nil when nothing.
	Subscription(ctx context.Context, group, topic string) (*Subscription, error)
}
