package nameserver

import (
	"maps"
	"slices"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// GET_BROKER_CLUSTER_INFO 106 and GET_BROKER_MEMBER_GROUP 901.

func (s *Server) clusterInfo(c *remoting.Conn, r *remoting.Request) {
	s.mu.RLock()
	d := protocol.ClusterInfo{
		BrokerAddrTable:  make(map[string]protocol.BrokerData, len(s.routes.groups)),
		ClusterAddrTable: make(map[string][]string, len(s.routes.clusters)),
	}
	for name, g := range s.routes.groups {
		d.BrokerAddrTable[name] = g.data()
	}
	for cluster, names := range s.routes.clusters {
		d.ClusterAddrTable[cluster] = slices.Sorted(maps.Keys(names))
	}
	s.mu.RUnlock()
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, d.AppendTo(nil, false))
}

// memberGroup says who is in a group, whatever its cluster is. The remark is Java's.
func (s *Server) memberGroup(c *remoting.Conn, r *remoting.Request) {
	cluster, _ := field(r, "clusterName")
	broker, _ := field(r, "brokerName")
	d := protocol.GetBrokerMemberGroupResponseBody{Cluster: cluster, BrokerName: broker}
	s.mu.RLock()
	if g := s.routes.groups[broker]; g != nil {
		d.BrokerAddrs = g.addrs()
	}
	s.mu.RUnlock()
	c.Reply(r.ReplyTo(), protocol.RespSuccess, unsetRemark, nil, d.AppendTo(nil, false))
}
