package remotingapi

import (
	"time"

	"github.com/cometmq/cometmq/internal/bufpool"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Bits of the pull header's sysFlag (Java PullSysFlag).
const (
	pullCommit       = 1
	pullSuspend      = 2
	pullSubscription = 4
	pullLite         = 16
)

const (
	pullBuffer = 64 << 10  // capacity that a pull starts with: 32 messages of 1 KiB fit
	pullMost   = 512 << 10 // most that a connection with larger answers starts with

	// maxSuspend, in ms, and maxParked keep what a client that is gone, or that never ends asking, can leave behind small.
	// Clients ask for 20 s; the answer "nothing yet" before the time that was asked for only makes them ask again.
	maxSuspend = 120_000
	maxParked  = 100_000
)

// PULL_MESSAGE (11) and LITE_PULL_MESSAGE (361). maxMsgBytes, requestSource and the proxy's fields are not read, as in
// Java; the broadcast offset store of Java (enableBroadcastOffsetStore) is not kept.
func pullMessage(a *API, s *session, r *remoting.Request) {
	h := &s.pull
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	q := &s.pullRQ
	*q = mq.PullRequest{
		Group: h.ConsumerGroup, Topic: h.Topic, QueueID: h.QueueID, From: mq.Index(h.QueueOffset),
		MaxMessages: h.MaxMsgNums, SubVersion: h.SubVersion, ClientHost: s.conn.Remote(),
		Commit: h.SysFlag&pullCommit != 0, CommitIndex: mq.Index(h.CommitOffset),
		Lite: r.Code == protocol.ReqLitePullMessage || h.SysFlag&pullLite != 0,
	}
	if h.SysFlag&pullSubscription != 0 {
		q.HasExpression, q.Expression, q.ExpressionType = true, h.Subscription, h.ExpressionType
	}
	q.Logical = logical(h.Lo) && a.svc.IsStatic(h.Topic)
	f, buf, err := s.read(q)
	to := r.ReplyTo()
	if f.Elsewhere && err == nil {
		buf.Release()
		s.pullElsewhere(to, q, h)
		return
	}
	if err != nil {
		s.refusePull(to, err, &s.pullRP)
		return
	}
	code := pullCode(&f, q.From)
	if code == protocol.RespPullNotFound && h.SysFlag&pullSuspend != 0 && h.SuspendTimeoutMillis > 0 && s.mayPark(to) {
		buf.Release()
		s.park(to, q, &f, time.Duration(min(h.SuspendTimeoutMillis, maxSuspend))*time.Millisecond)
		return
	}
	s.answerPull(to, code, &f, buf, &s.pullRP)
}

// pullElsewhere pulls from a queue of a static topic whose messages at that position another broker has.
func (s *session) pullElsewhere(to remoting.ReplyTo, borrowed *mq.PullRequest, h *protocol.PullMessageRequestHeader) {
	q := *borrowed
	s.own(&q)
	q.Forward = true
	suspend, wait := h.SysFlag&pullSuspend != 0, time.Duration(min(h.SuspendTimeoutMillis, maxSuspend))*time.Millisecond
	s.later(to, func() {
		var h protocol.PullMessageResponseHeader
		f, buf, err := s.read(&q)
		if err != nil {
			s.refusePull(to, err, &h)
			return
		}
		code := pullCode(&f, q.From)
		if code == protocol.RespPullNotFound && suspend && wait > 0 && s.mayPark(to) {
			buf.Release()
			p := s.a.newParked()
			p.s, p.to, p.req = s, to, q
			p.wait(&f, wait)
			return
		}
		s.answerPull(to, code, &f, buf, &h)
	})
}

// read pulls into a pooled buffer that the caller owns when there is no error.
func (s *session) read(q *mq.PullRequest) (mq.Fetch, *bufpool.Buf, error) {
	room := int(s.room.Load())
	buf := bufpool.Get(max(pullBuffer, room))
	f, err := s.a.svc.Pull(s.a.ctx, q, buf.B[:0])
	if err != nil {
		buf.Release()
		return f, nil, err
	}
	buf.B = f.Records
	// Large answers take large buffers at once, instead of growing a small one each time.
	if n := min(len(f.Records), pullMost); n > 0 && (n > pullBuffer || room > pullBuffer) {
		s.room.Store(int32(max(n, room-room/8)))
	}
	return f, buf, nil
}

// mayPark reports whether a pull may wait.
func (s *session) mayPark(to remoting.ReplyTo) bool {
	return !to.Oneway() && s.parked.Load() < maxParked
}

// pullCode is Java's answer to a store status (remoting.md 4.8).
func pullCode(f *mq.Fetch, from mq.Index) int32 {
	switch f.Status {
	case mq.FetchFound:
		return protocol.RespSuccess
	case mq.FetchNoMatchedMessage, mq.FetchMessageWasRemoving:
		return protocol.RespPullRetryImmediately
	case mq.FetchOffsetFoundNull, mq.FetchOffsetOverflowOne:
		return protocol.RespPullNotFound
	case mq.FetchNoMatchedLogicQueue, mq.FetchNoMessageInQueue:
		if from == 0 {
			return protocol.RespPullNotFound
		}
		return protocol.RespPullOffsetMoved
	case mq.FetchOffsetOverflowBadly, mq.FetchOffsetTooSmall, mq.FetchOffsetReset:
		return protocol.RespPullOffsetMoved
	default:
		return protocol.RespSystemError
	}
}

// answerPull replies and passes buf on. Java clients read the four offsets whatever the code.
func (s *session) answerPull(to remoting.ReplyTo, code int32, f *mq.Fetch, buf *bufpool.Buf, h *protocol.PullMessageResponseHeader) {
	*h = protocol.PullMessageResponseHeader{
		SuggestWhichBrokerID: f.SuggestBroker, NextBeginOffset: int64(f.Next),
		MinOffset: int64(f.Min), MaxOffset: int64(f.Max), OffsetDelta: int64(f.Delta), TopicSysFlag: f.TopicSysFlag, GroupSysFlag: f.GroupSysFlag,
	}
	if code == protocol.RespSuccess {
		s.conn.ReplyBuf(to, code, f.Status.String(), h, buf)
		return
	}
	s.conn.Reply(to, code, f.Status.String(), h, nil)
	buf.Release()
}

func (s *session) refusePull(to remoting.ReplyTo, err error, h *protocol.PullMessageResponseHeader) {
	code, remark := failure(err)
	*h = protocol.PullMessageResponseHeader{ForbiddenType: forbidden(err)}
	s.conn.Reply(to, code, remark, h, nil)
}

// parkedPull is a long poll: the waiter that the core links and what is needed to answer.
type parkedPull struct {
	mq.Waiter
	s   *session
	to  remoting.ReplyTo
	req mq.PullRequest
	rp  protocol.PullMessageResponseHeader
}

// park waits for a message, or answers now when one has come meanwhile.
func (s *session) park(to remoting.ReplyTo, q *mq.PullRequest, f *mq.Fetch, wait time.Duration) {
	p := s.a.newParked()
	p.s, p.to, p.req = s, to, *q
	s.own(&p.req)
	p.wait(f, wait)
}

// own makes what is borrowed in q the session's.
func (s *session) own(q *mq.PullRequest) {
	q.Topic, q.Group = s.intern(q.Topic), s.intern(q.Group)
	q.Expression, q.ExpressionType = s.intern(q.Expression), s.intern(q.ExpressionType)
}

// wait parks p, whose request borrows nothing.
func (p *parkedPull) wait(f *mq.Fetch, wait time.Duration) {
	s := p.s
	p.req.Commit, p.req.Forward = false, false // only the first pass commits
	p.Topic, p.QueueID, p.From, p.Match, p.Props = p.req.Topic, p.req.QueueID, f.Next, f.Match, f.Props
	if p.req.Logical {
		p.QueueID, p.From = f.WaitQueue, f.WaitFrom
	}
	p.Deadline = time.Now().Add(wait)
	s.parked.Add(1)
	if !s.a.svc.Park(&p.Waiter) {
		p.resume()
	}
}

func (a *API) newParked() *parkedPull {
	p, _ := a.pulls.Get().(*parkedPull)
	if p == nil {
		p = new(parkedPull)
		p.Wake = p.wake
	}
	return p
}

// wake is called by the core: a message may be there, or the time is over.
func (p *parkedPull) wake(*mq.Waiter) {
	c := p.s.conn
	p.resume()
	c.Flush()
}

// resume runs the pull again and answers whatever comes out: a second wait is the client's to ask for.
func (p *parkedPull) resume() {
	s := p.s
	s.parked.Add(-1)
	switch {
	case s.closed.Load():
	case !s.conn.Writable():
		p.postpone()
	default:
		f, buf, err := s.read(&p.req)
		switch {
		case err != nil:
			s.refusePull(p.to, err, &p.rp)
		case f.Elsewhere:
			buf.Release()
			p.postpone() // this goroutine is not one that may wait for another broker
		default:
			s.answerPull(p.to, pullCode(&f, p.req.From), &f, buf, &p.rp)
		}
	}
	p.s, p.req, p.Topic, p.Match, p.Props = nil, mq.PullRequest{}, "", nil, nil
	s.a.pulls.Put(p)
}

// postpone answers a peer that does not read its answers with "nothing yet", so that what many woken pulls would send does
// not pile up. It asks again when it has read, and its request waits in the network until then.
func (p *parkedPull) postpone() {
	s, q := p.s, &p.req
	f := mq.Fetch{Status: mq.FetchOffsetOverflowOne, Next: q.From}
	if q.Logical {
		f.Max = q.From
		s.answerPull(p.to, protocol.RespPullNotFound, &f, nil, &p.rp)
		return
	}
	var err error
	if f.Min, err = s.a.svc.MinIndex(s.a.ctx, q.Topic, q.QueueID); err == nil {
		f.Max, err = s.a.svc.MaxIndex(s.a.ctx, q.Topic, q.QueueID)
	}
	if err != nil {
		s.refusePull(p.to, err, &p.rp)
		return
	}
	s.answerPull(p.to, protocol.RespPullNotFound, &f, nil, &p.rp)
}
