package broker

import (
	"context"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/broker/tx"
	"github.com/cometmq/cometmq/internal/mq"
)

// Retune changes what an operator may change in a broker that works; the other options of o are not looked at. The store has a Retune
// of its own. A change of what is registered is announced before it returns.
func (b *Broker) Retune(ctx context.Context, o Options) {
	o = o.withDefaults()
	old := b.live.Load()
	next := *old
	next.AutoCreateTopic, next.AutoCreateGroup, next.NoSystemGroups, next.TopicQueues = o.AutoCreateTopic, o.AutoCreateGroup, o.NoSystemGroups, o.TopicQueues
	next.TraceOn, next.Perm, next.MaxMessageSize, next.NoTransactions = o.TraceOn, o.Perm, o.MaxMessageSize, o.NoTransactions
	next.FlushTimeout, next.NoLongPolling, next.ShortPolling, next.NoLitePull = o.FlushTimeout, o.NoLongPolling, o.ShortPolling, o.NoLitePull
	next.PullMessages, next.PullBytes, next.DiskMessages, next.DiskBytes = o.PullMessages, o.PullBytes, o.DiskMessages, o.DiskBytes
	next.QueryMax, next.NoBalancing = o.QueryMax, o.NoBalancing
	next.TxTimeout, next.TxCheckInterval, next.TxCheckMax, next.TxOpSize, next.Reserved = o.TxTimeout, o.TxCheckInterval, o.TxCheckMax, o.TxOpSize, o.Reserved
	next.suffix = brokerProps(next)
	b.live.Store(&next)
	b.tx.Retune(tx.Options{
		Timeout: o.TxTimeout, Interval: o.TxCheckInterval, CheckMax: o.TxCheckMax, OpSize: o.TxOpSize, Reserved: o.Reserved,
	})
	if b.refuse != nil {
		return // its tables are those of its master
	}
	if next.AutoCreateTopic && (!old.AutoCreateTopic || next.TopicQueues != old.TopicQueues) {
		if v, changed, ok := b.rewrite(meta.TopicAutoCreate, next); ok {
			b.announce(ctx, v, changed)
		}
	}
	if next.Perm != old.Perm && b.o.Announce != nil { // all topics are registered anew
		v, _, ok := b.rewrite(meta.TopicSelfTest, next)
		if !ok {
			return
		}
		limit, cancel := context.WithTimeout(ctx, announceTimeout)
		defer cancel()
		if err := b.o.Announce(limit, nil, v); err != nil {
			b.o.Log.Warn("name servers were not told that the broker's permission has changed", "err", err)
		}
	}
}

// rewrite puts one of the broker's own topics as it is under o. The table gets a new version, without which name servers would not
// look at a registration.
func (b *Broker) rewrite(name string, o Options) (v mq.DataVersion, as mq.TopicConfig, ok bool) {
	for _, t := range meta.SystemTopics(o.systemOptions()) {
		if t.Name != name {
			continue
		}
		e, version, err := b.meta.Topics.Put(t)
		if err != nil {
			b.o.Log.Error("change a topic of the broker", "topic", name, "err", err)
			break
		}
		return version, e.Config(), true
	}
	return v, as, false
}
