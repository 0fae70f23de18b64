package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// QUERY_CONSUMER_OFFSET. Code 22 is what lets a client apply consumeFromWhere; nothing else may stand for "not found".
func queryConsumerOffset(a *API, s *session, r *remoting.Request) {
	var h protocol.QueryConsumerOffsetRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	if logical(h.Lo) && a.svc.IsStatic(h.Topic) {
		group := strings.Clone(h.ConsumerGroup)
		s.logicalIndex(r, h.Topic, func(topic string) (mq.Index, error) {
			return a.svc.LogicalQuery(a.ctx, group, topic, h.QueueID, h.SetZeroIfNotFound)
		})
		return
	}
	at, err := a.svc.QueryIndex(a.ctx, h.ConsumerGroup, h.Topic, h.QueueID, h.SetZeroIfNotFound)
	if err != nil {
		s.fail(r, err)
		return
	}
	s.ok(r, &protocol.QueryConsumerOffsetResponseHeader{Offset: int64(at)}, nil)
}
