package mq

import "context"

// QueuePosition is a position in one queue.
type QueuePosition struct {
	Queue Queue
	At    Index
}

// PositionReset is INVOKE_BROKER_TO_RESET_OFFSET.
type PositionReset struct {
	Group, Topic string
	QueueID      int32 // < 0: all queues
	Time         int64 // store time in ms to go to; < 0 = the end
	HasIndex     bool  // go to Index, of one queue, and not to a time
	Index        Index
	Force        bool // also forward; only for resets that the clients do
	ForC         bool // the tool is written in C++: so are its clients
}

// QueueStats are the bounds of one queue.
type QueueStats struct {
	Queue      Queue
	Min, Max   Index
	LastUpdate int64 // store time of the last message in ms, 0 = none
}

// TopicStats is the answer to GET_TOPIC_STATS_INFO.
type TopicStats struct {
	Queues []QueueStats
	PutTPS float64
}

// ConsumeProgress is how far a group is in one queue.
type ConsumeProgress struct {
	Queue       Queue
	End         Index // the queue's
	Committed   Index
	Pulled      Index
	LastConsume int64 // store time of the last message that was consumed in ms, 0 = unknown
}

// ConsumeStats is the answer to GET_CONSUME_STATS.
type ConsumeStats struct {
	TPS    float64
	Queues []ConsumeProgress
}

// QueueSpan is between which times the messages of a queue lie, all in ms.
type QueueSpan struct {
	Queue            Queue
	First, Last      int64 // -1 = none
	Consumed, Behind int64
}

// QueueUnit is one entry of a queue.
type QueueUnit struct {
	At       Offset
	Size     int32
	TagsCode int64
}

// QueueUnits is the answer to QUERY_CONSUME_QUEUE.
type QueueUnits struct {
	Min, Max     Index
	Subscription *Subscription
	FilterText   string
	Units        []QueueUnit
}

// PositionAdmin is about how far groups are.
type PositionAdmin interface {
	// ResetPositions sets the positions of a group in a topic. What is set counts at once and is on disk before it returns;
	// clients are told with their next pull, and until then what they commit is ignored.
	ResetPositions(ctx context.Context, r *PositionReset) ([]QueuePosition, error)
	// ClonePositions gives group to the positions of group from in a topic. With live, topics that from's clients do not
	// subscribe to are left out.
	ClonePositions(ctx context.Context, from, to, topic string, live bool) error
	// TopicStats returns the bounds of all queues of a topic.
	TopicStats(ctx context.Context, topic string) (TopicStats, error)
	// ConsumeStats returns how far a group is: in the topics of list, or in topic, or in all.
	ConsumeStats(ctx context.Context, group, topic string, list []string) (ConsumeStats, error)
	// TopicConsumers returns the groups that subscribe to a topic or have positions in it, sorted.
	TopicConsumers(ctx context.Context, topic string) ([]string, error)
	// ConsumerTopics returns the topics in which a group has positions, sorted.
	ConsumerTopics(ctx context.Context, group string) ([]string, error)
	// ConsumeSpans returns the times of a topic's queues and how far a group is behind.
	ConsumeSpans(ctx context.Context, group, topic string) ([]QueueSpan, error)
	// QueueUnits returns entries of one queue; group "" = without a filter.
	QueueUnits(ctx context.Context, group, topic string, queue int32, from Index, count int32) (QueueUnits, error)
}
