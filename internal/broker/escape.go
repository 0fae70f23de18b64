package broker

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/broker/tx"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// A slave that acts as the master must not write to its log, or it and its master would part. What it delivers goes to the master
// of another set (Options.Escape), as Java's EscapeBridge does.
//
// Differs from Java: the messages wait there for as much safety as any other message. Java sends them with WAIT=false, so that a
// message which was on two disks here is in the memory of one broker there.

// leaves reports whether this broker leaves to its master what only one broker of a set may do, whatever happens.
func (b *Broker) leaves() bool { return b.o.Fenced != "" || b.o.Slave && !b.o.Acting }

// escapes returns where the parts of a slave store what they deliver, nil in a master.
func (b *Broker) escapes() delay.Append {
	if !b.o.Slave {
		return nil
	}
	return b.escapeBatch
}

// Timing of attempts, as that of delayed deliveries.
const (
	escapeFirst = 100 * time.Millisecond
	escapeLast  = 5 * time.Second
	escapeLanes = 16
)

// errNoEscape is why an acting slave does not deliver: enableRemoteEscape is off.
var errNoEscape = errors.New("enableRemoteEscape is false, messages wait for the master")

// escapeBatch stores all messages of a batch in other sets and does not give up before ctx ends. Those of one queue keep their
// order. When ctx ends the rest is tried once more: half a batch that is there would be there twice.
func (b *Broker) escapeBatch(ctx context.Context, batch *storage.Batch) (mq.Offset, error) {
	if b.o.Escape == nil {
		<-ctx.Done()
		return 0, errNoEscape
	}
	var lanes [escapeLanes][]mq.Escaped
	for i := range batch.Len() {
		m, err := escaped(batch.Record(i))
		if err != nil {
			return 0, err
		}
		h := fnv.New32a()
		_, _ = h.Write([]byte(m.Topic))
		_, _ = h.Write([]byte{byte(m.Queue), byte(m.Queue >> 8)})
		lane := h.Sum32() % escapeLanes
		lanes[lane] = append(lanes[lane], m)
	}
	var wg sync.WaitGroup
	var left atomic.Int64
	for _, list := range lanes {
		if len(list) == 0 {
			continue
		}
		wg.Go(func() {
			for i := range list {
				if b.escapeOne(ctx, &list[i]) != nil {
					left.Add(int64(len(list) - i))
					return
				}
			}
		})
	}
	wg.Wait()
	if n := left.Load(); n > 0 {
		return 0, fmt.Errorf("%d of %d messages are in no other set: %w", n, batch.Len(), ctx.Err())
	}
	return 0, nil
}

// escapeOne stores m in another set, or returns when ctx ends and an attempt has failed.
func (b *Broker) escapeOne(ctx context.Context, m *mq.Escaped) error {
	for pause := escapeFirst; ; pause = min(2*pause, escapeLast) {
		err := b.o.Escape(context.WithoutCancel(ctx), m)
		if err == nil {
			b.figures.escaped.Add(1)
			return nil
		}
		b.figures.escapeFailures.Add(1)
		if ctx.Err() != nil {
			return err
		}
		if pause == escapeFirst || pause == escapeLast {
			b.o.Log.Error("a message that is due cannot be stored in another set, trying again", "topic", m.Topic, "err", err)
		}
		t := time.NewTimer(pause + rand.N(pause/4))
		select {
		case <-ctx.Done():
			t.Stop()
			return err
		case <-t.C:
		}
	}
}

// escaped makes a record of a batch a message for another set. It is not to be kept there until it is due, because it is, except
// one that the timers would store again: it is due later.
func escaped(rec []byte) (mq.Escaped, error) {
	var m record.Message
	if _, err := record.Decode(rec, &m, false); err != nil {
		return mq.Escaped{}, fmt.Errorf("message for another set: %w", err)
	}
	e := escapedOf(&m)
	drop := []string{record.PropDelay, record.PropTimerDeliverMS, record.PropTimerDelaySec, record.PropTimerDelayMS, record.PropWait}
	e.Topic = string(m.Topic)
	if e.Topic == delay.TimerTopic {
		topic, _ := m.Props.Get(record.PropRealTopic)
		id, _ := m.Props.Get(record.PropRealQueueID)
		queue, _ := strconv.ParseInt(string(id), 10, 32)
		e.Topic, e.Queue = string(topic), int32(queue)
		due, ok := m.Props.Get(record.PropTimerDueMS)
		if !ok {
			due, _ = m.Props.Get(record.PropTimerOutMS)
		}
		at := string(due)
		drop = append(drop, record.PropTimerDueMS, record.PropTimerOutMS, record.PropTimerEnqueueMS, record.PropTimerDequeueMS, record.PropTimerRollTimes,
			record.PropRealTopic, record.PropRealQueueID)
		e.Props = m.Props.AppendWithout(nil, drop...)
		e.Props = record.AppendProp(e.Props, record.PropTimerDeliverMS, at)
	} else {
		e.Props = m.Props.AppendWithout(nil, drop...)
	}
	return e, nil
}

func escapedOf(m *record.Message) mq.Escaped {
	group, _ := m.Props.Get(record.PropProducerGroup)
	return mq.Escaped{
		Queue: m.QueueID, Group: string(group), Flag: m.Flag, SysFlag: m.SysFlag, BornTime: m.BornTime, Reconsume: m.Reconsume,
		Body: append([]byte(nil), m.Body...),
	}
}

// escapeHalf gives a half message to another set, as its producer sent it, until ctx ends.
func (b *Broker) escapeHalf(ctx context.Context, h *tx.Half) error {
	if b.o.Escape == nil {
		<-ctx.Done()
		return errNoEscape
	}
	e := escapedOf(&h.Msg)
	e.Topic, e.Queue = string(h.Topic), h.Queue
	e.SysFlag |= record.SysFlagPrepared
	e.Props = h.Msg.Props.AppendWithout(nil, record.PropRealTopic, record.PropRealQueueID, record.PropWait, record.PropTransaction)
	e.Props = record.AppendProp(e.Props, record.PropTransaction, "true")
	return b.escapeOne(ctx, &e)
}
