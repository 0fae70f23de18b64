package nameserver

import (
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Lists of topics: GET_ALL_TOPIC_LIST_FROM_NAMESERVER 206, GET_TOPICS_BY_CLUSTER 224, GET_SYSTEM_TOPIC_LIST_FROM_NS 304,
// GET_UNIT_TOPIC_LIST 311, GET_HAS_UNIT_SUB_TOPIC_LIST 312, GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST 313.

func (s *Server) allTopics(c *remoting.Conn, r *remoting.Request) {
	if !s.conf().allTopicList {
		c.Reply(r.ReplyTo(), protocol.RespSystemError, disabledRemark, nil, nil)
		return
	}
	s.mu.RLock()
	names := s.routes.topicNames(nil)
	s.mu.RUnlock()
	replyList(c, r, names, "")
}

// topicsThat answers with the topics that ok accepts.
func (s *Server) topicsThat(ok func(*topic) bool) remoting.Handler {
	return func(c *remoting.Conn, r *remoting.Request) {
		if !s.conf().topicList {
			c.Reply(r.ReplyTo(), protocol.RespSystemError, disabledRemark, nil, nil)
			return
		}
		s.mu.RLock()
		names := s.routes.topicNames(ok)
		s.mu.RUnlock()
		replyList(c, r, names, "")
	}
}

func (s *Server) clusterTopics(c *remoting.Conn, r *remoting.Request) {
	if !s.conf().topicList {
		c.Reply(r.ReplyTo(), protocol.RespSystemError, disabledRemark, nil, nil)
		return
	}
	cluster, _ := field(r, "cluster")
	s.mu.RLock()
	names := s.routes.clusterTopics(cluster)
	s.mu.RUnlock()
	replyList(c, r, names, "")
}

func (s *Server) systemTopics(c *remoting.Conn, r *remoting.Request) {
	s.mu.RLock()
	names, addr := s.routes.systemTopics()
	s.mu.RUnlock()
	replyList(c, r, names, addr)
}

func replyList(c *remoting.Conn, r *remoting.Request, names []string, addr string) {
	d := protocol.TopicList{TopicList: names, BrokerAddr: addr}
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, d.AppendTo(nil, false))
}
