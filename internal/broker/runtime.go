package broker

import (
	"sync"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/broker/stats"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/selector"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// maxQueues bounds the queues of a topic. Java has no bound; ours keeps a wrong digit in a request from filling the
// memory.
const maxQueues = 1 << 16

// topic is what the hot path keeps of a topic. It lives in the topic's meta entry.
type topic struct {
	entry  *meta.Topic
	refuse *mq.Error // why clients may not send here, nil when they may

	system bool // Java's isSystemTopic

	mu     sync.Mutex // held while queues grows
	queues atomic.Pointer[[]atomic.Pointer[queue]]
	in     [kindCount]atomic.Pointer[inflow]
	ends   atomic.Pointer[ends]
	timers atomic.Pointer[telemetry.Histogram] // seconds that timers have to wait
	past   stats.Item                          // of in

	expired atomic.Int64 // messages that were too old for the topic
}

// queue is what the hot path keeps of a queue.
type queue struct {
	store *storage.Queue
	puts  flow
	gets  flow
}

// flow counts requests, and messages and bytes of them.
type flow struct{ calls, messages, bytes atomic.Int64 }

func (f *flow) add(messages, bytes int64) {
	f.calls.Add(1)
	f.messages.Add(messages)
	f.bytes.Add(bytes)
}

// topic returns the runtime of a topic; the name may be borrowed.
func (b *Broker) topic(name string) (*topic, bool) {
	if b.isLight(name) {
		return b.lightTopic(name), true
	}
	e, ok := b.meta.Topics.Get(name)
	if !ok {
		return nil, false
	}
	return b.topicOf(e), true
}

func (b *Broker) topicOf(e *meta.Topic) *topic {
	if t, ok := e.Runtime().(*topic); ok {
		return t
	}
	t := &topic{entry: e, refuse: checkTopicName(e.Name()), system: meta.IsSystemTopic(b.system, e.Name())}
	if t.refuse == nil && meta.SendForbidden(e.Name()) {
		t.refuse = mq.Errorf(mq.KindNoPermission, "Sending message to topic[%s] is forbidden.", e.Name())
	}
	return e.InitRuntime(t).(*topic)
}

// queue returns the runtime of one queue, which the caller has checked to be below the topic's number of queues and
// maxQueues.
func (t *topic) queue(b *Broker, id int32) *queue {
	if qs := t.queues.Load(); qs != nil && int(id) < len(*qs) {
		if q := (*qs)[id].Load(); q != nil {
			return q
		}
	}
	return t.addQueue(b, id)
}

func (t *topic) addQueue(b *Broker, id int32) *queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	qs := t.queues.Load()
	if qs == nil || int(id) >= len(*qs) {
		c := t.entry.Config()
		n := max(int(id)+1, min(int(max(c.ReadQueues, c.WriteQueues)), maxQueues))
		grown := make([]atomic.Pointer[queue], n)
		if qs != nil {
			for i := range *qs {
				grown[i].Store((*qs)[i].Load())
			}
		}
		qs = &grown
		t.queues.Store(qs)
	}
	q := (*qs)[id].Load()
	if q == nil {
		q = &queue{store: b.store.Queue(t.entry.Name(), id)}
		(*qs)[id].Store(q)
	}
	return q
}

// group is what the hot path keeps of a subscription group. It lives in the group's meta entry.
type group struct {
	entry *meta.Group

	mu     sync.RWMutex // guards topics
	topics map[string]*groupTopic
}

// groupTopic is a group in one topic.
type groupTopic struct {
	gets  flow
	backs atomic.Int64 // messages that were given back (Java SNDBCK_PUT_NUMS)
	dead  atomic.Int64 // those of them that became dead letters (Java SNDBCK2DLQ_TIMES)
	asked atomic.Pointer[expression]
	retry atomic.Pointer[retryFilter] // filterSupportRetry
	pulled
	popper atomic.Pointer[popper]

	past, backPast, deadPast stats.Item // of gets, backs, dead
}

// expression is a subscription that came with a pull, compiled. Pulls repeat it, so the last one is kept.
type expression struct {
	text, kind string
	filter     selector.Filter
}

// group returns the runtime of a group that exists; the name may be borrowed.
func (b *Broker) group(name string) (*group, bool) {
	e, ok := b.meta.Groups.Get(name)
	if !ok {
		return nil, false
	}
	return groupOf(e), true
}

func groupOf(e *meta.Group) *group {
	if g, ok := e.Runtime().(*group); ok {
		return g
	}
	return e.InitRuntime(&group{entry: e, topics: make(map[string]*groupTopic)}).(*group)
}

// ensureGroup returns a group, made on demand when the configuration allows that; nil when there is none.
func (b *Broker) ensureGroup(name string) *group {
	if g, ok := b.group(name); ok {
		return g
	}
	if !b.live.Load().AutoCreateGroup && (b.live.Load().NoSystemGroups || !meta.IsSystemGroup(name)) {
		return nil
	}
	if checkGroupName(name) != nil {
		return nil
	}
	e, created, _, err := b.meta.Groups.Ensure(name)
	if err != nil {
		b.o.Log.Error("a new group is not on disk yet", "group", e.Name(), "err", err)
	}
	if created {
		b.o.Log.Info("created group on demand", "group", e.Name())
	}
	return groupOf(e)
}

// topic returns the group's part in a topic, which exists. The name of t outlives every request.
func (g *group) topic(t *topic) *groupTopic {
	name := t.entry.Name()
	g.mu.RLock()
	gt := g.topics[name]
	g.mu.RUnlock()
	if gt != nil {
		return gt
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if gt = g.topics[name]; gt == nil {
		gt = &groupTopic{}
		g.topics[name] = gt
	}
	return gt
}
