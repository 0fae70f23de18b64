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
	topic = legalName(topic)
	switch {
	case joined:
		return place{topic: topic, group: legalName(group)}, nil
	case isTopic:
		return place{topic: topic, subs: true}, nil
	}
	return place{topic: topic, group: queueGroup + topic}, nil
}

const hexDigits = "0123456789ABCDEF"

// legalName writes a name of JMS, which may have any characters, with those that names of topics and groups may have: others are %XX, as
// in a URL. So orders.in is the topic orders%2Ein. A % stays as it is, because there are topics that begin with one.
func legalName(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; mq.LegalNameByte(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// spokenName is the name that legalName has written: of a topic as AMQP clients call it.
func spokenName(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
			if hi >= 0 && lo >= 0 && legalName(string([]byte{byte(hi<<4 | lo)})) == s[i:i+3] {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
