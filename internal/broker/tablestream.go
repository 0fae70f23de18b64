package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/storage/timerlog"
	"github.com/cometmq/cometmq/internal/vfs"
)

// What a master does to let its slaves' tables follow its own (broker/tablefeed, docs/protocol/table-stream.md). What a slave
// does with it is in tablefollow.go.

// openFeed makes the stream that the tables tell their changes.
func (b *Broker) openFeed() {
	b.feed = tablefeed.New(tablefeed.Options{
		State: b.tableState, End: func() int64 { return int64(b.store.Appended()) }, Log: b.o.Log,
	})
}

// FollowTables implements mq.ReplicaAdmin.
func (b *Broker) FollowTables(question []byte, done func(answer []byte)) error {
	if err := b.feed.Serve(question, done); err != nil {
		return mq.Errorf(mq.KindInvalidParameter, "%s", err.Error())
	}
	return nil
}

// tableState returns the full state of all tables. What is popped comes before the positions, which may be newer then: a
// position decides.
func (b *Broker) tableState() []byte {
	var out []byte
	add := func(src tablefeed.Source, rec []byte) { out = tablefeed.AppendEntry(out, src, rec) }
	add(tablefeed.Pops, b.pops.Records())
	if b.timer != nil {
		add(tablefeed.Timers, b.timer.Told(false))
	}
	add(tablefeed.Delays, b.meta.Delays.JSON())
	add(tablefeed.Offsets, b.meta.Offsets.JSON())
	add(tablefeed.Groups, b.meta.Groups.JSON())
	add(tablefeed.Statics, b.meta.Statics.JSON())
	add(tablefeed.Topics, b.meta.Topics.JSON())
	add(tablefeed.Modes, b.meta.Modes.JSON())
	add(tablefeed.Filters, b.meta.Filters.Records(nil))
	return out
}

// awaitDeleted waits a while until the slaves that are in step have deleted what was deleted here: messages of a successor with
// the same name would be hidden by the old queue there.
func (b *Broker) awaitDeleted() { b.feed.Await(true, awaitDeleted) }

const awaitDeleted = 500 * time.Millisecond

var errNoSlave = errors.New("this broker is not a slave")

// markFile is there from the first start as a slave until the first one as a master after it.
func (b *Broker) markFile() string { return path.Join(b.o.Dir, "cometmq", "follows") }

// wasSlave reports whether this broker was a slave when it ran last, and notes that it is one.
func (b *Broker) wasSlave() (bool, error) {
	_, err := b.o.FS.Stat(b.markFile())
	marked := err == nil
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("look for %s: %w", b.markFile(), err)
	case b.o.Slave && !marked:
		if err = vfs.WriteFileAtomic(b.o.FS, b.markFile(), []byte("slave\n"), false); err != nil {
			return false, fmt.Errorf("write %s: %w", b.markFile(), err)
		}
	}
	return b.refuse == nil && marked, nil // a fenced broker may be a slave again
}

// promoteTables makes the tables of a slave those of a master: positions that are beyond the end of their queue come back to it,
// and topics that the log knows and the table does not, because their master died before it could say so, are made.
func (b *Broker) promoteTables() error {
	clamped := b.meta.Offsets.Clamp(b.queueEnd)
	levels := b.meta.Delays.Clamp(func(queue int32) mq.Index { return b.queueEnd(meta.TopicSchedule, queue) })
	adopted, err := b.adoptTopics()
	b.o.Log.Info("a slave's tables become a master's", "positionsBack", clamped, "levelsBack", levels, "topicsFound", adopted)
	return errors.Join(err, b.meta.Offsets.Sync(), b.meta.Delays.Sync())
}

// adoptTopics makes topics of queues that have none.
func (b *Broker) adoptTopics() (n int, err error) {
	queues := map[string]int32{}
	err = b.store.Queues(func(q *storage.Queue) bool {
		if _, ok := b.meta.Topics.Get(q.Topic()); !ok && !storage.IsLight(q.Topic()) && q.Max() > q.Min() {
			queues[q.Topic()] = max(queues[q.Topic()], q.ID()+1)
		}
		return true
	})
	if err != nil {
		return 0, fmt.Errorf("look for topics of the log: %w", err)
	}
	for name, count := range queues {
		if checkTopicName(name) != nil || count > maxQueues {
			continue
		}
		c := mq.TopicConfig{Name: name, ReadQueues: count, WriteQueues: count, Perm: mq.PermRead | mq.PermWrite}
		if _, _, _, err := b.meta.Topics.Ensure(c); err != nil {
			return n, fmt.Errorf("topic %s of the log: %w", name, err)
		}
		b.o.Log.Warn("the log has messages of a topic that the tables do not know: the topic is made", "topic", name, "queues", count)
		n++
	}
	return n, nil
}

// promoted ends the promotion: what is popped goes as far as the queues do, and the mark goes.
func (b *Broker) promoted() error {
	if n := b.pops.Clamp(b.queueEnd); n > 0 {
		b.o.Log.Info("what was popped beyond the end of its queue is forgotten", "queues", n)
	}
	if err := errors.Join(b.meta.Offsets.Sync(), b.pops.Flush()); err != nil {
		return err
	}
	if err := b.o.FS.Remove(b.markFile()); err != nil {
		return fmt.Errorf("remove %s: %w", b.markFile(), err)
	}
	return nil
}

// TimerCheckpoint implements mq.ReplicaAdmin.
func (b *Broker) TimerCheckpoint(context.Context) ([]byte, error) {
	if b.timer != nil {
		return b.timer.Told(true), nil
	}
	return b.readTimerCheck()
}

// timerMoved tells slaves how far the timers are.
func (b *Broker) timerMoved(told []byte) { b.feed.Add(tablefeed.Timers, told, false) }

// followTimer takes over how far the timers of a CometMQ master are.
func (b *Broker) followTimer(told []byte) error { return b.timerAt(told, false) }

// FollowTimer takes over the checkpoint of a Java master (GET_TIMER_CHECK_POINT).
func (b *Broker) FollowTimer(check []byte) error { return b.timerAt(check, true) }

// timerAt takes over a checkpoint: timers that trail hear of it, else it is written down for the day on which this slave becomes
// master.
func (b *Broker) timerAt(check []byte, java bool) error {
	if b.timer == nil {
		return delay.Follow(b.o.FS, b.o.Dir, check, java)
	}
	if b.Acts() {
		return nil // they are its own
	}
	return b.timer.Follow(check, java)
}

// readTimerCheck returns the 56 bytes that the file has, zeros when there is none.
func (b *Broker) readTimerCheck() ([]byte, error) {
	c, _, err := timerlog.LoadCheck(b.o.FS, path.Join(b.o.Dir, "config", "timercheck"))
	if err != nil {
		return nil, mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	return c.AppendTo(nil), nil
}

// FollowModes takes over the request modes of a Java master (GET_ALL_MESSAGE_REQUEST_MODE).
func (b *Broker) FollowModes(text []byte) error { return b.meta.Modes.Become(text) }

func (b *Broker) metricsFile() string { return path.Join(b.o.Dir, "config", "timermetrics") }

// TimerMetrics implements mq.ReplicaAdmin: what the file has, which only Java writes.
func (b *Broker) TimerMetrics(context.Context) ([]byte, error) {
	data, err := vfs.ReadFile(b.o.FS, b.metricsFile())
	if err == nil && len(data) > 0 {
		return data, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	return []byte(`{"dataVersion":{"counter":0,"stateVersion":0,"timestamp":` + strconv.FormatInt(b.started.UnixMilli(), 10) + `},"timingCount":{}}`), nil
}

// FollowTimerMetrics takes over the counters of timers of a Java master (GET_TIMER_METRICS).
func (b *Broker) FollowTimerMetrics(text []byte) error {
	if _, err := fastjson.Parse(text); err != nil {
		return fmt.Errorf("timer metrics of the master: %w", err)
	}
	if have, err := vfs.ReadFile(b.o.FS, b.metricsFile()); err == nil && bytes.Equal(have, text) {
		return nil
	}
	if err := vfs.WriteFileAtomic(b.o.FS, b.metricsFile(), text, false); err != nil {
		return fmt.Errorf("write %s: %w", b.metricsFile(), err)
	}
	return nil
}
