package mq

import (
	"net/netip"
	"time"

	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/record"
)

// Offset is a byte position in the commit log.
type Offset = record.Offset

// Index is a position in a queue, counted in messages.
type Index = record.Index

// Perm is Java's permission bit set of a topic or broker.
type Perm int32

// Permission bits (Java PermName).
const (
	PermInherit  Perm = 1 // new topics may be derived from this one
	PermWrite    Perm = 2
	PermRead     Perm = 4
	PermPriority Perm = 8
)

// Readable reports whether the read bit is set.
func (p Perm) Readable() bool { return p&PermRead != 0 }

// Writable reports whether the write bit is set.
func (p Perm) Writable() bool { return p&PermWrite != 0 }

// DataVersion is Java's version of a table: equal only if all three fields are.
type DataVersion struct {
	Counter      int64
	StateVersion int64
	Timestamp    int64 // ms
}

// TopicConfig is one topic as the broker knows it (storage spec 9.3).
type TopicConfig struct {
	Name        string
	ReadQueues  int32
	WriteQueues int32
	Perm        Perm
	Filter      string // SINGLE_TAG or MULTI_TAG
	SysFlag     int32  // 1 unit, 2 unit-sub
	Order       bool
	Attributes  map[string]string // without the +/- signs of requests
	// Static is what this broker knows of a static topic, nil of any other. It must not be changed.
	Static *logicqueue.Mapping
}

// GroupConfig is one subscription group as the broker knows it (storage spec 9.3).
type GroupConfig struct {
	Name                     string
	ConsumeEnable            bool
	ConsumeFromMinEnable     bool
	ConsumeBroadcastEnable   bool
	ConsumeMessageOrderly    bool
	RetryQueues              int32
	RetryMaxTimes            int32
	RetryPolicy              []byte // raw JSON of groupRetryPolicy, nil = default
	BrokerID                 int64
	WhichBrokerWhenSlow      int64
	NotifyConsumerIDsChanged bool
	SysFlag                  int32
	ConsumeTimeoutMinutes    int32
	SubscriptionData         []byte // raw JSON of subscriptionDataSet, nil = absent
	Attributes               map[string]string
}

// DefaultGroupConfig returns Java's defaults for a group that is created on demand.
func DefaultGroupConfig(name string) GroupConfig {
	return GroupConfig{
		Name: name, ConsumeEnable: true, ConsumeFromMinEnable: true, ConsumeBroadcastEnable: true,
		RetryQueues: 1, RetryMaxTimes: 16, WhichBrokerWhenSlow: 1, NotifyConsumerIDsChanged: true,
		ConsumeTimeoutMinutes: 15,
	}
}

// Queue names one queue of one broker.
type Queue struct {
	Topic  string
	Broker string
	ID     int32
}

// SendStatus is how far a stored message got.
type SendStatus uint8

// Send statuses. All of them mean that the message is stored.
const (
	SendOK               SendStatus = iota
	SendFlushTimeout                // not on disk within syncFlushTimeout
	SendSlaveTimeout                // not on enough replicas within slaveTimeout
	SendSlaveUnavailable            // no replica to wait for
)

// SendRequest is one message to store.
type SendRequest struct {
	Topic         string
	QueueID       int32 // < 0: the broker chooses
	Group         string
	DefaultTopic  string // template for auto-creation (TBW102)
	DefaultQueues int32
	SysFlag       int32
	Flag          int32
	BornTime      int64 // ms
	BornHost      netip.AddrPort
	Props         record.Props // raw "k\x01v\x02" form
	Reconsume     int32
	MaxReconsume  int32 // -1: not given
	UnitMode      bool
	Batch         bool // Body is a code-320 batch: size, 0, 0, flag, body, props ...
	Body          []byte
	// User and Client say whose quota the message counts for, "": nobody's. They may be borrowed.
	User, Client string
}

// SendResult is the outcome of one SendRequest.
type SendResult struct {
	Err     *Error // nil: stored
	QueueID int32
	Index   Index  // queue position of the (first) message
	Offset  Offset // log offset of the (first) message
	// Offsets holds the log offsets of all messages of a batch, nil for a single message.
	Offsets []Offset
	// UniqueKey is the message's UNIQ_KEY (the client's or the one that the broker added); borrowed until
	// the SendBatch is reset.
	UniqueKey string
	// RecallHandle is what Timers.Recall takes this message back with, "" when it has no time of its own.
	RecallHandle string
	// BatchKey is the UNIQ_KEY of a batch that was stored as one message with one offset (a topic of batch queues), "" else. It is
	// borrowed as UniqueKey.
	BatchKey string
	// Wait is how much later than it could be the answer is given, since the sender is above a quota.
	Wait time.Duration
}

// SendBatch is the unit in which a door hands messages to Send: what arrived together is appended together, with one
// write. It is reused; nothing in it survives Reset.
type SendBatch struct {
	Requests []SendRequest
	Results  []SendResult // filled by Send, one for each request
	Ends     []End        // half messages to decide, by After
	// Done is called exactly once, from any goroutine and never under a lock, when a Send that returned
	// pending = true has been decided. It must not block. Status is the worst of the batch.
	Done func(b *SendBatch, s SendStatus)
	// Core belongs to the implementation of Service: buffers that it reuses with the batch.
	Core any
}

// Reset empties the batch and keeps its memory.
func (b *SendBatch) Reset() {
	clear(b.Requests)
	b.Requests = b.Requests[:0]
	clear(b.Results)
	b.Results = b.Results[:0]
	clear(b.Ends)
	b.Ends = b.Ends[:0]
}

// FetchStatus is the store's answer to a pull (names as Java's GetMessageStatus, which are the remarks on the wire).
type FetchStatus uint8

// Fetch statuses.
const (
	FetchFound FetchStatus = iota
	FetchNoMatchedMessage
	FetchMessageWasRemoving
	FetchOffsetFoundNull
	FetchOffsetOverflowBadly
	FetchOffsetOverflowOne
	FetchOffsetTooSmall
	FetchNoMatchedLogicQueue
	FetchNoMessageInQueue
	FetchOffsetReset
)

var fetchNames = [...]string{
	"FOUND", "NO_MATCHED_MESSAGE", "MESSAGE_WAS_REMOVING", "OFFSET_FOUND_NULL", "OFFSET_OVERFLOW_BADLY",
	"OFFSET_OVERFLOW_ONE", "OFFSET_TOO_SMALL", "NO_MATCHED_LOGIC_QUEUE", "NO_MESSAGE_IN_QUEUE", "OFFSET_RESET",
}

// String returns Java's name.
func (s FetchStatus) String() string { return fetchNames[s] }

// PullRequest asks for messages of one queue from one position on.
type PullRequest struct {
	Group       string
	Topic       string
	QueueID     int32
	From        Index
	MaxMessages int32
	// Subscription: when HasExpression, Expression/ExpressionType come with the request; otherwise the heartbeat's
	// subscription is used and must be at least SubVersion.
	HasExpression  bool
	Expression     string
	ExpressionType string
	SubVersion     int64
	// CommitIndex is committed first when Commit is set (and this is not a wake-up).
	Commit      bool
	CommitIndex Index
	ClientHost  netip.AddrPort
	Lite        bool // LITE_PULL_MESSAGE
	// Logical: QueueID and the positions are those of a logical queue (see StaticQueues). Forward: another broker may be asked, which
	// takes a while; without it Fetch.Elsewhere says that it would have to be.
	Logical, Forward bool
}

// Fetch is the result of a pull.
type Fetch struct {
	Status FetchStatus
	// Records are the stored records back to back, appended to the buffer that the caller passed.
	Records  []byte
	Count    int
	Next     Index
	Min, Max Index
	// SuggestBroker is the broker id to pull from next (0 master).
	SuggestBroker int64
	TopicSysFlag  int32
	GroupSysFlag  int32
	// Match is the compiled tag filter of this pull, for parking; nil matches all.
	Match func(tagsCode int64) bool
	// Props is the compiled test on the properties, for parking; nil matches all. A message must pass both.
	Props func(record.Props) bool

	// Of a logical pull: the records are with another broker, and nothing was done; what turns the positions in the records into
	// logical ones; and where to park.
	Elsewhere bool
	Delta     Index
	WaitQueue int32
	WaitFrom  Index
}

// Waiter is a parked long poll. The door owns it, the core links it.
type Waiter struct {
	Topic    string // not borrowed: cloned by the door
	Group    string // of a pop, likewise
	QueueID  int32  // -1 of a pop: any
	From     Index
	Match    func(tagsCode int64) bool // nil matches all
	Props    func(record.Props) bool   // nil matches all; it may be called under a lock and must not keep what it gets
	Deadline time.Time
	// Gone reports that nobody listens any more: a message then wakes somebody else, too. It may be called under a lock. Nil: never.
	// Only waiters of pops are asked.
	Gone func() bool
	// Wake is called exactly once, never under a lock: a message may be there, the deadline passed or the broker
	// shuts down. It must not block for long.
	Wake func(w *Waiter)

	// Link is the core's: position in its heap and lists.
	Link any
}

// Session is one client connection as the core knows it. Identity is the pointer, not the client id.
type Session struct {
	ClientID string
	Language string
	Version  int32
	Remote   netip.AddrPort
	Peer     Peer
}

// Subscription is one topic of a consumer group (Java SubscriptionData).
type Subscription struct {
	Topic          string
	Expression     string
	ExpressionType string // TAG or SQL92; "" = TAG
	Tags           []string
	Codes          []int32
	Version        int64 // ms
	ClassFilter    bool
}

// ConsumeType is how a group consumes.
type ConsumeType string

// Consume types as on the wire.
const (
	ConsumeActively  ConsumeType = "CONSUME_ACTIVELY"
	ConsumePassively ConsumeType = "CONSUME_PASSIVELY"
	ConsumePop       ConsumeType = "CONSUME_POP"
)

// ConsumerData is one consumer group in a heartbeat.
type ConsumerData struct {
	Group         string
	Type          ConsumeType
	Broadcast     bool
	FromWhere     string // CONSUME_FROM_LAST_OFFSET ...
	Subscriptions []Subscription
	UnitMode      bool
}

// Heartbeat is what a client reports every 30 s.
type Heartbeat struct {
	Producers []string
	Consumers []ConsumerData
	// WithoutSubs: a V2 heartbeat that leaves the subscriptions as they are.
	WithoutSubs bool
	Fingerprint int32
}

// HeartbeatReply is the answer to a heartbeat.
type HeartbeatReply struct {
	// SubsChanged asks a V2 client to send its full data.
	SubsChanged bool
}

// Assignment is one queue given to a consumer by server-side rebalancing.
type Assignment struct {
	Queue Queue
	Mode  string // PULL or POP
}

// AssignmentRequest is QUERY_ASSIGNMENT.
type AssignmentRequest struct {
	Topic, Group, ClientID, Strategy string
	Broadcast                        bool
}

// LockRequest asks for queue locks of an orderly consumer.
type LockRequest struct {
	Group    string
	ClientID string
	Queues   []Queue
}

// Boundary chooses among messages of equal time in IndexAtTime.
type Boundary uint8

// Boundaries.
const (
	BoundaryLower Boundary = iota
	BoundaryUpper
)

// KeyQuery is QUERY_MESSAGE.
type KeyQuery struct {
	Topic      string
	Key        string
	Max        int
	Begin, End int64 // store time, ms
	Unique     bool
}

// KeyResult is the answer to a KeyQuery.
type KeyResult struct {
	Records        []byte // stored records back to back
	Count          int
	LastUpdateTime int64
	LastUpdateAt   Offset
}
