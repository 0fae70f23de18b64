package broker

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/broker/tx"
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// ending is what a sender keeps for the half messages that its batch decides.
type ending struct {
	tx.Ending
	half    tx.Half
	rec     []byte
	scan    propScan
	entered bool // the machine waits for Finish
	next    int  // the first of the batch's Ends that has not been looked at
	placed  []committed
	rolled  []*topic // whose half messages are rolled back
}

// committed is a message that a half message became.
type committed struct {
	n     int // in the storage batch
	queue *queue
	topic *topic // nil: it was deleted meanwhile
	born  int64  // ms
}

func (e *ending) reset() {
	e.next, e.placed, e.rolled, e.entered = 0, e.placed[:0], e.rolled[:0], false
	if cap(e.rec) > maxKept {
		e.rec = nil
	}
}

// openTransactions makes the part that asks about undecided half messages.
func (b *Broker) openTransactions() {
	o := tx.Options{
		Store: b.store, Offsets: b.meta.Offsets, Host: b.o.Addr, Timeout: b.o.TxTimeout, Interval: b.o.TxCheckInterval,
		CheckMax: b.o.TxCheckMax, OpSize: b.o.TxOpSize, Reserved: b.o.Reserved, Now: b.o.Now, Log: b.o.Log,
		Ask: b.askProducer,
		GivenUp: func(ctx context.Context) {
			const one = 1 // queue, Java's TCMT_QUEUE_NUMS
			b.ensureTopic(ctx, mq.TopicConfig{
				Name: meta.TopicCheckMaxTime, ReadQueues: one, WriteQueues: one, Perm: mq.PermRead | mq.PermWrite,
			})
		},
	}
	if b.o.Slave {
		o.Escape = b.escapeHalf
	}
	b.tx = tx.Open(o)
	if !b.leaves() { // a slave's master asks the producers
		b.acting.parts = append(b.acting.parts, b.tx)
	}
}

// isHalf reports whether a send is a half message. As in Java a message that is tried again after a delay is none, whatever
// its properties say: consumers before 4.6.1 send such messages back with the properties of the first try.
func (s *propScan) isHalf(r *mq.SendRequest) bool {
	return s.prepared && (r.Reconsume <= 0 || !s.delayed)
}

// keepHalf is divert for a half message.
func (b *Broker) keepHalf(props record.Props, to place) (place, record.Props, *mq.Error) {
	if b.o.NoTransactions {
		return to, props, mq.Errorf(mq.KindNoPermission, "the broker[%s] sending transaction message is forbidden", b.o.Addr.Addr())
	}
	unique, _ := props.Get(record.PropUniqKey)
	// Behind the old ones in the same buffer: they are read while these are written.
	n := len(props)
	all := tx.AppendHalfProps(props, props, to.topic, to.queue, bytesview.String(unique))
	return place{meta.TopicHalf, 0}, all[:copy(all, all[n:])], nil
}

// endsBefore decides the half messages that came before request i of the batch.
func (b *Broker) endsBefore(s *sender, sb *mq.SendBatch, i int, now time.Time) {
	e := &s.ending
	for ; e.next < len(sb.Ends) && sb.Ends[e.next].After <= i; e.next++ {
		if !e.entered {
			b.tx.Enter(&e.Ending)
			e.entered = true
		}
		end := &sb.Ends[e.next]
		end.Err = b.end(s, end, now)
	}
}

// end checks a decision and adds what it leads to to the batch (remoting spec 4.14, EndTransactionProcessor).
//
// Differs from Java: what is at the log offset must be in the half topic. Java would commit any message that has the right
// properties.
func (b *Broker) end(s *sender, r *mq.End, now time.Time) *mq.Error {
	e := &s.ending
	h := &e.half
	rec, err := b.store.ReadAt(r.Offset, e.rec[:0])
	if e.rec = rec; err != nil || h.Decode(rec) != nil {
		return mq.Errorf(mq.KindInternal, "Find prepared transaction message failed")
	}
	switch {
	case !r.FromCheck && b.tx.Expired(h):
		return mq.Errorf(mq.KindIllegalOperation, "%s of the message has passed, the broker asks about it", record.PropCheckImmunity)
	case string(h.Group) != r.Group:
		return mq.Errorf(mq.KindInternal, "The producer group wrong")
	case h.Msg.Index != r.Index:
		return mq.Errorf(mq.KindInternal, "The transaction state table offset wrong")
	}
	claimed, late := e.Claimed()
	switch b.tx.Claim(&e.Ending, h) {
	case tx.Again:
		s.wait = true
		return nil
	case tx.Busy:
		return mq.Errorf(mq.KindBusy, "the transaction is being ended by another request")
	case tx.Fresh:
	}
	if r.Commit {
		if refusal := b.commitHalf(s, r, now); refusal != nil {
			b.tx.Unclaim(&e.Ending, claimed, late)
			return refusal
		}
	} else if t, ok := b.topic(bytesview.String(h.Topic)); ok {
		e.rolled = append(e.rolled, t)
	}
	s.wait = true
	return nil
}

// commitHalf adds the message that the half message becomes.
//
// Differs from Java: a half message with a delay is delayed when it is committed. Java delays the half message itself, and
// loses it: what it commits then has the half topic for its own. Java's clients send no such messages.
func (b *Broker) commitHalf(s *sender, r *mq.End, now time.Time) *mq.Error {
	e := &s.ending
	h := &e.half
	e.scan.read(h.Msg.Props)
	e.scan.prepared = false
	s.msg = h.Msg
	s.msg.SysFlag = h.Msg.SysFlag&^record.SysFlagTransactionMask | record.SysFlagCommit
	s.msg.PreparedOffset = r.Offset

	to := place{queue: h.Queue}
	var q *queue
	t, ok := b.topic(bytesview.String(h.Topic))
	if ok {
		to.topic = t.entry.Name()
		if h.Queue < maxQueues {
			q = t.queue(b, h.Queue)
		}
	} else {
		// As in Java: the topic was deleted meanwhile; the message waits for its return.
		to.topic = strings.Clone(bytesview.String(h.Topic))
	}
	s.props = h.AppendCommitProps(s.props[:0], e.scan.delayed || e.scan.timed)
	at, props, refusal := b.keepUntilDue(s.props, &e.scan, to, now)
	s.props = props
	if refusal != nil {
		return refusal
	}
	var dst *storage.Queue
	if q != nil && at == to {
		dst = q.store
	} else {
		dst = b.store.Queue(at.topic, at.queue)
	}
	s.msg.Topic, s.msg.Props = bytesview.Bytes(at.topic), s.props
	n, refusal := b.add(&s.batch, dst, &s.msg)
	if refusal != nil {
		return refusal
	}
	e.placed = append(e.placed, committed{n, q, t, h.Msg.BornTime})
	return nil
}

// closeEnds adds what is decided to the batch, behind everything else.
func (b *Broker) closeEnds(s *sender, sb *mq.SendBatch, now time.Time) {
	b.endsBefore(s, sb, len(sb.Requests), now)
	if !s.ending.entered {
		return
	}
	if err := b.tx.AddOps(&s.ending.Ending, &s.batch); err != nil {
		b.o.Log.Error("op record", "err", err) // it is small and legal
	}
}

// finishEnds tells the machine how it ended: refusal is nil when the batch is stored.
func (b *Broker) finishEnds(s *sender, sb *mq.SendBatch, refusal *mq.Error) {
	e := &s.ending
	if !e.entered {
		return
	}
	e.entered = false
	b.tx.Finish(&e.Ending, refusal == nil)
	if refusal != nil {
		for i := range sb.Ends {
			if sb.Ends[i].Err == nil {
				sb.Ends[i].Err = refusal
			}
		}
		return
	}
	bytes, now := int64(0), b.o.Now().UnixMilli()
	for _, t := range e.rolled {
		t.ended().rollbacks.Add(1)
	}
	for _, p := range e.placed {
		if p.topic != nil {
			counted := p.topic.ended()
			counted.commits.Add(1)
			counted.latency.Observe(max(now-p.born, 0) / 1000)
		}
		size := int64(s.batch.RecordSize(p.n))
		bytes += size
		if p.queue != nil {
			p.queue.puts.add(1, size)
		}
	}
	b.figures.puts.add(int64(len(e.placed)), bytes)
}

// askProducer asks one of the group's producers, each in its turn, about a half message. It returns false when none of
// them can be reached.
func (b *Broker) askProducer(c *mq.TransactionCheck) bool {
	c.Broker = b.o.Name
	all := b.clients.Producers(c.Group)
	if len(all) == 0 {
		return false
	}
	from := rand.IntN(len(all))
	for i := range all {
		if all[(from+i)%len(all)].Peer.CheckTransaction(c) {
			return true
		}
	}
	return false
}
