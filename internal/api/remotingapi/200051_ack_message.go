package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// ACK_MESSAGE (200051). The answer leaves when the acknowledgement survives a kill of the process.
func ackMessage(a *API, s *session, r *remoting.Request) {
	h := &s.ackRQ
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	s.ack = mq.AckRequest{
		Group: h.ConsumerGroup, Topic: h.Topic, QueueID: h.QueueID, Index: mq.Index(h.Offset), Receipt: h.ExtraInfo, LiteTopic: h.LiteTopic,
		ClientHost: s.conn.Remote(),
	}
	note, err := a.svc.Ack(a.ctx, &s.ack)
	if err != nil {
		s.fail(r, err)
		return
	}
	s.laterPop(replyAck, r.ReplyTo()).remark = note
}

// BATCH_ACK_MESSAGE (200151). As in Java those that cannot be acknowledged are left out without an error.
func batchAckMessage(a *API, s *session, r *remoting.Request) {
	var body protocol.BatchAckMessageRequestBody
	if len(r.Body) > 0 {
		if err := body.Decode(r.Body); err != nil {
			s.fail(r, err)
			return
		}
	}
	if len(body.Acks) == 0 {
		s.fail(r, mq.Errorf(mq.KindNoMessage, "the batch has no acks"))
		return
	}
	note := ""
	for i := range body.Acks {
		b := &body.Acks[i]
		n, err := a.svc.AckBatch(a.ctx, &mq.BatchAck{
			Group: b.ConsumerGroup, Topic: b.Topic, Broker: body.BrokerName, Retry: b.Retry, Start: mq.Index(b.StartOffset),
			QueueID: b.QueueID, ReviveQID: b.ReviveQueueID, PopTime: b.PopTime, Invisible: b.InvisibleTime, Bits: b.BitSet,
		})
		if err != nil {
			s.fail(r, err)
			return
		}
		if n != "" {
			note = n
		}
	}
	s.laterPop(replyAck, r.ReplyTo()).remark = note
}

// CHANGE_MESSAGE_INVISIBLETIME (200053).
func changeInvisibleTime(a *API, s *session, r *remoting.Request) {
	var h protocol.ChangeInvisibleTimeRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	res, err := a.svc.ChangeInvisible(a.ctx, &mq.ChangeInvisibleRequest{
		AckRequest: mq.AckRequest{
			Group: h.ConsumerGroup, Topic: h.Topic, QueueID: h.QueueID, Index: mq.Index(h.Offset), Receipt: h.ExtraInfo, LiteTopic: h.LiteTopic,
			ClientHost: s.conn.Remote(),
		},
		Invisible: h.InvisibleTime, Suspend: h.Suspend,
	})
	if err != nil {
		s.fail(r, err)
		return
	}
	p := s.laterPop(replyChange, r.ReplyTo())
	p.remark = res.Note
	p.change = protocol.ChangeInvisibleTimeResponseHeader{PopTime: res.PopTime, InvisibleTime: res.Invisible, ReviveQid: res.ReviveQID}
}

// PEEK_MESSAGE (200052).
func peekMessage(a *API, s *session, r *remoting.Request) {
	var h protocol.PeekMessageRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	var res mq.PopResult
	err := a.svc.Peek(a.ctx, &mq.PeekRequest{
		Group: h.ConsumerGroup, Topic: h.Topic, QueueID: h.QueueID, MaxMessages: h.MaxMsgNums, ClientHost: s.conn.Remote(),
	}, &res)
	if err != nil {
		s.fail(r, err)
		return
	}
	rp := popHeader(&res, "", "", "")
	code, remark := protocol.RespSuccess, "FOUND"
	if res.Count == 0 {
		code, remark = protocol.RespPullNotFound, "NO_MESSAGE_IN_QUEUE"
	}
	s.conn.Reply(r.ReplyTo(), code, remark, &rp, res.Records)
}

// NOTIFICATION (200054): is there something to pop?
func notification(a *API, s *session, r *remoting.Request) {
	var h protocol.NotificationRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	q := mq.PopRequest{
		Group: h.ConsumerGroup, Topic: h.Topic, QueueID: h.QueueID, PollTime: min(h.PollTime, maxSuspend), BornTime: h.BornTime,
		Order: h.Order, AttemptID: h.AttemptID, Expression: h.Expression, ExpressionType: h.ExpressionType, ClientHost: s.conn.Remote(),
	}
	has, err := a.svc.HasPop(a.ctx, &q)
	switch {
	case err != nil:
		s.fail(r, err)
	case has:
		s.ok(r, &protocol.NotificationResponseHeader{HasMessage: true}, nil)
	case r.IsOneway():
	default:
		s.keepPop(r.ReplyTo(), &q, true).park()
	}
}

// POLLING_INFO (200055): how many pops wait.
func pollingInfo(a *API, s *session, r *remoting.Request) {
	var h protocol.PollingInfoRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	n, err := a.svc.Polling(a.ctx, h.ConsumerGroup, h.Topic, h.QueueID, s.conn.Remote())
	if err != nil {
		s.fail(r, err)
		return
	}
	s.ok(r, &protocol.PollingInfoResponseHeader{PollingNum: int32(n)}, nil)
}

// SET_MESSAGE_REQUEST_MODE (401).
func setRequestMode(a *API, s *session, r *remoting.Request) {
	var b protocol.SetMessageRequestModeRequestBody
	if err := b.Decode(r.Body); err != nil {
		s.fail(r, err)
		return
	}
	m := mq.RequestMode{
		Topic: strings.Clone(b.Topic), Group: strings.Clone(b.ConsumerGroup), Mode: strings.Clone(b.Mode), ShareQueues: b.PopShareQueueNum,
	}
	to := r.ReplyTo()
	s.later(to, func() { // it waits for the disk
		if err := a.svc.SetRequestMode(a.ctx, m); err != nil {
			s.failLater(to, err)
			return
		}
		s.conn.Reply(to, protocol.RespSuccess, "", nil, nil)
	})
}

// GET_ALL_MESSAGE_REQUEST_MODE (402).
func allRequestModes(a *API, s *session, r *remoting.Request) {
	list, err := a.svc.RequestModes(a.ctx)
	if err != nil {
		s.fail(r, err)
		return
	}
	w := protocol.MessageRequestModeSerializeWrapper{Modes: map[string]map[string]protocol.SetMessageRequestModeRequestBody{}}
	for _, m := range list {
		if w.Modes[m.Topic] == nil {
			w.Modes[m.Topic] = map[string]protocol.SetMessageRequestModeRequestBody{}
		}
		w.Modes[m.Topic][m.Group] = protocol.SetMessageRequestModeRequestBody{
			Topic: m.Topic, ConsumerGroup: m.Group, Mode: m.Mode, PopShareQueueNum: m.ShareQueues,
		}
	}
	s.ok(r, nil, w.AppendTo(nil, false))
}
