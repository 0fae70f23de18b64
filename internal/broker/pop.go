package broker

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/broker/longpoll"
	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/broker/pop"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/selector"
	"github.com/cometmq/cometmq/internal/storage"
)

const (
	maxPop = 32 // messages of one pop

	popOverdue = 500 // ms that a pop may be late before it is refused
)

// Which topic a popped message was read from, as handles say it.
const (
	retryNone = '0'
	retryV1   = '1'
	retryV2   = '2'
)

// popper is what the broker keeps of a group that pops a topic.
type popper struct {
	group, topic string
	names        [2]string // of the retry topics v1 and v2
	sources      [3]popSource
	revive       atomic.Uint32 // the next revive queue id
}

// popSource is one topic that is read.
type popSource struct {
	mu     sync.Mutex // held while shards grows
	shards atomic.Pointer[[]atomic.Pointer[pop.Shard]]
}

// retryTopics are the names of the topics from which a group that pops a topic gets again what it did not acknowledge (Java
// KeyBuilder.buildPopRetryTopicV1 and V2).
func retryTopics(group, topic string) [2]string {
	return [2]string{retryPrefix + group + "_" + topic, retryPrefix + group + "+" + topic}
}

// popper returns what the broker keeps of g popping t.
func (b *Broker) popper(g *group, t *topic) *popper {
	gt := g.topic(t)
	if p := gt.popper.Load(); p != nil {
		return p
	}
	p := &popper{group: g.entry.Name(), topic: t.entry.Name()}
	p.names = retryTopics(p.group, p.topic)
	if !gt.popper.CompareAndSwap(nil, p) {
		return gt.popper.Load()
	}
	for _, name := range p.names {
		b.popWaits.Alias(name, p.group, p.topic)
	}
	return p
}

// topicName is the topic of a source.
func (p *popper) topicName(source int) string {
	if source == 0 {
		return p.topic
	}
	return p.names[source-1]
}

// shard returns the state of one queue of a source.
func (p *popper) shard(b *Broker, source int, id int32) *pop.Shard {
	src := &p.sources[source]
	if list := src.shards.Load(); list != nil && int(id) < len(*list) {
		if s := (*list)[id].Load(); s != nil {
			return s
		}
	}
	src.mu.Lock()
	defer src.mu.Unlock()
	list := src.shards.Load()
	if list == nil || int(id) >= len(*list) {
		grown := make([]atomic.Pointer[pop.Shard], id+1)
		if list != nil {
			for i := range *list {
				grown[i].Store((*list)[i].Load())
			}
		}
		list = &grown
		src.shards.Store(list)
	}
	s := (*list)[id].Load()
	if s == nil {
		s = b.pops.Shard(p.group, p.topicName(source), id)
		(*list)[id].Store(s)
	}
	return s
}

// admitPop checks a pop or a question about one, in Java's order (remoting spec 4.18). what names it in remarks.
func (b *Broker) admitPop(groupName, topicName string, queue int32, host netip.AddrPort, what string) (*group, *topic, *mq.Error) {
	if !b.live.Load().Perm.Readable() {
		return nil, nil, refusePull(forbiddenBroker, "the broker[", b.o.Addr.Addr().String(), "] ", what, " message is forbidden")
	}
	if b.o.NoTimerTopic && what == whatPop {
		return nil, nil, mq.Errorf(mq.KindInternal, "the broker[%s] pop message is forbidden because timerWheelEnable is false", b.o.Addr.Addr())
	}
	t, ok := b.topic(topicName)
	if !ok {
		return nil, nil, errNoTopic(topicName)
	}
	tc := t.entry.Config()
	if !tc.Perm.Readable() {
		return nil, nil, refusePull(forbiddenTopic, "the topic[", topicName, "] peeking message is forbidden")
	}
	if queue >= tc.ReadQueues || queue >= maxQueues || queue < -1 {
		return nil, nil, errQueue(mq.KindInvalidParameter, queue, topicName, tc.ReadQueues, host)
	}
	g := b.ensureGroup(groupName)
	if g == nil {
		return nil, nil, mq.Errorf(mq.KindGroupNotExist, "subscription group [%s] does not exist, %s", groupName, faq)
	}
	if !g.entry.Config().ConsumeEnable {
		return nil, nil, refusePull(forbiddenGroup, "subscription group no permission, ", groupName)
	}
	return g, t, nil
}

// What admitPop is asked for.
const (
	whatPop  = "pop"
	whatPeek = "peeking"
)

func errNoTopic(name string) *mq.Error {
	return mq.Errorf(mq.KindTopicNotExist, "topic[%s] not exist, apply first please! %s", name, faq)
}

func errQueue(kind mq.Kind, queue int32, topicName string, queues int32, host netip.AddrPort) *mq.Error {
	return mq.Errorf(kind, "queueId[%d] is illegal, topic:[%s] topicConfig.readQueueNums:[%d] consumer:[%s]",
		queue, topicName, queues, javaAddr(host))
}

// popCall is one pop on its way.
type popCall struct {
	b        *Broker
	r        *mq.PopRequest
	res      *mq.PopResult
	p        *popper
	lease    pop.Lease
	left     int  // messages that are still wanted
	room     int  // bytes likewise
	roll     int  // 0 to 99
	priority bool // queues are read in the order of their priority
	match    func(tagsCode int64) bool
	props    func(record.Props) bool

	again   []pop.Given
	given   []mq.Index
	records []byte
	skipped []int32
	handle  []byte
}

func (b *Broker) popCall(r *mq.PopRequest, res *mq.PopResult) *popCall {
	c, _ := res.Core.(*popCall)
	if c == nil {
		c = &popCall{b: b}
	}
	*res = mq.PopResult{
		Records: res.Records, StartOffsets: res.StartOffsets[:0], MsgOffsets: res.MsgOffsets[:0], OrderCounts: res.OrderCounts[:0],
		Invisible: r.Invisible, Core: c,
	}
	c.r, c.res, c.room, c.skipped = r, res, b.live.Load().PullBytes, c.skipped[:0]
	return c
}

// Pop implements mq.Service.
func (b *Broker) Pop(_ context.Context, r *mq.PopRequest, res *mq.PopResult) error {
	if b.refuse != nil && !b.Acts() {
		return b.refuse
	}
	c := b.popCall(r, res)
	now := b.o.Now().UnixMilli()
	if r.BornTime == 0 {
		r.BornTime = now
	}
	res.PopTime = now
	if r.LiteClient != "" {
		return b.popLite(c, now)
	}
	if now-r.BornTime-r.PollTime > popOverdue {
		return mq.Errorf(mq.KindPollingTimeout, "the broker[%s] pop message is timeout too much", b.o.Addr.Addr())
	}
	if r.MaxMessages > maxPop && b.live.Load().Perm.Readable() {
		return mq.Errorf(mq.KindInvalidParameter, "the broker[%s] pop message's num is greater than 32", b.o.Addr.Addr())
	}
	g, t, refusal := b.admitPop(r.Group, r.Topic, r.QueueID, r.ClientHost, whatPop)
	if refusal != nil {
		return refusal
	}
	c.p = b.popper(g, t)
	c.roll = rand.IntN(100)
	tc, gc := t.entry.Config(), g.entry.Config()
	c.priority = !r.Order && byPriority(&tc, &gc, int64(c.roll))
	if refusal := b.popFilter(c, g.topic(t)); refusal != nil {
		return refusal
	}
	c.lease, c.left = pop.Lease{PopTime: now, Invisible: r.Invisible}, max(1, int(r.MaxMessages))
	res.ReviveQID = int32(c.p.revive.Add(1) % uint32(max(b.o.ReviveQueues, 1)))
	switch {
	case r.Order:
		res.ReviveQID = mq.OrderedReviveQID
		c.source(0)
	case c.priority && c.roll < b.o.PopRetryPriority, !c.priority && c.roll < b.o.PopRetryPercent:
		c.retries()
		c.source(0)
	default:
		c.source(0)
		c.retries()
	}
	res.Match, res.Props = c.match, c.props
	if res.Count > 0 {
		n, size := int64(res.Count), int64(len(res.Records))
		gt := g.topic(t)
		gt.gets.add(n, size)
		b.countGet(t, n, size)
		b.figures.hits.Add(1)
		if res.Rest > 0 && b.popWaits.Parked() > 0 {
			b.popWaits.Wake(c.p.topic, c.p.group, r.QueueID)
		}
	} else {
		b.figures.misses.Add(1)
	}
	return nil
}

// popFilter compiles the expression that comes with a pop; none means all. The last one of a group in a topic is kept. As in
// Java, SQL is taken here even while enablePropertyFilter is off.
func (b *Broker) popFilter(c *popCall, gt *groupTopic) *mq.Error {
	c.match, c.props = nil, nil
	r := c.r
	if r.Expression == "" {
		return nil
	}
	e := gt.asked.Load()
	if e == nil || e.text != r.Expression || e.kind != r.ExpressionType {
		var filter selector.Filter
		var err error
		if selector.IsTag(r.ExpressionType) {
			filter, err = selector.ParseTags(r.Expression)
		} else {
			filter, err = meta.CompileFilter(r.ExpressionType, r.Expression)
		}
		if err != nil {
			return errParse(err)
		}
		e = &expression{text: strings.Clone(r.Expression), kind: strings.Clone(r.ExpressionType), filter: filter}
		gt.asked.Store(e)
	}
	c.match, c.props = e.filter.Match(), e.filter.Props()
	return nil
}

// retries reads the retry topics that exist.
func (c *popCall) retries() {
	c.source(1)
	c.source(2)
}

// source reads one topic: one queue, or all of them from a random one on. A queue that another pop reads right now comes last.
func (c *popCall) source(source int) {
	t, ok := c.b.topic(c.p.topicName(source))
	if !ok {
		return
	}
	tc := t.entry.Config()
	if !tc.Perm.Readable() {
		return
	}
	n := min(tc.ReadQueues, maxQueues)
	if source == 0 && c.r.QueueID >= 0 {
		c.queue(t, source, c.r.QueueID, true)
		return
	}
	if n <= 0 {
		return
	}
	c.skipped = c.skipped[:0]
	first, down := rand.Int32N(n), false
	if c.priority {
		first, down = 0, !c.b.o.PriorityLowFirst
	}
	for i := range n {
		id := (first + i) % n
		if down {
			id = n - 1 - i
		}
		if !c.queue(t, source, id, false) {
			c.skipped = append(c.skipped, id)
		}
	}
	for _, id := range c.skipped {
		c.queue(t, source, id, true)
	}
}

// queue reads one queue, or only counts what is left in it when enough was found. It returns false when somebody else is at it
// and wait is not set.
func (c *popCall) queue(t *topic, source int, id int32, wait bool) bool {
	s := c.p.shard(c.b, source, id)
	q := t.queue(c.b, id)
	if c.left <= 0 || c.room <= 0 {
		c.res.Rest += max(0, int64(q.store.Max()-s.Next()))
		return true
	}
	if wait {
		s.Lock()
	} else if !s.TryLock() {
		return false
	}
	defer s.Unlock()
	before := c.res.Count
	if c.r.Order {
		c.ordered(s, q)
	} else {
		c.unordered(s, q, source)
	}
	if n := c.res.Count - before; n > 0 {
		q.gets.add(int64(n), 0)
	}
	return true
}

// begin makes s stand where the group is; it returns false when that is not known.
func (c *popCall) begin(s *pop.Shard, q *queue, source int) bool {
	if at, ok := c.b.meta.Offsets.TakeReset(s.Group(), s.Topic(), s.Queue()); ok {
		s.StartAt(at)
		return true
	}
	if s.Follow() {
		return true
	}
	at, ok := c.b.popStart(q.store, c.r.FromMax && source == 0)
	if ok {
		s.StartAt(at)
	}
	return ok
}

// popStart is where a group that has no position begins: at the first message, or at the last one if it wants new messages
// only, unless the queue is so young that its first message counts as new. newGroupStart decides otherwise, but not about retry
// topics. ok is false when the queue cannot be read at the moment: then nothing must be committed.
func (b *Broker) popStart(q *storage.Queue, fromMax bool) (at mq.Index, ok bool) {
	lo, hi, err := q.Bounds()
	if err != nil {
		b.o.Log.Error("the bounds of a queue are not known", "topic", q.Topic(), "queue", q.ID(), "err", err)
		return 0, false
	}
	retry := strings.HasPrefix(q.Topic(), retryPrefix)
	switch {
	case !retry && b.o.NewGroups == NewGroupsLatest:
		return hi, true
	case retry || !fromMax || b.o.NewGroups == NewGroupsEarliest:
		return lo, true
	}
	at, young, refusal := b.young(q.Topic(), q.ID(), lo)
	switch {
	case refusal != nil:
		return 0, false
	case young:
		return at, true
	}
	return max(hi-1, 0), true
}

// unordered reads one queue: first what was not acknowledged in time, then what is new.
func (c *popCall) unordered(s *pop.Shard, q *queue, source int) {
	if !c.begin(s, q, source) {
		return
	}
	c.again = s.Again(c.again[:0], c.left, c.lease)
	c.given = c.given[:0]
	from := len(c.res.Records)
	for _, g := range c.again {
		c.redeliver(s, q, source, g)
	}
	if room := min(c.left, s.Room()); room > 0 && c.room > 0 {
		c.fresh(s, q, source, room)
	}
	c.room -= len(c.res.Records) - from
	c.res.Rest += max(0, int64(q.store.Max()-s.Next()))
	c.describe(byte('0'+source), q.store.ID())
}

// redeliver reads one message that is handed out again.
func (c *popCall) redeliver(s *pop.Shard, q *queue, source int, g pop.Given) {
	read := storage.Read{From: g.Index, MaxCount: 1, MaxScan: 1}
	at := len(c.res.Records)
	dst := &c.res.Records
	if source > 0 {
		c.records = c.records[:0]
		dst, at = &c.records, 0
	}
	found := c.b.store.Read(q.store, &read, *dst)
	*dst = found.Records
	if found.Count == 0 {
		c.b.o.Log.Warn("a message that was not acknowledged is gone from the store", "group", c.p.group, "topic", q.store.Topic(),
			"queue", q.store.ID(), "index", g.Index)
		s.Gone(g)
		return
	}
	raiseReconsume((*dst)[at:], g.Attempt)
	c.given = append(c.given, g.Index)
	c.left--
	c.res.Count++
	if source > 0 {
		c.reencode(q, source)
	}
}

// fresh reads messages that were never handed out.
func (c *popCall) fresh(s *pop.Shard, q *queue, source, room int) {
	from := s.Next()
	read := storage.Read{From: from, MaxCount: room, MaxBytes: c.room, MaxScan: max(800, room)}
	if source == 0 {
		read.Match, read.Props = c.match, c.props
	}
	dst := &c.res.Records
	at := len(*dst)
	if source > 0 {
		c.records = c.records[:0]
		dst, at = &c.records, 0
	}
	found := c.b.store.Read(q.store, &read, *dst)
	switch found.Status {
	case storage.OffsetTooSmall, storage.OffsetOverflowBadly:
		// Retention, or an index from elsewhere: go on where there are messages.
		s.StartAt(found.Next)
		read.From, from = found.Next, found.Next
		found = c.b.store.Read(q.store, &read, *dst)
	case storage.Found, storage.NoMatchedMessage, storage.MessageWasRemoving, storage.OffsetFoundNull, storage.OffsetOverflowOne,
		storage.NoMatchedLogicQueue, storage.NoMessageInQueue:
	}
	*dst = found.Records
	if found.Next <= from {
		return
	}
	old := len(c.given)
	c.given = appendIndexes(c.given, q.store, (*dst)[at:])
	s.HandOut(c.lease, found.Next, c.given[old:])
	c.left -= found.Count
	c.res.Count += found.Count
	if source > 0 {
		c.reencode(q, source)
	}
}

// describe adds what was found in one queue to the texts of the answer.
func (c *popCall) describe(flag byte, queue int32) {
	if len(c.given) == 0 {
		return
	}
	res := c.res
	head := func(dst []byte) []byte {
		if len(dst) > 0 {
			dst = append(dst, ';')
		}
		return append(strconv.AppendInt(append(dst, flag, ' '), int64(queue), 10), ' ')
	}
	least := c.given[0]
	res.MsgOffsets = head(res.MsgOffsets)
	for i, at := range c.given {
		if i > 0 {
			res.MsgOffsets = append(res.MsgOffsets, ',')
		}
		res.MsgOffsets = strconv.AppendInt(res.MsgOffsets, int64(at), 10)
		least = min(least, at)
	}
	res.StartOffsets = strconv.AppendInt(head(res.StartOffsets), int64(least), 10)
}

// readOrdered reads the next batch of an ordered group: the one that was out if it is not blocked any more, else a new one. It returns
// false when there is none; c.given are the indexes.
func (c *popCall) readOrdered(s *pop.Shard, q *storage.Queue) bool {
	if at, ok := c.b.meta.Offsets.TakeReset(s.Group(), s.Topic(), s.Queue()); ok {
		s.StartAt(at)
	}
	at, ok := s.FollowOrdered()
	if !ok {
		if at, ok = c.b.popStart(q, c.r.FromMax); !ok {
			return false
		}
		s.StartAt(at)
	}
	if s.Blocked(c.r.AttemptID, c.lease.PopTime) {
		c.res.Rest += max(0, int64(q.Max()-at))
		return false
	}
	read := storage.Read{From: at, MaxCount: c.left, MaxBytes: c.room, MaxScan: max(800, c.left), Match: c.match, Props: c.props}
	start := len(c.res.Records)
	found := c.b.store.Read(q, &read, c.res.Records)
	if found.Status == storage.OffsetTooSmall || found.Status == storage.OffsetOverflowBadly {
		read.From = found.Next
		s.StartAt(found.Next)
		found = c.b.store.Read(q, &read, c.res.Records)
	}
	c.res.Records = found.Records
	c.res.Rest += max(0, int64(found.Max-found.Next))
	if found.Count == 0 {
		if found.Next > read.From {
			s.StartAt(found.Next) // nothing the group wants
		}
		return false
	}
	c.given = appendIndexes(c.given[:0], q, c.res.Records[start:])
	c.left -= found.Count
	c.room -= len(c.res.Records) - start
	c.res.Count += found.Count
	return true
}

// ordered reads one queue of an ordered group.
func (c *popCall) ordered(s *pop.Shard, q *queue) {
	if !c.readOrdered(s, q.store) {
		return
	}
	id := q.store.ID()
	least := s.HandOutOrdered(c.lease, c.r.AttemptID, c.given, func(at mq.Index, n int32) {
		c.res.OrderCounts = appendOrderCount(c.res.OrderCounts, id, int64(at), n)
	})
	c.res.OrderCounts = appendOrderCount(c.res.OrderCounts, id, -1, least)
	c.describe(retryNone, id)
}

// appendOrderCount adds Java's "0 queue count" or "0 qo<queue>%<index> count".
func appendOrderCount(dst []byte, queue int32, at int64, n int32) []byte {
	if len(dst) > 0 {
		dst = append(dst, ';')
	}
	dst = append(dst, retryNone, ' ')
	if at >= 0 {
		dst = append(dst, "qo"...)
	}
	dst = strconv.AppendInt(dst, int64(queue), 10)
	if at >= 0 {
		dst = strconv.AppendInt(append(dst, '%'), at, 10)
	}
	return strconv.AppendInt(append(dst, ' '), int64(n), 10)
}

// HasPop implements mq.Service.
func (b *Broker) HasPop(_ context.Context, r *mq.PopRequest) (bool, error) {
	g, t, refusal := b.admitPop(r.Group, r.Topic, r.QueueID, r.ClientHost, whatPeek)
	if refusal != nil {
		return false, refusal
	}
	return b.hasPop(b.popper(g, t), t, r), nil
}

func (b *Broker) hasPop(p *popper, t *topic, r *mq.PopRequest) bool {
	now := b.o.Now().UnixMilli()
	for source := range p.sources {
		only := int32(-1)
		switch {
		case source == 0:
			only = r.QueueID
		case r.Order:
			return false
		default:
			var ok bool
			if t, ok = b.topic(p.topicName(source)); !ok {
				continue
			}
		}
		for id := range min(t.entry.Config().ReadQueues, maxQueues) {
			if (only < 0 || id == only) && b.queueHas(p.shard(b, source, id), t.queue(b, id).store, r, source, now) {
				return true
			}
		}
	}
	return false
}

func (b *Broker) queueHas(s *pop.Shard, q *storage.Queue, r *mq.PopRequest, source int, now int64) bool {
	if r.Order {
		at, ok := s.FollowOrdered()
		if !ok {
			at, ok = b.popStart(q, r.FromMax)
		}
		return ok && q.Max() > at && !s.Blocked(r.AttemptID, now)
	}
	if !s.Follow() {
		at, ok := b.popStart(q, r.FromMax && source == 0)
		return ok && q.Max() > at
	}
	return s.Visible(now) > 0 || (q.Max() > s.Next() && s.Room() > 0)
}

// popDeadline is until when a pop waits; false: it is not worth it. What clients say is a time of day, and the time of day may be set
// while the pop waits, so that what is left of it is counted from now on.
func (b *Broker) popDeadline(r *mq.PopRequest) (time.Time, bool) {
	left := min(r.Deadline().Sub(b.o.Now()), time.Duration(r.PollTime)*time.Millisecond)
	return time.Now().Add(left), left >= popLeast
}

// ParkPop implements mq.Service.
func (b *Broker) ParkPop(r *mq.PopRequest, w *mq.Waiter) mq.PopPark {
	if r.LiteClient != "" {
		return b.parkLite(r, w)
	}
	deadline, ok := b.popDeadline(r)
	if !ok || b.live.Load().NoLongPolling {
		return mq.PopTimeout
	}
	g, ok := b.group(r.Group)
	if !ok {
		return mq.PopTimeout
	}
	t, ok := b.topic(r.Topic)
	if !ok {
		return mq.PopTimeout
	}
	p := b.popper(g, t)
	w.Topic, w.Group, w.QueueID = p.topic, p.group, r.QueueID
	if w.QueueID < 0 {
		w.QueueID = longpoll.AnyQueue
	}
	w.Deadline = deadline
	return b.popWaits.Park(w, func() bool { return b.hasPop(p, t, r) })
}

// Polling implements mq.Service.
func (b *Broker) Polling(_ context.Context, group, topic string, queue int32, host netip.AddrPort) (int, error) {
	if _, _, refusal := b.admitPop(group, topic, queue, host, whatPeek); refusal != nil {
		return 0, refusal
	}
	return b.popWaits.Waiting(topic, group, queue), nil
}

// Peek implements mq.Service.
func (b *Broker) Peek(_ context.Context, r *mq.PeekRequest, res *mq.PopResult) error {
	c := b.popCall(&mq.PopRequest{Group: r.Group, Topic: r.Topic, QueueID: r.QueueID}, res)
	g, t, refusal := b.admitPop(r.Group, r.Topic, r.QueueID, r.ClientHost, whatPeek)
	if refusal != nil {
		return refusal
	}
	c.p = b.popper(g, t)
	c.left = min(max(1, int(r.MaxMessages)), maxPop)
	res.PopTime = b.o.Now().UnixMilli()
	for id := range min(t.entry.Config().ReadQueues, maxQueues) {
		if r.QueueID >= 0 && id != r.QueueID {
			continue
		}
		q, s := t.queue(b, id), c.p.shard(b, 0, id)
		from := q.store.Min()
		if s.Follow() {
			from = s.Next()
		}
		if c.left <= 0 {
			res.Rest += max(0, int64(q.store.Max()-from))
			continue
		}
		found := b.store.Read(q.store, &storage.Read{From: from, MaxCount: c.left, MaxBytes: c.room}, res.Records)
		res.Records = found.Records
		res.Count += found.Count
		c.left -= found.Count
		res.Rest += max(0, int64(found.Max-found.Next))
	}
	return nil
}

// popWake wakes those who wait for messages of a shard.
func (b *Broker) popWake(s *pop.Shard) {
	topic, group := s.Topic(), s.Group()
	if strings.HasPrefix(topic, retryPrefix) {
		b.popWaits.Arrived(topic, s.Queue(), 0, nil) // by its alias
		return
	}
	b.popWaits.Wake(topic, group, s.Queue())
}
