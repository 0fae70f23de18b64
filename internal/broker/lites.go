package broker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/broker/lite"
	"github.com/cometmq/cometmq/internal/broker/longpoll"
	"github.com/cometmq/cometmq/internal/broker/pop"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/storage"
)

// Lite topics: see package lite. Their messages are in light queues, which are read in the way of ordered pops, one batch at a time.
// The batches are held in memory: as in Java what was not acknowledged comes again after a restart.

// LiteOptions configures lite topics. Each is a key of Java's broker.
type LiteOptions struct {
	NoEvents            bool          // enableLiteEventMode = false: a pop looks into all lite topics of its client, and never waits for one
	MaxEvents           int           // maxClientEventCount, default 100
	MaxSubscriptions    int           // maxLiteSubscriptionCount, default 100,000
	EventCheck          time.Duration // liteEventCheckInterval, default 10 s
	RefillDelay         time.Duration // liteEventFullDispatchDelayTime, default 10 s
	WildcardRefillDelay time.Duration // liteEventFullDispatchDelayTimeForWildcardGroup, default 10 s
	SubscriptionCheck   time.Duration // liteSubscriptionCheckInterval, default 2 min
	SubscriptionTimeout time.Duration // liteSubscriptionCheckTimeoutMills, default 3 min
	TTLCheck            time.Duration // liteTtlCheckInterval, default 2 min
	MinTTL              time.Duration // minLiteTTl, default 15 min
	MaxQueues           int64         // maxLmqConsumeQueueNum, for operators to see; default 20,000
}

func (o *LiteOptions) setDefaults() {
	span := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	span(&o.EventCheck, 10*time.Second)
	span(&o.SubscriptionCheck, 2*time.Minute)
	span(&o.SubscriptionTimeout, 3*time.Minute)
	span(&o.TTLCheck, 2*time.Minute)
	span(&o.MinTTL, 15*time.Minute)
	if o.MaxEvents <= 0 {
		o.MaxEvents = 100
	}
	if o.MaxQueues <= 0 {
		o.MaxQueues = 20_000
	}
}

// Attributes of topics and groups that are about lite topics.
const (
	messageLite    = "LITE"
	attrLiteTTL    = "lite.topic.expiration"
	attrLiteParent = "lite.bind.topic"
)

// openLites makes the parts of lite topics.
func (b *Broker) openLites() error {
	o := &b.o.Lite
	b.lites = lite.NewTable(lite.Options{
		Max: o.MaxSubscriptions, RefillDelay: o.RefillDelay, WildcardRefillDelay: o.WildcardRefillDelay,
		Behind: b.liteBehind, Queues: b.eachLite, Now: b.o.Now,
	})
	b.liteWaits = longpoll.NewFifo(longpoll.FifoOptions{Workers: 2, PerList: b.o.PopPolling, Most: b.o.PopPollingMost})
	var err error
	b.litePops, err = pop.Open(pop.Options{
		FS: b.o.FS, Dir: b.o.Dir, Positions: b.meta.Offsets, Volatile: true, Wake: b.liteFree, Now: b.o.Now, Log: b.o.Log,
	})
	if err != nil {
		return fmt.Errorf("open lite topics: %w", err)
	}
	b.parts = append(b.parts, running(b.liteWaits.Run))
	b.acting.parts = append(b.acting.parts, b.litePops, running(b.runLites))
	return nil
}

// runLites lets events, subscriptions and lite topics expire until ctx ends.
func (b *Broker) runLites(ctx context.Context) error {
	o := &b.o.Lite
	events, subscriptions, ttl := time.NewTicker(o.EventCheck), time.NewTicker(o.SubscriptionCheck), time.NewTicker(o.TTLCheck)
	defer events.Stop()
	defer subscriptions.Stop()
	defer ttl.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-events.C:
			if !o.NoEvents {
				b.lites.Tick(b.liteDo)
			}
		case <-subscriptions.C:
			gone, fx := b.lites.Expire(o.SubscriptionTimeout)
			for _, c := range gone {
				b.o.Log.Info("lite subscriptions of a silent client have ended", "group", c.Group, "client", c.ID)
			}
			b.liteDo(fx)
		case <-ttl.C:
			if b.o.Now().Sub(b.started) >= o.MinTTL {
				b.expireLites(ctx)
			}
		}
	}
}

// liteDo does what follows from a change of the table.
func (b *Broker) liteDo(fx lite.Effects) {
	for _, l := range fx.Lost {
		if _, topic, ok := lite.Split(l.Queue); ok && l.Peer != nil {
			l.Peer.UnsubscribeLite(l.Group, l.ID, topic)
		}
	}
	for _, c := range fx.Wake {
		b.liteWaits.Wake(c.ID, c.Group, 0)
	}
}

// liteArrived is arrived for light queues.
func (b *Broker) liteArrived(queue string) {
	if !b.o.Lite.NoEvents {
		b.liteDo(b.lites.Arrived(queue))
	}
}

// liteFree is called when the batch of a group blocks a light queue no more.
func (b *Broker) liteFree(s *pop.Shard) { b.liteTell(s.Group(), s.Topic()) }

// liteTell gives the group an event of a light queue if it has not consumed all of it.
func (b *Broker) liteTell(group, queue string) {
	if !b.o.Lite.NoEvents && b.liteBehind(group, queue) {
		b.liteDo(b.lites.Dispatch(queue, group))
	}
}

// liteEnd is how many messages a light queue has had.
func (b *Broker) liteEnd(queue string) mq.Index {
	if q, ok := b.store.Lookup(queue, 0); ok {
		return q.Max()
	}
	return 0
}

// liteBehind reports whether a group has not consumed all of a light queue.
func (b *Broker) liteBehind(group, queue string) bool {
	end := b.liteEnd(queue)
	if end <= 0 {
		return false
	}
	at, ok := b.meta.Offsets.Query(group, queue, 0)
	return !ok || at < end
}

// eachLite calls fn for the light queues of a parent topic, "" = of all, until it returns false.
func (b *Broker) eachLite(parent string, fn func(queue string) bool) {
	err := b.store.Queues(func(q *storage.Queue) bool {
		of, _, ok := lite.Split(q.Topic())
		return !ok || (parent != "" && of != parent) || fn(q.Topic())
	})
	if err != nil {
		b.o.Log.Error("lite topics cannot be listed", "topic", parent, "err", err)
	}
}

// liteGroup reads what a group says about lite topics.
func (b *Broker) liteGroup(c *mq.GroupConfig) lite.Group {
	a := c.Attributes
	_, wildcard := a["lite.sub.wildcard"]
	g := lite.Group{
		Name: c.Name, Parent: a[attrLiteParent], Exclusive: a["lite.sub.model"] == "Exclusive", Wildcard: wildcard,
		RewindExclusive:   strings.EqualFold(a["lite.sub.reset.offset.exclusive"], "true"),
		RewindUnsubscribe: strings.EqualFold(a["lite.sub.reset.offset.unsubscribe"], "true"),
		MaxEvents:         b.o.Lite.MaxEvents,
	}
	if n, err := strconv.ParseInt(a["lite.sub.client.max.event.cnt"], 10, 32); err == nil && n > 0 {
		g.MaxEvents = int(n)
	}
	return g
}

// liteTTL is how long, in minutes, a lite topic of t is kept after its last message; -1: for ever. ok is false when t has none.
func liteTTL(t *mq.TopicConfig) (minutes int32, ok bool) {
	if t.Attributes[attrMessageType] != messageLite {
		return -1, false
	}
	n, err := strconv.ParseInt(t.Attributes[attrLiteTTL], 10, 32)
	if err != nil {
		return -1, true
	}
	return int32(n), true
}

// SubscribeLite implements mq.Lites.
//
// Differs from Java: a group that is bound to another topic is refused, as its pops are. There its subscriptions count although
// nothing can be popped by them.
func (b *Broker) SubscribeLite(ctx context.Context, p mq.Peer, list []mq.LiteChange) error {
	if b.refuse != nil && !b.Acts() {
		return b.refuse
	}
	for i := range list {
		c := &list[i]
		if isBlank(c.ClientID) || isBlank(c.Group) || isBlank(c.Topic) {
			b.o.Log.Warn("a lite subscription names no client, group or topic", "client", c.ClientID, "group", c.Group, "topic", c.Topic)
			continue
		}
		if err := b.subscribeLite(ctx, p, c); err != nil {
			return err
		}
	}
	return nil
}

func (b *Broker) subscribeLite(ctx context.Context, p mq.Peer, c *mq.LiteChange) error {
	if c.Action == mq.LiteRemoveAll {
		b.liteDo(b.lites.Leave(c.ClientID))
		return nil
	}
	var g lite.Group
	enabled := false
	if group := b.ensureGroup(c.Group); group != nil {
		gc := group.entry.Config()
		g, enabled = b.liteGroup(&gc), gc.ConsumeEnable
	}
	queues := make([]string, 0, len(c.Lites))
	for _, name := range c.Lites {
		if q := lite.QueueName(c.Topic, name); q != "" {
			queues = append(queues, q)
		}
	}
	adds := c.Action == mq.LiteAdd || c.Action == mq.LiteSet
	switch {
	case c.Action == mq.LiteRemove:
		fx := b.lites.Remove(c.ClientID, g, queues)
		b.liteRewind(c.Group, fx.Rewind)
		b.liteDo(fx)
		return nil
	case !adds:
		return mq.Errorf(mq.KindInternal, "lite subscription: action %s is not known", c.Action)
	case !enabled:
		return mq.Errorf(mq.KindIllegalOperation, "Consumer group is not allowed to consume.")
	case g.Parent != "" && g.Parent != c.Topic:
		return mq.Errorf(mq.KindIllegalOperation, "lite subscription: group %s is bound to topic %s, not %s", c.Group, g.Parent, c.Topic)
	}
	queues = b.ownLites(ctx, c.Topic, queues)
	var fx lite.Effects
	if c.Action == mq.LiteSet {
		fx = b.lites.Set(c.ClientID, g, c.Topic, p, queues)
	} else {
		var err error
		if fx, err = b.lites.Add(c.ClientID, g, c.Topic, p, queues); err != nil {
			return b.errLite(err)
		}
		b.liteRewind(c.Group, fx.Rewind)
		b.liteStart(c, queues)
	}
	b.liteDo(fx)
	for _, q := range fx.Added {
		b.liteTell(c.Group, q)
	}
	return nil
}

func (b *Broker) errLite(err error) error {
	if errors.Is(err, lite.ErrQuota) {
		return mq.Errorf(mq.KindLiteQuota, "%s %d", err.Error(), b.lites.Max())
	}
	return mq.Errorf(mq.KindIllegalOperation, "%s", err.Error())
}

// ownLites returns those light queues that are here or whose messages will be sent here.
func (b *Broker) ownLites(ctx context.Context, parent string, queues []string) []string {
	own := queues[:0:0]
	var route []mq.Queue
	asked := false
	for _, q := range queues {
		if b.liteEnd(q) == 0 {
			if !asked {
				route, asked = b.routesOf(ctx, parent), true
			}
			if !b.liteHere(route, q) {
				continue
			}
		}
		own = append(own, q)
	}
	return own
}

// liteHere reports whether producers send the messages of a lite topic to this broker.
func (b *Broker) liteHere(route []mq.Queue, queue string) bool {
	_, topic, ok := lite.Split(queue)
	return !ok || len(route) == 0 || route[lite.Bucket(topic, len(route))].Broker == b.o.Name
}

// liteStart sets the positions that come with a subscription. As in Java TIMESTAMP is not looked at.
func (b *Broker) liteStart(c *mq.LiteChange, queues []string) {
	if c.Start == nil {
		return
	}
	v := c.Start.Value
	for _, q := range queues {
		at, known := b.meta.Offsets.Query(c.Group, q, 0)
		switch {
		case c.Start.Kind == "POLICY" && v == 1:
			b.liteReset(c.Group, q, 0)
		case c.Start.Kind == "POLICY" && v == 2:
			b.liteReset(c.Group, q, b.liteEnd(q))
		case c.Start.Kind == "OFFSET" && v >= 0 && v < math.MaxInt64:
			b.liteReset(c.Group, q, mq.Index(v))
		case c.Start.Kind == "TAIL_N" && known && v >= 0:
			b.liteReset(c.Group, q, max(0, at-mq.Index(v)))
		}
	}
}

func (b *Broker) liteRewind(group string, queues []string) {
	for _, q := range queues {
		b.liteReset(group, q, 0)
	}
}

// liteReset lets a group go on at an index, with nothing out.
func (b *Broker) liteReset(group, queue string, to mq.Index) {
	if at, ok := b.meta.Offsets.Query(group, queue, 0); ok && at == to {
		return
	}
	b.meta.Offsets.Reset(group, queue, 0, to)
	if s := b.litePops.Find(group, queue, 0); s != nil {
		s.ForgetOrdered()
	}
	b.liteDirty.Store(true)
}

// expireLites deletes lite topics that got no message for so long as their parent says.
func (b *Broker) expireLites(ctx context.Context) {
	var doomed []string
	now := b.o.Now().UnixMilli()
	b.eachLite("", func(queue string) bool {
		parent, _, _ := lite.Split(queue)
		t, ok := b.meta.Topics.Get(parent)
		if !ok {
			return true
		}
		tc := t.Config()
		minutes, ok := liteTTL(&tc)
		q, found := b.store.Lookup(queue, 0)
		if !ok || !found || minutes <= 0 || q.Max() <= 0 {
			return true
		}
		ms, ok := b.store.StoreTimeAt(q, q.Max()-1)
		if !ok {
			ms = 0 // its last message was deleted with the log
		}
		if age := now - ms; age >= b.o.Lite.MinTTL.Milliseconds() && age > int64(minutes)*60_000 {
			doomed = append(doomed, queue)
		}
		return true
	})
	b.deleteLites(ctx, doomed)
}

// deleteLites deletes lite topics with the positions of their groups.
func (b *Broker) deleteLites(ctx context.Context, queues []string) {
	for _, q := range queues {
		if ctx.Err() != nil {
			return
		}
		groups := b.meta.Offsets.Groups(q)
		if err := errors.Join(b.deleteTopic(q), b.meta.Topics.DeleteLight(q)); err != nil {
			b.o.Log.Error("a lite topic is not deleted", "topic", q, "err", err)
			continue
		}
		b.litePops.Drop(q, groups)
		b.lites.Drop(q)
		b.lights.Delete(q)
		b.o.Log.Info("lite topic deleted", "topic", q)
	}
}

// childrenOf lists the light queues of a topic that is of the kind LITE.
func (b *Broker) childrenOf(name string) []string {
	t, ok := b.meta.Topics.Get(name)
	if !ok {
		return nil
	}
	tc := t.Config()
	if _, ok = liteTTL(&tc); !ok {
		return nil
	}
	var list []string
	b.eachLite(name, func(queue string) bool {
		list = append(list, queue)
		return true
	})
	return list
}
