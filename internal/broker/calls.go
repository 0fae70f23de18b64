package broker

import (
	"context"
	"sync"

	"github.com/cometmq/cometmq/internal/mq"
)

// RunningInfo implements mq.ClientAdmin.
func (b *Broker) RunningInfo(_ context.Context, r *mq.RunningInfoRequest, done func(mq.ClientAnswer, error)) {
	s := b.clients.Consumer(r.Group, r.ClientID)
	if s == nil {
		done(mq.ClientAnswer{}, errOffline(r.Group, r.ClientID))
		return
	}
	s.Peer.RunningInfo(r, calling(r.Group, s.ClientID, done))
}

// ConsumeDirectly implements mq.ClientAdmin.
//
// Differs from Java: a message that is not there is an error, there the client is called without one.
func (b *Broker) ConsumeDirectly(_ context.Context, r *mq.DirectRequest, done func(mq.ClientAnswer, error)) {
	s := b.clients.Consumer(r.Group, r.ClientID)
	if s == nil {
		done(mq.ClientAnswer{}, errOffline(r.Group, r.ClientID))
		return
	}
	var err error
	if r.HasMessage {
		r.Record, err = b.store.ReadAt(r.At, nil)
	}
	if !r.HasMessage || err != nil {
		done(mq.ClientAnswer{}, mq.Errorf(mq.KindInternal, "can not find message by msgId, %s", r.MessageID))
		return
	}
	r.Broker = b.o.Name
	if t, ok := b.meta.Topics.Get(r.Topic); ok {
		r.TopicExists, r.TopicSysFlag = true, t.Config().SysFlag
	}
	if g, ok := b.meta.Groups.Get(r.Group); ok {
		r.GroupExists, r.GroupSysFlag = true, g.Config().SysFlag
	}
	s.Peer.ConsumeDirectly(r, calling(r.Group, s.ClientID, done))
}

func errOffline(group, client string) *mq.Error {
	return mq.Errorf(mq.KindInternal, "The Consumer <%s> <%s> not online", group, client)
}

// calling wraps done: an error says which client it was. The group may be borrowed, the client id is not.
func calling(group, client string, done func(mq.ClientAnswer, error)) func(mq.ClientAnswer, error) {
	timeout := mq.Errorf(mq.KindTimeout, "consumer <%s> <%s> Timeout: ", group, client)
	failed := mq.Errorf(mq.KindInternal, "invoke consumer <%s> <%s> Exception: ", group, client)
	return func(a mq.ClientAnswer, err error) {
		if err != nil {
			refusal := failed
			if mq.KindOf(err) == mq.KindTimeout {
				refusal = timeout
			}
			done(a, mq.Errorf(refusal.Kind, "%s%s", refusal.Detail, err.Error()))
			return
		}
		done(a, nil)
	}
}

// ConsumerPositions implements mq.ClientAdmin. The clients are asked at the same time.
func (b *Broker) ConsumerPositions(_ context.Context, group, topic, clientID string, done func([]mq.ClientPositions, error)) {
	sessions := b.clients.Consumers(group)
	if len(sessions) == 0 {
		done(nil, mq.Errorf(mq.KindInternal, "No Any Consumer online in the consumer group: [%s]", group))
		return
	}
	var (
		mu   sync.Mutex // guards the fields below
		out  []mq.ClientPositions
		left = 1
	)
	finish := func(add *mq.ClientPositions) {
		mu.Lock()
		if add != nil {
			out = append(out, *add)
		}
		left--
		last := left == 0
		mu.Unlock()
		if last {
			done(out, nil)
		}
	}
	for _, s := range sessions {
		if !isBlank(clientID) && s.ClientID != clientID {
			continue
		}
		mu.Lock()
		left++
		mu.Unlock()
		s.Peer.Positions(group, topic, func(at []mq.QueuePosition, err error) {
			if err != nil {
				b.o.Log.Warn("a client does not say how far it is", "client", s.ClientID, "err", err)
				finish(nil)
				return
			}
			finish(&mq.ClientPositions{ClientID: s.ClientID, Positions: at})
		})
	}
	finish(nil)
}

// Consumers implements mq.ClientAdmin.
func (b *Broker) Consumers(_ context.Context, group string) (mq.ConsumerGroup, error) {
	g, ok := b.clients.Group(group)
	if !ok {
		return mq.ConsumerGroup{}, mq.Errorf(mq.KindConsumerNotOnline, "the consumer group[%s] not online", group)
	}
	out := mq.ConsumerGroup{
		Type: g.Type, Broadcast: g.Broadcast, FromWhere: g.FromWhere, Connections: connections(b.clients.Consumers(group)),
	}
	for _, s := range b.clients.Subscriptions(group) {
		out.Subscriptions = append(out.Subscriptions, s.Subscription)
	}
	return out, nil
}

// Producers implements mq.ClientAdmin.
func (b *Broker) Producers(_ context.Context, group string) ([]mq.Connection, error) {
	sessions := b.clients.Producers(group)
	if len(sessions) == 0 {
		return nil, mq.Errorf(mq.KindInternal, "the producer group[%s] not exist", group)
	}
	return connections(sessions), nil
}

// Subscription implements mq.ClientAdmin.
func (b *Broker) Subscription(_ context.Context, group, topic string) (*mq.Subscription, error) {
	sub, _, _ := b.clients.Find(group, topic)
	if sub == nil {
		return nil, nil //nolint:nilnil // nothing is an answer here
	}
	return &sub.Subscription, nil
}

func connections(sessions []*mq.Session) []mq.Connection {
	out := make([]mq.Connection, len(sessions))
	for i, s := range sessions {
		out[i] = mq.Connection{ClientID: s.ClientID, Language: s.Language, Version: s.Version, Remote: s.Remote}
	}
	return out
}

var _ mq.ClientAdmin = (*Broker)(nil)
