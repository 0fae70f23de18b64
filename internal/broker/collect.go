package broker

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// Collect tells s what the broker counts, with exporter also under the names of rocketmq-exporter. It reads what has changed
// meanwhile as it goes: figures of one page may be a moment apart.
func (b *Broker) Collect(s *telemetry.Sink, exporter bool) {
	b.store.CatchUp()
	now := b.o.Now()
	rows, more := b.lagRows(now, s.Limit())
	s.Skip(telemetry.Lag, more)
	topics, groups := b.meta.Topics.Len(), b.meta.Groups.Len()
	s.Int(telemetry.Permission, int64(b.o.Perm))
	s.Int(telemetry.TopicNumber, int64(topics))
	s.Int(telemetry.GroupNumber, int64(groups))
	for _, p := range processors {
		s.Int(telemetry.Watermark, 0, p)
	}
	b.collectUsed(s)
	b.collectClients(s)
	b.collectLag(s, rows)
	if exporter {
		b.collectExporter(s, rows)
	}
	b.collectStore(s, now)
	b.collectDue(s, now)
	b.collectQuotas(s)
	b.collectReserved(s)
	s.Int(telemetry.SendRefused, b.figures.failed.Load())
	s.Int(telemetry.QueueBytes, b.waiting.bytes.Load())
	s.Int(telemetry.Parked, int64(b.polls.Parked()), "pull")
	s.Int(telemetry.Parked, int64(b.popWaits.Parked()), "pop")
	s.Int(telemetry.PopHeld, int64(b.pops.Held()))
	for _, c := range [...]struct {
		m    *telemetry.Metric
		made *creations
	}{{telemetry.TopicCreate, &b.topicsMade}, {telemetry.GroupCreate, &b.groupsMade}} {
		for _, k := range []struct {
			h              *telemetry.Histogram
			status, system string
		}{{c.made.ok, "success", "false"}, {c.made.failed, "failure", "false"}} {
			if k.h.Count() > 0 {
				s.Histogram(c.m, k.h, k.status, k.system)
			}
		}
	}
}

// processors are those whose queues Java watches. Here they have none.
var processors = []string{
	"send", "async_put", "pull", "ack", "query_message", "client_manager", "heartbeat", "lite_pull", "transaction", "consumer_manager", "admin", "reply",
}

// creations counts how long changes of topics or groups took, in ms.
type creations struct{ ok, failed *telemetry.Histogram }

func newCreations(m *telemetry.Metric) creations { return creations{m.New(), m.New()} }

func (c *creations) note(took time.Duration, failed bool) {
	if failed {
		c.failed.Observe(took.Milliseconds())
		return
	}
	c.ok.Observe(took.Milliseconds())
}

// collectUsed tells what was counted by topic and by group.
func (b *Broker) collectUsed(s *telemetry.Sink) {
	b.eachUsed(func(name string, t *topic, _ []atomic.Pointer[queue]) {
		system := strconv.FormatBool(t.system)
		for k := range kindCount {
			f := t.in[k].Load()
			if f == nil {
				continue
			}
			s.Int(telemetry.MessagesIn, f.messages.Load(), name, k.String(), system)
			s.Int(telemetry.ThroughputIn, f.bytes.Load(), name, k.String(), system)
			s.Histogram(telemetry.MessageSize, f.sizes, name, k.String())
		}
		s.Histogram(telemetry.DelayTime, t.timers.Load(), name)
		if e := t.ends.Load(); e != nil {
			half := int64(0)
			if f := t.in[kindTransaction].Load(); f != nil {
				half = f.messages.Load()
			}
			commits, rollbacks := e.commits.Load(), e.rollbacks.Load()
			s.Int(telemetry.Committed, commits, name)
			s.Int(telemetry.RolledBack, rollbacks, name)
			s.Int(telemetry.HalfMessages, max(half-commits-rollbacks, 0), name)
			s.Histogram(telemetry.FinishTime, e.latency, name)
		}
	}, func(group, topic string, gt *groupTopic) {
		retry, system := strconv.FormatBool(isRetryOrDead(topic)), strconv.FormatBool(b.isSystem(topic, group))
		if n := gt.gets.messages.Load(); n > 0 {
			s.Int(telemetry.MessagesOut, n, topic, group, retry, system)
			s.Int(telemetry.ThroughputOut, gt.gets.bytes.Load(), topic, group, retry, system)
		}
		if n := gt.dead.Load(); n > 0 {
			s.Int(telemetry.ToDLQ, n, group, topic, system)
		}
	})
}

// isRetryOrDead is Java's isRetryOrDlqTopic.
func isRetryOrDead(topic string) bool {
	return strings.HasPrefix(topic, retryPrefix) || strings.HasPrefix(topic, dlqPrefix)
}

// isSystem is that of Java's metrics.
func (b *Broker) isSystem(topic, group string) bool {
	return meta.IsSystemTopic(b.system, topic) || meta.IsSystemGroup(strings.ToUpper(group))
}

// ends counts the transactions of a topic that were decided.
type ends struct {
	commits, rollbacks atomic.Int64
	latency            *telemetry.Histogram // seconds from birth to commit
}

func (t *topic) ended() *ends {
	if e := t.ends.Load(); e != nil {
		return e
	}
	t.ends.CompareAndSwap(nil, &ends{latency: telemetry.FinishTime.New()})
	return t.ends.Load()
}

type clientKey struct{ group, language, version, mode string }

// collectClients tells who is connected.
func (b *Broker) collectClients(s *telemetry.Sink) {
	producers, consumers := map[clientKey]int64{}, map[clientKey]int64{}
	b.clients.Each(func(_ string, c *mq.Session) {
		producers[clientKey{language: strings.ToLower(c.Language), version: versionDesc(c.Version)}]++
	}, func(group string, kind mq.ConsumeType, c *mq.Session) {
		consumers[clientKey{group, strings.ToLower(c.Language), versionDesc(c.Version), consumeMode(kind)}]++
	})
	for k, n := range producers {
		s.Int(telemetry.Producers, n, k.language, k.version, "remoting")
	}
	for k, n := range consumers {
		s.Int(telemetry.Consumers, n, k.group, k.language, k.version, "remoting", k.mode, strconv.FormatBool(b.isSystem("", k.group)))
	}
	sessions, _, _ := b.clients.Counts()
	s.Int(telemetry.Sessions, int64(sessions))
}

// consumeMode is Java's ConsumeType.getTypeCN in small letters.
func consumeMode(t mq.ConsumeType) string {
	switch t {
	case mq.ConsumeActively:
		return "pull"
	case mq.ConsumePop:
		return "pop"
	case mq.ConsumePassively:
	}
	return "push"
}

// versionDesc is Java's MQVersion.getVersionDesc in small letters. From 4.0.0 on there is a number for each of ten patches of each
// of ten minor versions, and one before it for its snapshot.
func versionDesc(v int32) string {
	const first, release = 212, 400
	if v < first {
		return "v" + strconv.Itoa(int(v))
	}
	n := release + (v-first)/2
	text := "v" + strconv.Itoa(int(n/100)) + "_" + strconv.Itoa(int(n/10%10)) + "_" + strconv.Itoa(int(n%10))
	if v%2 == 0 {
		text += "_snapshot"
	}
	return text
}

// behind is how far a group is in a topic.
type behind struct {
	lag, inflight, ready int64
	lagMs, readyMs       int64 // how old the oldest message is that was not consumed, not given out
}

// lagRow is a group in a topic that it reads.
type lagRow struct {
	group *meta.Group
	topic *topic
	behind
}

// lagRows returns how far each group is in each topic that it reads, at most limit rows and how many more there are.
//
// Differs from Java: groups that are not online are among them, and retry topics of groups that pull.
func (b *Broker) lagRows(now time.Time, limit int) (rows []lagRow, more int64) {
	entries, _ := b.meta.Groups.List()
	for _, e := range entries {
		for _, topic := range b.readBy(e.Name()) {
			if limit > 0 && len(rows) >= limit {
				more++
			} else if t, ok := b.topic(topic); ok {
				rows = append(rows, lagRow{e, t, b.behind(groupOf(e), t, now)})
			}
		}
	}
	return rows, more
}

func (b *Broker) collectLag(s *telemetry.Sink, rows []lagRow) {
	for i := range rows {
		r := &rows[i]
		group, topic := r.group.Name(), r.topic.entry.Name()
		labels := []string{group, topic, strconv.FormatBool(isRetryOrDead(topic)), strconv.FormatBool(b.isSystem(topic, group))}
		s.Int(telemetry.Lag, r.lag, labels...)
		s.Int(telemetry.LagLatency, r.lagMs, labels...)
		s.Int(telemetry.Inflight, r.inflight, labels...)
		s.Int(telemetry.Ready, r.ready, labels...)
		s.Int(telemetry.Queueing, r.readyMs, labels...)
	}
}

// readBy returns the topics that a group has positions in or subscribes to.
func (b *Broker) readBy(group string) []string {
	topics := b.meta.Offsets.Topics(group)
	for _, sub := range b.clients.Subscriptions(group) {
		topics = append(topics, sub.Topic)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

func (b *Broker) behind(g *group, t *topic, now time.Time) behind {
	var d behind
	name, gt := t.entry.Name(), g.topic(t)
	oldest, ready := int64(math.MaxInt64), int64(math.MaxInt64)
	for id := range min(t.entry.Config().ReadQueues, maxQueues) {
		q, ok := b.store.Lookup(name, id)
		if !ok {
			continue
		}
		at, _ := b.meta.Offsets.Query(g.entry.Name(), name, id)
		at = max(at, q.Min(), 0)
		end := q.Max()
		if end <= at {
			continue
		}
		given := min(max(at, gt.pulledTo(id), b.popNext(g.entry.Name(), name, id)), end)
		d.lag += int64(end - at)
		d.inflight += int64(given - at)
		d.ready += int64(end - given)
		if ms, ok := b.store.StoreTimeAt(q, at); ok {
			oldest = min(oldest, ms)
		}
		if given >= end {
			continue
		}
		if ms, ok := b.store.StoreTimeAt(q, given); ok {
			ready = min(ready, ms)
		}
	}
	if oldest != math.MaxInt64 {
		d.lagMs = max(now.UnixMilli()-oldest, 0)
	}
	if ready != math.MaxInt64 {
		d.readyMs = max(now.UnixMilli()-ready, 0)
	}
	return d
}

// popNext is where the pops of a group will go on in a queue, 0 when it does not pop.
func (b *Broker) popNext(group, topic string, id int32) mq.Index {
	s := b.pops.Find(group, topic, id)
	if s == nil {
		return 0
	}
	return s.Next()
}

// collectStore tells about the log.
func (b *Broker) collectStore(s *telemetry.Sink, now time.Time) {
	st := b.store.Stats()
	local := []string{"local", "disk"}
	s.Int(telemetry.StorageSize, int64(st.Appended-st.MinOffset), local...)
	s.Int(telemetry.FlushBehind, max(int64(st.Appended-st.Flushed), 0), local...)
	s.Int(telemetry.DispatchBehind, max(int64(st.Appended-st.Dispatched), 0), local...)
	reserve := int64(0)
	if ms := b.earliest(); ms > 0 {
		reserve = max(now.UnixMilli()-ms, 0)
	}
	s.Int(telemetry.ReserveTime, reserve, local...)

	s.Int(telemetry.Watermarks, int64(st.MinOffset), "min")
	s.Int(telemetry.Watermarks, int64(st.Appended), "appended")
	s.Int(telemetry.Watermarks, int64(st.Flushed), "flushed")
	s.Int(telemetry.Watermarks, int64(st.Dispatched), "dispatched")
	s.Int(telemetry.Watermarks, int64(st.Replicated), "replicated")
	s.Int(telemetry.LogFiles, int64(st.LogFiles))
	s.Int(telemetry.QueueFiles, int64(st.OpenQueueFiles))
	s.Int(telemetry.Damaged, st.Damaged)
	s.Int(telemetry.Repaired, st.Repaired)
	s.Int(telemetry.Holes, st.Holes)
	s.Int(telemetry.Writable, flag(b.store.Writable() == nil))
	ratio := float64(st.DiskUsed)
	if ratio > 0 {
		ratio /= 100
	}
	s.Value(telemetry.DiskUsed, ratio)
}

func flag(on bool) int64 {
	if on {
		return 1
	}
	return 0
}

// collectDue tells about messages that are delivered later.
func (b *Broker) collectDue(s *telemetry.Sink, now time.Time) {
	if b.delays != nil {
		done, end := b.delays.Positions()
		for i := range done {
			if n := int64(end[i] - done[i]); n > 0 || end[i] > 0 {
				s.Int(telemetry.DelayLag, max(n, 0), strconv.Itoa(i+1))
			}
		}
		s.Int(telemetry.DelayDelivered, b.delays.Stats().Delivered)
	}
	if b.timer == nil {
		return
	}
	st := b.timer.Stats()
	late := max(now.UnixMilli()-st.ReadTime-b.o.Timers.Precision.Milliseconds(), 0)
	s.Int(telemetry.TimerEnqueueLag, max(int64(st.End-st.Next), 0))
	enqueueLate := int64(0)
	if st.End > st.Next {
		if q, ok := b.store.Lookup(delay.TimerTopic, 0); ok {
			if ms, ok := b.store.StoreTimeAt(q, st.Next); ok {
				enqueueLate = max(now.UnixMilli()-ms, 0)
			}
		}
	}
	s.Int(telemetry.TimerEnqueueLatency, enqueueLate)
	s.Int(telemetry.TimerDequeueLatency, late)
	s.Int(telemetry.TimingMessages, st.Pending, delay.TimerTopic)
	s.Int(telemetry.TimerEnqueue, st.Enqueued, delay.TimerTopic)
	s.Int(telemetry.TimerDequeue, st.Delivered, delay.TimerTopic)
	s.Int(telemetry.TimerLost, st.Lost)
}
