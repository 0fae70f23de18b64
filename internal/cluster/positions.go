package cluster

import (
	"context"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
)

func queue(q protocol.MessageQueue) mq.Queue {
	return mq.Queue{Topic: q.Topic, Broker: q.BrokerName, ID: q.QueueID}
}

func (b *broker) ResetPositions(ctx context.Context, r *mq.PositionReset) ([]mq.QueuePosition, error) {
	var body protocol.ResetOffsetBody
	err := b.read(ctx, protocol.ReqInvokeBrokerToResetOffset, &protocol.ResetOffsetRequestHeader{
		Group: r.Group, Topic: r.Topic, QueueID: r.QueueID, HasOffset: r.HasIndex, Offset: int64(r.Index), Timestamp: r.Time, Force: r.Force,
	}, func(data []byte) error {
		if len(data) == 0 {
			return nil
		}
		return body.Decode(data)
	})
	if err != nil {
		return nil, err
	}
	out := make([]mq.QueuePosition, len(body.OffsetTable))
	for i, o := range body.OffsetTable {
		out[i] = mq.QueuePosition{Queue: queue(o.Queue), At: mq.Index(o.Offset)}
	}
	return out, nil
}

func (b *broker) ClonePositions(ctx context.Context, from, to, topic string, live bool) error {
	_, err := b.call(ctx, protocol.ReqCloneGroupOffset, &protocol.CloneGroupOffsetRequestHeader{
		SrcGroup: from, DestGroup: to, Topic: topic, Offline: !live,
	}, nil)
	return err
}

func (b *broker) TopicStats(ctx context.Context, topic string) (mq.TopicStats, error) {
	var t protocol.TopicStatsTable
	if err := b.read(ctx, protocol.ReqGetTopicStatsInfo, &protocol.GetTopicStatsInfoRequestHeader{Topic: topic}, t.Decode); err != nil {
		return mq.TopicStats{}, err
	}
	out := mq.TopicStats{PutTPS: t.TopicPutTps}
	for _, o := range t.OffsetTable {
		out.Queues = append(out.Queues, mq.QueueStats{
			Queue: queue(o.Queue), Min: mq.Index(o.MinOffset), Max: mq.Index(o.MaxOffset), LastUpdate: o.LastUpdateTimestamp,
		})
	}
	return out, nil
}

func (b *broker) ConsumeStats(ctx context.Context, group, topic string, list []string) (mq.ConsumeStats, error) {
	var s protocol.ConsumeStats
	err := b.read(ctx, protocol.ReqGetConsumeStats, &protocol.GetConsumeStatsRequestHeader{
		ConsumerGroup: group, Topic: topic, TopicList: strings.Join(list, ";"),
	}, s.Decode)
	return consumeStats(&s), err
}

func consumeStats(s *protocol.ConsumeStats) mq.ConsumeStats {
	out := mq.ConsumeStats{TPS: s.ConsumeTps}
	for _, o := range s.OffsetTable {
		out.Queues = append(out.Queues, mq.ConsumeProgress{
			Queue: queue(o.Queue), End: mq.Index(o.BrokerOffset), Committed: mq.Index(o.ConsumerOffset), Pulled: mq.Index(o.PullOffset),
			LastConsume: o.LastTimestamp,
		})
	}
	return out
}

func (b *broker) TopicConsumers(ctx context.Context, topic string) ([]string, error) {
	var l protocol.GroupList
	err := b.read(ctx, protocol.ReqQueryTopicConsumeByWho, &protocol.QueryTopicConsumeByWhoRequestHeader{Topic: topic}, l.Decode)
	return l.GroupList, err
}

func (b *broker) ConsumerTopics(ctx context.Context, group string) ([]string, error) {
	var l protocol.TopicList
	err := b.read(ctx, protocol.ReqQueryTopicsByConsumer, &protocol.QueryTopicsByConsumerRequestHeader{Group: group}, l.Decode)
	return l.TopicList, err
}

func (b *broker) ConsumeSpans(ctx context.Context, group, topic string) ([]mq.QueueSpan, error) {
	var body protocol.QueryConsumeTimeSpanBody
	err := b.read(ctx, protocol.ReqQueryConsumeTimeSpan, &protocol.QueryConsumeTimeSpanRequestHeader{Group: group, Topic: topic}, body.Decode)
	out := make([]mq.QueueSpan, len(body.ConsumeTimeSpanSet))
	for i, s := range body.ConsumeTimeSpanSet {
		out[i] = mq.QueueSpan{
			Queue: queue(s.Queue), First: s.MinTimeStamp, Last: s.MaxTimeStamp, Consumed: s.ConsumeTimeStamp, Behind: s.DelayTime,
		}
	}
	return out, err
}

func (b *broker) QueueUnits(ctx context.Context, group, topic string, id int32, from mq.Index, count int32) (mq.QueueUnits, error) {
	var body protocol.QueryConsumeQueueResponseBody
	err := b.read(ctx, protocol.ReqQueryConsumeQueue, &protocol.QueryConsumeQueueRequestHeader{
		Topic: topic, QueueID: id, Index: int64(from), Count: count, ConsumerGroup: group,
	}, body.Decode)
	if err != nil {
		return mq.QueueUnits{}, err
	}
	out := mq.QueueUnits{Min: mq.Index(body.MinQueueIndex), Max: mq.Index(body.MaxQueueIndex), FilterText: body.FilterData}
	if body.Subscription != nil {
		s := subscription(body.Subscription)
		out.Subscription = &s
	}
	for _, d := range body.QueueData {
		out.Units = append(out.Units, mq.QueueUnit{At: mq.Offset(d.PhysicOffset), Size: d.PhysicSize, TagsCode: d.TagsCode})
	}
	return out, nil
}
