package grpcapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

const (
	retryPrefix = "%RETRY%"
	dlqPrefix   = "%DLQ%"
	litePrefix  = "%LMQ%$"
)

// systemTopics may not be used by clients, nor topics whose names begin with systemPrefix (Java TopicValidator).
var systemTopics = map[string]bool{
	"TBW102": true, "SCHEDULE_TOPIC_XXXX": true, "BenchmarkTest": true, halfTopic: true, "RMQ_SYS_TRACE_TOPIC": true,
	"RMQ_SYS_TRANS_OP_HALF_TOPIC": true, "TRANS_CHECK_MAX_TIME_TOPIC": true, "SELF_TEST_TOPIC": true, "OFFSET_MOVED_EVENT": true,
	"CHECKPOINT_TOPIC": true, "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC": true, "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC": true,
}

const (
	halfTopic    = "RMQ_SYS_TRANS_HALF_TOPIC"
	systemPrefix = "rmq_sys_"
	systemGroup  = "CID_RMQ_SYS_"
)

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// topicOf returns the name of a topic that clients may use. The namespace is not looked at, as in Java.
func topicOf(r *v2.Resource) (string, error) {
	name := r.GetName()
	switch {
	case blank(name):
		return "", refuse(v2.Code_ILLEGAL_TOPIC, "The specified topic is blank.")
	case !mq.LegalName(name):
		return "", refuse(v2.Code_ILLEGAL_TOPIC, "The specified topic contains illegal characters, allowing only ^[%%|a-zA-Z0-9_-]+$")
	case len(name) > mq.MaxTopicName:
		return "", refuse(v2.Code_ILLEGAL_TOPIC, "The specified topic is longer than topic max length %d.", mq.MaxTopicName)
	case systemTopics[name], strings.HasPrefix(name, systemPrefix):
		return "", refuse(v2.Code_ILLEGAL_TOPIC, "cannot access system topic")
	}
	return name, nil
}

// groupOf returns the name of a group that clients may use.
func groupOf(r *v2.Resource) (string, error) {
	name := r.GetName()
	switch {
	case blank(name):
		return "", refuse(v2.Code_ILLEGAL_CONSUMER_GROUP, "The specified group is blank.")
	case !mq.LegalName(name):
		return "", refuse(v2.Code_ILLEGAL_CONSUMER_GROUP, "The specified group contains illegal characters, allowing only ^[%%|a-zA-Z0-9_-]+$")
	case len(name) > mq.MaxGroupName:
		return "", refuse(v2.Code_ILLEGAL_CONSUMER_GROUP, "The specified group is longer than group max length %d.", mq.MaxGroupName)
	case strings.HasPrefix(name, systemGroup):
		return "", refuse(v2.Code_ILLEGAL_CONSUMER_GROUP, "cannot use system consumer group")
	}
	return name, nil
}

// groupAndTopic are both.
func groupAndTopic(g, t *v2.Resource) (group, topic string, err error) {
	if topic, err = topicOf(t); err == nil {
		group, err = groupOf(g)
	}
	return group, topic, err
}

// checkLite checks the name of a lite topic.
func (l *Limits) checkLite(name string) error {
	switch {
	case blank(name):
		return refuse(v2.Code_ILLEGAL_LITE_TOPIC, "lite topic cannot be the char sequence of whitespace")
	case len(name) > l.LiteTopicSize:
		return refuse(v2.Code_ILLEGAL_LITE_TOPIC, "lite topic exceed the max size %d", l.LiteTopicSize)
	case !mq.LegalName(name), strings.ContainsAny(name, "%|"):
		return refuse(v2.Code_ILLEGAL_LITE_TOPIC, "lite topic can only contain alphanumeric characters, hyphens(-), and underscores(_)")
	}
	return nil
}

// control reports whether s has a control character in Java's sense.
func control(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r >= 0x7F && r <= 0x9F })
}

// reserved are the names of properties that only the system may set (Java MessageConst.STRING_HASH_SET).
var reserved = map[string]bool{
	record.PropTraceOn: true, record.PropRegion: true, record.PropKeys: true, record.PropTags: true, record.PropWait: true,
	record.PropDelay: true, record.PropRetryTopic: true, record.PropOriginGroup: true, record.PropRealTopic: true,
	record.PropRealQueueID: true, record.PropTransaction: true, record.PropProducerGroup: true, record.PropMinOffset: true,
	record.PropMaxOffset: true, record.PropBuyerID: true, record.PropOriginID: true, "TRANSFER_FLAG": true, "CORRECTION_FLAG": true,
	"MQ2_FLAG": true, record.PropReconsume: true, record.PropUniqKey: true, record.PropMaxReconsume: true, "CONSUME_START_TIME": true,
	record.PropPopCheckpoint: true, record.PropPopCKOffset: true, record.PropFirstPopTime: true, record.PropPreparedIndex: true,
	"DUP_INFO": true, "EXTEND_UNIQ_INFO": true, record.PropInstanceID: true, record.PropCorrelationID: true,
	record.PropReplyToClient: true, record.PropTTL: true, record.PropArriveTime: true, record.PropPushReplyTime: true,
	record.PropCluster: true, record.PropMessageType: true, record.PropMultiOffset: true, record.PropTimerDelayMS: true,
	record.PropTimerDelaySec: true, record.PropTimerDeliverMS: true, record.PropTimerEnqueueMS: true, record.PropTimerDequeueMS: true,
	record.PropTimerRollTimes: true, record.PropTimerOutMS: true, record.PropTimerDelKey: true, record.PropTimerLevel: true,
	record.PropBornHost: true, record.PropBornTime: true, record.PropDLQOriginTopic: true, record.PropDLQOriginID: true,
	record.PropCRC32: true, record.PropPriority: true, record.PropLiteTopic: true, record.PropTimerDueMS: true,
}
