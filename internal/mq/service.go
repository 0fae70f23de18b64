package mq

import "context"

// Service is what clients do. All doors use only this and Admin.
type Service interface {
	Retries
	Timers
	Pops
	Lites
	Replies
	StaticQueues

	// Send validates and stores the messages of b in order, decides the half messages of b.Ends at their places among them,
	// and fills b.Results and the Err of each End. A message that is refused has
	// Results[i].Err and does not stop the others. pending = true: stored, but the promised durability is not reached
	// yet, b.Done will be called and b belongs to the core until then. pending = false: decided, b.Done is not called.
	Send(ctx context.Context, b *SendBatch) (pending bool)

	// Pull reads without waiting. Records are appended to dst. The error is an *Error.
	Pull(ctx context.Context, r *PullRequest, dst []byte) (Fetch, error)
	// Park keeps w until a matching message at or after w.From arrives or the deadline passes, then calls
	// w.Wake. It returns false, and never calls Wake, when there is something to read already or long polling is off.
	Park(w *Waiter) bool

	// CommitIndex stores the consumer's position.
	CommitIndex(ctx context.Context, group, topic string, queue int32, at Index) error
	// QueryIndex returns the stored position; KindQueryNotFound lets the client apply consumeFromWhere.
	QueryIndex(ctx context.Context, group, topic string, queue int32, zeroIfNotFound bool) (Index, error)
	// MinIndex and MaxIndex return the first available and the next position, 0 for an unknown queue.
	MinIndex(ctx context.Context, topic string, queue int32) (Index, error)
	MaxIndex(ctx context.Context, topic string, queue int32) (Index, error)
	// IndexAtTime searches by store time in ms, clamped to [min, max].
	IndexAtTime(ctx context.Context, topic string, queue int32, ms int64, b Boundary) (Index, error)
	// EarliestStoreTime returns the store time of the first message in ms, -1 when there is none.
	EarliestStoreTime(ctx context.Context, topic string, queue int32) (int64, error)
	// MessageAt appends the stored record at a log offset to dst.
	MessageAt(ctx context.Context, at Offset, dst []byte) ([]byte, error)
	// QueryByKey finds messages by key or unique key.
	QueryByKey(ctx context.Context, q *KeyQuery) (KeyResult, error)

	// Heartbeat registers what s produces and consumes.
	Heartbeat(ctx context.Context, s *Session, h *Heartbeat) (HeartbeatReply, error)
	// Leave removes s from one producer and/or consumer group ("" = none).
	Leave(ctx context.Context, s *Session, producerGroup, consumerGroup string)
	// Detach removes s from everything: its connection is gone.
	Detach(s *Session)
	// Members lists the client ids of a consumer group; an empty list is an *Error, as in Java.
	Members(ctx context.Context, group string) ([]string, error)
	// Lock returns the subset of queues that the client holds now; Unlock gives back its own.
	Lock(ctx context.Context, r *LockRequest) ([]Queue, error)
	Unlock(ctx context.Context, r *LockRequest) error
	// Assign computes the queues of one client; nil = the client decides by itself.
	Assign(ctx context.Context, r *AssignmentRequest) ([]Assignment, error)
	// CheckFilter compiles a subscription expression (CHECK_CLIENT_CONFIG).
	CheckFilter(ctx context.Context, group string, s *Subscription) error
}

// TopicAdmin changes and lists topics.
type TopicAdmin interface {
	// PutTopic creates or updates a topic. Attributes carry Java's +/- signs. The change is persisted and
	// announced to the name servers before it returns.
	PutTopic(ctx context.Context, t TopicConfig) error
	// PutStaticTopic creates or updates a static topic; t.Static is what this broker is to know of it. With force nothing of what it
	// knew is compared.
	PutStaticTopic(ctx context.Context, t TopicConfig, force bool) error
	DeleteTopic(ctx context.Context, name string) error
	Topic(ctx context.Context, name string) (TopicConfig, error)
	Topics(ctx context.Context) ([]TopicConfig, DataVersion, error)
}

// GroupAdmin changes and lists subscription groups.
type GroupAdmin interface {
	PutGroup(ctx context.Context, g GroupConfig) error
	DeleteGroup(ctx context.Context, name string, cleanOffsets bool) error
	Group(ctx context.Context, name string) (GroupConfig, error)
	Groups(ctx context.Context) ([]GroupConfig, DataVersion, error)
}

// BrokerAdmin reads the state of a broker.
type BrokerAdmin interface {
	// RuntimeInfo returns Java's GET_BROKER_RUNTIME_INFO table.
	RuntimeInfo(ctx context.Context) (map[string]string, error)
}

// Admin is what operators do.
type Admin interface {
	TopicAdmin
	GroupAdmin
	BrokerAdmin
	ClientAdmin
	PositionAdmin
	ReplicaAdmin
	RemoteLite // lite topics (Java's LiteManagerProcessor)
	OperatorAdmin
	StatsAdmin
}
