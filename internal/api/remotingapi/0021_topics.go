package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/wireconf"
)

// GET_ALL_TOPIC_CONFIG (21), DELETE_TOPIC_IN_BROKER (215), GET_TOPIC_CONFIG (351). Code 21 answers everything at once: paging by
// topicSeq is optional for the asker, which stops at totalTopicNum. Of a static topic they tell
// what this broker knows of it, code 351 with lo=true only.

func allTopicConfig(a *API, s *session, r *remoting.Request) {
	to := r.ReplyTo()
	s.later(to, func() {
		ts, v, err := a.adm.Topics(a.ctx)
		if err != nil {
			s.failLater(to, err)
			return
		}
		body := protocol.TopicConfigAndMappingSerializeWrapper{
			DataVersion: version(v), MappingDataVersion: version(v), TopicQueueMappingDetailMap: map[string][]byte{},
		}
		for i := range ts {
			if m := ts[i].Static; m != nil {
				body.TopicQueueMappingDetailMap[ts[i].Name] = m.JSON()
			}
			body.TopicConfigTable = append(body.TopicConfigTable, wireconf.FromTopic(&ts[i]))
		}
		s.conn.Reply(to, protocol.RespSuccess, "", &protocol.GetAllTopicConfigResponseHeader{TotalTopicNum: int32(len(ts))},
			body.AppendTo(nil, false))
	})
}

func topicConfig(a *API, s *session, r *remoting.Request) {
	var h protocol.GetTopicConfigRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	t, err := a.adm.Topic(a.ctx, h.Topic)
	if err != nil {
		s.fail(r, err)
		return
	}
	body := protocol.TopicConfigAndQueueMapping{TopicConfig: wireconf.FromTopic(&t)}
	if h.Mapping && t.Static != nil {
		body.MappingDetail = t.Static.JSON()
	}
	s.ok(r, nil, body.AppendTo(nil, false))
}

func deleteTopic(a *API, s *session, r *remoting.Request) {
	var h protocol.DeleteTopicRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	name := strings.Clone(h.Topic)
	s.administer(r, func() error { return a.adm.DeleteTopic(a.ctx, name) })
}

func version(v mq.DataVersion) protocol.DataVersion {
	return protocol.DataVersion{Counter: v.Counter, StateVersion: v.StateVersion, Timestamp: v.Timestamp}
}
