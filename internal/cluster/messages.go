package cluster

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Bits of a pull's system flag.
const (
	pullCommit       = 1 << 0
	pullSubscription = 1 << 2
)

// Pull reads without waiting. Records that do not decode are an error.
func (b *broker) Pull(ctx context.Context, r *mq.PullRequest, dst []byte) (mq.Fetch, error) {
	h := &protocol.PullMessageRequestHeader{
		ConsumerGroup: r.Group, Topic: r.Topic, QueueID: r.QueueID, QueueOffset: int64(r.From), MaxMsgNums: r.MaxMessages,
		CommitOffset: int64(r.CommitIndex), SubVersion: r.SubVersion,
	}
	if r.HasExpression {
		h.SysFlag |= pullSubscription
		h.Subscription, h.ExpressionType = r.Expression, r.ExpressionType
	}
	if r.Commit {
		h.SysFlag |= pullCommit
	}
	const code = protocol.ReqPullMessage
	resp, err := b.c.ask(ctx, b.addr, code, h, nil, b.c.timeout)
	if err != nil {
		return mq.Fetch{}, err
	}
	f := mq.Fetch{Records: dst}
	switch resp.Code {
	case protocol.RespSuccess:
		f.Status = mq.FetchFound
	case protocol.RespPullNotFound:
		f.Status = mq.FetchOffsetOverflowOne
	case protocol.RespPullRetryImmediately:
		f.Status = mq.FetchNoMatchedMessage
	case protocol.RespPullOffsetMoved:
		f.Status = mq.FetchOffsetTooSmall
	default:
		return mq.Fetch{}, refused(b.addr, code, resp)
	}
	var rh protocol.PullMessageResponseHeader
	if err = rh.Decode(resp.Fields); err != nil {
		return mq.Fetch{}, malformed(b.addr, code, err)
	}
	f.Next, f.Min, f.Max = mq.Index(rh.NextBeginOffset), mq.Index(rh.MinOffset), mq.Index(rh.MaxOffset)
	f.SuggestBroker, f.TopicSysFlag, f.GroupSysFlag = rh.SuggestWhichBrokerID, rh.TopicSysFlag, rh.GroupSysFlag
	if f.Status == mq.FetchFound {
		if f.Count, err = countRecords(resp.Body); err != nil {
			return mq.Fetch{}, malformed(b.addr, code, err)
		}
		f.Records = append(f.Records, resp.Body...)
	}
	return f, nil
}

func countRecords(rec []byte) (n int, err error) {
	var m record.Message
	for len(rec) > 0 {
		size, err := record.Decode(rec, &m, false)
		if err != nil {
			return n, err
		}
		rec = rec[size:]
		n++
	}
	return n, nil
}

// number asks for an answer whose header has one number.
func (b *broker) number(ctx context.Context, code int32, h remoting.HeaderAppender, field string) (int64, error) {
	r, err := b.call(ctx, code, h, nil)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(r.Ext[field], 10, 64)
	if err != nil {
		return 0, malformed(b.addr, code, err)
	}
	return n, nil
}

func (b *broker) MinIndex(ctx context.Context, topic string, id int32) (mq.Index, error) {
	n, err := b.number(ctx, protocol.ReqGetMinOffset, &protocol.GetMinOffsetRequestHeader{Topic: topic, QueueID: id}, "offset")
	return mq.Index(n), err
}

func (b *broker) MaxIndex(ctx context.Context, topic string, id int32) (mq.Index, error) {
	h := &protocol.GetMaxOffsetRequestHeader{Topic: topic, QueueID: id, Committed: true}
	n, err := b.number(ctx, protocol.ReqGetMaxOffset, h, "offset")
	return mq.Index(n), err
}

func (b *broker) IndexAtTime(ctx context.Context, topic string, id int32, ms int64, bound mq.Boundary) (mq.Index, error) {
	h := &protocol.SearchOffsetRequestHeader{Topic: topic, QueueID: id, Timestamp: ms, BoundaryType: "lower"}
	if bound == mq.BoundaryUpper {
		h.BoundaryType = "upper"
	}
	n, err := b.number(ctx, protocol.ReqSearchOffsetByTimestamp, h, "offset")
	return mq.Index(n), err
}

func (b *broker) MessageAt(ctx context.Context, at mq.Offset, dst []byte) ([]byte, error) {
	r, err := b.call(ctx, protocol.ReqViewMessageByID, &protocol.ViewMessageRequestHeader{Offset: int64(at)}, nil)
	if err != nil {
		return dst, err
	}
	return append(dst, r.Body...), nil
}

func (b *broker) QueryByKey(ctx context.Context, q *mq.KeyQuery) (mq.KeyResult, error) {
	const code = protocol.ReqQueryMessage
	r, err := b.call(ctx, code, &protocol.QueryMessageRequestHeader{
		Topic: q.Topic, Key: q.Key, MaxNum: int32(q.Max), BeginTimestamp: q.Begin, EndTimestamp: q.End, UniqueKeyQuery: q.Unique,
	}, nil)
	if err != nil {
		if e, ok := errors.AsType[*mq.CallError](err); ok && e.Code == protocol.RespQueryNotFound {
			return mq.KeyResult{}, nil
		}
		return mq.KeyResult{}, err
	}
	n, err := countRecords(r.Body)
	if err != nil {
		return mq.KeyResult{}, malformed(b.addr, code, err)
	}
	return mq.KeyResult{Records: r.Body, Count: n}, nil
}

func (b *broker) CommitIndex(ctx context.Context, group, topic string, id int32, at mq.Index) error {
	_, err := b.call(ctx, protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{
		ConsumerGroup: group, Topic: topic, QueueID: id, CommitOffset: int64(at),
	}, nil)
	return err
}

// Put stores one message. Born time and host are ours.
func (b *broker) Put(ctx context.Context, r *mq.SendRequest) (mq.Stored, error) {
	const code = protocol.ReqSendMessageV2
	resp, err := b.c.ask(ctx, b.addr, code, &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: r.Group, Topic: r.Topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: r.QueueID, SysFlag: r.SysFlag,
		Flag: r.Flag, BornTimestamp: time.Now().UnixMilli(), Properties: string(r.Props), MaxReconsumeTimes: -1,
	}, r.Body, b.c.timeout)
	if err != nil {
		return mq.Stored{}, err
	}
	s := mq.Stored{}
	switch resp.Code {
	case protocol.RespSuccess:
	case protocol.RespFlushDiskTimeout:
		s.Status = mq.SendFlushTimeout
	case protocol.RespFlushSlaveTimeout:
		s.Status = mq.SendSlaveTimeout
	case protocol.RespSlaveNotAvailable:
		s.Status = mq.SendSlaveUnavailable
	default:
		return s, refused(b.addr, code, resp)
	}
	var rh protocol.SendMessageResponseHeader
	if err := rh.Decode(resp.Fields); err != nil {
		return s, malformed(b.addr, code, err)
	}
	s.ID, s.QueueID, s.Index = rh.MsgID, rh.QueueID, mq.Index(rh.QueueOffset)
	return s, nil
}
