package remotingapi

import (
	"context"
	"errors"
	"time"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// How long clients may take to answer, as Java's Broker2Client lets them.
const (
	callTimeout   = 10 * time.Second
	statusTimeout = 5 * time.Second
)

// peer is how the core calls a client back.
type peer struct {
	conn      *remoting.Conn
	storeHost string // of this broker, as a client is told
}

// ConsumerIDsChanged sends NOTIFY_CONSUMER_IDS_CHANGED (40). A client that is gone need not hear of it.
func (p *peer) ConsumerIDsChanged(group string) {
	_ = p.conn.Oneway(protocol.ReqNotifyConsumerIDsChanged, &protocol.NotifyConsumerIdsChangedRequestHeader{ConsumerGroup: group}, nil)
}

// UnsubscribeLite sends NOTIFY_UNSUBSCRIBE_LITE (200073).
func (p *peer) UnsubscribeLite(group, clientID, lite string) {
	h := protocol.NotifyUnsubscribeLiteRequestHeader{LiteTopic: lite, ConsumerGroup: group, ClientID: clientID}
	_ = p.conn.Oneway(protocol.ReqNotifyUnsubscribeLite, &h, nil)
}

// ResetPositions sends RESET_CONSUMER_CLIENT_OFFSET (220). Clients in C++ want the positions as a list.
func (p *peer) ResetPositions(r *mq.PositionReset, to []mq.QueuePosition) {
	var body []byte
	if r.ForC {
		list := protocol.ResetOffsetBodyForC{OffsetTable: wirePositions(to)}
		body = list.AppendTo(nil, false)
	} else {
		table := protocol.ResetOffsetBody{OffsetTable: wirePositions(to)}
		body = table.AppendTo(nil, false)
	}
	h := protocol.ResetOffsetRequestHeader{Group: r.Group, Topic: r.Topic, QueueID: -1, Timestamp: r.Time}
	_ = p.conn.Oneway(protocol.ReqResetConsumerClientOffset, &h, body)
}

// Positions sends GET_CONSUMER_STATUS_FROM_CLIENT (221).
func (p *peer) Positions(group, topic string, done func([]mq.QueuePosition, error)) {
	h := protocol.GetConsumerStatusRequestHeader{Group: group, Topic: topic}
	p.conn.Ask(statusTimeout, protocol.ReqGetConsumerStatusFromClient, &h, nil, func(r *remoting.Response, err error) {
		var body protocol.GetConsumerStatusBody
		switch {
		case err != nil:
			done(nil, callError(err))
		case r.Code != protocol.RespSuccess:
			done(nil, mq.Errorf(mq.KindInternal, "the client answered code %d, %s", r.Code, r.Remark))
		case body.Decode(r.Body) != nil:
			done(nil, mq.Errorf(mq.KindInternal, "the client's answer is malformed"))
		default:
			done(corePositions(body.MessageQueueTable), nil)
		}
	})
	p.conn.Flush()
}

// RunningInfo sends GET_CONSUMER_RUNNING_INFO (307).
func (p *peer) RunningInfo(r *mq.RunningInfoRequest, done func(mq.ClientAnswer, error)) {
	h := protocol.GetConsumerRunningInfoRequestHeader{ConsumerGroup: r.Group, ClientID: r.ClientID, JstackEnable: r.Stacks}
	p.handOn(protocol.ReqGetConsumerRunningInfo, &h, nil, done)
}

// ConsumeDirectly sends CONSUME_MESSAGE_DIRECTLY (309).
func (p *peer) ConsumeDirectly(r *mq.DirectRequest, done func(mq.ClientAnswer, error)) {
	h := protocol.ConsumeMessageDirectlyResultRequestHeader{
		ConsumerGroup: r.Group, ClientID: r.ClientID, MsgID: r.MessageID, BrokerName: r.Broker, Topic: r.Topic,
		TopicSysFlag: r.TopicSysFlag, GroupSysFlag: r.GroupSysFlag,
	}
	p.handOn(protocol.ReqConsumeMessageDirectly, &h, r.Record, done)
}

// handOn asks the client what a tool wants to know.
func (p *peer) handOn(code int32, h remoting.HeaderAppender, body []byte, done func(mq.ClientAnswer, error)) {
	p.conn.Ask(callTimeout, code, h, body, func(r *remoting.Response, err error) {
		if err != nil {
			done(mq.ClientAnswer{}, callError(err))
			return
		}
		done(mq.ClientAnswer{Code: r.Code, Remark: r.Remark, Body: r.Body}, nil)
	})
	p.conn.Flush()
}

// PushReply sends PUSH_REPLY_MESSAGE_TO_CLIENT (326), with the next Flush. A client that does not read gets no more.
func (p *peer) PushReply(r *mq.PushedReply, done func(error)) {
	if !p.conn.Writable() {
		done(mq.Errorf(mq.KindBusy, "the client does not read"))
		return
	}
	h := protocol.ReplyMessageRequestHeader{
		ProducerGroup: r.Group, Topic: r.Topic, DefaultTopic: r.DefaultTopic, DefaultTopicQueueNums: r.DefaultQueues,
		QueueID: r.QueueID, SysFlag: r.SysFlag, BornTimestamp: r.BornTime, Flag: r.Flag, Properties: bytesview.String(r.Props),
		ReconsumeTimes: r.Reconsume, UnitMode: r.UnitMode, BornHost: r.BornHost.String(), StoreHost: p.storeHost,
		StoreTimestamp: r.StoreTime,
	}
	p.conn.Ask(callTimeout, protocol.ReqPushReplyMessageToClient, &h, r.Body, func(r *remoting.Response, err error) {
		if err == nil && r.Code != protocol.RespSuccess {
			err = mq.Errorf(mq.KindInternal, "the client answered code %d, %s", r.Code, r.Remark)
		}
		done(err)
	})
}

// Flush sends what PushReply left.
func (p *peer) Flush() { p.conn.Flush() }

// Close ends the connection.
func (p *peer) Close() { p.conn.Close(errSilent) }

func callError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return mq.Errorf(mq.KindTimeout, "%s", err.Error())
	}
	return mq.Errorf(mq.KindInternal, "%s", err.Error())
}

func wirePositions(to []mq.QueuePosition) []protocol.QueueOffset {
	out := make([]protocol.QueueOffset, len(to))
	for i, p := range to {
		out[i] = protocol.QueueOffset{Queue: wireQueue(p.Queue), Offset: int64(p.At)}
	}
	return out
}

func corePositions(list []protocol.QueueOffset) []mq.QueuePosition {
	out := make([]mq.QueuePosition, len(list))
	for i, o := range list {
		out[i] = mq.QueuePosition{
			Queue: mq.Queue{Topic: o.Queue.Topic, Broker: o.Queue.BrokerName, ID: o.Queue.QueueID}, At: mq.Index(o.Offset),
		}
	}
	return out
}

func wireQueue(q mq.Queue) protocol.MessageQueue {
	return protocol.MessageQueue{Topic: q.Topic, BrokerName: q.Broker, QueueID: q.ID}
}
