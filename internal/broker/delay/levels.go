package delay

import (
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/record"
)

// Topic is where messages with a delay level are kept until they are due; the queue is the level - 1.
const Topic = "SCHEDULE_TOPIC_XXXX"

// Levels are the times of the delay levels: level n waits Levels[n-1].
type Levels []time.Duration

// JavaLevels returns the levels of Java's default messageDelayLevel.
func JavaLevels() Levels {
	return Levels{
		1 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, 1 * time.Minute, 2 * time.Minute, 3 * time.Minute,
		4 * time.Minute, 5 * time.Minute, 6 * time.Minute, 7 * time.Minute, 8 * time.Minute, 9 * time.Minute, 10 * time.Minute,
		20 * time.Minute, 30 * time.Minute, 1 * time.Hour, 2 * time.Hour,
	}
}

// Clamp returns the level that a message with level n gets: the highest one if there is none so high.
func (l Levels) Clamp(n int32) int32 { return min(n, int32(len(l))) }

// Tags is the storage.Options.TagsCode of a broker: a queue unit of the schedule topic holds the time in ms at which its message
// is due (storage spec 3.2). It depends on nothing but the message and the configuration, so that a queue that is built again
// says the same, also to Java.
func (l Levels) Tags(topic []byte, _ int32, props record.Props, storeMs int64) (code int64, ok bool) {
	if string(topic) != Topic {
		return 0, false
	}
	text, ok := props.Get(record.PropDelay)
	if !ok {
		return 0, false
	}
	level, err := strconv.ParseInt(bytesview.String(text), 10, 32)
	if err != nil || level <= 0 || len(l) == 0 {
		return 0, false
	}
	return storeMs + l[l.Clamp(int32(level))-1].Milliseconds(), true
}
