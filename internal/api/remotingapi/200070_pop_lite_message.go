package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// POP_LITE_MESSAGE (200070): the lite topics of one client. ACK_MESSAGE and CHANGE_MESSAGE_INVISIBLETIME name the lite topic of the
// message; ACK_LITE_MESSAGE (200072) is a number that no Java version uses.
func popLiteMessage(_ *API, s *session, r *remoting.Request) {
	var h protocol.PopLiteMessageRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	if h.ClientID == "" {
		s.fail(r, mq.Errorf(mq.KindInvalidParameter, "clientId is empty"))
		return
	}
	s.pop(r, &mq.PopRequest{
		Group: h.ConsumerGroup, Topic: h.Topic, MaxMessages: h.MaxMsgNum, Invisible: h.InvisibleTime, PollTime: min(h.PollTime, maxSuspend),
		BornTime: h.BornTime, AttemptID: h.AttemptID, LiteClient: h.ClientID, ClientHost: s.conn.Remote(),
	})
}

// liteHeader is what of a pop's answer is in the answer to a pop of lite topics.
func liteHeader(h *protocol.PopMessageResponseHeader) *protocol.PopLiteMessageResponseHeader {
	return &protocol.PopLiteMessageResponseHeader{
		PopTime: h.PopTime, InvisibleTime: h.InvisibleTime, ReviveQid: h.ReviveQid, OrderCountInfo: h.OrderCountInfo,
	}
}

// LITE_SUBSCRIPTION_CTL (200071).
func controlLite(a *API, s *session, r *remoting.Request) {
	if len(r.Body) == 0 {
		s.fail(r, mq.Errorf(mq.KindIllegalOperation, "Request body is null."))
		return
	}
	var body protocol.LiteSubscriptionCtlRequestBody
	if err := body.Decode(r.Body); err != nil {
		s.fail(r, err)
		return
	}
	if len(body.Set) == 0 {
		s.fail(r, mq.Errorf(mq.KindIllegalOperation, "LiteSubscriptionCtlRequestBody is empty."))
		return
	}
	list := make([]mq.LiteChange, len(body.Set))
	for i := range body.Set {
		b := &body.Set[i]
		list[i] = mq.LiteChange{Action: mq.LiteAction(b.Action), ClientID: b.ClientID, Group: b.Group, Topic: b.Topic, Lites: b.Lites}
		if b.HasOffset {
			list[i].Start = &mq.LiteStart{Kind: b.OffsetType, Value: b.OffsetValue}
		}
	}
	var p mq.Peer = &peer{conn: s.conn, storeHost: a.o.StoreHost.String()}
	if s.member != nil {
		p = s.member.Peer
	}
	to := r.ReplyTo()
	s.later(to, func() { // it may ask a name server where messages of a lite topic go
		if err := a.svc.SubscribeLite(a.ctx, p, list); err != nil {
			s.failLater(to, err)
			return
		}
		s.conn.Reply(to, protocol.RespSuccess, "", nil, nil)
	})
}

// GET_BROKER_LITE_INFO (200074).
func brokerLiteInfo(a *API, s *session, r *remoting.Request) {
	info, err := a.adm.LiteBroker(a.ctx)
	if err != nil {
		s.fail(r, err)
		return
	}
	b := protocol.GetBrokerLiteInfoResponseBody{
		StoreType: info.StoreType, MaxLmqNum: info.MaxTopics, CurrentLmqNum: info.Topics, LiteSubscriptionCount: info.Subscriptions,
		OrderInfoCount: info.OrderInfos, CqTableSize: info.Queues, OffsetTableSize: info.Positions, EventMapSize: info.ClientsWaiting,
		TopicMeta: info.Parents, GroupMeta: info.Groups,
	}
	s.ok(r, nil, b.AppendTo(nil, false))
}

// GET_PARENT_TOPIC_INFO (200075).
func parentTopicInfo(a *API, s *session, r *remoting.Request) {
	var h protocol.GetParentTopicInfoRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	p, err := a.adm.LiteParent(a.ctx, h.Topic)
	if err != nil {
		s.fail(r, err)
		return
	}
	b := protocol.GetParentTopicInfoResponseBody{Topic: h.Topic, TTL: p.TTL, LmqNum: p.Queues, LiteTopicCount: p.Topics, Groups: p.Groups}
	s.ok(r, nil, b.AppendTo(nil, false))
}

// GET_LITE_TOPIC_INFO (200076).
func liteTopicInfo(a *API, s *session, r *remoting.Request) {
	var h protocol.GetLiteTopicInfoRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	parent, lite, to := strings.Clone(h.ParentTopic), strings.Clone(h.LiteTopic), r.ReplyTo()
	s.later(to, func() { // it may ask a name server where messages of the lite topic go
		l, err := a.adm.LiteTopic(a.ctx, parent, lite)
		if err != nil {
			s.failLater(to, err)
			return
		}
		b := protocol.GetLiteTopicInfoResponseBody{
			ParentTopic: parent, LiteTopic: lite, Min: int64(l.Min), Max: int64(l.Max), LastUpdate: l.LastUpdate, ShardingToBroker: l.Here,
		}
		for _, c := range l.Subscribers {
			b.Subscriber = append(b.Subscriber, protocol.LiteSubscriber{ClientID: c.Client, Group: c.Group})
		}
		s.conn.Reply(to, protocol.RespSuccess, "", nil, b.AppendTo(nil, false))
	})
}

// maxLites bounds the lite topics that the answer about a client lists, as in Java.
const maxLites = 10_000

// GET_LITE_CLIENT_INFO (200077).
func liteClientInfo(a *API, s *session, r *remoting.Request) {
	var h protocol.GetLiteClientInfoRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	c, err := a.adm.LiteClient(a.ctx, h.ParentTopic, h.Group, h.ClientID)
	if err != nil {
		s.fail(r, err)
		return
	}
	b := protocol.GetLiteClientInfoResponseBody{
		ParentTopic: h.ParentTopic, Group: h.Group, ClientID: h.ClientID, LastAccess: c.LastAccess, LiteTopicCount: c.Count,
	}
	if c.Count >= 0 {
		b.LiteTopicSet = append([]string{}, c.Topics[:min(len(c.Topics), int(max(h.MaxCount, 0)), maxLites)]...)
	}
	s.ok(r, nil, b.AppendTo(nil, false))
}

// GET_LITE_GROUP_INFO (200078).
func liteGroupInfo(a *API, s *session, r *remoting.Request) {
	var h protocol.GetLiteGroupInfoRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	g, err := a.adm.LiteGroup(a.ctx, h.Group, h.LiteTopic, h.TopK)
	if err != nil {
		s.fail(r, err)
		return
	}
	b := protocol.GetLiteGroupInfoResponseBody{Group: h.Group, ParentTopic: g.Parent, LiteTopic: h.LiteTopic, Earliest: g.Earliest, TotalLag: g.Behind}
	if p := g.Topic; p != nil {
		b.Position = &protocol.QueueConsumeOffset{BrokerOffset: int64(p.End), ConsumerOffset: int64(p.Committed), LastTimestamp: p.LastTime}
	}
	if h.LiteTopic == "" {
		b.ByCount, b.ByTime = wireLags(g.Most), wireLags(g.Earlier)
	}
	s.ok(r, nil, b.AppendTo(nil, false))
}

// wireLags is never nil: an empty list is in the answer.
func wireLags(list []mq.LiteLag) []protocol.LiteLagInfo {
	out := make([]protocol.LiteLagInfo, 0, len(list))
	for _, l := range list {
		out = append(out, protocol.LiteLagInfo{LiteTopic: l.Topic, LagCount: l.Behind, Earliest: l.Earliest})
	}
	return out
}

// TRIGGER_LITE_DISPATCH (200079).
func triggerLite(a *API, s *session, r *remoting.Request) {
	var h protocol.TriggerLiteDispatchRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	if err := a.adm.TriggerLite(a.ctx, h.Group, h.ClientID); err != nil {
		s.fail(r, err)
		return
	}
	s.ok(r, nil, nil)
}

// liteNeeds asks for what a request about lite topics needs.
func (q *asker) liteNeeds(r *remoting.Request) error {
	switch r.Code {
	case protocol.ReqPopLiteMessage:
		return q.topicAndGroup(get(r.Fields, "topic"), get(r.Fields, "consumerGroup"), actSub)
	case protocol.ReqLiteSubscriptionCtl:
		var body protocol.LiteSubscriptionCtlRequestBody
		if err := body.Decode(r.Body); err != nil {
			return mq.Errorf(mq.KindIllegalOperation, "the body is malformed: %s", err.Error())
		}
		for i := range body.Set {
			if err := q.topicAndGroup([]byte(body.Set[i].Topic), []byte(body.Set[i].Group), actSub); err != nil {
				return err
			}
		}
		return nil
	case protocol.ReqTriggerLiteDispatch:
		return q.may(auth.Cluster(q.cluster), auth.ActionsOf(auth.Update))
	default:
		return q.may(auth.Cluster(q.cluster), auth.ActionsOf(auth.Get))
	}
}
