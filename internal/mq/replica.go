package mq

import "context"

// ReplicaAdmin gives slaves the tables of their master: as Java's files have them, and as a stream.
type ReplicaAdmin interface {
	// OffsetTable returns consumerOffset.json (GET_ALL_CONSUMER_OFFSET).
	OffsetTable(ctx context.Context) ([]byte, error)
	// DelayTable returns delayOffset.json (GET_ALL_DELAY_OFFSET).
	DelayTable(ctx context.Context) ([]byte, error)
	// TimerCheckpoint returns the 56 bytes of timercheck (GET_TIMER_CHECK_POINT).
	TimerCheckpoint(ctx context.Context) ([]byte, error)
	// TimerMetrics returns timermetrics (GET_TIMER_METRICS).
	TimerMetrics(ctx context.Context) ([]byte, error)
	// FollowTables answers a question of a CometMQ slave about what changes in the tables (docs/protocol/table-stream.md). done is
	// called once, from any goroutine and perhaps seconds later, unless an error is returned.
	FollowTables(question []byte, done func(answer []byte)) error
}
