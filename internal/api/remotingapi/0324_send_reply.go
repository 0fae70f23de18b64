package remotingapi

import (
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
)

// SEND_REPLY_MESSAGE (324) and, with the one-letter field names, SEND_REPLY_MESSAGE_V2 (325): the answer to a request message.
// Like sends those of one read are handed to the core together.
func sendReply(_ *API, s *session, r *remoting.Request) {
	h := &s.sendV1
	if err := h.Decode(r.Fields); err != nil {
		s.refuseSend(r, err)
		return
	}
	s.collectReply(r, h)
}

func sendReplyV2(_ *API, s *session, r *remoting.Request) {
	h := &s.sendV2
	if err := h.Decode(r.Fields); err != nil {
		s.refuseSend(r, err)
		return
	}
	long := protocol.SendMessageRequestHeader(*h) // the same fields in the same order
	s.collectReply(r, &long)
}

// collectReply adds an answer to those of this read. The bytes that it aliases stay until OnBurstEnd.
func (s *session) collectReply(r *remoting.Request, h *protocol.SendMessageRequestHeader) {
	to := r.ReplyTo()
	s.replies = append(s.replies, mq.ReplyRequest{
		SendRequest: mq.SendRequest{
			Topic: h.Topic, Group: h.ProducerGroup, DefaultTopic: h.DefaultTopic, Props: record.Props(bytesview.Bytes(h.Properties)),
			QueueID: h.QueueID, DefaultQueues: h.DefaultTopicQueueNums, SysFlag: h.SysFlag, Flag: h.Flag, BornTime: h.BornTimestamp,
			Reconsume: h.ReconsumeTimes, MaxReconsume: h.MaxReconsumeTimes, UnitMode: h.UnitMode, BornHost: s.conn.SocketRemote(),
			Body: r.Body,
		},
		Done: func(res mq.ReplyResult) { s.answerReply(to, &res) },
	})
	if len(s.replies) >= maxBurst {
		s.flushReplies()
	}
}

// flushReplies hands the collected answers to the core.
func (s *session) flushReplies() {
	if len(s.replies) == 0 {
		return
	}
	s.a.svc.Reply(s.replies)
	clear(s.replies)
	if s.replies = s.replies[:0]; cap(s.replies) > maxBurst {
		s.replies = nil
	}
}

// answerReply tells the client that answered what became of its answer. It may be called on any goroutine.
func (s *session) answerReply(to remoting.ReplyTo, res *mq.ReplyResult) {
	if to.Oneway() {
		return
	}
	h := protocol.SendMessageResponseHeader{Region: s.a.o.Region, TraceOn: s.a.tracing()}
	if res.Err == nil {
		h.MsgID, h.QueueID = "0", res.QueueID
	}
	if res.Stored {
		h.MsgID = string(record.AppendOffsetID(nil, s.a.o.StoreHost, res.Offset))
		h.QueueID, h.QueueOffset = res.QueueID, int64(res.Index)
	}
	code, remark := protocol.RespSuccess, ""
	if res.Err != nil {
		code, remark = codeOf(res.Err.Kind), res.Err.Detail
	}
	s.conn.Reply(to, code, remark, &h, nil)
	s.conn.Flush()
}
