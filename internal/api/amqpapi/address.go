package amqpapi

import (
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

// queueGroup is the prefix of the group that shares the messages of a JMS queue.
const queueGroup = "JMS_QUEUE_"

// Capabilities of a source or target that say what its address names.
const (
	capQueue = "queue"
	capTopic = "topic"
)

// place is what an address names.
type place struct {
	topic string // of RocketMQ, which JMS queues are, too
	group string // that the messages are shared in; "" of a JMS topic
	subs  bool   // a JMS topic: each subscription gets all messages
}

// parseAddress reads Q, /queues/Q, /topics/T and T::group. capabilities decide when the address does not say; without any it is a queue.
func parseAddress(address string, capabilities []string) (place, error) {
	name, isTopic := address, slices.Contains(capabilities, capTopic)
	if n, ok := strings.CutPrefix(name, "/queues/"); ok {
		name, isTopic = n, false
	} else if n, ok := strings.CutPrefix(name, "/topics/"); ok {
		name, isTopic = n, true
	}
	topic, group, joined := strings.Cut(name, "::")
	if topic == "" || joined && group == "" {
		return place{}, mq.Errorf(mq.KindInvalidParameter, "the address %q names nothing", address)
	}
	switch {
	case joined:
		return place{topic: topic, group: group}, nil
	case isTopic:
		return place{topic: topic, subs: true}, nil
	}
	return place{topic: topic, group: queueGroup + topic}, nil
}
