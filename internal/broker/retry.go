package broker

import (
	"context"
	"math/rand/v2"
	"strconv"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// firstRetryLevel is the delay level of the first time that a message is tried again; each time it is one higher.
const firstRetryLevel = 3

// GiveBack implements mq.Service. The order of the checks is Java's (remoting spec 4.11).
//
// Differs from Java: it is answered when the copy is as safe as a message that was sent, there always when it is in the
// log. If it is not safe in time the answer is code 1 with the name of Java's status.
func (b *Broker) GiveBack(ctx context.Context, r *mq.GiveBackRequest, done func(*mq.Error)) {
	g := b.ensureGroup(r.Group)
	if g == nil {
		done(errNoGroup(r.Group))
		return
	}
	gc := g.entry.Config()
	switch {
	case !b.live.Load().Perm.Writable():
		done(mq.Errorf(mq.KindNoPermission, "the broker[%s] sending message is forbidden", b.o.Addr.Addr()))
		return
	case gc.RetryQueues <= 0: // the group does not want it back
		done(nil)
		return
	}
	if e, ok := b.meta.Topics.Get(retryPrefix + gc.Name); ok && !e.Config().Perm.Writable() {
		done(errForbidden(e.Name()))
		return
	}
	w := b.takeInner()
	count, refusal := b.copyBack(ctx, w, g, r)
	pending := false
	if refusal == nil {
		pending, refusal = w.store(true, func(_ *inner, st mq.SendStatus) { done(notSafe(st)) })
	}
	if refusal == nil {
		count()
	}
	if !pending {
		w.release()
		done(refusal)
	}
}

func errForbidden(topic string) *mq.Error {
	return mq.Errorf(mq.KindNoPermission, "the topic[%s] sending message is forbidden", topic)
}

func errNoGroup(name string) *mq.Error {
	return mq.Errorf(mq.KindGroupNotExist, "subscription group not exist, %s %s", name, faq)
}

// notSafe says how a message was not stored as safely as promised, in the words of Java's PutMessageStatus.
func notSafe(st mq.SendStatus) *mq.Error {
	switch st {
	case mq.SendFlushTimeout:
		return mq.Errorf(mq.KindInternal, "FLUSH_DISK_TIMEOUT")
	case mq.SendSlaveTimeout:
		return mq.Errorf(mq.KindInternal, "FLUSH_SLAVE_TIMEOUT")
	case mq.SendSlaveUnavailable:
		return mq.Errorf(mq.KindInternal, "SLAVE_NOT_AVAILABLE")
	case mq.SendOK:
	}
	return nil
}

// retryTopicFor returns the retry topic of a group, on disk and announced.
func (b *Broker) retryTopicFor(ctx context.Context, gc *mq.GroupConfig, unit bool) (*topic, *mq.Error) {
	c := mq.TopicConfig{
		Name: retryPrefix + gc.Name, ReadQueues: gc.RetryQueues, WriteQueues: gc.RetryQueues, Perm: mq.PermRead | mq.PermWrite,
	}
	if unit {
		c.SysFlag = topicUnitSub
	}
	e := b.ensureTopic(ctx, c)
	if !e.Config().Perm.Writable() {
		return nil, errForbidden(c.Name)
	}
	return b.topicOf(e), nil
}

// deadTopic returns the dead-letter topic of a group, on disk and announced: it can be read from its first message on.
func (b *Broker) deadTopic(ctx context.Context, group string) *topic {
	return b.topicOf(b.ensureTopic(ctx, mq.TopicConfig{
		Name: dlqPrefix + group, ReadQueues: 1, WriteQueues: 1, Perm: mq.PermRead | mq.PermWrite,
	}))
}

// copyBack adds the copy of the message that r names to w: for the group's retry topic, or for the dead letters. count is to be
// called when it is stored.
//
// Differs from Java: the queue is one that the retry topic has; there it is below retryQueueNums, which may have been raised
// since. Half messages, which nobody can have consumed, are not found. A message that is not found makes no retry topic.
func (b *Broker) copyBack(ctx context.Context, w *inner, g *group, r *mq.GiveBackRequest) (count func(), refusal *mq.Error) {
	rec, err := b.store.ReadAt(r.At, nil)
	var m record.Message
	if err == nil {
		_, err = record.Decode(rec, &m, false)
	}
	kind := m.SysFlag & record.SysFlagTransactionMask
	if err != nil || kind == record.SysFlagPrepared || kind == record.SysFlagRollback {
		return nil, mq.Errorf(mq.KindInternal, "look message by offset failed, %d", r.At)
	}
	gc := g.entry.Config()
	t, refusal := b.retryTopicFor(ctx, &gc, r.UnitMode)
	if refusal != nil {
		return nil, refusal
	}
	limit, level := gc.RetryMaxTimes, r.DelayLevel
	if r.HasMax {
		limit = r.MaxReconsume
	}
	to := place{topic: t.entry.Name()}
	dead := m.Reconsume >= limit || level < 0
	switch {
	case dead:
		to.topic, level = b.deadTopic(ctx, gc.Name).entry.Name(), 0
	case level == 0:
		level = firstRetryLevel + m.Reconsume
	}
	if !dead {
		to.queue = rand.Int32N(max(1, min(gc.RetryQueues, t.entry.Config().ReadQueues)))
	}
	origin := topicOfOrigin(&m)
	m.Props = retryProps(&m, level, origin)
	m.Magic, m.PreparedOffset = 0, 0
	m.Reconsume++
	if _, refusal := w.add(&m, to); refusal != nil {
		return nil, refusal
	}
	return func() {
		if o, ok := b.topic(origin); ok {
			gt := g.topic(o)
			gt.backs.Add(1)
			if dead {
				gt.dead.Add(1)
			}
		}
	}, nil
}

// topicOfOrigin is the topic that a message was sent to, however often it has been given back since.
func topicOfOrigin(m *record.Message) string {
	if v, ok := m.Props.Get(record.PropRetryTopic); ok {
		return string(v)
	}
	return string(m.Topic)
}

// retryProps are the properties of a message that is given back. The topic and the id that it had first are kept. A CRC of
// the old ones does not hold for the new.
func retryProps(m *record.Message, level int32, origin string) record.Props {
	p := m.Props.AppendWithout(make([]byte, 0, len(m.Props)+len(origin)+128),
		record.PropRetryTopic, record.PropWait, record.PropDelay, record.PropOriginID, record.PropCRC32)
	p = record.AppendProp(p, record.PropRetryTopic, origin)
	p = record.AppendProp(p, record.PropWait, "false")
	p = record.AppendProp(p, record.PropDelay, strconv.Itoa(int(level)))
	id, ok := m.Props.Get(record.PropOriginID)
	if !ok || isBlank(bytesview.String(id)) {
		id = record.AppendOffsetID(nil, m.StoreHost, m.Offset)
	}
	return record.AppendProp(p, record.PropOriginID, bytesview.String(id))
}

// deadLevel is the DELAY of a message that a client sent to a retry topic and that is a dead letter: Java's value.
const deadLevel = "-1"

// sendBack checks a send to a retry topic, by which clients give messages back when the request for that failed, and
// orderly ones always. The group must exist. A message that was tried too often, or whose group holds queue locks and so
// consumes in order, goes to the dead letters: their queue is returned then.
func (b *Broker) sendBack(ctx context.Context, s *sender, r *mq.SendRequest) (*queue, *mq.Error) {
	name := s.last.entry.Name()[len(retryPrefix):]
	g := b.ensureGroup(name)
	if g == nil {
		return nil, errNoGroup(name)
	}
	limit := g.entry.Config().RetryMaxTimes
	if r.MaxReconsume >= 0 {
		limit = r.MaxReconsume
	}
	if r.Reconsume <= limit && !b.locks.Held(name) {
		return nil, nil
	}
	origin, ok := record.Props(s.props).Get(record.PropRetryTopic)
	if ok {
		if o, ok := b.topic(bytesview.String(origin)); ok {
			g.topic(o).dead.Add(1)
		}
	}
	s.spare = record.Props(s.props).AppendWithout(s.spare[:0], record.PropDelay)
	s.spare = record.AppendProp(s.spare, record.PropDelay, deadLevel)
	s.props, s.spare = s.spare, s.props
	s.scan.delayed = false
	return b.deadTopic(ctx, name).queue(b, 0), nil
}
