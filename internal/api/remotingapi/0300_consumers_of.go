package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// QUERY_TOPIC_CONSUME_BY_WHO (300), QUERY_TOPICS_BY_CONSUMER (343), QUERY_SUBSCRIPTION_BY_CONSUMER (345): which groups belong
// to a topic and the reverse.

func topicConsumers(a *API, s *session, r *remoting.Request) {
	var h protocol.QueryTopicConsumeByWhoRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	topic := strings.Clone(h.Topic)
	s.look(r, func(dst []byte) ([]byte, error) {
		groups, err := a.adm.TopicConsumers(a.ctx, topic)
		if err != nil {
			return nil, err
		}
		body := protocol.GroupList{GroupList: groups}
		return body.AppendTo(dst, false), nil
	})
}

func consumerTopics(a *API, s *session, r *remoting.Request) {
	var h protocol.QueryTopicsByConsumerRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	group := strings.Clone(h.Group)
	s.look(r, func(dst []byte) ([]byte, error) {
		topics, err := a.adm.ConsumerTopics(a.ctx, group)
		if err != nil {
			return nil, err
		}
		body := protocol.TopicList{TopicList: topics, BrokerAddr: a.o.StoreHost.String()}
		return body.AppendTo(dst, false), nil
	})
}

func consumerSubscription(a *API, s *session, r *remoting.Request) {
	var h protocol.QuerySubscriptionByConsumerRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	sub, err := a.adm.Subscription(a.ctx, h.Group, h.Topic)
	if err != nil {
		s.fail(r, err)
		return
	}
	body := protocol.QuerySubscriptionResponseBody{Group: h.Group, Topic: h.Topic}
	if sub != nil {
		w := wireSubscription(sub)
		body.Subscription = &w
	}
	s.ok(r, nil, body.AppendTo(nil, false))
}
