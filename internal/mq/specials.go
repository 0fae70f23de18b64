package mq

import "context"

// RemoteSpecials asks and tells a broker about messages that wait: for their time, for the end of their transaction, or for being allowed.
type RemoteSpecials interface {
	// TimerProgress tells how far the timers are; KindUnsupported where they are off.
	TimerProgress(ctx context.Context) (TimerProgress, error)
	// TimerCounts tells how many messages wait for their time, by topic.
	TimerCounts(ctx context.Context) ([]TimerCount, error)
	// Recall takes a message back that waits for its time. It returns the message's id.
	Recall(ctx context.Context, r *RecallRequest) (id string, err error)
	// Forbid allows or forbids a group to read a topic.
	Forbid(ctx context.Context, group, topic string, forbidden bool) error
	// Decide ends a transaction whose half message Put has stored.
	Decide(ctx context.Context, e *End, topic, id string) error
	// AskAgain has the producer of a half message asked once more, by its offset id.
	AskAgain(ctx context.Context, topic, offsetID string) error
}

// TimerCount is how many messages of a topic wait for their time.
type TimerCount struct {
	Topic   string
	Count   int64
	Updated int64 // ms
}
