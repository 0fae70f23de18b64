package remotingapi

import (
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// GET_CONSUMER_LIST_BY_GROUP: a group with nobody online is code 1, never an empty list.
func consumerList(a *API, s *session, r *remoting.Request) {
	var h protocol.GetConsumerListByGroupRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	ids, err := a.svc.Members(a.ctx, h.ConsumerGroup)
	if err != nil {
		s.fail(r, err)
		return
	}
	body := protocol.GetConsumerListByGroupResponseBody{ConsumerIDList: ids}
	s.ok(r, nil, body.AppendTo(nil, false))
}
