package remotingapi

import (
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Away returns the handlers for a time without a core: everything is refused with SERVICE_NOT_AVAILABLE and why. Clients that
// disconnect leave members, which knows them whatever the core.
func Away(members interface{ Detach(s *mq.Session) }, o Options, why string) *remoting.Handlers {
	h := remoting.NewHandlers()
	sent := protocol.SendMessageResponseHeader{Region: o.region(), TraceOn: o.traceOn()}
	h.HandleDefault(func(c *remoting.Conn, r *remoting.Request) {
		var header remoting.HeaderAppender
		switch r.Code {
		case protocol.ReqSendMessage, protocol.ReqSendMessageV2, protocol.ReqSendBatchMessage:
			header = &sent // Java producers read the region without a null check
		case protocol.ReqPullMessage, protocol.ReqLitePullMessage:
			header = &protocol.PullMessageResponseHeader{}
		}
		c.Reply(r.ReplyTo(), protocol.RespServiceNotAvailable, why, header, nil)
	})
	h.OnClose = func(c *remoting.Conn) {
		if s, ok := c.State().(*session); ok {
			s.closed.Store(true)
			if s.member != nil {
				members.Detach(s.member)
			}
		}
	}
	return h
}
