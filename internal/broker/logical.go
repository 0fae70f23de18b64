package broker

import (
	"context"
	"math"

	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
)

// Reading static topics: logical queues and positions become those of a broker, which may be another one, and back.

// errNoPeers answers what another broker would have to be asked for.
var errNoPeers = &mq.Error{Kind: mq.KindInternal, Detail: "this broker cannot ask others about their parts of a static topic"}

// lead returns the mapping of a topic and the list of a logical queue that this broker leads. m is nil when the topic is not static.
func (b *Broker) lead(topic string, queue int32) (m *logicqueue.Mapping, items logicqueue.Items, refusal *mq.Error) {
	if m = b.meta.Statics.Get(topic); m == nil {
		return nil, nil, nil
	}
	items, ok := m.Leader(queue)
	if !ok {
		return m, nil, errNotLeader(topic, queue, m.Broker)
	}
	return m, items, nil
}

// partOf returns the part that a position in the list belongs to. A queue without any decided part has no positions yet.
func partOf(items logicqueue.Items, at mq.Index, topic string, queue int32) (int, *mq.Error) {
	k := items.Find(at)
	if k < 0 {
		return 0, mq.Errorf(mq.KindInternal, "%s-%d has no positions yet", topic, queue)
	}
	return k, nil
}

// pullLogical is Pull of a logical queue.
func (b *Broker) pullLogical(ctx context.Context, r *mq.PullRequest, dst []byte) (mq.Fetch, error) {
	f := mq.Fetch{Records: dst, Next: r.From}
	m, items, refusal := b.lead(r.Topic, r.QueueID)
	if refusal != nil {
		refusal.Detail = refusalOfPull(r, m)
		return f, refusal
	}
	if m == nil { // not static any more
		return b.pull(r, dst)
	}
	k, refusal := partOf(items, r.From, r.Topic, r.QueueID)
	if refusal != nil {
		return f, refusal
	}
	item := &items[k]
	local := item.Broker == m.Broker
	if !local && !r.Forward {
		f.Elsewhere = true
		return f, nil
	}
	at := *r // of the physical queue
	at.Logical, at.QueueID, at.From, at.Commit = false, item.Queue, item.ToPhysical(r.From), false
	if item.Ended() {
		at.MaxMessages = int32(min(mq.Index(at.MaxMessages), max(item.End-at.From, 1)))
	}
	var err error
	switch {
	case local:
		f, err = b.pull(&at, dst)
	case b.o.Peers == nil:
		err = errNoPeers
	default:
		f, err = b.o.Peers.Pull(ctx, item.Broker, &at, dst)
	}
	if err != nil {
		return f, err
	}
	if r.Commit {
		b.commitPulled(r, m, items)
	}
	b.toLogical(&f, items, k, at.From)
	if !local || k < len(items)-1 {
		// Nothing more comes into a part that is not the last; one that waits there is woken when the mapping changes.
		last := &items[len(items)-1]
		f.WaitQueue, f.WaitFrom = last.Queue, math.MaxInt64
	}
	return f, nil
}

func refusalOfPull(r *mq.PullRequest, m *logicqueue.Mapping) string {
	return mq.Errorf(mq.KindNotLeader, "%s-%d cannot find mapping item in request process of current broker %s", r.Topic, r.QueueID, m.Broker).Detail
}

// commitPulled commits the position that came with a pull, if it is in a part of this broker. Another broker is not asked to: clients
// commit everything by itself, too.
//
// Differs from Java: the position is translated. There a logical position is kept as if it were one of the physical queue.
func (b *Broker) commitPulled(r *mq.PullRequest, m *logicqueue.Mapping, items logicqueue.Items) {
	if k := items.Find(r.CommitIndex); k >= 0 && items[k].Broker == m.Broker && !b.meta.Offsets.Pending(r.Group, r.Topic, items[k].Queue) {
		b.meta.Offsets.Commit(r.Group, r.Topic, items[k].Queue, items[k].ToPhysical(r.CommitIndex))
	}
}

// toLogical turns the answer to a pull of items[k] at a physical position into one of the logical queue, by the rules of Java's
// PullMessageProcessor.
//
// Differs from Java: a position behind the end of the last part is told to be wrong at once, as in any other queue. There it
// waits until a message comes or the time is over.
func (b *Broker) toLogical(f *mq.Fetch, items logicqueue.Items, k int, from mq.Index) {
	item := &items[k]
	lo, hi, next := f.Min, f.Max, f.Next
	if f.Status != mq.FetchFound && f.Status != mq.FetchOffsetReset {
		isFirst, isLast := items.Find(0) == k, k == len(items)-1
		switch {
		case from < lo && isFirst:
			f.Status, next = mq.FetchOffsetTooSmall, lo
		case from < lo:
			f.Status, next = mq.FetchNoMatchedMessage, lo // a client asks again at once
		case from >= hi && !isLast, item.Ended() && from >= item.End:
			if follow, ok := items.Next(k); ok {
				item, next, lo, hi = follow, follow.Start, follow.Start, follow.Start
				f.Status = mq.FetchNoMatchedMessage
			} else {
				f.Status = mq.FetchOffsetOverflowOne // its position is not decided yet
			}
		case from > hi:
			f.Status, next = mq.FetchOffsetOverflowBadly, hi
		case from == hi:
			f.Status = mq.FetchOffsetOverflowOne // also of an empty queue
		}
	}
	if item.Ended() {
		next = min(next, item.End)
	}
	f.WaitQueue, f.WaitFrom = item.Queue, next
	f.Next, f.Min, f.Max = item.ToLogic(next), item.ToLogic(lo), max(item.ToLogic(hi), items[len(items)-1].Floor())
	f.Delta = item.Logic - item.Start
}

// LogicalCommit implements mq.StaticQueues.
func (b *Broker) LogicalCommit(ctx context.Context, group, topic string, queue int32, at mq.Index) error {
	m, items, refusal := b.lead(topic, queue)
	if m == nil {
		return b.CommitIndex(ctx, group, topic, queue, at)
	}
	k := 0
	if refusal == nil {
		k, refusal = partOf(items, at, topic, queue)
	}
	if refusal != nil {
		return refusal
	}
	item := &items[k]
	switch {
	case item.Broker == m.Broker:
		return b.CommitIndex(ctx, group, topic, item.Queue, item.ToPhysical(at))
	case b.o.Peers == nil:
		return errNoPeers
	}
	return b.o.Peers.CommitIndex(ctx, item.Broker, group, topic, item.Queue, item.ToPhysical(at))
}

// LogicalQuery implements mq.StaticQueues. The newest part in which the group has a position decides.
func (b *Broker) LogicalQuery(ctx context.Context, group, topic string, queue int32, zeroIfNotFound bool) (mq.Index, error) {
	m, items, refusal := b.lead(topic, queue)
	if m == nil {
		return b.QueryIndex(ctx, group, topic, queue, zeroIfNotFound)
	}
	if refusal != nil {
		return 0, refusal
	}
	if len(items) == 1 && items[0].Logic == 0 {
		at, err := b.QueryIndex(ctx, group, topic, items[0].Queue, zeroIfNotFound)
		if err != nil {
			return 0, err
		}
		return items[0].ToLogic(at), nil
	}
	for k := len(items) - 1; k >= 0; k-- {
		item := &items[k]
		if !item.Decided() {
			continue
		}
		at, ok, err := b.positionIn(ctx, m, item, group, topic)
		if err != nil {
			return 0, err
		}
		if ok && at >= 0 {
			return item.ToLogic(at), nil
		}
	}
	return 0, mq.Errorf(mq.KindQueryNotFound, "Not found, maybe this group consumer boot first")
}

// positionIn returns the position of a group in one part.
func (b *Broker) positionIn(ctx context.Context, m *logicqueue.Mapping, item *logicqueue.Item, group, topic string) (at mq.Index, ok bool, err error) {
	switch {
	case item.Broker == m.Broker:
		at, ok = b.meta.Offsets.Query(group, topic, item.Queue)
		return at, ok, nil
	case b.o.Peers == nil:
		return 0, false, errNoPeers
	}
	return b.o.Peers.QueryIndex(ctx, item.Broker, group, topic, item.Queue)
}

// LogicalMin implements mq.StaticQueues.
func (b *Broker) LogicalMin(ctx context.Context, topic string, queue int32) (mq.Index, error) {
	m, items, refusal := b.lead(topic, queue)
	if m == nil {
		return b.MinIndex(ctx, topic, queue)
	}
	k := 0
	if refusal == nil {
		k, refusal = partOf(items, 0, topic, queue)
	}
	if refusal != nil {
		return 0, refusal
	}
	lo, err := b.boundOf(ctx, m, &items[k], false)
	if err != nil {
		return 0, err
	}
	return items[k].Loosely(lo), nil
}

// LogicalMax implements mq.StaticQueues. While the last part has no position yet it is the end of the part before it.
//
// Differs from Java: that part is asked by its own queue id. There it is that of the last part.
func (b *Broker) LogicalMax(ctx context.Context, topic string, queue int32) (mq.Index, error) {
	m, items, refusal := b.lead(topic, queue)
	if m == nil {
		return b.MaxIndex(ctx, topic, queue)
	}
	k := 0
	if refusal == nil {
		k, refusal = partOf(items, math.MaxInt64, topic, queue)
	}
	if refusal != nil {
		return 0, refusal
	}
	hi, err := b.boundOf(ctx, m, &items[k], true)
	if err != nil {
		return 0, err
	}
	return items[k].ToLogic(hi), nil
}

// boundOf returns the first available or the next position of a part's physical queue.
func (b *Broker) boundOf(ctx context.Context, m *logicqueue.Mapping, item *logicqueue.Item, high bool) (mq.Index, error) {
	switch {
	case item.Broker != m.Broker && b.o.Peers == nil:
		return 0, errNoPeers
	case item.Broker != m.Broker && high:
		return b.o.Peers.MaxIndex(ctx, item.Broker, m.Topic, item.Queue)
	case item.Broker != m.Broker:
		return b.o.Peers.MinIndex(ctx, item.Broker, m.Topic, item.Queue)
	case high:
		return b.MaxIndex(ctx, m.Topic, item.Queue)
	}
	return b.MinIndex(ctx, m.Topic, item.Queue)
}

// LogicalIndexAtTime implements mq.StaticQueues: the answer of the oldest part that has such a message, else the end.
//
// Differs from Java: an own part that answers 0 counts like any other, and parts of other brokers are not asked behind the first one
// that has such a message.
func (b *Broker) LogicalIndexAtTime(ctx context.Context, topic string, queue int32, ms int64, at mq.Boundary) (mq.Index, error) {
	m, items, refusal := b.lead(topic, queue)
	if m == nil {
		return b.IndexAtTime(ctx, topic, queue, ms, at)
	}
	if refusal != nil {
		return 0, refusal
	}
	for k := range items {
		item := &items[k]
		if !item.Decided() {
			continue
		}
		_, more := items.Next(k)
		found, err := b.timeIn(ctx, m, item, ms, at)
		if err != nil {
			return 0, err
		}
		if !more {
			return item.ToLogic(found), nil
		}
		hi, err := b.boundOf(ctx, m, item, true)
		if err != nil {
			return 0, err
		}
		if item.Ended() {
			hi = min(hi, item.End)
		}
		if found < hi {
			return item.ToLogic(found), nil
		}
	}
	return 0, nil
}

func (b *Broker) timeIn(ctx context.Context, m *logicqueue.Mapping, item *logicqueue.Item, ms int64, at mq.Boundary) (mq.Index, error) {
	switch {
	case item.Broker == m.Broker:
		return b.IndexAtTime(ctx, m.Topic, item.Queue, ms, at)
	case b.o.Peers == nil:
		return 0, errNoPeers
	}
	return b.o.Peers.IndexAtTime(ctx, item.Broker, m.Topic, item.Queue, ms, at)
}

// LogicalEarliest implements mq.StaticQueues.
//
// Differs from Java: the part is asked by its physical queue id, there by the logical one.
func (b *Broker) LogicalEarliest(ctx context.Context, topic string, queue int32) (int64, error) {
	m, items, refusal := b.lead(topic, queue)
	if m == nil {
		return b.EarliestStoreTime(ctx, topic, queue)
	}
	k := 0
	if refusal == nil {
		k, refusal = partOf(items, 0, topic, queue)
	}
	if refusal != nil {
		return -1, refusal
	}
	item := &items[k]
	switch {
	case item.Broker == m.Broker:
		return b.EarliestStoreTime(ctx, topic, item.Queue)
	case b.o.Peers == nil:
		return -1, errNoPeers
	}
	return b.o.Peers.EarliestStoreTime(ctx, item.Broker, topic, item.Queue)
}
