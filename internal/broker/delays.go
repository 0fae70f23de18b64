package broker

import (
	"fmt"
	"strconv"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// openDelays makes the part that delivers delay levels. A slave leaves that to its master, unless it may act as one.
func (b *Broker) openDelays() error {
	if n := len(b.o.DelayLevels); n > maxScheduleQueues {
		return fmt.Errorf("messageDelayLevel has %d levels: at most %d are possible", n, maxScheduleQueues)
	}
	if b.leaves() {
		return nil
	}
	b.delays = delay.NewMachine(delay.MachineOptions{
		Store: b.store, Progress: b.meta.Delays, Levels: b.o.DelayLevels, Fold: b.o.DelayFold,
		Append: b.escapes(), Delivered: b.delivered, Now: b.o.Now, Log: b.o.Log,
	})
	b.acting.parts = append(b.acting.parts, b.delays)
	for id := int32(len(b.o.DelayLevels)); id < maxScheduleQueues; id++ {
		if q, ok := b.store.Lookup(delay.Topic, id); ok {
			at, _ := b.meta.Delays.Get(id + 1)
			if n := q.Max() - max(q.Min(), at); n > 0 {
				b.o.Log.Warn("messages of a delay level that messageDelayLevel does not have any more wait until it has it again",
					"level", id+1, "messages", n)
			}
		}
	}
	return nil
}

// delivered counts a copy of a message that was kept, unless it is in another set.
func (b *Broker) delivered(q *storage.Queue, bytes int64) {
	if b.o.Slave {
		return
	}
	b.figures.puts.add(1, bytes)
	if t, ok := b.topic(q.Topic()); ok && q.ID() < maxQueues {
		t.queue(b, q.ID()).puts.add(1, bytes)
	}
}

// maxScheduleQueues is how many levels there can be.
const maxScheduleQueues = 256

// keepForLevel puts a message with a delay level aside: SCHEDULE_TOPIC_XXXX, the queue of the level.
func (b *Broker) keepForLevel(props record.Props, level int32, to place) (place, record.Props) {
	// In place: what remains is never longer than what was there.
	props = props.AppendWithout(props[:0], record.PropDelay, record.PropTimerDeliverMS, record.PropTimerDelaySec, record.PropTimerDelayMS,
		record.PropRealTopic, record.PropRealQueueID)
	level = b.o.DelayLevels.Clamp(level)
	props = record.AppendProp(props, record.PropDelay, strconv.Itoa(int(level)))
	return place{delay.Topic, level - 1}, appendReal(props, to)
}

// appendReal notes where a message was sent to.
func appendReal(props record.Props, to place) record.Props {
	props = record.AppendProp(props, record.PropRealTopic, to.topic)
	return append(strconv.AppendInt(append(append(props, record.PropRealQueueID...), 1), int64(to.queue), 10), 2)
}

// errNumber is what a message with an unreadable number gets. Java answers with the same code and the stack trace of a
// NumberFormatException.
func errNumber(kind mq.Kind, property string, value []byte) *mq.Error {
	return mq.Errorf(kind, "property %s = %q is not a number", property, clip(value))
}

// clip bounds what a remark repeats of a client's text.
func clip(v []byte) []byte { return v[:min(len(v), 64)] }

// putDelays adds how far each level is, in Java's form.
func (b *Broker) putDelays(m map[string]string) {
	if b.delays == nil {
		return
	}
	done, end := b.delays.Positions()
	for i := range done {
		if _, ok := b.meta.Delays.Get(int32(i + 1)); ok {
			m["scheduleMessageOffset_"+strconv.Itoa(i+1)] = strconv.FormatInt(int64(done[i]), 10) + "," + strconv.FormatInt(int64(end[i]), 10)
		}
	}
	st := b.delays.Stats()
	m["scheduleDelivered"] = strconv.FormatInt(st.Delivered, 10)
	m["scheduleFailures"] = strconv.FormatInt(st.Failures, 10)
	m["scheduleLost"] = strconv.FormatInt(st.Lost, 10)
}
