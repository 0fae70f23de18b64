package grpcapi

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cometmq/cometmq/internal/bufpool"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

type receiver = grpc.ServerStreamingServer[v2.ReceiveMessageResponse]

// ReceiveMessage hands out messages, and waits for some: a status, then messages, then the time.
func (d *Door) ReceiveMessage(r *v2.ReceiveMessageRequest, stream receiver) error {
	sent := false
	st := d.serve(stream.Context(), famReceive, func(c *call) error {
		rc := receipt{call: c, r: r, stream: stream}
		err := rc.run()
		sent = rc.sent
		return err
	})
	if !sent {
		if err := stream.Send(&v2.ReceiveMessageResponse{Content: &v2.ReceiveMessageResponse_Status{Status: st}}); err != nil {
			return err
		}
	}
	return stream.Send(&v2.ReceiveMessageResponse{Content: &v2.ReceiveMessageResponse_DeliveryTimestamp{
		DeliveryTimestamp: timestamppb.New(d.o.Now()),
	}})
}

// receipt is one ReceiveMessage.
type receipt struct {
	*call
	r      *v2.ReceiveMessageRequest
	stream receiver
	sent   bool // the status is sent

	client  *client // nil: it has sent no settings
	q       mq.PopRequest
	tags    []string // what the filter takes; nil: everything
	renew   bool
	most    int32 // deliveries before a message is a dead letter
	answers mq.PopResult
}

var (
	errNothing = refuse(v2.Code_MESSAGE_NOT_FOUND, "no new message")
	errNoMatch = refuse(v2.Code_MESSAGE_NOT_FOUND, "no match message")
)

func (rc *receipt) run() error {
	if err := rc.prepare(); err != nil {
		return err
	}
	buf := bufpool.Get(receiveBuffer)
	defer func() {
		if rc.answers.Records != nil {
			buf.B = rc.answers.Records
		}
		buf.Release()
	}()
	rc.answers.Records = buf.B[:0]
	if err := rc.pop(); err != nil {
		return err
	}
	return rc.deliver()
}

// receiveBuffer is the room for records to begin with.
const receiveBuffer = 4 << 10

// prepare checks the request and makes a pop of it.
func (rc *receipt) prepare() error {
	d, r := rc.d, rc.r
	if err := rc.mayConsume(r.GetGroup().GetName(), r.GetMessageQueue().GetTopic().GetName()); err != nil {
		return err
	}
	rc.client = d.known(rc.id)
	poll, err := rc.pollTime()
	if err != nil {
		return err
	}
	group, topic, err := groupAndTopic(r.GetGroup(), r.GetMessageQueue().GetTopic())
	if err != nil {
		return err
	}
	l := &d.o.Limits
	invisible := l.Invisible
	if rc.renew = r.GetAutoRenew() && !l.NoRenewal; !rc.renew {
		invisible = r.GetInvisibleDuration().AsDuration()
		if err = checkInvisible(invisible, l.MinInvisible, l.MaxInvisible); err != nil {
			return err
		}
	}
	kind, text, err := rc.filter(r.GetFilterExpression())
	if err != nil {
		return err
	}
	if b := r.GetMessageQueue().GetBroker().GetName(); b != "" && b != d.o.Broker {
		return refuse(v2.Code_BAD_REQUEST, "broker %s is not known here", b)
	}
	t, err := rc.core.Admin.Topic(rc.ctx, topic)
	if err != nil {
		return err
	}
	if !t.Perm.Readable() || t.ReadQueues <= 0 {
		return refuse(v2.Code_FORBIDDEN, "no readable queue")
	}
	g := rc.group(group)
	rc.most = g.RetryMaxTimes + 1
	rc.q = mq.PopRequest{
		Group: group, Topic: topic, QueueID: anyQueue, MaxMessages: min(max(r.GetBatchSize(), 1), l.Batch), Invisible: invisible.Milliseconds(),
		PollTime: poll.Milliseconds(), BornTime: d.o.Now().UnixMilli(), FromMax: true, Expression: text, ExpressionType: kind,
		Order: g.ConsumeMessageOrderly, AttemptID: r.GetAttemptId(), ClientHost: rc.from,
	}
	if rc.client != nil && rc.client.lite() {
		if n := rc.client.unsettled(); n > l.LiteUnsettled {
			return refuse(v2.Code_FORBIDDEN, "The client [%s] has too many unacked messages. Unacked count: %d", rc.id, n)
		}
		rc.q.LiteClient = rc.id
	}
	return nil
}

// pollTime is how long the request may wait.
//
// Differs from Java: a call without a deadline, and one of a client without settings, is served.
func (rc *receipt) pollTime() (time.Duration, error) {
	l := &rc.d.o.Limits
	left := l.MaxPoll + time.Hour
	if at, ok := rc.ctx.Deadline(); ok {
		left = time.Until(at)
	}
	poll := left
	if p := rc.r.GetLongPollingTimeout(); p != nil {
		poll = p.AsDuration()
	} else if rc.client != nil {
		poll -= rc.client.requestTimeout() / 2
	}
	poll = min(max(poll, l.MinPoll), l.MaxPoll)
	if poll <= left {
		return poll, nil
	}
	if left >= l.MinPoll {
		return left, nil
	}
	code := v2.Code_BAD_REQUEST
	if rc.version >= "5.0.3" { // as text, as in Java
		code = v2.Code_ILLEGAL_POLLING_TIME
	}
	return 0, refuse(code, "The deadline time remaining is not enough for polling, please check network condition")
}

func checkInvisible(d, least, most time.Duration) error {
	switch {
	case d < least:
		return refuse(v2.Code_ILLEGAL_INVISIBLE_TIME, "the invisibleTime is too small. min is %d", least.Milliseconds())
	case d > most:
		return refuse(v2.Code_ILLEGAL_INVISIBLE_TIME, "the invisibleTime is too large. max is %d", most.Milliseconds())
	}
	return nil
}

// maxExpression bounds filters: they are kept with the group.
const maxExpression = 64 << 10

// filter reads what a consumer wants.
func (rc *receipt) filter(f *v2.FilterExpression) (kind, text string, err error) {
	text = f.GetExpression()
	if len(text) > maxExpression {
		return "", "", refuse(v2.Code_ILLEGAL_FILTER_EXPRESSION, "the filter is longer than %d bytes", maxExpression)
	}
	if f.GetType() == v2.FilterType_SQL {
		return kindSQL, text, nil
	}
	if text == "" || text == allTags {
		return kindTag, allTags, nil
	}
	for tag := range strings.SplitSeq(text, "||") {
		if tag = strings.TrimSpace(tag); tag != "" {
			rc.tags = append(rc.tags, tag)
		}
	}
	if len(rc.tags) == 0 {
		return "", "", refuse(v2.Code_ILLEGAL_FILTER_EXPRESSION, "expression format is not correct")
	}
	return kindTag, text, nil
}

const (
	kindTag = "TAG"
	kindSQL = "SQL92"
	allTags = "*"
)

// pop fills the answers, or says why there is none.
func (rc *receipt) pop() error {
	svc := rc.core.Service
	if err := svc.Pop(rc.ctx, &rc.q, &rc.answers); err != nil {
		return noPop(err)
	}
	if rc.answers.Count > 0 {
		return nil
	}
	w := &waiting{rc: rc, over: make(chan error, 1)}
	w.Match, w.Props = rc.answers.Match, rc.answers.Props
	w.Wake = w.wake
	w.Gone = func() bool { return w.state.Load() == waiterGone }
	w.park()
	select {
	case err := <-w.over:
		return err
	case <-rc.ctx.Done():
	case <-rc.d.ending:
	}
	if w.state.CompareAndSwap(waiterParked, waiterGone) {
		return errNothing // nobody reads it, or a client that connects elsewhere
	}
	return <-w.over // it was woken meanwhile
}

// noPop turns what the core says when there is nothing into what clients know.
func noPop(err error) error {
	switch mq.KindOf(err) {
	case mq.KindPollingTimeout:
		return errNothing
	case mq.KindPollingFull:
		return refuse(v2.Code_TOO_MANY_REQUESTS, "polling full")
	default:
		return err
	}
}

// waiting is a ReceiveMessage that waits for a message. The pop is done where it is woken, so that what comes meanwhile wakes another one
// only afterwards.
type waiting struct {
	mq.Waiter
	rc    *receipt
	state atomic.Int32
	over  chan error
}

const (
	waiterParked = iota // nobody has decided what becomes of it
	waiterWoken         // it pops, or has popped: over tells
	waiterGone          // nobody listens any more
)

// popTries bounds how often something that has come meanwhile may turn out to be gone.
const popTries = 3

func (w *waiting) park() {
	svc := w.rc.core.Service
	for range popTries {
		switch svc.ParkPop(&w.rc.q, &w.Waiter) {
		case mq.PopParked:
			return
		case mq.PopFull:
			w.end(refuse(v2.Code_TOO_MANY_REQUESTS, "polling full"))
			return
		case mq.PopTimeout:
			w.end(errNothing)
			return
		case mq.PopAgain:
			if w.again() {
				return
			}
		}
	}
	w.end(errNothing)
}

// wake is called by the core: there may be something, or the time is over.
func (w *waiting) wake(*mq.Waiter) {
	if !w.again() {
		w.park()
	}
}

// again pops once more and reports whether w has ended.
func (w *waiting) again() bool {
	if !w.state.CompareAndSwap(waiterParked, waiterWoken) {
		return true
	}
	late := w.rc.q
	late.PollTime += time.Hour.Milliseconds() // it is not refused for being late: it has waited here
	err := w.rc.core.Service.Pop(w.rc.ctx, &late, &w.rc.answers)
	if err != nil || w.rc.answers.Count > 0 {
		w.over <- noPopOrNil(err)
		return true
	}
	w.state.Store(waiterParked)
	if w.rc.ctx.Err() != nil || w.rc.d.isEnding() {
		w.end(errNothing)
		return true
	}
	return false
}

func noPopOrNil(err error) error {
	if err == nil {
		return nil
	}
	return noPop(err)
}

// end tells the call that there is nothing.
func (w *waiting) end(err error) {
	if w.state.CompareAndSwap(waiterParked, waiterWoken) {
		w.over <- err
	}
}

// deliver writes what was popped.
func (rc *receipt) deliver() error {
	p := rc.d.popped(&rc.q, &rc.answers)
	if err := rc.core.Service.SyncPops(); err != nil {
		return err // it comes again by itself
	}
	if rc.renew && rc.client == nil {
		rc.client = rc.d.known(rc.id)
	}
	rest, count := rc.answers.Records, 0
	var it item
	for i := 0; len(rest) > 0; i++ {
		if rest = p.read(i, rest, &it); rest == nil {
			break
		}
		if !rc.wants(&it) {
			rc.settle(&it)
			continue
		}
		if it.lite == "" && it.attempts >= rc.most {
			rc.bury(&it)
			continue
		}
		if err := rc.write(&it); err != nil {
			rc.giveBack(&it)
			for i++; len(rest) > 0; i++ {
				if rest = p.read(i, rest, &it); rest == nil {
					break
				}
				rc.giveBack(&it)
			}
			rc.sync()
			return err
		}
		count++
		if rc.renew && rc.client != nil {
			rc.d.leases.add(rc, &it)
		}
	}
	if count == 0 {
		rc.sync()
		return errNoMatch
	}
	return nil
}

// write sends one message, and the status before the first one.
func (rc *receipt) write(it *item) error {
	if rc.ctx.Err() != nil {
		return rc.ctx.Err()
	}
	if !rc.sent {
		st := &v2.ReceiveMessageResponse{Content: &v2.ReceiveMessageResponse_Status{Status: status(v2.Code_OK, "")}}
		if err := rc.stream.Send(st); err != nil {
			return err
		}
		rc.sent = true
	}
	m := messageOf(&it.Message)
	m.Topic = resource(rc.q.Topic) // also of a message from a retry topic
	s := m.SystemProperties
	s.ReceiptHandle, s.DeliveryAttempt = new(it.handle), new(it.attempts+1)
	if it.lite != "" {
		s.QueueId, s.QueueOffset = 0, new(int64(it.receipt.Index))
	}
	return rc.stream.Send(&v2.ReceiveMessageResponse{Content: &v2.ReceiveMessageResponse_Message{Message: m}})
}

// wants compares the tag itself: the core has compared its hash.
func (rc *receipt) wants(it *item) bool {
	if rc.tags == nil {
		return true
	}
	tag, _ := it.Props.Get(record.PropTags)
	return slices.Contains(rc.tags, string(tag))
}

func (rc *receipt) request(it *item) mq.AckRequest {
	return rc.askedBy(&it.receipt, it.handle, rc.q.Group, rc.q.Topic, it.lite)
}

// settle acknowledges a message that the client does not get.
func (rc *receipt) settle(it *item) {
	q := rc.request(it)
	if _, err := rc.core.Service.Ack(rc.ctx, &q); err != nil {
		rc.d.o.Log.Warn("a message that was not delivered is not settled", "group", rc.q.Group, "topic", rc.q.Topic, "err", err)
	}
}

// giveBack makes a message visible again that the client did not get. That does not count as an attempt.
func (rc *receipt) giveBack(it *item) {
	q := mq.ChangeInvisibleRequest{AckRequest: rc.request(it), Suspend: true}
	if _, err := rc.core.Service.ChangeInvisible(context.WithoutCancel(rc.ctx), &q); err != nil {
		rc.d.o.Log.Debug("a message that could not be delivered comes again when its time is over", "group", rc.q.Group, "err", err)
	}
}

// bury moves a message to the dead letters that was delivered too often.
func (rc *receipt) bury(it *item) {
	if err := rc.forward(rc.q.Group, it.receipt.Offset); err != nil {
		rc.d.o.Log.Warn("a dead letter is not moved, it is tried again later", "group", rc.q.Group, "topic", rc.q.Topic, "err", err)
		return
	}
	rc.settle(it)
}

// forward copies the message at a place of the log to the dead letters of a group.
func (c *call) forward(group string, at mq.Offset) error {
	done := make(chan *mq.Error, 1)
	q := mq.GiveBackRequest{Group: group, At: at, DelayLevel: -1, HasMax: true}
	c.core.Service.GiveBack(c.ctx, &q, func(refusal *mq.Error) { done <- refusal })
	if refusal := <-done; refusal != nil {
		return refusal
	}
	return nil
}

// sync makes what was settled and given back durable.
func (rc *receipt) sync() {
	if err := rc.core.Service.SyncPops(); err != nil {
		rc.d.o.Log.Warn("what was settled is not on disk yet", "err", err)
	}
}
