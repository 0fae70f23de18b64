package remotingapi

import (
	"bytes"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// COMETMQ_FOLLOW_TABLES (27601): a CometMQ slave asks what changes in its master's tables, see docs/protocol/table-stream.md. No
// header; question and answer are bodies. A question may wait for its answer for up to 30 s.

func followTables(a *API, s *session, r *remoting.Request) {
	to, question := r.ReplyTo(), bytes.Clone(r.Body)
	s.later(to, func() {
		err := a.adm.FollowTables(question, func(answer []byte) {
			s.conn.Reply(to, protocol.RespSuccess, "", nil, answer)
			s.conn.Flush()
		})
		if err != nil {
			s.failLater(to, err)
		}
	})
}
