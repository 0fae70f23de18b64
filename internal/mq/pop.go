package mq

import (
	"context"
	"net/netip"
	"time"

	"github.com/cometmq/cometmq/internal/record"
)

// Pops is consuming without owning queues: a message is handed out for a time and comes again unless it is acknowledged
// (Java's PopMessageProcessor, AckMessageProcessor, ChangeInvisibleTimeProcessor, NotificationProcessor).
type Pops interface {
	// Pop hands out messages. res is emptied first, but for res.Records, to which the messages are appended. No message is no
	// error. What was handed out counts when SyncPops returned.
	Pop(ctx context.Context, r *PopRequest, res *PopResult) error
	// Ack settles one message. note says why nothing was settled although the answer is success, "" when it was.
	Ack(ctx context.Context, r *AckRequest) (note string, err error)
	// AckBatch settles several messages that were popped together. Those that cannot be settled are left out, as in Java.
	AckBatch(ctx context.Context, r *BatchAck) (note string, err error)
	// ChangeInvisible hides a message for another time. The handle is a new one after that.
	ChangeInvisible(ctx context.Context, r *ChangeInvisibleRequest) (ChangeInvisibleResult, error)
	// SyncPops returns when what was handed out and settled before survives a kill of the process.
	SyncPops() error
	// Peek reads what a pop would hand out.
	Peek(ctx context.Context, r *PeekRequest, res *PopResult) error
	// HasPop reports whether a pop would find something.
	HasPop(ctx context.Context, r *PopRequest) (bool, error)
	// ParkPop keeps w until something may be popped or its deadline passes, then calls w.Wake.
	ParkPop(r *PopRequest, w *Waiter) PopPark
	// Polling is how many requests of the group wait for a message of the topic; queue -1 are those of any queue.
	Polling(ctx context.Context, group, topic string, queue int32, host netip.AddrPort) (int, error)

	// SetRequestMode says whether a group pulls or pops a topic.
	SetRequestMode(ctx context.Context, m RequestMode) error
	RequestModes(ctx context.Context) ([]RequestMode, error)
}

// PopRequest asks for messages of a topic.
type PopRequest struct {
	Group          string
	Topic          string
	QueueID        int32 // -1: any
	MaxMessages    int32 // at most 32
	Invisible      int64 // ms
	PollTime       int64 // ms that the request may wait
	BornTime       int64 // ms when it was made; 0: now
	FromMax        bool  // a new group begins at the end of the queue (initMode 1)
	Expression     string
	ExpressionType string
	Order          bool
	AttemptID      string
	// LiteClient pops the lite topics that the client of this id has subscribed to, Topic being their parent; "" = none. Only Group,
	// Topic, the times, MaxMessages and AttemptID count then.
	LiteClient string
	ClientHost netip.AddrPort
}

// Deadline is when the request has waited long enough.
func (r *PopRequest) Deadline() time.Time { return time.UnixMilli(r.BornTime + r.PollTime) }

// PopResult is what a pop found. It can be reused.
type PopResult struct {
	Records   []byte // stored records back to back; those of retry topics carry the topic that was asked for
	Count     int
	PopTime   int64 // ms
	Invisible int64 // ms
	ReviveQID int32
	Rest      int64 // messages that are left
	// The texts of Java's PopMessageResponseHeader.
	StartOffsets []byte
	MsgOffsets   []byte
	OrderCounts  []byte
	// Match is the compiled tag filter, for parking; nil matches all.
	Match func(tagsCode int64) bool
	Props func(record.Props) bool // likewise the test on properties

	Core any // buffers of the implementation of Service
}

// PopPark is the answer to ParkPop. Only PopParked leads to a Wake.
type PopPark uint8

// Answers to ParkPop.
const (
	PopParked  PopPark = iota
	PopFull            // too many wait already
	PopTimeout         // there is no time left to wait, or long polling is off
	PopAgain           // something has come meanwhile: ask again
)

// AckRequest settles one popped message.
type AckRequest struct {
	Group      string
	Topic      string // the one that it was read from, which may be a retry topic
	QueueID    int32
	Index      Index
	Receipt    string
	LiteTopic  string // the message is of this lite topic of Topic; "" = of Topic itself
	ClientHost netip.AddrPort
}

// BatchAck settles the messages Start + i for each bit i of Bits, which were popped together.
type BatchAck struct {
	Group, Topic string
	Broker       string // that answered the pop
	Retry        string // "0", "1" or "2": which retry topic, if any
	Start        Index
	QueueID      int32
	ReviveQID    int32
	PopTime      int64
	Invisible    int64
	Bits         []byte // little-endian, as java.util.BitSet
}

// ChangeInvisibleRequest hides a popped message until Invisible ms from now.
type ChangeInvisibleRequest struct {
	AckRequest
	Invisible int64
	Suspend   bool // coming again then does not count as another attempt
}

// ChangeInvisibleResult names the new handle.
type ChangeInvisibleResult struct {
	PopTime, Invisible int64
	ReviveQID          int32
	Note               string // why nothing was changed
}

// PeekRequest reads messages without handing them out.
type PeekRequest struct {
	Group, Topic string
	QueueID      int32
	MaxMessages  int32
	ClientHost   netip.AddrPort
}

// RequestMode says how a group consumes a topic (Java's SetMessageRequestModeRequestBody).
type RequestMode struct {
	Topic, Group string
	Mode         string // PULL or POP
	// ShareQueues: a consumer that pops gets its own queues and those of that many others; <= 0: all.
	ShareQueues int32
}
