package broker

import (
	"context"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/storage"
)

// CommitIndex implements mq.Service. The position may go back.
func (b *Broker) CommitIndex(_ context.Context, group, topic string, queue int32, at mq.Index) error {
	if _, ok := b.meta.Groups.Get(group); !ok {
		return mq.Errorf(mq.KindGroupNotExist, "Group %s not exist!", group)
	}
	if !b.hasTopic(topic) {
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
	at, ok, refusal := b.startOf(group, topic, queue)
	switch {
	case refusal != nil:
		return 0, refusal
	case !ok:
		return 0, mq.Errorf(mq.KindQueryNotFound, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first")
	}
	return at, nil
}

// NewGroups says where a group begins that has no position in a queue yet.
type NewGroups string

// Where new groups begin.
const (
	// NewGroupsCompat is as in Java: at 0 in a queue whose first message is near the end of the log, else the client says.
	NewGroupsCompat NewGroups = "compat"
	// NewGroupsLatest is behind what is there when the group asks first.
	NewGroupsLatest NewGroups = "latest"
	// NewGroupsEarliest is at the first message that is still there.
	NewGroupsEarliest NewGroups = "earliest"
)

// startOf returns where a group begins in a queue in which it has no position; ok = false leaves it to the client. With
// latest and earliest the position is committed, so that the group begins there even if its first consumer dies before it
// commits by itself. A group's own retry topic is always read from the beginning: all in it is for this group.
//
// Differs from Java: a queue whose files cannot be read at the moment is an error, which makes clients ask again. There it
// counts as empty, and the group begins at 0 or, with what is there left out, at the end.
func (b *Broker) startOf(group, topic string, queue int32) (at mq.Index, ok bool, refusal *mq.Error) {
	lo, hi, refusal := b.bounds(topic, queue)
	if refusal != nil {
		return 0, false, refusal
	}
	switch {
	case b.o.NewGroups != NewGroupsLatest && b.o.NewGroups != NewGroupsEarliest:
		return b.young(topic, queue, lo)
	case b.o.NewGroups == NewGroupsLatest && !strings.HasPrefix(topic, retryPrefix):
		at = hi
	default:
		at = lo
	}
	_, isGroup := b.meta.Groups.Get(group)
	if _, isTopic := b.meta.Topics.Get(topic); isGroup && isTopic {
		b.meta.Offsets.Commit(group, topic, queue, at)
		if err := b.meta.Offsets.Sync(); err != nil {
			b.o.Log.Debug("where a new group begins is not in the journal yet", "group", group, "topic", topic, "queue", queue, "err", err)
		}
	}
	return at, true, nil
}

// young answers 0 for a queue that still has its first message, if that is near the end of the log, which Java takes for
// being in memory: a new group reads such a queue from its begin.
func (b *Broker) young(topic string, queue int32, lo mq.Index) (at mq.Index, ok bool, refusal *mq.Error) {
	q, found := b.store.Lookup(topic, queue)
	if !found || lo > 0 {
		return 0, false, nil
	}
	res := b.store.Read(q, &storage.Read{From: 0, MaxCount: 1, MaxBytes: 1}, nil)
	if res.Status == storage.OffsetFoundNull {
		return 0, false, mq.Errorf(mq.KindInternal, "queue %s/%d cannot be read at the moment", topic, queue)
	}
	return 0, (res.Count > 0 || res.Damaged > 0) && int64(b.store.Appended()-res.LastOffset) <= b.o.HotBytes, nil
}

// bounds returns the first available and the next position of a queue, 0 for an unknown one. A queue whose files cannot be
// opened is an error: what clients take for its bounds they go by.
func (b *Broker) bounds(topic string, queue int32) (lo, hi mq.Index, refusal *mq.Error) {
	q, ok := b.store.Lookup(topic, queue)
	if !ok {
		return 0, 0, nil
	}
	b.store.CatchUp()
	lo, hi, err := q.Bounds()
	if err != nil {
		b.o.Log.Error("the bounds of a queue are not known", "topic", topic, "queue", queue, "err", err)
		return 0, 0, mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	return lo, hi, nil
}

// MinIndex implements mq.Service.
func (b *Broker) MinIndex(_ context.Context, topic string, queue int32) (mq.Index, error) {
	lo, _, refusal := b.bounds(topic, queue)
	if refusal != nil {
		return 0, refusal
	}
	return lo, nil
}

// MaxIndex implements mq.Service.
func (b *Broker) MaxIndex(_ context.Context, topic string, queue int32) (mq.Index, error) {
	_, hi, refusal := b.bounds(topic, queue)
	if refusal != nil {
		return 0, refusal
	}
	return hi, nil
}

// IndexAtTime implements mq.Service.
func (b *Broker) IndexAtTime(_ context.Context, topic string, queue int32, ms int64, at mq.Boundary) (mq.Index, error) {
	if _, _, refusal := b.bounds(topic, queue); refusal != nil {
		return 0, refusal
	}
	q, ok := b.store.Lookup(topic, queue)
	if !ok {
		return 0, nil
	}
	return b.store.IndexAtTime(q, ms, at == mq.BoundaryUpper), nil
}

// EarliestStoreTime implements mq.Service.
func (b *Broker) EarliestStoreTime(_ context.Context, topic string, queue int32) (int64, error) {
	lo, _, refusal := b.bounds(topic, queue)
	if refusal != nil {
		return -1, refusal
	}
	if q, ok := b.store.Lookup(topic, queue); ok {
		if ms, ok := b.store.StoreTimeAt(q, lo); ok {
			return ms, nil
		}
	}
	return -1, nil
}
