package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// UPDATE_CONSUMER_OFFSET. A two-way commit survives a kill of the process once it is answered.
func updateConsumerOffset(a *API, s *session, r *remoting.Request) {
	var h protocol.UpdateConsumerOffsetRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	if logical(h.Lo) && a.svc.IsStatic(h.Topic) {
		group, topic := strings.Clone(h.ConsumerGroup), strings.Clone(h.Topic)
		s.administer(r, func() error { return a.svc.LogicalCommit(a.ctx, group, topic, h.QueueID, mq.Index(h.CommitOffset)) })
		return
	}
	if err := a.svc.CommitIndex(a.ctx, h.ConsumerGroup, h.Topic, h.QueueID, mq.Index(h.CommitOffset)); err != nil {
		s.fail(r, err)
		return
	}
	s.ok(r, nil, nil)
}
