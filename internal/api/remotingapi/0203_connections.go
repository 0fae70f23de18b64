package remotingapi

import (
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// GET_CONSUMER_CONNECTION_LIST (203), GET_PRODUCER_CONNECTION_LIST (204): who is connected for a group.

func consumerConnections(a *API, s *session, r *remoting.Request) {
	var h protocol.GetConsumerConnectionListRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	g, err := a.adm.Consumers(a.ctx, h.ConsumerGroup)
	if err != nil {
		s.fail(r, err)
		return
	}
	body := wireConsumers(&g)
	s.ok(r, nil, body.AppendTo(nil, false))
}

func wireConsumers(g *mq.ConsumerGroup) protocol.ConsumerConnection {
	body := protocol.ConsumerConnection{
		ConnectionSet: wireConnections(g.Connections), ConsumeType: string(g.Type), MessageModel: "CLUSTERING",
		ConsumeFromWhere: g.FromWhere, SubscriptionTable: make(map[string]protocol.SubscriptionData, len(g.Subscriptions)),
	}
	if g.Broadcast {
		body.MessageModel = "BROADCASTING"
	}
	for i := range g.Subscriptions {
		body.SubscriptionTable[g.Subscriptions[i].Topic] = wireSubscription(&g.Subscriptions[i])
	}
	return body
}

func producerConnections(a *API, s *session, r *remoting.Request) {
	var h protocol.GetProducerConnectionListRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	list, err := a.adm.Producers(a.ctx, h.ProducerGroup)
	if err != nil {
		s.fail(r, err)
		return
	}
	body := protocol.ProducerConnection{ConnectionSet: wireConnections(list)}
	s.ok(r, nil, body.AppendTo(nil, false))
}

func wireConnections(list []mq.Connection) []protocol.Connection {
	out := make([]protocol.Connection, len(list))
	for i, c := range list {
		out[i] = protocol.Connection{ClientID: c.ClientID, ClientAddr: c.Remote.String(), Language: c.Language, Version: c.Version}
	}
	return out
}
