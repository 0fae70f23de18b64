package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// GET_TOPIC_STATS_INFO (202), GET_CONSUME_STATS (208), QUERY_CONSUME_TIME_SPAN (303): how far topics and groups are.

func topicStats(a *API, s *session, r *remoting.Request) {
	var h protocol.GetTopicStatsInfoRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	topic := strings.Clone(h.Topic)
	s.look(r, func(dst []byte) ([]byte, error) {
		st, err := a.adm.TopicStats(a.ctx, topic)
		if err != nil {
			return nil, err
		}
		body := protocol.TopicStatsTable{TopicPutTps: st.PutTPS}
		for _, q := range st.Queues {
			body.OffsetTable = append(body.OffsetTable, protocol.QueueTopicOffset{
				Queue: wireQueue(q.Queue), MinOffset: int64(q.Min), MaxOffset: int64(q.Max), LastUpdateTimestamp: q.LastUpdate,
			})
		}
		return body.AppendTo(dst, false), nil
	})
}

func consumeStats(a *API, s *session, r *remoting.Request) {
	var h protocol.GetConsumeStatsRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	group, topic := strings.Clone(h.ConsumerGroup), strings.Clone(h.Topic)
	var list []string
	for name := range strings.SplitSeq(strings.Clone(h.TopicList), ";") {
		if name != "" {
			list = append(list, name)
		}
	}
	s.look(r, func(dst []byte) ([]byte, error) {
		st, err := a.adm.ConsumeStats(a.ctx, group, topic, list)
		if err != nil {
			return nil, err
		}
		body := protocol.ConsumeStats{ConsumeTps: st.TPS}
		for _, q := range st.Queues {
			body.OffsetTable = append(body.OffsetTable, protocol.QueueConsumeOffset{
				Queue: wireQueue(q.Queue), BrokerOffset: int64(q.End), ConsumerOffset: int64(q.Committed), PullOffset: int64(q.Pulled),
				LastTimestamp: q.LastConsume,
			})
		}
		return body.AppendTo(dst, false), nil
	})
}

func consumeTimeSpan(a *API, s *session, r *remoting.Request) {
	var h protocol.QueryConsumeTimeSpanRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	group, topic := strings.Clone(h.Group), strings.Clone(h.Topic)
	s.look(r, func(dst []byte) ([]byte, error) {
		spans, err := a.adm.ConsumeSpans(a.ctx, group, topic)
		if err != nil {
			return nil, err
		}
		var body protocol.QueryConsumeTimeSpanBody
		for _, q := range spans {
			body.ConsumeTimeSpanSet = append(body.ConsumeTimeSpanSet, protocol.QueueTimeSpan{
				Queue: wireQueue(q.Queue), MinTimeStamp: q.First, MaxTimeStamp: q.Last, ConsumeTimeStamp: q.Consumed, DelayTime: q.Behind,
			})
		}
		return body.AppendTo(dst, false), nil
	})
}

// look answers r with what ask makes, on the server's workers, since it may read much.
func (s *session) look(r *remoting.Request, ask func(dst []byte) ([]byte, error)) {
	to := r.ReplyTo()
	s.later(to, func() {
		body, err := ask(nil)
		if err != nil {
			s.failLater(to, err)
			return
		}
		s.conn.Reply(to, protocol.RespSuccess, "", nil, body)
	})
}

func wireSubscription(sub *mq.Subscription) protocol.SubscriptionData {
	kind := sub.ExpressionType
	if kind == "" {
		kind = "TAG"
	}
	return protocol.SubscriptionData{
		Topic: sub.Topic, SubString: sub.Expression, TagsSet: sub.Tags, CodeSet: sub.Codes, SubVersion: sub.Version,
		ExpressionType: kind, ClassFilterMode: sub.ClassFilter,
	}
}
