package nameserver

import (
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// BROKER_HEARTBEAT 904: a sign of life, nothing else.

func (s *Server) heartbeat(c *remoting.Conn, r *remoting.Request) {
	var h protocol.BrokerHeartbeatRequestHeader
	_ = h.Decode(r.Fields) // only the two names are used
	s.mu.Lock()
	s.routes.heartbeat(time.Now(), h.ClusterName, h.BrokerAddr)
	s.mu.Unlock()
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, nil)
}
