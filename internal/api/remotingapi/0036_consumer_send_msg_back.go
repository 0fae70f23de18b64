package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// maxTimesSince is Java's V3_4_9: what older clients say about maxReconsumeTimes does not count.
const maxTimesSince = 121

// CONSUMER_SEND_MSG_BACK (36). originMsgId and originTopic are not read: the message itself says both.
func sendMsgBack(a *API, s *session, r *remoting.Request) {
	var h protocol.ConsumerSendMsgBackRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	to := r.ReplyTo()
	q := &mq.GiveBackRequest{
		Group: strings.Clone(h.Group), At: mq.Offset(h.Offset), DelayLevel: h.DelayLevel, UnitMode: h.UnitMode,
		MaxReconsume: h.MaxReconsumeTimes, HasMax: h.HasMaxReconsumeTimes && r.Version >= maxTimesSince,
	}
	s.later(to, func() {
		a.svc.GiveBack(a.ctx, q, func(refusal *mq.Error) {
			if refusal != nil {
				s.failLater(to, refusal)
			} else {
				s.conn.Reply(to, protocol.RespSuccess, "", nil, nil)
			}
			s.conn.Flush()
		})
	})
}
