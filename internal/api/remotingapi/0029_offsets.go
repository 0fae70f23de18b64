package remotingapi

import (
	"context"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// SEARCH_OFFSET_BY_TIMESTAMP (29), GET_MAX_OFFSET (30), GET_MIN_OFFSET (31), GET_EARLIEST_MSG_STORETIME (32): questions about
// one queue. An unknown topic or queue is 0, as in Java, but is not created by asking. liteTopic is not read.

func searchOffset(a *API, s *session, r *remoting.Request) {
	var h protocol.SearchOffsetRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	b := mq.BoundaryLower
	if strings.EqualFold(h.BoundaryType, "upper") { // Java's client writes the enum's name, UPPER
		b = mq.BoundaryUpper
	}
	if logical(h.Lo) && a.svc.IsStatic(h.Topic) {
		s.logicalIndex(r, h.Topic, func(topic string) (mq.Index, error) {
			return a.svc.LogicalIndexAtTime(a.ctx, topic, h.QueueID, h.Timestamp, b)
		})
		return
	}
	at, err := a.svc.IndexAtTime(a.ctx, h.Topic, h.QueueID, h.Timestamp, b)
	if err != nil {
		s.fail(r, err)
		return
	}
	s.ok(r, &protocol.SearchOffsetResponseHeader{Offset: int64(at)}, nil)
}

func maxOffset(a *API, s *session, r *remoting.Request) {
	var h protocol.GetMaxOffsetRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	if logical(h.Lo) && a.svc.IsStatic(h.Topic) {
		s.logicalIndex(r, h.Topic, func(topic string) (mq.Index, error) { return a.svc.LogicalMax(a.ctx, topic, h.QueueID) })
		return
	}
	s.answerIndex(r, a.svc.MaxIndex, h.Topic, h.QueueID)
}

func minOffset(a *API, s *session, r *remoting.Request) {
	var h protocol.GetMinOffsetRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	if logical(h.Lo) && a.svc.IsStatic(h.Topic) {
		s.logicalIndex(r, h.Topic, func(topic string) (mq.Index, error) { return a.svc.LogicalMin(a.ctx, topic, h.QueueID) })
		return
	}
	s.answerIndex(r, a.svc.MinIndex, h.Topic, h.QueueID)
}

func (s *session) answerIndex(r *remoting.Request, ask func(context.Context, string, int32) (mq.Index, error), topic string, queue int32) {
	at, err := ask(s.a.ctx, topic, queue)
	if err != nil {
		s.fail(r, err)
		return
	}
	s.ok(r, &protocol.GetMaxOffsetResponseHeader{Offset: int64(at)}, nil)
}

func earliestStoreTime(a *API, s *session, r *remoting.Request) {
	var h protocol.GetEarliestMsgStoretimeRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	if logical(h.Lo) && a.svc.IsStatic(h.Topic) {
		to, topic := r.ReplyTo(), strings.Clone(h.Topic)
		s.later(to, func() {
			ms, err := a.svc.LogicalEarliest(a.ctx, topic, h.QueueID)
			if err != nil {
				s.failLater(to, err)
				return
			}
			s.conn.Reply(to, protocol.RespSuccess, "", &protocol.GetEarliestMsgStoretimeResponseHeader{Timestamp: ms}, nil)
		})
		return
	}
	ms, err := a.svc.EarliestStoreTime(a.ctx, h.Topic, h.QueueID)
	if err != nil {
		s.fail(r, err)
		return
	}
	s.ok(r, &protocol.GetEarliestMsgStoretimeResponseHeader{Timestamp: ms}, nil)
}
