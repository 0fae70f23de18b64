package broker

import (
	"strconv"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// Messages with a priority (Java 5.5.0): the priority is the number of the queue, and a group that pops a topic of the type PRIORITY
// reads the queues from the highest down. Groups that pull read them like any others.

// Attributes of topics and groups with priorities.
const (
	attrMessageType    = "message.type"
	messagePriority    = "PRIORITY"
	attrPriorityFactor = "priority.factor"
)

// priority returns the queue for the priority of the message in s, -1 when it goes where it was sent to. As in Java a message that is
// anything else, too (part of a transaction, delayed, ordered), loses its priority.
func (s *sender) priority() int32 {
	n, err := strconv.ParseInt(bytesview.String(s.scan.priority), 10, 32)
	if err != nil || n < 0 {
		return -1
	}
	if s.scan.prepared || s.scan.level || s.scan.timed || s.scan.ordered {
		s.props = record.Props(s.props).AppendWithout(s.props[:0], record.PropPriority)
		return -1
	}
	return min(int32(n), s.cfg.WriteQueues-1, maxQueues-1)
}

// dispatchLite puts the message in s into the light queue that its lite topic stands for, beside the one of its topic.
func (s *sender) dispatchLite(topic string) {
	s.props = record.Props(s.props).AppendWithout(s.props[:0], record.PropMultiDispatch)
	s.props = append(append(append(s.props, record.PropMultiDispatch...), 1), liteQueuePrefix...)
	s.props = append(append(s.props, topic...), '$')
	s.props = append(append(s.props, s.scan.lite...), 2)
}

// liteQueuePrefix is how the light queues of lite topics begin: prefix, topic, dollar sign, lite topic (Java LiteUtil).
const liteQueuePrefix = "%LMQ%$"

// byPriority decides whether a pop of topic t reads the queues in the order of their priority, by the group's factor: the percentage of
// its pops that do. roll is a random number from 0 to 99.
func byPriority(t *mq.TopicConfig, g *mq.GroupConfig, roll int64) bool {
	if t.Attributes[attrMessageType] != messagePriority {
		return false
	}
	factor, err := strconv.ParseInt(g.Attributes[attrPriorityFactor], 10, 64)
	if err != nil {
		factor = 100
	}
	return roll < factor
}
