package mq

import (
	"context"

	"github.com/cometmq/cometmq/internal/logicqueue"
)

// StaticQueues is about static topics, whose queues are logical: made of queues of several brokers, one after the other (see
// package logicqueue). Clients know logical queues and positions only. Doors translate nothing: for a topic that IsStatic they use
// PullRequest.Logical and the methods here instead of those of Service that are called alike, unless the request says that it means
// the broker's own queue, as other brokers' do. Sends are translated by Service.Send itself.
//
// A broker that does not lead the queue answers KindNotLeader. The methods may wait for another broker.
type StaticQueues interface {
	// IsStatic reports whether clients mean logical queues when they speak of a topic. It is cheap: doors ask before each request.
	IsStatic(topic string) bool

	LogicalCommit(ctx context.Context, group, topic string, queue int32, at Index) error
	LogicalQuery(ctx context.Context, group, topic string, queue int32, zeroIfNotFound bool) (Index, error)
	LogicalMin(ctx context.Context, topic string, queue int32) (Index, error)
	LogicalMax(ctx context.Context, topic string, queue int32) (Index, error)
	LogicalIndexAtTime(ctx context.Context, topic string, queue int32, ms int64, b Boundary) (Index, error)
	LogicalEarliest(ctx context.Context, topic string, queue int32) (int64, error)
}

// Peers are the other brokers of the cluster, by name, asked about their own queues. Names may be borrowed. Each call has a deadline.
type Peers interface {
	// Pull reads without waiting and without committing; the records are appended to dst. Fetch has no filters.
	Pull(ctx context.Context, broker string, r *PullRequest, dst []byte) (Fetch, error)
	CommitIndex(ctx context.Context, broker, group, topic string, queue int32, at Index) error
	// QueryIndex returns ok = false when the group has no position there.
	QueryIndex(ctx context.Context, broker, group, topic string, queue int32) (at Index, ok bool, err error)
	MinIndex(ctx context.Context, broker, topic string, queue int32) (Index, error)
	MaxIndex(ctx context.Context, broker, topic string, queue int32) (Index, error)
	IndexAtTime(ctx context.Context, broker, topic string, queue int32, ms int64, b Boundary) (Index, error)
	EarliestStoreTime(ctx context.Context, broker, topic string, queue int32) (int64, error)

	// Leaders returns who leads each logical queue of a static topic, as the name servers know it.
	Leaders(ctx context.Context, topic string) (map[int32]string, error)
	// Mapping returns what a broker knows of the queues of a static topic, nil when it knows none.
	Mapping(ctx context.Context, broker, topic string) (*logicqueue.Mapping, error)
}
