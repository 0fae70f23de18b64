package broker

import (
	"context"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/selector"
	"github.com/cometmq/cometmq/internal/storage"
)

// Java's forbiddenType of a refused pull.
const (
	forbiddenBroker       = 1
	forbiddenGroup        = 2
	forbiddenTopic        = 3
	forbiddenBroadcast    = 4
	forbiddenSubscription = 5
)

// forbidRead is the bit of a group's forbidden table that stops it from reading a topic.
const forbidRead = 1 << 2

// Pull implements mq.Service. The order of the checks is Java's (remoting spec 4.8).
func (b *Broker) Pull(ctx context.Context, r *mq.PullRequest, dst []byte) (mq.Fetch, error) {
	if r.Logical {
		return b.pullLogical(ctx, r, dst)
	}
	return b.pull(r, dst)
}

// pull reads from a queue of this broker.
func (b *Broker) pull(r *mq.PullRequest, dst []byte) (mq.Fetch, error) {
	f := mq.Fetch{Records: dst, Next: r.From}
	g, t, refusal := b.admitPull(r)
	if refusal != nil {
		return f, refusal
	}
	gt := g.topic(t)
	filter, refusal := b.filterOf(r, g, gt)
	if refusal != nil {
		return f, refusal
	}
	if b.pendingReset(r, &f) {
		return f, nil
	}
	if r.Commit {
		b.meta.Offsets.Commit(r.Group, r.Topic, r.QueueID, r.CommitIndex)
	}
	gc := g.entry.Config()
	f.Match, f.Props = filter.Match(), filter.Props()
	f.TopicSysFlag, f.GroupSysFlag = t.entry.Config().SysFlag, gc.SysFlag
	q := t.queue(b, r.QueueID)
	live := b.live.Load()
	read := storage.Read{From: r.From, MaxCount: int(min(r.MaxMessages, int32(live.PullMessages))), MaxBytes: live.PullBytes, Match: f.Match, Props: f.Props}
	if read.MaxCount <= 0 {
		read.MaxCount = 1
	}
	read.MaxScan = max(800, int(min(r.MaxMessages, maxPullMessages)))
	began := time.Now()
	res := b.readSure(q.store, &read, dst)
	raise(&b.figures.longestGet, time.Since(began))
	b.limitCold(&res, len(dst))
	f.Status = mq.FetchStatus(res.Status)
	f.Records, f.Count, f.Next, f.Min, f.Max = res.Records, res.Count, res.Next, res.Min, res.Max
	f.SuggestBroker = b.suggest(&gc, &res)
	if b.o.Slave {
		b.readAsSlave(&f, &res, r.From)
	}
	gt.notePull(r.QueueID, res.Next)
	if res.Count > 0 {
		n, size := int64(res.Count), int64(len(res.Records)-len(dst))
		q.gets.add(n, size)
		gt.gets.add(n, size)
		b.countGet(t, n, size)
		b.figures.hits.Add(1)
	} else {
		b.figures.misses.Add(1)
	}
	return f, nil
}

// readSure is Store.Read, and finds nothing as long as it is not sure that what the log holds stays: who has read a message behind
// which another one comes instead goes on behind that one.
func (b *Broker) readSure(q *storage.Queue, r *storage.Read, dst []byte) storage.ReadResult {
	if b.o.Unsure != nil && b.o.Unsure() {
		return storage.ReadResult{Status: storage.OffsetOverflowOne, Records: dst, Next: r.From, Min: r.From, Max: r.From}
	}
	return b.store.Read(q, r, dst)
}

// maxPullMessages keeps the amount that is looked at sane whatever a client asks for.
const maxPullMessages = 1 << 14

// admitPull checks all that does not depend on the subscription.
func (b *Broker) admitPull(r *mq.PullRequest) (*group, *topic, *mq.Error) {
	if b.o.Slave && !b.o.SlaveRead && !b.Acts() {
		return nil, nil, errSlaveRead
	}
	if !b.live.Load().Perm.Readable() {
		return nil, nil, refusePull(forbiddenBroker, "the broker[", b.o.Addr.Addr().String(), "] pulling message is forbidden")
	}
	if r.Lite && b.live.Load().NoLitePull {
		return nil, nil, refusePull(forbiddenBroker, "the broker[", b.o.Addr.Addr().String(), "] for lite pull consumer is forbidden")
	}
	g := b.ensureGroup(r.Group)
	if g == nil {
		return nil, nil, mq.Errorf(mq.KindGroupNotExist, "subscription group [%s] does not exist, %s", r.Group, faq)
	}
	if !g.entry.Config().ConsumeEnable {
		return nil, nil, refusePull(forbiddenGroup, "subscription group no permission, ", r.Group)
	}
	t, ok := b.topic(r.Topic)
	if !ok {
		return nil, nil, mq.Errorf(mq.KindTopicNotExist, "topic[%s] not exist, apply first please! %s", r.Topic, faq)
	}
	tc := t.entry.Config()
	if !tc.Perm.Readable() {
		return nil, nil, refusePull(forbiddenTopic, "the topic[", r.Topic, "] pulling message is forbidden")
	}
	if r.QueueID < 0 || r.QueueID >= tc.ReadQueues || r.QueueID >= maxQueues {
		return nil, nil, mq.Errorf(mq.KindInvalidParameter,
			"queueId[%d] is illegal, topic:[%s] topicConfig.readQueueNums:[%d] consumer:[%s]",
			r.QueueID, r.Topic, tc.ReadQueues, javaAddr(r.ClientHost))
	}
	return g, t, nil
}

// filterOf returns the filter of a pull: of the expression that comes with it, or of the group's heartbeat. The order of the
// checks is Java's (remoting spec 4.8).
func (b *Broker) filterOf(r *mq.PullRequest, g *group, gt *groupTopic) (selector.Filter, *mq.Error) {
	if r.HasExpression {
		return b.asked(r, gt)
	}
	sub, broadcast, online := b.clients.Find(r.Group, r.Topic)
	if !online {
		return nil, mq.Errorf(mq.KindSubscriptionNotExist, "the consumer's group info not exist%s", faq)
	}
	if broadcast && !g.entry.Config().ConsumeBroadcastEnable {
		return nil, refusePull(forbiddenBroadcast, "the consumer group[", r.Group, "] can not consume by broadcast way")
	}
	if b.meta.Groups.Forbidden(r.Group, r.Topic)&forbidRead != 0 {
		return nil, refusePull(forbiddenSubscription, "the consumer group[", r.Group, "] is forbidden for topic[", r.Topic, "]")
	}
	switch {
	case sub == nil:
		return nil, mq.Errorf(mq.KindSubscriptionNotExist, "the consumer's subscription not exist%s", faq)
	case sub.Version < r.SubVersion:
		return nil, mq.Errorf(mq.KindSubscriptionNotLatest, "the consumer's subscription not latest")
	case sub.Filter != nil:
		return sub.Filter, nil
	}
	data := b.meta.Filters.Get(r.Topic, r.Group)
	switch {
	case data == nil || data.Filter == nil:
		return nil, errNoData(&sub.Subscription)
	case data.Version < r.SubVersion:
		return nil, mq.Errorf(mq.KindFilterDataNotLatest, "the consumer's consumer filter data not latest")
	case !b.o.PropFilter:
		return nil, errNoFilter(sub.ExpressionType)
	}
	return b.forRetries(r, gt, data.Filter), nil
}

// suggest says where the group had better pull from: a replica when it reads far behind the end of the log.
func (b *Broker) suggest(c *mq.GroupConfig, res *storage.ReadResult) int64 {
	if !b.o.SlaveRead {
		return 0
	}
	if b.lags(res) {
		return c.WhichBrokerWhenSlow
	}
	return c.BrokerID
}

// lags reports whether what was read is far behind the end of the log.
func (b *Broker) lags(res *storage.ReadResult) bool {
	return res.Count > 0 && int64(b.store.Appended()-res.LastOffset) > b.o.HotBytes
}

// limitCold cuts a result that came from the disk, if fewer messages are allowed there.
//
// Differs from Java: by default as much is given from the disk as from memory (Java: 8 messages, 64 KiB). The limits keep
// Java's page faults short; we read whole blocks ahead, and a client gets what it asked for or less in either case.
func (b *Broker) limitCold(res *storage.ReadResult, start int) {
	live := b.live.Load()
	if !res.Cold || res.Count <= 1 || (live.DiskMessages >= live.PullMessages && live.DiskBytes >= live.PullBytes) {
		return
	}
	rest := res.Records[start:]
	for n, size := 0, 0; len(rest) > 0; n++ {
		h, err := record.Header(rest)
		if err != nil || h.Size > len(rest) {
			return // the store checked them; leave the result as it is
		}
		size += h.Size
		if n > 0 && (n >= live.DiskMessages || size > live.DiskBytes) {
			res.Records = res.Records[:len(res.Records)-len(rest)]
			res.Count, res.Next = n, h.Index
			return
		}
		rest = rest[h.Size:]
	}
}

// Park implements mq.Service.
func (b *Broker) Park(w *mq.Waiter) bool {
	t, ok := b.topic(w.Topic)
	if !ok || w.QueueID < 0 || w.QueueID >= maxQueues || w.QueueID >= t.entry.Config().ReadQueues {
		return false
	}
	if b.live.Load().NoLongPolling {
		// Hold it for a moment, so that the client does not ask in a loop.
		if limit := time.Now().Add(b.live.Load().ShortPolling); w.Deadline.After(limit) {
			w.Deadline = limit
		}
		return b.polls.Park(w, nil)
	}
	return b.polls.Park(w, t.queue(b, w.QueueID).store)
}
