package remotingapi

import (
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
)

// GET_CONSUMER_RUNNING_INFO (307), CONSUME_MESSAGE_DIRECTLY (309): handed on to a client, whose answer is the answer.

func runningInfo(a *API, s *session, r *remoting.Request) {
	var h protocol.GetConsumerRunningInfoRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	q := mq.RunningInfoRequest{Group: h.ConsumerGroup, ClientID: h.ClientID, Stacks: h.JstackEnable}
	a.adm.RunningInfo(a.ctx, &q, s.answered(r.ReplyTo()))
}

func consumeDirectly(a *API, s *session, r *remoting.Request) {
	var h protocol.ConsumeMessageDirectlyResultRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	q := mq.DirectRequest{Group: h.ConsumerGroup, ClientID: h.ClientID, MessageID: h.MsgID, Topic: h.Topic}
	if _, at, err := record.ParseOffsetID(h.MsgID); err == nil {
		q.At, q.HasMessage = at, true
	}
	a.adm.ConsumeDirectly(a.ctx, &q, s.answered(r.ReplyTo()))
}

// answered hands a client's answer to whoever asked, code and all.
func (s *session) answered(to remoting.ReplyTo) func(mq.ClientAnswer, error) {
	return func(answer mq.ClientAnswer, err error) {
		if err != nil {
			s.failLater(to, err)
		} else {
			s.conn.Reply(to, answer.Code, answer.Remark, nil, answer.Body)
		}
		s.conn.Flush()
	}
}
