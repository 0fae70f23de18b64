package mq

import "context"

// ReplicaAdmin gives slaves the tables of their master, as Java's JSON files have them.
type ReplicaAdmin interface {
	// OffsetTable returns consumerOffset.json (GET_ALL_CONSUMER_OFFSET).
	OffsetTable(ctx context.Context) ([]byte, error)
	// DelayTable returns delayOffset.json (GET_ALL_DELAY_OFFSET).
	DelayTable(ctx context.Context) ([]byte, error)
}
