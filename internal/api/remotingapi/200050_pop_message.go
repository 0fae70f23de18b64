package remotingapi

import (
	"github.com/cometmq/cometmq/internal/bufpool"
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// popFromMax is Java's ConsumeInitMode.MAX.
const popFromMax = 1

// POP_MESSAGE (200050).
func popMessage(a *API, s *session, r *remoting.Request) {
	h := &s.popRQ
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	s.pop(r, &mq.PopRequest{
		Group: h.ConsumerGroup, Topic: h.Topic, QueueID: h.QueueID, MaxMessages: h.MaxMsgNums, Invisible: h.InvisibleTime,
		PollTime: min(h.PollTime, maxSuspend), BornTime: h.BornTime, FromMax: h.InitMode == popFromMax,
		Expression: h.Expression, ExpressionType: h.ExpressionType, Order: h.Order, AttemptID: h.AttemptID, ClientHost: s.conn.Remote(),
	})
}

// pop answers a pop, or lets it wait.
func (s *session) pop(r *remoting.Request, q *mq.PopRequest) {
	to := r.ReplyTo()
	buf, err := s.popNow(q, &s.popRes)
	switch {
	case err != nil:
		s.fail(r, err)
	case buf != nil:
		p := s.laterPop(replyPop, to)
		p.lite = q.LiteClient != ""
		s.popFound(p, &s.popRes, buf)
		if len(s.pops) >= maxPopReplies {
			s.flushPops()
		}
	case to.Oneway():
	default:
		s.parkPop(to, q, &s.popRes)
	}
}

// popNow pops into a pooled buffer, which is nil when there is nothing.
func (s *session) popNow(q *mq.PopRequest, res *mq.PopResult) (*bufpool.Buf, error) {
	buf := bufpool.Get(max(pullBuffer, int(s.room.Load())))
	res.Records = buf.B[:0]
	err := s.a.svc.Pop(s.a.ctx, q, res)
	buf.B, res.Records = res.Records, nil
	if err != nil || res.Count == 0 {
		buf.Release()
		return nil, err
	}
	if n := min(len(buf.B), pullMost); n > pullBuffer {
		s.room.Store(int32(n))
	}
	return buf, nil
}

// popFound fills in the answer to a pop. The texts are copied: res is used again before the answer leaves.
func (s *session) popFound(p *popReply, res *mq.PopResult, buf *bufpool.Buf) {
	t := p.texts[:0]
	t = append(t, res.StartOffsets...)
	a := len(t)
	t = append(t, res.MsgOffsets...)
	b := len(t)
	t = append(t, res.OrderCounts...)
	p.texts, p.buf = t, buf
	p.pop = popHeader(res, bytesview.String(t[:a]), bytesview.String(t[a:b]), bytesview.String(t[b:]))
}

func popHeader(res *mq.PopResult, start, offsets, counts string) protocol.PopMessageResponseHeader {
	return protocol.PopMessageResponseHeader{
		PopTime: res.PopTime, InvisibleTime: res.Invisible, ReviveQid: res.ReviveQID, RestNum: res.Rest,
		StartOffsetInfo: start, MsgOffsetInfo: offsets, OrderCountInfo: counts,
	}
}

// parkedPop is a pop, or a question whether one would find something, that waits.
type parkedPop struct {
	mq.Waiter
	s     *session
	to    remoting.ReplyTo
	req   mq.PopRequest
	res   mq.PopResult
	reply popReply
	ask   bool // a question
}

// parkPop lets a pop wait, or answers that it cannot.
func (s *session) parkPop(to remoting.ReplyTo, q *mq.PopRequest, res *mq.PopResult) {
	p := s.keepPop(to, q, false)
	p.Match, p.Props = res.Match, res.Props
	p.res.PopTime, p.res.Invisible, p.res.ReviveQID, p.res.Rest = res.PopTime, res.Invisible, res.ReviveQID, res.Rest
	p.park()
}

func (s *session) keepPop(to remoting.ReplyTo, q *mq.PopRequest, ask bool) *parkedPop {
	p, _ := s.a.popped.Get().(*parkedPop)
	if p == nil {
		p = new(parkedPop)
		p.Wake = p.wake
	}
	p.s, p.to, p.req, p.ask, p.Match, p.Props = s, to, *q, ask, nil, nil
	p.req.Topic, p.req.Group = s.intern(q.Topic), s.intern(q.Group)
	p.req.LiteClient = s.intern(q.LiteClient)
	p.req.Expression, p.req.ExpressionType, p.req.AttemptID = s.intern(q.Expression), s.intern(q.ExpressionType), s.intern(q.AttemptID)
	s.parked.Add(1)
	return p
}

// tries bounds how often something that has come meanwhile may turn out to be gone.
const popTries = 3

// park waits, or answers now.
func (p *parkedPop) park() {
	s := p.s
	if s.parked.Load() > maxParked {
		p.answer(mq.PopFull)
		return
	}
	for range popTries {
		st := s.a.svc.ParkPop(&p.req, &p.Waiter)
		switch st {
		case mq.PopParked:
			return
		case mq.PopAgain:
			if p.again() {
				return
			}
		case mq.PopFull, mq.PopTimeout:
			p.answer(st)
			return
		}
	}
	p.answer(mq.PopTimeout)
}

// wake is called by the core: there may be something, or the time is over.
func (p *parkedPop) wake(*mq.Waiter) {
	s := p.s
	c := s.conn
	switch {
	case s.closed.Load():
		p.free()
		return
	case !s.conn.Writable(): // it does not read its answers: it gets no more messages
		p.answer(mq.PopTimeout)
	case p.again():
	default:
		p.park()
	}
	c.Flush()
}

// again asks once more and reports whether p is answered.
func (p *parkedPop) again() bool {
	s := p.s
	if p.ask {
		has, err := s.a.svc.HasPop(s.a.ctx, &p.req)
		switch {
		case err != nil:
			s.failLater(p.to, err)
		case has:
			s.conn.Reply(p.to, protocol.RespSuccess, "", &protocol.NotificationResponseHeader{HasMessage: true}, nil)
		default:
			return false
		}
		p.free()
		return true
	}
	late := p.req
	late.PollTime = maxSuspend // it is not refused for being late: it has waited here
	buf, err := s.popNow(&late, &p.res)
	switch {
	case err != nil:
		s.failLater(p.to, err)
	case buf != nil:
		p.reply = popReply{to: p.to, kind: replyPop, lite: p.req.LiteClient != "", texts: p.reply.texts}
		s.popFound(&p.reply, &p.res, buf)
		s.answerPop(&p.reply, s.a.svc.SyncPops())
	default:
		return false
	}
	p.free()
	return true
}

// answer ends the wait without a message.
func (p *parkedPop) answer(st mq.PopPark) {
	s := p.s
	if p.ask {
		s.conn.Reply(p.to, protocol.RespSuccess, "", &protocol.NotificationResponseHeader{PollingFull: st == mq.PopFull}, nil)
	} else {
		code := protocol.RespPollingTimeout
		if st == mq.PopFull {
			code = protocol.RespPollingFull
		}
		h := popHeader(&p.res, "", "", "")
		if p.req.LiteClient != "" {
			s.conn.Reply(p.to, code, "NO_MESSAGE_IN_QUEUE", liteHeader(&h), nil)
		} else {
			s.conn.Reply(p.to, code, "", &h, nil)
		}
	}
	p.free()
}

func (p *parkedPop) free() {
	s := p.s
	s.parked.Add(-1)
	p.s, p.req, p.Topic, p.Group, p.Match, p.Props = nil, mq.PopRequest{}, "", "", nil, nil
	p.reply.buf = nil
	s.a.popped.Put(p)
}
