package broker

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// sender is what Send keeps with a SendBatch (SendBatch.Core): all memory that it needs.
type sender struct {
	batch   storage.Batch
	await   storage.Await
	msg     record.Message
	scan    propScan
	props   []byte // of the message that is being added
	spare   []byte // another place for them
	keys    []byte // unique keys; results refer to it
	offsets []mq.Offset
	placed  []placed
	wait    bool // somebody wants to know that it is safe
	ending  ending

	gated    int  // 1 + which count of staticSends has this call, 0: none
	diverted bool // the last message is kept elsewhere first

	// The topic of the last message: mostly the next one's, too.
	last *topic
	cfg  mq.TopicConfig

	pending *mq.SendBatch
}

// placed says which messages of the storage batch a request became.
type placed struct {
	request  int
	first, n int
	inner    int // messages in the one record of a batch queue
	// static is the part of a logical queue that the messages are in, nil of other topics and of what is kept elsewhere first.
	static *logicqueue.Item
	batch  bool
	queue  *queue
	in     *inflow
}

func newSender() *sender {
	s := &sender{}
	s.await.Done = s.decided
	return s
}

func (s *sender) reset() {
	s.batch.Reset()
	s.keys, s.offsets, s.placed = s.keys[:0], s.offsets[:0], s.placed[:0]
	s.wait, s.last, s.gated = false, nil, 0
	s.ending.reset()
}

// Send implements mq.Service.
func (b *Broker) Send(ctx context.Context, sb *mq.SendBatch) (pending bool) {
	s, _ := sb.Core.(*sender)
	if s == nil {
		s = newSender()
		sb.Core = s
	}
	s.reset()
	size := int64(0)
	sb.Results = sb.Results[:0]
	for i := range sb.Requests {
		sb.Results = append(sb.Results, mq.SendResult{QueueID: sb.Requests[i].QueueID})
		size += int64(len(sb.Requests[i].Body))
	}
	now := b.o.Now()
	if refusal := b.gate(now, size); refusal != nil {
		refuseAll(sb, refusal)
		return false
	}
	ended := false // then s may be another call's already
	defer func() {
		b.waiting.bytes.Add(-size)
		if !ended { // a panic
			b.staticSends.leave(s)
			b.finishEnds(s, sb, errBusy)
		}
	}()
	if len(sb.Ends) > 0 {
		// New topics are made before the first end is looked at: name servers may be slow, copies must not wait for them.
		for i := range sb.Requests {
			_ = b.sendTopic(ctx, s, &sb.Requests[i]) // admit says what it says
		}
	}
	for i := range sb.Requests {
		b.endsBefore(s, sb, i, now)
		b.admit(ctx, s, i, sb, now)
	}
	b.closeEnds(s, sb, now)
	if s.batch.Len() == 0 {
		b.staticSends.leave(s)
		b.finishEnds(s, sb, nil)
		ended = true
		s.await.End = b.store.Appended() // what was decided before may not be safe yet
		return b.await(s, sb)
	}
	err := b.store.Append(&s.batch)
	b.staticSends.leave(s)
	if err != nil {
		b.figures.failed.Add(int64(len(s.placed)))
		refusal := b.storeError(err)
		for _, p := range s.placed {
			sb.Results[p.request].Err = refusal
		}
		b.finishEnds(s, sb, refusal)
		ended = true
		return false
	}
	b.publish(s, sb)
	b.finishEnds(s, sb, nil)
	ended = true
	b.figures.put(b.o.Now().Sub(now), int64(s.batch.Len()))
	s.await.End = s.batch.End()
	if s.batch.Size() > maxKept {
		s.batch = storage.Batch{} // a rare large burst does not keep its memory
	}
	return b.await(s, sb)
}

// maxKept is how many bytes of records a sender keeps room for.
const maxKept = 1 << 20

// notYet refuses sends before the time from which they are accepted, and when this broker may take none now.
func (b *Broker) notYet(now time.Time) *mq.Error {
	if b.refuse != nil {
		return b.refuse
	}
	if now.Before(b.o.StartAccept) {
		return mq.Errorf(mq.KindInternal, "broker unable to service, until %s", b.o.StartAccept.Format("2006-01-02 15:04:05,000"))
	}
	if b.o.Admit != nil {
		return b.o.Admit(now)
	}
	return nil
}

func refuseAll(sb *mq.SendBatch, refusal *mq.Error) {
	for i := range sb.Results {
		sb.Results[i].Err = refusal
	}
	for i := range sb.Ends {
		sb.Ends[i].Err = refusal
	}
}

// admit checks request i and adds its messages to the storage batch, or fills in why not.
func (b *Broker) admit(ctx context.Context, s *sender, i int, sb *mq.SendBatch, now time.Time) {
	r, res := &sb.Requests[i], &sb.Results[i]
	if res.Err = b.sendTopic(ctx, s, r); res.Err != nil {
		return
	}
	var id int32
	var part *logicqueue.Item
	logical := int32(-1)
	if b.meta.Statics.Get(r.Topic) == nil {
		id, res.Err = chooseQueue(&s.cfg, r)
	} else {
		logical, id, part, res.Err = b.leadQueue(s, r)
	}
	if res.Err != nil {
		return
	}
	if len(r.Body) == 0 || len(r.Body) > b.live.Load().MaxMessageSize {
		res.Err = b.errSize()
		return
	}
	if b.o.Quotas.On() {
		if res.Err = b.charge(s, r, res, now); res.Err != nil {
			return
		}
	}
	q := s.last.queue(b, id)
	s.msg = record.Message{
		Flag: r.Flag, SysFlag: r.SysFlag, BornTime: r.BornTime, BornHost: r.BornHost, Reconsume: r.Reconsume, Body: r.Body,
		Topic: bytesview.Bytes(s.last.entry.Name()),
	}
	if s.cfg.Filter == multiTag {
		s.msg.SysFlag |= record.SysFlagMultiTags
	}
	s.props = b.rewriteProps(s.props[:0], r.Props, &s.scan)
	if b.o.Acks != nil && !s.scan.noWait {
		if _, ok := b.o.Acks(); !ok {
			res.Err = errReplicas
			return
		}
	}
	if s.scan.priority != nil && !r.Batch && part == nil {
		if at := s.priority(); at >= 0 && at != id {
			id, q = at, s.last.queue(b, at)
		}
	}
	s.diverted = false
	if r.Batch {
		res.Err = b.admitBatch(s, i, r, q, res)
	} else {
		res.Err = b.admitOne(ctx, s, i, r, q, res, now)
	}
	if res.Err == nil {
		res.QueueID = id
		if part != nil {
			res.QueueID = logical
			if !s.diverted {
				s.placed[len(s.placed)-1].static = part
			}
		}
		s.wait = s.wait || !s.scan.noWait
	}
}

// chooseQueue returns the queue of a send to a topic.
func chooseQueue(c *mq.TopicConfig, r *mq.SendRequest) (int32, *mq.Error) {
	id, n := r.QueueID, max(c.WriteQueues, c.ReadQueues)
	if id < 0 && c.WriteQueues > 0 {
		id = rand.Int32N(c.WriteQueues)
	}
	if id < 0 || id >= n || id >= maxQueues {
		return 0, mq.Errorf(mq.KindInvalidParameter, "request queueId[%d] is illegal, %s Producer: %s",
			r.QueueID, javaTopic(c), r.BornHost.String())
	}
	return id, nil
}

// multiTag is Java's TopicFilterType whose messages carry a bit of the system flag.
const multiTag = "MULTI_TAG"

// admitOne adds a single message.
func (b *Broker) admitOne(ctx context.Context, s *sender, i int, r *mq.SendRequest, q *queue, res *mq.SendResult, now time.Time) *mq.Error {
	if strings.HasPrefix(s.last.entry.Name(), retryPrefix) {
		dead, refusal := b.sendBack(ctx, s, r)
		if refusal != nil {
			return refusal
		}
		if dead != nil {
			q = dead
		}
	}
	if s.cfg.Attributes[attrCleanup] == cleanupCompaction && isBlank(bytesview.String(s.scan.keys)) {
		return mq.Errorf(mq.KindMessageIllegal, "Required message key is missing")
	}
	if s.scan.innerNum || r.SysFlag&record.SysFlagInnerBatch != 0 {
		return b.errSize() // only a broker may make such records
	}
	from := len(s.keys)
	if s.scan.uniq != nil {
		s.keys = append(s.keys, s.scan.uniq...)
	} else {
		s.keys = b.ids.Append(s.keys, now)
		s.props = record.AppendProp(s.props, record.PropUniqKey, bytesview.String(s.keys[from:]))
	}
	if s.scan.lite != nil {
		s.dispatchLite(r.Topic)
	}
	asked := place{q.store.Topic(), q.store.ID()}
	to, props, refusal := b.divert(s.props, &s.scan, r, asked, now)
	s.props = props
	if refusal != nil {
		s.keys = s.keys[:from]
		return refusal
	}
	handle := ""
	if to.topic == delay.TimerTopic && to != asked {
		handle = b.recallHandle(props, asked, bytesview.String(s.keys[from:]))
	}
	dst := q.store
	s.msg.Topic = bytesview.Bytes(asked.topic)
	if to != asked {
		s.diverted = true
		dst = b.store.Queue(to.topic, to.queue)
		s.msg.Topic = bytesview.Bytes(to.topic)
	}
	if s.scan.prepared { // a half message, or one that only was
		s.msg.SysFlag &^= record.SysFlagTransactionMask
	}
	s.msg.Props = s.props
	first, refusal := b.add(&s.batch, dst, &s.msg)
	if refusal != nil {
		s.keys = s.keys[:from]
		return refusal
	}
	res.UniqueKey, res.RecallHandle = bytesview.String(s.keys[from:]), handle
	s.placed = append(s.placed, placed{request: i, first: first, n: 1, queue: q, in: s.last.inflow(s.scan.kind())})
	return nil
}

// admitBatch adds the messages of a batch request. They keep their own properties; those of the request count for the
// batch only.
//
// Differs from Java: a batch that is too long or malformed is refused as an illegal message, there it is an internal error
// with a stack trace.
func (b *Broker) admitBatch(s *sender, i int, r *mq.SendRequest, q *queue, res *mq.SendResult) *mq.Error {
	name := s.last.entry.Name()
	switch {
	case len(name) > mq.MaxTopicName:
		return mq.Errorf(mq.KindMessageIllegal, "message topic length too long %d", len(name))
	case strings.HasPrefix(name, retryPrefix):
		return mq.Errorf(mq.KindMessageIllegal, "batch request does not support retry group %s", name)
	case r.SysFlag&(record.SysFlagTransactionMask|record.SysFlagInnerBatch) != 0, s.scan.delayed, s.scan.innerNum:
		return b.errSize()
	}
	if ok, refusal := b.admitInner(s, i, r, q, res); ok {
		return refusal
	}
	first, n := s.batch.Len(), 0
	s.batch.BeginGroup()
	it := record.IterBatch(r.Body)
	for {
		var ok bool
		if s.msg.Flag, s.msg.Body, s.msg.Props, ok = it.Next(); !ok {
			break
		}
		if _, refusal := b.add(&s.batch, q.store, &s.msg); refusal != nil {
			s.batch.EndGroup(false)
			return refusal
		}
		n++
	}
	if it.Err() != nil {
		s.batch.EndGroup(false)
		return b.errSize()
	}
	s.batch.EndGroup(true)
	s.placed = append(s.placed, placed{request: i, first: first, n: n, batch: true, queue: q, in: s.last.inflow(kindNormal)})
	return nil
}

// publish fills in the results of what was appended and counts it.
func (b *Broker) publish(s *sender, sb *mq.SendBatch) {
	total, user, bytes := 0, 0, int64(0)
	for _, p := range s.placed {
		res := &sb.Results[p.request]
		res.Index, res.Offset, _ = s.batch.Result(p.first)
		if p.static != nil {
			res.Index = p.static.Loosely(res.Index)
		}
		size := int64(0)
		for k := p.first; k < p.first+p.n; k++ {
			size += int64(s.batch.RecordSize(k))
		}
		if p.batch {
			from := len(s.offsets)
			for k := p.first; k < p.first+p.n; k++ {
				_, off, _ := s.batch.Result(k)
				s.offsets = append(s.offsets, off)
			}
			res.Offsets = s.offsets[from:len(s.offsets):len(s.offsets)]
		}
		n := max(p.n, p.inner)
		p.queue.puts.add(int64(n), size)
		p.in.note(int64(n), size)
		total += n
		if !p.in.system {
			user += n
		}
		bytes += size
	}
	b.figures.puts.add(int64(total), bytes)
	b.figures.userPuts.Add(int64(user))
}

// await waits, without blocking, for the durability that was promised. One ticket stands for the whole batch.
func (b *Broker) await(s *sender, sb *mq.SendBatch) (pending bool) {
	if !s.wait || !b.awaits() {
		return false
	}
	b.ask(&s.await)
	s.pending = sb
	return b.store.AwaitDurable(&s.await)
}

// awaits reports whether being in the log is not enough for an answer.
func (b *Broker) awaits() bool { return b.o.FlushSync || b.replicas() > 0 }

// replicas is how many replicas must have what is stored now.
func (b *Broker) replicas() int {
	if b.o.Acks == nil {
		return b.o.Replicas
	}
	n, _ := b.o.Acks()
	return n
}

// errReplicas refuses a send that would not be as safe as the operator wants, with Java's text.
var errReplicas = &mq.Error{Kind: mq.KindInternal, Detail: "in-sync replicas not enough"}

// ask fills in what has been promised for messages that were just appended. The deadlines are no times of day, which may be set.
func (b *Broker) ask(a *storage.Await) {
	now := time.Now()
	a.Flush, a.Replicas = b.o.FlushSync, b.replicas()
	a.ReplicaDeadline = now.Add(b.live.Load().SlaveTimeout)
	if a.Deadline = a.ReplicaDeadline; b.o.FlushSync {
		a.Deadline = now.Add(b.live.Load().FlushTimeout)
	}
}

// decided tells the door how far the messages got.
func (s *sender) decided(status storage.Status) {
	sb := s.pending
	s.pending = nil
	sb.Done(sb, sendStatus(status))
}

func sendStatus(status storage.Status) mq.SendStatus {
	switch status {
	case storage.FlushTimeout:
		return mq.SendFlushTimeout
	case storage.SlaveTimeout:
		return mq.SendSlaveTimeout
	case storage.Durable:
	}
	return mq.SendOK
}
