package nameserver

import (
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// WIPE_WRITE_PERM_OF_BROKER 205 and ADD_WRITE_PERM_OF_BROKER 327. Both change the route table only; the broker's next
// registration with a new data version undoes them.

func (s *Server) wipeWritePerm(c *remoting.Conn, r *remoting.Request) {
	broker := text(r, "brokerName")
	s.mu.Lock()
	n := s.routes.wipeWrite(broker)
	s.mu.Unlock()
	s.log.Info("write permission taken", "broker", broker, "topics", n, "peer", c.Remote())
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", &protocol.WipeWritePermOfBrokerResponseHeader{WipeTopicCount: int32(n)}, nil)
}

func (s *Server) addWritePerm(c *remoting.Conn, r *remoting.Request) {
	broker := text(r, "brokerName")
	s.mu.Lock()
	n := s.routes.addWrite(broker)
	s.mu.Unlock()
	s.log.Info("write permission given", "broker", broker, "topics", n, "peer", c.Remote())
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", &protocol.AddWritePermOfBrokerResponseHeader{AddTopicCount: int32(n)}, nil)
}
