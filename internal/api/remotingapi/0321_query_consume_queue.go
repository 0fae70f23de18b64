package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// QUERY_CONSUME_QUEUE: entries of one queue, for a look at the store.
func queryConsumeQueue(a *API, s *session, r *remoting.Request) {
	var h protocol.QueryConsumeQueueRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	group, topic := strings.Clone(h.ConsumerGroup), strings.Clone(h.Topic)
	s.look(r, func(dst []byte) ([]byte, error) {
		q, err := a.adm.QueueUnits(a.ctx, group, topic, h.QueueID, mq.Index(h.Index), h.Count)
		if err != nil {
			return nil, err
		}
		body := protocol.QueryConsumeQueueResponseBody{FilterData: q.FilterText, MinQueueIndex: int64(q.Min), MaxQueueIndex: int64(q.Max)}
		if q.Subscription != nil {
			w := wireSubscription(q.Subscription)
			body.Subscription = &w
		}
		for _, u := range q.Units {
			body.QueueData = append(body.QueueData, protocol.ConsumeQueueData{PhysicOffset: int64(u.At), PhysicSize: u.Size, TagsCode: u.TagsCode})
		}
		return body.AppendTo(dst, false), nil
	})
}
