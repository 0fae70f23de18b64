package remotingapi

import (
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// GET_BROKER_RUNTIME_INFO: a table of texts that mqadmin's brokerStatus prints and clusterList parses.
func runtimeInfo(a *API, s *session, r *remoting.Request) {
	to := r.ReplyTo()
	s.later(to, func() {
		table, err := a.adm.RuntimeInfo(a.ctx)
		if err != nil {
			s.failLater(to, err)
			return
		}
		body := protocol.KVTable{Table: table}
		s.conn.Reply(to, protocol.RespSuccess, "", nil, body.AppendTo(nil, false))
	})
}
