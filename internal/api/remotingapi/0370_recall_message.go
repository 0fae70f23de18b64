package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// RECALL_MESSAGE (370).
func recallMessage(a *API, s *session, r *remoting.Request) {
	var h protocol.RecallMessageRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	to := r.ReplyTo()
	q := &mq.RecallRequest{
		Group: strings.Clone(h.ProducerGroup), Topic: strings.Clone(h.Topic), Handle: strings.Clone(h.RecallHandle), From: s.conn.Remote(),
	}
	s.later(to, func() {
		a.svc.Recall(a.ctx, q, func(id string, refusal *mq.Error) {
			if refusal != nil {
				s.failLater(to, refusal)
			} else {
				s.conn.Reply(to, protocol.RespSuccess, "", &protocol.RecallMessageResponseHeader{MsgID: id, Region: a.o.Region}, nil)
			}
			s.conn.Flush()
		})
	})
}
