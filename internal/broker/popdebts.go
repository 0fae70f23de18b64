package broker

import (
	"context"
	"time"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/broker/pop"
	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// Tags of the messages in a Java broker's revive topic (storage spec 13.1).
const (
	tagCheckpoint = "ck"
	tagAck        = "ack"
	tagBatchAck   = "bAck"
)

const (
	// debtGrace, in ms, is how much later than its time a message that a Java broker had handed out comes again: its
	// acknowledgements come from a timer of one second, like its checkpoint.
	debtGrace = 3000

	debtRetry = time.Second
)

// debts reads what a Java broker that had this store before wrote about the messages that it had handed out: checkpoints and
// acknowledgements in its revive topic, many of which come from timers later. We write none ourselves.
//
// How far it was read is in the journal of what is popped. The position of Java's own group follows when nothing is owed any more,
// so that without the journal, or in a Java broker, all of it is read again.
type debts struct {
	b     *Broker
	topic string
	more  chan struct{}
}

func newDebts(b *Broker) *debts {
	return &debts{b: b, topic: meta.ReviveTopic(b.o.Cluster), more: make(chan struct{}, 1)}
}

// arrived is called by the dispatcher for each message in the revive topic.
func (d *debts) arrived() {
	select {
	case d.more <- struct{}{}:
	default:
	}
}

func (d *debts) run(ctx context.Context) error {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.more:
		case <-retry.C:
		}
		again := false
		if t, ok := d.b.topic(d.topic); ok {
			for id := range min(t.entry.Config().ReadQueues, maxQueues) {
				again = d.read(ctx, t.queue(d.b, id).store, id) || again
			}
		}
		if again {
			retry.Reset(debtRetry)
		}
	}
}

// read reads one queue to its end and reports whether it has to be looked at again.
func (d *debts) read(ctx context.Context, q *storage.Queue, id int32) (again bool) {
	lo, hi, err := q.Bounds()
	if err != nil {
		d.b.o.Log.Error("a revive queue cannot be read", "queue", id, "err", err)
		return true
	}
	if hi == 0 {
		return false
	}
	committed, ok := d.b.meta.Offsets.Query(meta.GroupRevive, d.topic, id)
	from := lo
	if ok { // Java's position is that of the last one that it has done
		from = max(lo, committed+1)
	}
	from = max(from, mq.Index(d.b.pops.Revived(id)))
	begin := from
	var buf []byte
	for from < hi && ctx.Err() == nil {
		res := d.b.store.Read(q, &storage.Read{From: from, MaxBytes: 1 << 20}, buf[:0])
		if res.Next <= from {
			return true
		}
		for rest := res.Records; len(rest) > 0; {
			var m record.Message
			n, err := record.Decode(rest, &m, false)
			if err != nil || n <= 0 {
				break // the store checked it
			}
			rest = rest[n:]
			d.take(&m)
		}
		buf, from = res.Records, res.Next
	}
	if from > begin {
		d.b.pops.SetRevived(id, int64(from))
		if err := d.b.pops.Flush(); err != nil {
			return true
		}
	}
	if d.b.pops.Debts() > 0 {
		return true // to move Java's position when it is paid
	}
	if from > 0 && (!ok || committed < from-1) {
		d.b.meta.Offsets.Commit(meta.GroupRevive, d.topic, id, from-1)
	}
	return false
}

// take handles one message of the revive topic.
func (d *debts) take(m *record.Message) {
	tag, _ := m.Props.Get(record.PropTags)
	v, err := fastjson.Parse(m.Body)
	if err != nil {
		d.b.o.Log.Warn("a message of the revive topic cannot be read", "queue", m.QueueID, "index", m.Index, "err", err)
		return
	}
	get := func(short, long string) fastjson.Value {
		if e := v.Get(short); e.Exists() {
			return e
		}
		return v.Get(long)
	}
	group, topic := get("c", "consumerGroup").Str(), get("t", "topic").Str()
	queue, popTime := get("q", "queueId").Int32(), get("pt", "popTime").Int64()
	if _, ok := d.b.group(group); !ok {
		return // as in Java: nobody wants it
	}
	if t, ok := d.b.topic(topic); !ok || queue < 0 || queue >= min(t.entry.Config().ReadQueues, maxQueues) {
		return
	}
	settle := func(at int64) { d.b.pops.Shard(group, topic, queue).Ack(mq.Index(at), popTime) }
	switch string(tag) {
	case tagCheckpoint:
		d.checkpoint(get, group, topic, queue, popTime)
	case tagAck:
		settle(get("ao", "ackOffset").Int64())
	case tagBatchAck:
		for _, x := range get("aol", "ackOffsetList").Arr() {
			settle(x.Int64())
		}
	}
}

// maxCheckpoint is how many messages a checkpoint stands for: the bits of an int.
const maxCheckpoint = 32

func (d *debts) checkpoint(get func(short, long string) fastjson.Value, group, topic string, queue int32, popTime int64) {
	start, n, acked := get("so", "startOffset").Int64(), int(get("n", "num").Int32()), uint32(get("bm", "bitMap").Int64())
	l := pop.Lease{PopTime: popTime, Invisible: get("it", "invisibleTime").Int64() + debtGrace}
	diffs := get("d", "queueOffsetDiff").Arr()
	for i := range min(n, maxCheckpoint) {
		at := start + int64(i)
		if i < len(diffs) {
			at = start + diffs[i].Int64()
		}
		if acked&(1<<i) == 0 {
			d.b.pops.Owe(group, topic, queue, mq.Index(at), l)
		}
	}
}
