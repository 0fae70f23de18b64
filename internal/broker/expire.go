package broker

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// Topics with the attribute reserve.time, in hours, lose messages that are older, although other topics keep the log. Their queues begin
// later; what is behind is not deleted from the log before the log's own time (fileReservedTime), which a topic cannot make longer.
//
// Differs from Java: there the attribute counts in the tiered store only.
const attrReserve = "reserve.time"

const (
	expireEvery = time.Minute
	maxReserve  = 100 * 365 * 24 // hours; above it the attribute means nothing
)

// reserved is how long messages of a topic are kept, 0: as long as the log.
func reserved(c *mq.TopicConfig) time.Duration {
	v, ok := c.Attributes[attrReserve]
	if !ok || c.Attributes[attrCleanup] == cleanupCompaction {
		return 0
	}
	hours, err := strconv.ParseInt(v, 10, 64)
	if err != nil || hours <= 0 || hours > maxReserve {
		return 0
	}
	return time.Duration(hours) * time.Hour
}

// runExpire lets messages expire until ctx ends.
func (b *Broker) runExpire(ctx context.Context) {
	t := time.NewTicker(expireEvery)
	defer t.Stop()
	for {
		b.expire(ctx, b.o.Now())
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// expire looks at all topics once.
func (b *Broker) expire(ctx context.Context, now time.Time) {
	b.eachReserved(func(e *meta.Topic, c *mq.TopicConfig, keep time.Duration) bool {
		gone := int64(0)
		for id := range min(max(c.ReadQueues, c.WriteQueues), maxQueues) {
			if ctx.Err() != nil {
				return false
			}
			q, ok := b.store.Lookup(c.Name, id)
			if !ok {
				continue
			}
			n, err := b.store.Expire(q, now.Add(-keep).UnixMilli())
			if err != nil {
				b.o.Log.Error("old messages of a topic are kept longer than they should be", "topic", c.Name, "queue", id, "err", err)
			}
			gone += n
		}
		if gone > 0 {
			b.topicOf(e).expired.Add(gone)
			b.o.Log.Info("old messages of a topic are not given out any more", "topic", c.Name, "count", gone, "older_than", keep)
		}
		return true
	})
}

// eachReserved calls f for each topic that has a time of its own, until f returns false.
func (b *Broker) eachReserved(f func(e *meta.Topic, c *mq.TopicConfig, keep time.Duration) bool) {
	list, _ := b.meta.Topics.List()
	for _, e := range list {
		c := e.Config()
		if keep := reserved(&c); keep > 0 && !f(e, &c, keep) {
			return
		}
	}
}

// putReserved adds the topics that have a time of their own, one line each; none without them, so that tools see Java's table.
func (b *Broker) putReserved(m map[string]string) {
	n := 0
	b.eachReserved(func(e *meta.Topic, c *mq.TopicConfig, keep time.Duration) bool {
		m["retention."+c.Name] = fmt.Sprintf("hours=%d expired=%d", int64(keep/time.Hour), b.topicOf(e).expired.Load())
		n++
		return n < maxQuotaLines
	})
}

func (b *Broker) collectReserved(s *telemetry.Sink) {
	b.eachReserved(func(e *meta.Topic, c *mq.TopicConfig, keep time.Duration) bool {
		s.Value(telemetry.TopicRetention, keep.Seconds(), c.Name)
		s.Int(telemetry.TopicExpired, b.topicOf(e).expired.Load(), c.Name)
		return true
	})
}
