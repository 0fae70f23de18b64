package meta

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

// Names of topics that belong to the broker (remoting spec 5.1).
const (
	TopicAutoCreate   = "TBW102"
	TopicSelfTest     = "SELF_TEST_TOPIC"
	TopicBenchmark    = "BenchmarkTest"
	TopicOffsetMoved  = "OFFSET_MOVED_EVENT"
	TopicSchedule     = "SCHEDULE_TOPIC_XXXX"
	TopicTrace        = "RMQ_SYS_TRACE_TOPIC"
	TopicHalf         = "RMQ_SYS_TRANS_HALF_TOPIC"
	TopicOpHalf       = "RMQ_SYS_TRANS_OP_HALF_TOPIC"
	TopicRocksHalf    = "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC"
	TopicRocksOpHalf  = "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC"
	TopicCheckMaxTime = "TRANS_CHECK_MAX_TIME_TOPIC"
	TopicTimer        = "rmq_sys_wheel_timer"
	TopicCheckpoint   = "CHECKPOINT_TOPIC"

	systemPrefix       = "rmq_sys_"
	revivePrefix       = "rmq_sys_REVIVE_LOG_"
	memberPrefix       = "rmq_sys_SYNC_BROKER_MEMBER_"
	replySuffix        = "_REPLY_TOPIC"
	systemGroupPrefix  = "CID_RMQ_SYS_"
	maxScheduleLevels  = 18
	benchmarkQueues    = 1024
	clusterTopicQueues = 16
)

// ReplyTopic returns the name of the topic that carries the answers of request-reply calls.
func ReplyTopic(cluster string) string { return cluster + replySuffix }

// ReviveTopic returns the name of pop's own log.
func ReviveTopic(cluster string) string { return revivePrefix + cluster }

// SystemOptions decide which topics a broker has from the start.
type SystemOptions struct {
	Cluster, Broker string
	AutoCreate      bool // autoCreateTopicEnable: TBW102
	DefaultQueues   int32
	ClusterTopic    bool   // clusterTopicEnable
	BrokerTopic     bool   // brokerTopicEnable
	Trace           bool   // traceTopicEnable
	TraceTopic      string // msgTraceTopicName, default RMQ_SYS_TRACE_TOPIC
	ReviveQueues    int32  // reviveQueueNum
	Timer           bool   // timerWheelEnable
}

// SystemTopics returns the topics that a broker has from the start.
func SystemTopics(o SystemOptions) []mq.TopicConfig {
	const rw = mq.PermRead | mq.PermWrite
	var out []mq.TopicConfig
	add := func(name string, queues int32, perm mq.Perm) {
		out = append(out, mq.TopicConfig{
			Name: name, ReadQueues: queues, WriteQueues: queues, Perm: perm, Filter: filterSingleTag,
		})
	}
	or := func(on bool, p mq.Perm) mq.Perm {
		if on {
			return p | rw
		}
		return p
	}
	add(TopicSelfTest, 1, rw)
	if o.AutoCreate {
		q := o.DefaultQueues
		if q <= 0 {
			q = 8
		}
		add(TopicAutoCreate, q, mq.PermInherit|rw)
	}
	add(TopicBenchmark, benchmarkQueues, rw)
	add(o.Cluster, clusterTopicQueues, or(o.ClusterTopic, mq.PermInherit))
	add(o.Broker, 1, or(o.BrokerTopic, mq.PermInherit))
	add(TopicOffsetMoved, 1, rw)
	add(TopicSchedule, maxScheduleLevels, rw)
	if o.Trace {
		name := o.TraceTopic
		if name == "" {
			name = TopicTrace
		}
		add(name, 1, rw)
	}
	add(ReplyTopic(o.Cluster), 1, rw)
	q := o.ReviveQueues
	if q <= 0 {
		q = 8
	}
	add(ReviveTopic(o.Cluster), q, rw)
	add(memberPrefix+o.Broker, 1, mq.PermInherit)
	add(TopicHalf, 1, rw)
	add(TopicOpHalf, 1, rw)
	if o.Timer {
		add(TopicTimer, 1, rw)
	}
	return out
}

// ReservedTopics are the names of topics that brokers have whether they are used or not (Java TopicValidator).
func ReservedTopics() []string {
	return []string{
		TopicAutoCreate, TopicSchedule, TopicBenchmark, TopicHalf, TopicOpHalf, TopicRocksHalf, TopicRocksOpHalf, TopicTrace, TopicCheckMaxTime,
		TopicSelfTest, TopicOffsetMoved,
	}
}

// IsSystemTopic reports whether name belongs to the brokers: it cannot be created, changed or deleted by an operator.
func IsSystemTopic(o SystemOptions, name string) bool {
	switch name {
	case TopicAutoCreate, TopicSchedule, TopicBenchmark, TopicHalf, TopicOpHalf, TopicRocksHalf, TopicRocksOpHalf, TopicTrace,
		TopicCheckMaxTime, TopicSelfTest, TopicOffsetMoved, TopicCheckpoint:
		return true
	case o.Cluster, o.Broker:
		return name != ""
	case o.TraceTopic:
		return o.Trace && name != ""
	}
	return strings.HasPrefix(name, systemPrefix) || (o.Cluster != "" && name == ReplyTopic(o.Cluster))
}

// SendForbidden reports whether clients may not send to the topic called name (code 16).
func SendForbidden(name string) bool {
	switch name {
	case TopicSchedule, TopicHalf, TopicOpHalf, TopicRocksHalf, TopicRocksOpHalf, TopicCheckMaxTime, TopicSelfTest, TopicOffsetMoved:
		return true
	}
	return false
}

// Names of groups (remoting spec 5.2).
const (
	GroupTools  = "TOOLS_CONSUMER"
	GroupRevive = "CID_RMQ_SYS_REVIVE_GROUP"
	GroupTrans  = "CID_RMQ_SYS_TRANS"
)

// SystemGroups returns the groups that a broker has from the start.
func SystemGroups() []mq.GroupConfig {
	names := []string{
		GroupTools, "FILTERSRV_CONSUMER", "SELF_TEST_C_GROUP", "CID_ONS-HTTP-PROXY", "CID_ONSAPI_PULL",
		"CID_ONSAPI_PERMISSION", "CID_ONSAPI_OWNER", GroupTrans,
	}
	out := make([]mq.GroupConfig, len(names))
	for i, n := range names {
		out[i] = mq.DefaultGroupConfig(n)
	}
	return out
}

// IsSystemGroup reports whether name is a group that exists even when groups are not created on demand.
func IsSystemGroup(name string) bool { return strings.HasPrefix(name, systemGroupPrefix) }
