package lite

import (
	"strings"
	"unicode/utf16"
)

// queuePrefix begins the names of light queues of lite topics (Java LiteUtil).
const queuePrefix = "%LMQ%$"

// QueueName is the light queue of a lite topic, "" when a name is missing.
func QueueName(parent, topic string) string {
	if parent == "" || topic == "" {
		return ""
	}
	return queuePrefix + parent + "$" + topic
}

// IsQueue reports whether a topic is the light queue of a lite topic.
func IsQueue(name string) bool { return strings.HasPrefix(name, queuePrefix) }

// Split returns the parent and the lite topic of a light queue.
func Split(queue string) (parent, topic string, ok bool) {
	rest, ok := strings.CutPrefix(queue, queuePrefix)
	if !ok {
		return "", "", false
	}
	parent, topic, ok = strings.Cut(rest, "$")
	if !ok || parent == "" || topic == "" || strings.Contains(topic, "$") {
		return "", "", false
	}
	return parent, topic, true
}

// javaHash is String.hashCode of Java.
func javaHash(s string) int32 {
	h := int32(0)
	for _, c := range utf16.Encode([]rune(s)) {
		h = 31*h + int32(c)
	}
	return h
}

// Bucket is which of n write queues, in the order of the route, a lite topic belongs to: producers send its messages there. Java takes
// Guava's consistent hash of the name (Lamping and Veach's jump hash over the doubles of a linear congruential generator).
func Bucket(topic string, n int) int {
	const multiplier = 2862933555777941757
	state, at := uint64(int64(javaHash(topic))), 0
	for {
		state = multiplier*state + 1
		x := float64(int32(state>>33)+1) / (1 << 31)
		next := float64(at+1) / x
		if next < 0 || next >= float64(n) {
			return at
		}
		at = int(next)
	}
}
