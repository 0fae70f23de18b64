package broker

import (
	"context"
	"errors"
	"math/bits"
	"strconv"

	"github.com/cometmq/cometmq/internal/broker/pop"
	"github.com/cometmq/cometmq/internal/mq"
)

// popped finds what a request about a popped message means; highest is the first index that is not legal.
func (b *Broker) popped(r *mq.AckRequest, beyond mq.Index) (mq.Receipt, *pop.Shard, *mq.Error) {
	t, ok := b.topic(r.Topic)
	if !ok {
		return mq.Receipt{}, nil, errNoTopic(r.Topic)
	}
	tc := t.entry.Config()
	if r.QueueID < 0 || r.QueueID >= tc.ReadQueues || r.QueueID >= maxQueues {
		return mq.Receipt{}, nil, errQueue(mq.KindMessageIllegal, r.QueueID, r.Topic, tc.ReadQueues, r.ClientHost)
	}
	q := t.queue(b, r.QueueID).store
	if lowest, end := q.Min(), q.Max(); r.Index < lowest || r.Index >= end+beyond {
		return mq.Receipt{}, nil, mq.Errorf(mq.KindNoMessage, "offset is illegal, key:%s@%d, commit:%d, store:%d~%d",
			r.Topic, r.QueueID, r.Index, lowest, end)
	}
	rc, err := mq.ParseReceipt(r.Receipt)
	if err != nil {
		return rc, nil, mq.Errorf(mq.KindMessageIllegal, "%s", err.Error())
	}
	switch {
	case rc.QueueID != r.QueueID:
		return rc, nil, errReceipt("queueId", strconv.Itoa(int(rc.QueueID)), "the request's "+strconv.Itoa(int(r.QueueID)))
	case rc.Broker != b.o.Name:
		return rc, nil, errReceipt("brokerName", rc.Broker, b.o.Name)
	}
	s := b.pops.Find(r.Group, r.Topic, r.QueueID)
	if s == nil && b.pops.Foreign(rc.PopTime) {
		if _, ok := b.group(r.Group); ok {
			s = b.pops.Shard(r.Group, r.Topic, r.QueueID)
		}
	}
	return rc, s, nil
}

func errReceipt(field, got, want string) *mq.Error {
	return mq.Errorf(mq.KindMessageIllegal, "receipt handle: %s %s is not %s", field, got, want)
}

// noteOf says why nothing changed although Java answers success.
func noteOf(out pop.Outcome, popTime int64) string {
	switch out {
	case pop.Stale:
		return "receipt handle: popTime " + strconv.FormatInt(popTime, 10) + " is over, the message was handed out again; nothing is changed"
	case pop.Unknown:
		return "receipt handle: the group holds no such message with popTime " + strconv.FormatInt(popTime, 10) + "; nothing is changed"
	case pop.Done, pop.Already:
	}
	return ""
}

// Ack implements mq.Service.
//
// Differs from Java: a handle is validated. One that cannot be read, or of another queue or broker, is refused; one that is not
// valid any more settles nothing, with the reason in the remark. Java writes an acknowledgement that matches nothing.
func (b *Broker) Ack(_ context.Context, r *mq.AckRequest) (string, error) {
	if !isBlank(r.LiteTopic) {
		return b.ackLite(r)
	}
	rc, s, refusal := b.popped(r, 1)
	switch {
	case refusal != nil:
		return "", refusal
	case s == nil:
		return noteOf(pop.Unknown, rc.PopTime), nil
	case rc.ReviveQID == mq.OrderedReviveQID:
		return b.ackOrdered(s, r.Index, rc.PopTime)
	}
	return noteOf(s.Ack(r.Index, rc.PopTime), rc.PopTime), nil
}

func (b *Broker) ackOrdered(s *pop.Shard, at mq.Index, popTime int64) (string, error) {
	out, free := s.AckOrdered(at, popTime, b.o.Now().UnixMilli())
	if out == pop.Unknown {
		return "", mq.Errorf(mq.KindMessageIllegal, "offset is illegal, key:%s@%s@%d, commit:%d: the group holds no such message",
			s.Topic(), s.Group(), s.Queue(), at)
	}
	if free {
		b.popWake(s)
	}
	return noteOf(out, popTime), nil
}

// AckBatch implements mq.Service.
func (b *Broker) AckBatch(_ context.Context, r *mq.BatchAck) (string, error) {
	name := r.Topic
	switch r.Retry {
	case string(retryV1):
		name = retryTopics(r.Group, r.Topic)[0]
	case string(retryV2):
		name = retryTopics(r.Group, r.Topic)[1]
	}
	t, ok := b.topic(name)
	if !ok || r.QueueID < 0 || r.QueueID >= min(t.entry.Config().ReadQueues, maxQueues) {
		return "topic or queueId of a batch is illegal; nothing of it is changed", nil // Java logs it
	}
	s := b.pops.Find(r.Group, name, r.QueueID)
	if _, ok := b.group(r.Group); ok && s == nil && b.pops.Foreign(r.PopTime) {
		s = b.pops.Shard(r.Group, name, r.QueueID)
	}
	if s == nil || (r.Broker != "" && r.Broker != b.o.Name) {
		return noteOf(pop.Unknown, r.PopTime), nil
	}
	note := ""
	for i, set := range r.Bits {
		for ; set != 0; set &= set - 1 {
			at := r.Start + mq.Index(8*i+bits.TrailingZeros8(set))
			if r.ReviveQID == mq.OrderedReviveQID {
				n, err := b.ackOrdered(s, at, r.PopTime)
				if err != nil {
					n = err.Error()
				}
				note = n
				continue
			}
			if n := noteOf(s.Ack(at, r.PopTime), r.PopTime); n != "" {
				note = n
			}
		}
	}
	return note, nil
}

// ChangeInvisible implements mq.Service.
func (b *Broker) ChangeInvisible(_ context.Context, r *mq.ChangeInvisibleRequest) (mq.ChangeInvisibleResult, error) {
	if !isBlank(r.LiteTopic) {
		return b.changeLite(r)
	}
	rc, s, refusal := b.popped(&r.AckRequest, 0)
	if refusal != nil {
		return mq.ChangeInvisibleResult{}, refusal
	}
	now := b.o.Now().UnixMilli()
	res := mq.ChangeInvisibleResult{PopTime: now, Invisible: r.Invisible, ReviveQID: rc.ReviveQID}
	out := pop.Unknown
	switch {
	case s == nil:
	case rc.ReviveQID == mq.OrderedReviveQID:
		// The handle stays as it is: Java's clients keep the pop time.
		res.PopTime, res.Invisible = rc.PopTime, now+r.Invisible-rc.PopTime
		out = s.ChangeOrdered(r.Index, rc.PopTime, now+r.Invisible)
	default:
		out = s.Change(r.Index, rc.PopTime, pop.Lease{PopTime: now, Invisible: r.Invisible}, r.Suspend)
	}
	res.Note = noteOf(out, rc.PopTime)
	return res, nil
}

// SyncPops implements mq.Service.
func (b *Broker) SyncPops() error {
	err := b.pops.Flush()
	if b.liteDirty.Load() && b.liteDirty.Swap(false) {
		if serr := b.meta.Offsets.Sync(); serr != nil {
			b.liteDirty.Store(true)
			err = errors.Join(err, serr)
		}
	}
	if err != nil {
		return mq.Errorf(mq.KindInternal, "acknowledgements are not written: %s", err.Error())
	}
	return nil
}
