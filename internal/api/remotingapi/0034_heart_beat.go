package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// HEART_BEAT, V1 and V2. It runs in the reader: what the client asks next must see its registration. The groups' retry topics
// are announced to the name servers before the answer.
func heartBeat(a *API, s *session, r *remoting.Request) {
	var d protocol.HeartbeatData
	if err := d.Decode(r.Body); err != nil {
		s.fail(r, err)
		return
	}
	m := s.member
	if m == nil || m.ClientID != d.ClientID {
		m = &mq.Session{
			// Cloned, or it would keep the whole body.
			ClientID: strings.Clone(d.ClientID), Language: strings.Clone(r.LanguageName()), Version: r.Version, Remote: s.conn.Remote(),
			Peer: &peer{conn: s.conn, storeHost: a.o.StoreHost.String()},
		}
		if s.member != nil {
			a.svc.Detach(s.member)
		}
		s.member, s.client = m, ""
	}
	h := mq.Heartbeat{Producers: d.Producers, WithoutSubs: d.WithoutSub, Fingerprint: d.HeartbeatFingerprint}
	for i := range d.Consumers {
		h.Consumers = append(h.Consumers, consumer(&d.Consumers[i]))
	}
	res, err := a.svc.Heartbeat(a.ctx, m, &h)
	if err != nil {
		s.fail(r, err)
		return
	}
	s.ok(r, &protocol.HeartbeatResponseHeader{SupportV2: true, SubChange: res.SubsChanged}, nil)
}

func consumer(c *protocol.ConsumerData) mq.ConsumerData {
	out := mq.ConsumerData{
		Group: c.GroupName, Type: mq.ConsumeType(c.ConsumeType), Broadcast: c.MessageModel == "BROADCASTING",
		FromWhere: c.ConsumeFromWhere, UnitMode: c.UnitMode,
	}
	for i := range c.SubscriptionDataSet {
		out.Subscriptions = append(out.Subscriptions, subscription(&c.SubscriptionDataSet[i]))
	}
	return out
}

func subscription(d *protocol.SubscriptionData) mq.Subscription {
	return mq.Subscription{
		Topic: d.Topic, Expression: d.SubString, ExpressionType: d.ExpressionType, Tags: d.TagsSet, Codes: d.CodeSet,
		Version: d.SubVersion, ClassFilter: d.ClassFilterMode,
	}
}
