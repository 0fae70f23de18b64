package mq

import "context"

// OperatorAdmin is what tools ask a broker beside topics, groups and positions.
type OperatorAdmin interface {
	// PutTopics is PutTopic of several (UPDATE_AND_CREATE_TOPIC_LIST). A name that is not allowed refuses all.
	PutTopics(ctx context.Context, list []TopicConfig) error
	// PutGroups is PutGroup of several (UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST). A name that is not allowed refuses all.
	PutGroups(ctx context.Context, list []GroupConfig) error
	// SystemTopics returns the names of the broker's own topics, sorted.
	SystemTopics(ctx context.Context) ([]string, error)
	// Forbid allows or forbids a group to read a topic.
	Forbid(ctx context.Context, group, topic string, forbidden bool) error
	// Forbidden tells whether a group must not read a topic.
	Forbidden(ctx context.Context, group, topic string) (bool, error)
	// GroupsStats returns how far all groups are, in topics with order only if ordered (GET_BROKER_CONSUME_STATS).
	GroupsStats(ctx context.Context, ordered bool) ([]GroupStats, error)
	// Corrections returns by queue of a topic the smallest position of the groups whose messages are still there, without those of
	// filter; the end of all numbers where compare is behind it (QUERY_CORRECTION_OFFSET).
	Corrections(ctx context.Context, topic, compare string, filter []string) (map[int32]Index, error)
	// AllProducers returns who produces, by group (GET_ALL_PRODUCER_INFO).
	AllProducers(ctx context.Context) (map[string][]ProducerInfo, error)
	// AllConsumers returns who consumes, by group, without subscriptions.
	AllConsumers(ctx context.Context) (map[string]ConsumerGroup, error)
	// Clean cleans up. CleanExpiredQueues and CleanExpiredLog are done soon after it returns, as in Java.
	Clean(ctx context.Context, what Cleaning) error
	// RecheckHalf stores the message at a log offset as a half message whose producer has not been asked yet
	// (RESUME_CHECK_HALF_MESSAGE).
	RecheckHalf(ctx context.Context, at Offset) error
}
