package broker

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// Heartbeat implements mq.Service.
func (b *Broker) Heartbeat(ctx context.Context, s *mq.Session, h *mq.Heartbeat) (mq.HeartbeatReply, error) {
	// A client without fingerprints (V1) is told so each time, as in Java: it always sends everything.
	reply := mq.HeartbeatReply{SubsChanged: h.Fingerprint == 0}
	for i := range h.Consumers {
		d := &h.Consumers[i]
		g := b.ensureGroup(d.Group)
		if g == nil {
			continue
		}
		if b.clients.Fingerprint(d.Group, h.Fingerprint) && h.Fingerprint != 0 {
			reply.SubsChanged = true
		}
		b.retryTopic(ctx, g, d)
		withoutSubs := h.WithoutSubs && h.Fingerprint != 0
		if !withoutSubs {
			b.meta.Filters.Register(d.Group, d.Subscriptions)
		}
		if b.clients.Consume(s, d, withoutSubs, g.entry.Config().NotifyConsumerIDsChanged) {
			b.o.Log.Info("consumer group changed", "group", g.entry.Name(), "peer", s.Remote, "client", s.ClientID)
		}
	}
	for _, name := range h.Producers {
		b.clients.Produce(s, name)
	}
	return reply, nil
}

// retryTopic makes sure that the retry topic of a group is there and known to the name servers.
func (b *Broker) retryTopic(ctx context.Context, g *group, d *mq.ConsumerData) {
	ordered := slices.ContainsFunc(d.Subscriptions, func(sub mq.Subscription) bool {
		e, ok := b.meta.Topics.Get(sub.Topic)
		return ok && e.Config().Order
	})
	gc := g.entry.Config()
	c := mq.TopicConfig{
		Name: retryPrefix + gc.Name, ReadQueues: gc.RetryQueues, WriteQueues: gc.RetryQueues, Perm: mq.PermRead | mq.PermWrite,
		Order: ordered,
	}
	if d.UnitMode {
		c.SysFlag = topicUnitSub
	}
	e := b.ensureTopic(ctx, c)
	if e.Config().Order == ordered {
		return
	}
	_, v, err := b.meta.Topics.Update(c.Name, func(c *mq.TopicConfig) bool {
		was := c.Order
		c.Order = ordered
		return was != ordered
	})
	if err != nil {
		b.o.Log.Error("the order flag of a topic is not on disk yet", "topic", c.Name, "err", err)
	}
	b.announce(ctx, v, e.Config())
}

// Leave implements mq.Service.
func (b *Broker) Leave(_ context.Context, s *mq.Session, producerGroup, consumerGroup string) {
	if producerGroup != "" {
		b.clients.LeaveProducer(s, producerGroup)
	}
	if consumerGroup != "" {
		notify := true
		if g, ok := b.group(consumerGroup); ok {
			notify = g.entry.Config().NotifyConsumerIDsChanged
		}
		b.clients.LeaveConsumer(s, consumerGroup, notify)
	}
}

// Detach implements mq.Service.
func (b *Broker) Detach(s *mq.Session) {
	b.clients.Detach(s)
	if s.Peer != nil {
		b.lites.Forget(s.Peer)
	}
}

// Members implements mq.Service.
func (b *Broker) Members(_ context.Context, group string) ([]string, error) {
	ids, ok := b.clients.Members(group)
	if !ok || len(ids) == 0 {
		return nil, mq.Errorf(mq.KindInternal, "no consumer for this group, %s", group)
	}
	return ids, nil
}

// Lock implements mq.Service.
func (b *Broker) Lock(_ context.Context, r *mq.LockRequest) ([]mq.Queue, error) {
	return b.locks.Lock(r), nil
}

// Unlock implements mq.Service.
func (b *Broker) Unlock(_ context.Context, r *mq.LockRequest) error {
	b.locks.Unlock(r)
	return nil
}

// modePull is Java's MessageRequestMode of a consumer that pulls.
const modePull = "PULL"

// Assign implements mq.Service.
func (b *Broker) Assign(ctx context.Context, r *mq.AssignmentRequest) ([]mq.Assignment, error) {
	queues := b.routesOf(ctx, r.Topic)
	if len(queues) == 0 {
		return nil, nil
	}
	mode := b.requestMode(r.Topic, r.Group)
	if !r.Broadcast && !b.live.Load().NoBalancing {
		members, ok := b.clients.Members(r.Group)
		if !ok {
			return nil, nil
		}
		var known bool
		if queues, known = allocate(mode, r, queues, members); !known {
			return nil, nil
		}
	}
	out := make([]mq.Assignment, 0, len(queues))
	for _, q := range queues {
		out = append(out, mq.Assignment{Queue: q, Mode: mode.Mode})
	}
	return out, nil
}

// routeCache keeps routes for a while, since each client asks each 20 s for each topic.
type routeCache struct {
	mu      sync.Mutex // guards entries
	entries map[string]cachedRoute
}

type cachedRoute struct {
	queues []mq.Queue
	until  time.Time
}

const (
	routeTime = 30 * time.Second
	maxRoutes = 10_000
)

func (c *routeCache) init() { c.entries = make(map[string]cachedRoute) }

// routesOf returns the readable queues of a topic on all brokers, a fresh slice.
func (b *Broker) routesOf(ctx context.Context, topic string) []mq.Queue {
	if b.o.Routes == nil {
		return b.ownQueues(topic)
	}
	c := &b.routes
	now := b.o.Now()
	c.mu.Lock()
	r, ok := c.entries[topic]
	c.mu.Unlock()
	if ok && now.Before(r.until) {
		return slices.Clone(r.queues)
	}
	queues, err := b.o.Routes(ctx, topic)
	if err != nil {
		b.o.Log.Warn("no route for an assignment", "topic", topic, "err", err)
		return slices.Clone(r.queues) // the old one is better than none
	}
	if len(queues) == 0 {
		return nil
	}
	c.mu.Lock()
	if len(c.entries) >= maxRoutes {
		clear(c.entries)
	}
	c.entries[strings.Clone(topic)] = cachedRoute{queues: slices.Clone(queues), until: now.Add(routeTime)}
	c.mu.Unlock()
	return queues
}

func (b *Broker) ownQueues(topic string) []mq.Queue {
	e, ok := b.meta.Topics.Get(topic)
	if !ok {
		return nil
	}
	c := e.Config()
	if !c.Perm.Readable() {
		return nil
	}
	out := make([]mq.Queue, 0, min(c.ReadQueues, maxQueues))
	for id := range min(c.ReadQueues, maxQueues) {
		out = append(out, mq.Queue{Topic: c.Name, Broker: b.o.Name, ID: id})
	}
	return out
}
