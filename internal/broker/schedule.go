package broker

import (
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/record"
)

// scheduleTopic is where Java keeps messages with a delay level until they are due.
const scheduleTopic = "SCHEDULE_TOPIC_XXXX"

// javaDelays are the times of Java's default messageDelayLevel.
var javaDelays = [...]time.Duration{
	1 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, 1 * time.Minute, 2 * time.Minute, 3 * time.Minute,
	4 * time.Minute, 5 * time.Minute, 6 * time.Minute, 7 * time.Minute, 8 * time.Minute, 9 * time.Minute, 10 * time.Minute,
	20 * time.Minute, 30 * time.Minute, 1 * time.Hour, 2 * time.Hour,
}

// ScheduleTags is the storage.Options.TagsCode of a broker: a queue unit of the schedule topic holds the time at which its
// message is due (storage spec 3.2). Nothing is delivered from there yet, but a queue that is built again from a Java
// store must say the same as Java's, or Java would deliver too early when it gets the store back.
func ScheduleTags(topic []byte, _ int32, props record.Props, storeMs int64) (code int64, ok bool) {
	if string(topic) != scheduleTopic {
		return 0, false
	}
	text, ok := props.Get(record.PropDelay)
	if !ok {
		return 0, false
	}
	level, err := strconv.Atoi(bytesview.String(text))
	if err != nil || level <= 0 {
		return 0, false
	}
	return storeMs + javaDelays[min(level, len(javaDelays))-1].Milliseconds(), true
}

// undelivered are the topics whose messages wait for a part of Java's broker that is not here yet, with that part.
var undelivered = []struct {
	topic  string
	queues int32
	part   string
}{
	{scheduleTopic, int32(len(javaDelays)), "delay levels"},
	{"rmq_sys_wheel_timer", 1, "timers"},
	{"RMQ_SYS_TRANS_HALF_TOPIC", 1, "transactions"},
}

// warnUndelivered tells the operator of a Java store what stays in it until Java runs again.
func (b *Broker) warnUndelivered() {
	for _, u := range undelivered {
		var n int64
		for id := range u.queues {
			if q, ok := b.store.Lookup(u.topic, id); ok {
				n += int64(q.Max() - q.Min())
			}
		}
		if n > 0 {
			b.o.Log.Warn("the store holds messages that this version does not deliver: those still due wait for a Java broker",
				"topic", u.topic, "messages", n, "needs", u.part)
		}
	}
}
