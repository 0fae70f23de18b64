package broker

import (
	"context"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/storage"
)

// CommitIndex implements mq.Service. The position may go back.
func (b *Broker) CommitIndex(_ context.Context, group, topic string, queue int32, at mq.Index) error {
	if _, ok := b.meta.Groups.Get(group); !ok {
		return mq.Errorf(mq.KindGroupNotExist, "Group %s not exist!", group)
	}
	if _, ok := b.meta.Topics.Get(topic); !ok {
		return mq.Errorf(mq.KindTopicNotExist, "Topic %s not exist!", topic)
	}
	if b.meta.Offsets.Pending(group, topic, queue) {
		return errReset
	}
	b.meta.Offsets.Commit(group, topic, queue, at)
	// An acknowledged commit survives a kill of the process. When the journal cannot be written, which is logged and
	// tried again, the commit still counts: a full disk must not stop consumers.
	if err := b.meta.Offsets.Sync(); err != nil {
		b.o.Log.Debug("a committed position is not in the journal yet", "group", group, "topic", topic, "queue", queue, "err", err)
	}
	return nil
}

// errReset answers a commit of a client that does not know of a reset yet.
var errReset = &mq.Error{Kind: mq.KindIgnored, Detail: "Offset has been previously reset"}

// QueryIndex implements mq.Service.
func (b *Broker) QueryIndex(_ context.Context, group, topic string, queue int32, zeroIfNotFound bool) (mq.Index, error) {
	if at, ok := b.meta.Offsets.Query(group, topic, queue); ok && at >= 0 {
		return at, nil
	}
	if !zeroIfNotFound {
		return 0, mq.Errorf(mq.KindQueryNotFound, "Not found, do not set to zero, maybe this group boot first")
	}
	if b.young(topic, queue) {
		return 0, nil
	}
	return 0, mq.Errorf(mq.KindQueryNotFound, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first")
}

// young reports whether a queue still has its first message and that is near the end of the log, which Java takes for
// being in memory: a new group reads such a queue from its begin.
func (b *Broker) young(topic string, queue int32) bool {
	q, ok := b.store.Lookup(topic, queue)
	if !ok || q.Min() > 0 {
		return false
	}
	res := b.store.Read(q, &storage.Read{From: 0, MaxCount: 1, MaxBytes: 1}, nil)
	return res.Count > 0 && int64(b.store.Appended()-res.LastOffset) <= b.o.HotBytes
}

// MinIndex implements mq.Service.
func (b *Broker) MinIndex(_ context.Context, topic string, queue int32) (mq.Index, error) {
	q, ok := b.store.Lookup(topic, queue)
	if !ok {
		return 0, nil
	}
	return q.Min(), nil
}

// MaxIndex implements mq.Service.
func (b *Broker) MaxIndex(_ context.Context, topic string, queue int32) (mq.Index, error) {
	q, ok := b.store.Lookup(topic, queue)
	if !ok {
		return 0, nil
	}
	b.store.CatchUp()
	return q.Max(), nil
}

// IndexAtTime implements mq.Service.
func (b *Broker) IndexAtTime(_ context.Context, topic string, queue int32, ms int64, at mq.Boundary) (mq.Index, error) {
	q, ok := b.store.Lookup(topic, queue)
	if !ok {
		return 0, nil
	}
	return b.store.IndexAtTime(q, ms, at == mq.BoundaryUpper), nil
}

// EarliestStoreTime implements mq.Service.
func (b *Broker) EarliestStoreTime(_ context.Context, topic string, queue int32) (int64, error) {
	if q, ok := b.store.Lookup(topic, queue); ok {
		if ms, ok := b.store.StoreTimeAt(q, q.Min()); ok {
			return ms, nil
		}
	}
	return -1, nil
}
