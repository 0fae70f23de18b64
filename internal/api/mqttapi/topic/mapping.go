package topic

import (
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

const (
	lightPrefix = "%LMQ%"
	p2p         = "/p2p/"
	retry       = "/retry/"
)

// Place is where the messages of a name are kept.
type Place struct {
	Topic string // the RocketMQ topic
	Queue string // the queue name of the gateway
	Peer  string // the client that a P2P name is for, "" of another
}

// Locate returns the place of a name. Topic is "" when the name has no RocketMQ topic: "/" and "//a".
func Locate(name string) Place {
	p := Place{Topic: First(name), Queue: Normal(name)}
	if second := secondOf(p.Queue); strings.HasPrefix(second, p2p) {
		p.Peer, _, _ = strings.Cut(second[len(p2p):], "/")
		if p.Peer != "" {
			p.Queue = PeerQueue(p.Peer)
		}
	}
	return p
}

// First returns the first level of a name or a filter: its RocketMQ topic. One leading slash does not count.
func First(name string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	return first
}

// secondOf returns what follows the first level, with its slash.
func secondOf(name string) string {
	name = strings.TrimPrefix(name, "/")
	if i := strings.IndexByte(name, '/'); i >= 0 {
		return name[i:]
	}
	return ""
}

// Normal returns a name of several levels with a slash at its end.
func Normal(name string) string {
	if strings.Contains(name, "/") && !strings.HasSuffix(name, "/") {
		return name + "/"
	}
	return name
}

// PeerQueue is the queue name of what is sent to one client, RetryQueue of what it did not acknowledge.
func PeerQueue(client string) string { return p2p + client + "/" }

// RetryQueue is the queue name of what a client did not acknowledge.
func RetryQueue(client string) string { return retry + client + "/" }

// Light returns the light queue of a queue name.
func Light(queue string) string { return lightPrefix + strings.ReplaceAll(queue, "/", "%") }

// FromLight returns the name that a producer meant which only named light queues, separated by commas: the last one without a wildcard,
// as the gateway reads it. It is "" when there is none.
func FromLight(queues string) (name string) {
	for q := range strings.SplitSeq(queues, ",") {
		if !strings.ContainsAny(q, one+rest) {
			name = strings.ReplaceAll(strings.ReplaceAll(q, lightPrefix, ""), "%", "/")
		}
	}
	return name
}

// IsPeerQueue reports whether a queue name is that of messages to one client.
func IsPeerQueue(queue string) bool { return strings.HasPrefix(queue, p2p) }

// reserved are names of topics that belong to the broker, beside those that begin with RMQ_SYS_ in any case or a percent sign: retry
// topics, dead letters, light queues.
var reserved = []string{"TBW102", "SCHEDULE_TOPIC_XXXX", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT", "TRANS_CHECK_MAX_TIME_TOPIC", "CHECKPOINT_TOPIC"}

// Reserved reports whether a RocketMQ topic is none of MQTT's business.
func Reserved(first string) bool {
	const system = "RMQ_SYS_"
	return strings.HasPrefix(first, "%") || len(first) >= len(system) && strings.EqualFold(first[:len(system)], system) || slices.Contains(reserved, first)
}

// CanBeTopic reports whether RocketMQ can have a topic of that name: 1 to 127 letters, digits and %|-_ (Java TopicValidator).
func CanBeTopic(first string) bool {
	return first != "" && len(first) <= mq.MaxTopicName && mq.LegalName(first)
}
