package broker

import (
	"errors"
	"strings"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// Topics whose queues are not Java's SimpleCQ: batch queues (attribute queue.type=BatchCQ), and light queues (LMQ), which are
// topics without a configuration. See storage/kinds.go for what is stored.

// Topic attributes that change how messages are kept.
const (
	attrQueueType = "queue.type"
	batchQueues   = "BatchCQ"

	attrCleanup       = "cleanup.policy"
	cleanupCompaction = "COMPACTION"
)

// errManyLights is Java's answer when enableLmqQuota is on.
var errManyLights = &mq.Error{
	Kind: mq.KindInternal, Detail: "[LMQ_CONSUME_QUEUE_NUM_EXCEEDED]lmq consume queue num exceeded.",
}

// openKinds makes the queues of batch topics what they are: of topics that Java made, and after their folder was lost.
func (b *Broker) openKinds() {
	entries, _ := b.meta.Topics.List()
	for _, e := range entries {
		tc := e.Config()
		b.compact(&tc)
		if e.Config().Attributes[attrQueueType] != batchQueues {
			continue
		}
		if err := b.store.MakeBatch(e.Name()); err != nil {
			b.o.Log.Error("a topic of batch queues has simple ones", "topic", e.Name(), "err", err)
		}
	}
}

// compact has the queues of a topic compacted if it is of that kind.
func (b *Broker) compact(t *mq.TopicConfig) {
	if b.o.NoCompaction || t.Attributes[attrCleanup] != cleanupCompaction {
		return
	}
	if err := b.store.KeepCompacted(t.Name, min(max(t.ReadQueues, t.WriteQueues), maxQueues)); err != nil {
		b.o.Log.Error("a topic is not compacted", "topic", t.Name, "err", err)
	}
}

// makeKind prepares the queues of a topic that is about to be created. undo takes that back.
func (b *Broker) makeKind(t *mq.TopicConfig) (undo func(), refusal *mq.Error) {
	undo = func() {}
	if _, exists := b.meta.Topics.Get(t.Name); exists || t.Attributes["+"+attrQueueType] != batchQueues {
		return undo, nil
	}
	err := b.store.MakeBatch(t.Name)
	switch {
	case errors.Is(err, storage.ErrInUse):
		return undo, mq.Errorf(mq.KindInvalidParameter, "The topic[%s] has messages in queues of type SimpleCQ.", t.Name)
	case err != nil:
		return undo, mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	return func() {
		if err := b.store.DeleteTopic(t.Name); err != nil {
			b.o.Log.Error("remove the queues of a topic that was not made", "topic", t.Name, "err", err)
		}
	}, nil
}

// add adds a message to a storage batch in the way of its queue. What m refers to is copied.
//
// Differs from Java: a single message in a topic of batch queues is a batch of one. There it is stored, but no consumer ever
// sees it.
func (b *Broker) add(batch *storage.Batch, q *storage.Queue, m *record.Message) (int, *mq.Error) {
	var n int
	var err error
	switch names := b.lightNames(q, m); {
	case q.Batch():
		n, err = batch.AddBatch(q, m, 1)
	case names != nil:
		if b.o.LightQuota > 0 {
			if refusal := b.lightQuota(names); refusal != nil {
				return -1, refusal
			}
		}
		n, err = batch.AddLight(q, m, names)
	case m.SysFlag&record.SysFlagInnerBatch != 0:
		// As Java: a whole batch cannot be given back or moved to a queue of another kind. Its consumer then sends the one
		// message that it could not handle.
		return -1, b.errSize()
	default:
		n, err = batch.Add(q, m)
	}
	if err != nil {
		return -1, b.storeError(err)
	}
	return n, nil
}

// lightNames returns the light queues that m is to be in, too.
func (b *Broker) lightNames(q *storage.Queue, m *record.Message) []byte {
	if !b.o.LightDispatch || !storage.AllowsLight(m.Topic) || q.Batch() {
		return nil
	}
	names, _ := m.Props.Multi()
	return names
}

// lightQuota refuses new light queues when there are too many.
func (b *Broker) lightQuota(names []byte) *mq.Error {
	if b.store.LightQueues() < b.o.LightQuota {
		return nil
	}
	for name := range strings.SplitSeq(string(names), ",") {
		if !storage.IsLight(name) {
			continue
		}
		if _, ok := b.store.Lookup(name, 0); !ok {
			return errManyLights
		}
	}
	return nil
}

// admitInner adds a batch request to a topic of batch queues as one record. ok is false when the request is not of that kind:
// then its messages are stored one by one.
func (b *Broker) admitInner(s *sender, i int, r *mq.SendRequest, q *queue, res *mq.SendResult) (ok bool, refusal *mq.Error) {
	if s.scan.uniq == nil || !q.store.Batch() {
		return false, nil
	}
	n := 0
	it := record.IterBatch(r.Body)
	for _, _, _, more := it.Next(); more; _, _, _, more = it.Next() {
		n++
	}
	if it.Err() != nil || n == 0 {
		return true, b.errSize()
	}
	s.msg.Body, s.msg.Props = r.Body, s.props
	s.msg.SysFlag |= record.SysFlagNeedUnwrap
	first, err := s.batch.AddBatch(q.store, &s.msg, n)
	if err != nil {
		return true, b.storeError(err)
	}
	from := len(s.keys)
	s.keys = append(s.keys, s.scan.uniq...)
	res.BatchKey = bytesview.String(s.keys[from:])
	s.placed = append(s.placed, placed{request: i, first: first, n: 1, inner: n, queue: q, in: s.last.inflow(kindNormal)})
	return true, nil
}

// hasTopic reports whether clients may use a topic.
func (b *Broker) hasTopic(name string) bool {
	_, ok := b.meta.Topics.Get(name)
	return ok || b.isLight(name)
}

// isLight reports whether a topic is a light queue: there without having been made.
func (b *Broker) isLight(name string) bool { return b.o.LightTopics && storage.IsLight(name) }

// lightTopic returns the runtime of a light queue. As in Java each that is asked for exists, with one queue.
func (b *Broker) lightTopic(name string) *topic {
	if t, ok := b.lights.Load(name); ok {
		return t.(*topic)
	}
	name = strings.Clone(name)
	t := &topic{refuse: checkTopicName(name), entry: meta.Detached(mq.TopicConfig{
		Name: name, ReadQueues: 1, WriteQueues: 1, Perm: mq.PermRead | mq.PermWrite,
	})}
	if t.refuse != nil {
		return t // not worth keeping
	}
	kept, _ := b.lights.LoadOrStore(name, t)
	return kept.(*topic)
}
