package broker

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/mq"
)

// announceTimeout bounds how long a request waits for the name servers to hear of a new topic.
const announceTimeout = 3 * time.Second

// sendTopic finds the topic of a send, made on demand when Java would, and leaves it in s.
func (b *Broker) sendTopic(ctx context.Context, s *sender, r *mq.SendRequest) *mq.Error {
	if s.last == nil || s.last.entry.Name() != r.Topic {
		t, ok := b.topic(r.Topic)
		if !ok {
			var refusal *mq.Error
			if t, refusal = b.createForSend(ctx, r); refusal != nil {
				return refusal
			}
		}
		s.last, s.cfg = t, t.entry.Config()
	}
	if s.cfg.Order && !b.live.Load().Perm.Writable() {
		return mq.Errorf(mq.KindNoPermission, "the broker[%s] sending message is forbidden", b.o.Addr.Addr())
	}
	return s.last.refuse
}

// createForSend makes the topic of a send from its template, or as a retry topic (remoting spec 4.4).
//
// Differs from Java: a message for a queue that the new topic would not have makes no topic.
func (b *Broker) createForSend(ctx context.Context, r *mq.SendRequest) (*topic, *mq.Error) {
	if refusal := checkTopicName(r.Topic); refusal != nil {
		return nil, refusal
	}
	if meta.SendForbidden(r.Topic) {
		return nil, mq.Errorf(mq.KindNoPermission, "Sending message to topic[%s] is forbidden.", r.Topic)
	}
	isRetry := strings.HasPrefix(r.Topic, retryPrefix)
	c, ok := b.fromTemplate(r)
	if !ok && isRetry {
		c, ok = mq.TopicConfig{Name: r.Topic, ReadQueues: 1, WriteQueues: 1, Perm: mq.PermRead | mq.PermWrite}, true
	}
	if !ok {
		return nil, mq.Errorf(mq.KindTopicNotExist, "topic[%s] not exist, apply first please!%s", r.Topic, faq)
	}
	if r.UnitMode {
		c.SysFlag = topicUnit
		if isRetry {
			c.SysFlag = topicUnitSub
		}
	}
	if _, refusal := chooseQueue(&c, r); refusal != nil {
		return nil, refusal
	}
	e := b.ensureTopic(ctx, c)
	return b.topicOf(e), nil
}

// System flags of topics.
const (
	topicUnit    = 1
	topicUnitSub = 2
)

// fromTemplate returns the configuration that a new topic inherits from the topic that the producer names, TBW102 mostly.
func (b *Broker) fromTemplate(r *mq.SendRequest) (mq.TopicConfig, bool) {
	e, ok := b.meta.Topics.Get(r.DefaultTopic)
	if !ok {
		return mq.TopicConfig{}, false
	}
	t := e.Config()
	if t.Perm&mq.PermInherit == 0 || (r.DefaultTopic == meta.TopicAutoCreate && !b.live.Load().AutoCreateTopic) {
		return mq.TopicConfig{}, false
	}
	queues := max(min(r.DefaultQueues, t.WriteQueues), 0)
	return mq.TopicConfig{
		Name: r.Topic, ReadQueues: queues, WriteQueues: queues, Perm: t.Perm &^ mq.PermInherit, Filter: t.Filter,
	}, true
}

// ensureTopic returns the topic with the name of c, made as c when there is none. When it was made here it is on disk and
// announced.
func (b *Broker) ensureTopic(ctx context.Context, c mq.TopicConfig) *meta.Topic {
	e, created, v, err := b.meta.Topics.Ensure(c)
	if err != nil {
		// It is in memory, and the tables go on trying. The message that asked for it is refused by the store if the
		// disk is the trouble.
		b.o.Log.Error("a new topic is not on disk yet", "topic", e.Name(), "err", err)
	}
	if created {
		b.o.Log.Info("created topic on demand", "topic", e.Name(), "queues", e.Config().WriteQueues)
		b.announce(ctx, v, e.Config())
	}
	return e
}

// announce tells the name servers about changed topics. A failure is only logged: they hear of it with the next regular
// registration.
func (b *Broker) announce(ctx context.Context, v mq.DataVersion, changed ...mq.TopicConfig) {
	if b.o.Announce == nil || len(changed) == 0 {
		return
	}
	for i := range changed {
		changed[i] = b.withStatic(b.masked(changed[i]))
	}
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	if err := b.o.Announce(ctx, changed, v); err != nil {
		b.o.Log.Warn("name servers were not told about a topic", "topic", changed[0].Name, "err", err)
	}
}

// masked limits a topic's permission to the broker's, as it is registered.
func (b *Broker) masked(c mq.TopicConfig) mq.TopicConfig {
	if b.live.Load().Perm != mq.PermRead|mq.PermWrite {
		c.Perm &= b.live.Load().Perm
	}
	return c
}

// TopicTable returns what the broker registers with name servers.
func (b *Broker) TopicTable() ([]mq.TopicConfig, mq.DataVersion) {
	entries, v := b.meta.Topics.List()
	out := make([]mq.TopicConfig, len(entries))
	for i, e := range entries {
		out[i] = b.withStatic(b.masked(e.Config()))
	}
	return out, v
}

// MarkOrdered sets the order flag of the topics that the name servers' ORDER_TOPIC_CONFIG names. As in Java the name
// servers hear of it with the next regular registration.
func (b *Broker) MarkOrdered(names []string) {
	for _, name := range names {
		_, _, err := b.meta.Topics.Update(name, func(c *mq.TopicConfig) bool {
			was := c.Order
			c.Order = true
			return !was
		})
		if err != nil && !errors.Is(err, meta.ErrNotFound) {
			b.o.Log.Error("the order flag of a topic is not on disk yet", "topic", name, "err", err)
		}
	}
}
