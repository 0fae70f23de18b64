package nameserver

import (
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// REGISTER_TOPIC_IN_NAMESRV 217 and DELETE_TOPIC_IN_NAMESRV 216.
//
// Differs from Java: a 217 with an unknown broker changes nothing at all; Java may have taken the brokers before it.

func (s *Server) registerTopic(c *remoting.Conn, r *remoting.Request) {
	topic, ok := field(r, "topic")
	var d protocol.TopicRouteData
	if len(r.Body) > 0 {
		if err := d.Decode(r.Body); err != nil {
			c.Reply(r.ReplyTo(), protocol.RespSystemError, "decode TopicRouteData: "+err.Error(), nil, nil)
			return
		}
	}
	if ok && topic != "" && len(d.QueueDatas) > 0 {
		queues := make([]brokerQueue, 0, len(d.QueueDatas))
		for _, q := range d.QueueDatas {
			queues = append(queues, brokerQueue{q.BrokerName, queue{
				read: q.ReadQueueNums, write: q.WriteQueueNums, perm: q.Perm, sysFlag: q.TopicSysFlag,
			}})
		}
		s.mu.Lock()
		taken := s.routes.registerTopic(topic, queues)
		s.mu.Unlock()
		if !taken {
			s.log.Warn("topic with an unknown broker is not registered", "topic", topic, "peer", c.Remote())
		}
	}
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, nil)
}

func (s *Server) deleteTopic(c *remoting.Conn, r *remoting.Request) {
	topic, _ := field(r, "topic")
	cluster, _ := field(r, "clusterName")
	s.mu.Lock()
	s.routes.deleteTopic(topic, cluster)
	s.mu.Unlock()
	s.log.Info("topic deleted", "topic", topic, "cluster", cluster, "peer", c.Remote())
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, nil)
}
