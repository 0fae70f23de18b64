package remotingapi

import (
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// VIEW_MESSAGE_BY_ID: the stored record at a log offset. topic is not read, as in Java.
func viewMessage(a *API, s *session, r *remoting.Request) {
	var h protocol.ViewMessageRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	to, at := r.ReplyTo(), mq.Offset(h.Offset)
	s.later(to, func() {
		rec, err := a.svc.MessageAt(a.ctx, at, nil)
		if err != nil {
			s.failLater(to, err)
			return
		}
		s.conn.Reply(to, protocol.RespSuccess, "", nil, rec)
	})
}
