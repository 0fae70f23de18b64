package mq

import "context"

// StatsAdmin reads what was counted over the last minute, hour and day.
type StatsAdmin interface {
	// Stats returns the past of one counter (VIEW_BROKER_STATS_DATA). Names are Java's, such as StatTopicPutNums; the key is that of
	// Java's table: a topic, topic@group, or the cluster. KindInternal, with Java's text, when nothing was counted under it.
	Stats(ctx context.Context, name, key string) (Stats, error)
}

// Stats is the past of one counter (Java BrokerStatsData).
type Stats struct{ Minute, Hour, Day StatsWindow }

// StatsWindow is what was counted in a span of time (Java BrokerStatsItem).
type StatsWindow struct {
	Sum   int64
	TPS   float64 // Sum by seconds
	AvgPT float64 // Sum by events: what one request had
}

// Names of counters, and what their keys are.
const (
	StatTopicPutNums  = "TOPIC_PUT_NUMS"  // topic
	StatTopicPutSize  = "TOPIC_PUT_SIZE"  // topic
	StatGroupGetNums  = "GROUP_GET_NUMS"  // topic@group
	StatGroupGetSize  = "GROUP_GET_SIZE"  // topic@group
	StatSendBackNums  = "SNDBCK_PUT_NUMS" // topic@group
	StatDeadNums      = "SNDBCK2DLQ_TIMES"
	StatBrokerPutNums = "BROKER_PUT_NUMS" // cluster
	StatBrokerGetNums = "BROKER_GET_NUMS" // cluster

	StatBrokerPutNumsUser = "BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC" // cluster
	StatBrokerGetNumsUser = "BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC" // cluster
)
