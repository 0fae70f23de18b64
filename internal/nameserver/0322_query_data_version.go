package nameserver

import (
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// QUERY_DATA_VERSION 322: does the broker have to register again? It counts as a sign of life. The answer carries the
// version that is known here, if any.

func (s *Server) queryDataVersion(c *remoting.Conn, r *remoting.Request) {
	var h protocol.QueryDataVersionRequestHeader
	_ = h.Decode(r.Fields) // only the two names are used
	var theirs protocol.DataVersion
	err := theirs.Decode(r.Body)
	s.mu.Lock()
	ours, known := s.routes.version(h.ClusterName, h.BrokerAddr)
	s.routes.heartbeat(time.Now(), h.ClusterName, h.BrokerAddr)
	s.mu.Unlock()

	same := known && err == nil && len(r.Body) > 0 && ours == theirs
	var body []byte
	if known {
		body = ours.AppendTo(nil, false)
	}
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", &protocol.QueryDataVersionResponseHeader{Changed: !same}, body)
}
