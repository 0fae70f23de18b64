package broker

import (
	"github.com/cometmq/cometmq/internal/broker/lite"
	"github.com/cometmq/cometmq/internal/broker/pop"
	"github.com/cometmq/cometmq/internal/mq"
)

// admitLite checks a pop of lite topics, in Java's order.
func (b *Broker) admitLite(r *mq.PopRequest, now int64) *mq.Error {
	host := b.o.Addr.Addr()
	if now-r.BornTime-r.PollTime > popOverdue {
		return mq.Errorf(mq.KindPollingTimeout, "the broker[%s] pop message is timeout too much", host)
	}
	if !b.live.Load().Perm.Readable() {
		return mq.Errorf(mq.KindNoPermission, "the broker[%s] pop message is forbidden", host)
	}
	if r.MaxMessages > maxPop {
		return mq.Errorf(mq.KindInvalidParameter, "the broker[%s] pop message's num is greater than 32", host)
	}
	t, ok := b.meta.Topics.Get(r.Topic)
	if !ok {
		return mq.Errorf(mq.KindTopicNotExist, "topic [%s] not exist, apply first please! %s", r.Topic, faq)
	}
	tc := t.Config()
	if !tc.Perm.Readable() {
		return mq.Errorf(mq.KindNoPermission, "the topic [%s] peeking message is forbidden", r.Topic)
	}
	if _, ok = liteTTL(&tc); !ok {
		return mq.Errorf(mq.KindInvalidParameter, "the topic [%s] message type not match", r.Topic)
	}
	g := b.ensureGroup(r.Group)
	if g == nil {
		return mq.Errorf(mq.KindGroupNotExist, "subscription group [%s] not exist, %s", r.Group, faq)
	}
	gc := g.entry.Config()
	if !gc.ConsumeEnable {
		return mq.Errorf(mq.KindNoPermission, "subscription group no permission, %s", r.Group)
	}
	if gc.Attributes[attrLiteParent] != r.Topic {
		return mq.Errorf(mq.KindInvalidParameter, "subscription bind topic not match, %s", r.Group)
	}
	return nil
}

// popLite pops the lite topics of a client that have news, each in order.
func (b *Broker) popLite(c *popCall, now int64) error {
	if refusal := b.admitLite(c.r, now); refusal != nil {
		return refusal
	}
	c.res.ReviveQID = mq.OrderedReviveQID
	c.match, c.props = nil, nil
	c.lease, c.left = pop.Lease{PopTime: now, Invisible: c.r.Invisible}, max(1, int(c.r.MaxMessages))
	next := b.lites.Take
	if b.o.Lite.NoEvents {
		next = b.allLites(c.r.LiteClient)
	}
	seen := map[string]struct{}{}
	for c.left > 0 && c.room > 0 {
		queue, ok := next(c.r.LiteClient)
		if !ok {
			break
		}
		if _, again := seen[queue]; again {
			continue
		}
		seen[queue] = struct{}{}
		c.liteQueue(queue)
	}
	if c.res.Count == 0 {
		b.figures.misses.Add(1)
		return nil
	}
	g, gok := b.group(c.r.Group)
	if t, ok := b.topic(c.r.Topic); ok && gok {
		n, size := int64(c.res.Count), int64(len(c.res.Records))
		g.topic(t).gets.add(n, size)
		b.countGet(t, n, size)
	}
	b.figures.hits.Add(1)
	return nil
}

// allLites returns what a client has subscribed to, one after the other.
func (b *Broker) allLites(client string) func(string) (string, bool) {
	queues, _ := b.lites.Of(client)
	return func(string) (queue string, ok bool) {
		if len(queues) == 0 {
			return "", false
		}
		queue, queues = queues[0], queues[1:]
		return queue, true
	}
}

// liteQueue reads one light queue.
func (c *popCall) liteQueue(queue string) {
	if c.b.liteEnd(queue) == 0 {
		return
	}
	s := c.b.litePops.Shard(c.r.Group, queue, 0)
	s.Lock()
	defer s.Unlock()
	c.r.FromMax = true // only a young queue is read from its begin by a group without a position
	if !c.readOrdered(s, c.b.store.Queue(queue, 0)) {
		return
	}
	c.b.liteDirty.Store(true)
	again := false
	s.HandOutOrdered(c.lease, c.r.AttemptID, c.given, func(at mq.Index, n int32) {
		again = true
		c.res.OrderCounts = appendOrderCount(c.res.OrderCounts, 0, int64(at), n)
	})
	if !again { // as Java, which then has one plain number for each message
		for range c.given {
			if len(c.res.OrderCounts) > 0 {
				c.res.OrderCounts = append(c.res.OrderCounts, ';')
			}
			c.res.OrderCounts = append(c.res.OrderCounts, '0')
		}
	}
}

// ackLite settles one message of a lite topic.
//
// Differs from Java: a message of which no batch is known, after a restart, is not settled and comes again. There it is, with all before
// it, whether they were acknowledged or not.
func (b *Broker) ackLite(r *mq.AckRequest) (string, error) {
	if refusal := b.checkLiteQueue(r); refusal != nil {
		return "", refusal
	}
	if g, ok := b.group(r.Group); !ok || g.entry.Config().Attributes[attrLiteParent] != r.Topic {
		return "", mq.Errorf(mq.KindInvalidParameter, "group type or bind topic not match.")
	}
	s, rc, refusal := b.litePopped(r)
	if refusal != nil {
		return "", refusal
	}
	if r.QueueID != 0 || rc.ReviveQID != mq.OrderedReviveQID {
		return "", mq.Errorf(mq.KindInvalidParameter, "ack queue illegal.")
	}
	if s == nil {
		return noteOf(pop.Unknown, rc.PopTime), nil
	}
	held := s.HasBatch()
	out, free := s.AckOrdered(r.Index, rc.PopTime, b.o.Now().UnixMilli())
	if out == pop.Unknown && held {
		return "", mq.Errorf(mq.KindMessageIllegal, "ack offset illegal.")
	}
	b.liteDirty.Store(true)
	if free {
		b.liteTell(r.Group, s.Topic())
	}
	return noteOf(out, rc.PopTime), nil
}

func (b *Broker) checkLiteQueue(r *mq.AckRequest) *mq.Error {
	t, ok := b.topic(r.Topic)
	if !ok {
		return errNoTopic(r.Topic)
	}
	if tc := t.entry.Config(); r.QueueID < 0 || r.QueueID >= tc.ReadQueues {
		return errQueue(mq.KindMessageIllegal, r.QueueID, r.Topic, tc.ReadQueues, r.ClientHost)
	}
	return nil
}

// litePopped finds what a request about a popped message of a lite topic means; s is nil when its group has popped none.
func (b *Broker) litePopped(r *mq.AckRequest) (s *pop.Shard, rc mq.Receipt, refusal *mq.Error) {
	queue := lite.QueueName(r.Topic, r.LiteTopic)
	if r.Index > b.liteEnd(queue) {
		return nil, rc, mq.Errorf(mq.KindNoMessage, "ack offset illegal.")
	}
	rc, err := mq.ParseReceipt(r.Receipt)
	if err != nil {
		return nil, rc, mq.Errorf(mq.KindMessageIllegal, "%s", err.Error())
	}
	return b.litePops.Find(r.Group, queue, 0), rc, nil
}

// changeLite hides one message of a lite topic, or with r.Suspend all of them, for another time.
func (b *Broker) changeLite(r *mq.ChangeInvisibleRequest) (res mq.ChangeInvisibleResult, err error) {
	if refusal := b.checkLiteQueue(&r.AckRequest); refusal != nil {
		return res, refusal
	}
	s, rc, refusal := b.litePopped(&r.AckRequest)
	if refusal != nil {
		return res, refusal
	}
	until := b.o.Now().UnixMilli() + r.Invisible
	res = mq.ChangeInvisibleResult{PopTime: rc.PopTime, Invisible: until - rc.PopTime, ReviveQID: rc.ReviveQID}
	out := pop.Unknown
	if s != nil {
		at, known := b.meta.Offsets.Query(r.Group, s.Topic(), 0)
		switch {
		case known && r.Index < at:
			out = pop.Already
		case r.Suspend:
			out = s.SuspendOrdered(rc.PopTime, until)
		default:
			out = s.ChangeOrdered(r.Index, rc.PopTime, until)
		}
	}
	res.Note = noteOf(out, rc.PopTime)
	return res, nil
}

// parkLite lets a pop of lite topics wait for an event.
func (b *Broker) parkLite(r *mq.PopRequest, w *mq.Waiter) mq.PopPark {
	deadline, ok := b.popDeadline(r)
	if !ok {
		return mq.PopTimeout
	}
	w.Topic, w.Group, w.QueueID, w.Deadline = r.LiteClient, r.Group, 0, deadline
	return b.liteWaits.Park(w, func() bool { return b.lites.Has(r.LiteClient) })
}
