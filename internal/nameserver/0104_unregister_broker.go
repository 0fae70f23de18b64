package nameserver

import (
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// UNREGISTER_BROKER 104.
//
// Differs from Java: the broker is gone when the answer comes; Java queues the request and answers at once.

func (s *Server) unregisterBroker(c *remoting.Conn, r *remoting.Request) {
	var h protocol.UnRegisterBrokerRequestHeader
	_ = h.Decode(r.Fields) // a missing or broken id does not matter, as in Java
	s.mu.Lock()
	n := s.routes.unregister(s.conf().policy, departure{cluster: h.ClusterName, name: h.BrokerName, addr: h.BrokerAddr, id: h.BrokerID})
	s.mu.Unlock()
	s.log.Info("broker unregistered", "broker", h.BrokerName, "id", h.BrokerID, "peer", h.BrokerAddr, "cluster", h.ClusterName)
	s.post(n)
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, nil)
}
