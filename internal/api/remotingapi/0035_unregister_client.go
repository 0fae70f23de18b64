package remotingapi

import (
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// UNREGISTER_CLIENT: leaves one producer and one consumer group; the connection stays in its other groups.
func unregisterClient(a *API, s *session, r *remoting.Request) {
	var h protocol.UnregisterClientRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	if s.member != nil {
		a.svc.Leave(a.ctx, s.member, h.ProducerGroup, h.ConsumerGroup)
	}
	s.ok(r, nil, nil)
}
