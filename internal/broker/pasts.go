package broker

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/broker/stats"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// msgKind is what kind of message a producer sent (Java TopicMessageType, as BrokerMetricsManager tells it).
type msgKind uint8

const (
	kindNormal msgKind = iota
	kindFIFO
	kindDelay
	kindTransaction
	kindCount
)

// String is the label of the kind.
func (k msgKind) String() string {
	return [...]string{"normal", "fifo", "delay", "transaction"}[k]
}

func (s *propScan) kind() msgKind {
	switch {
	case s.prepared:
		return kindTransaction
	case s.ordered:
		return kindFIFO
	case s.level, s.timed:
		return kindDelay
	}
	return kindNormal
}

// inflow counts what producers sent to a topic, of one kind.
type inflow struct {
	flow
	system bool
	sizes  *telemetry.Histogram
}

// note counts one request.
func (f *inflow) note(messages, bytes int64) {
	f.add(messages, bytes)
	f.sizes.Observe(bytes / max(messages, 1))
}

func (t *topic) inflow(k msgKind) *inflow {
	if f := t.in[k].Load(); f != nil {
		return f
	}
	t.in[k].CompareAndSwap(nil, &inflow{system: t.system, sizes: telemetry.MessageSize.New()})
	return t.in[k].Load()
}

// countGet counts what a consumer got for the broker as a whole.
func (b *Broker) countGet(t *topic, messages, bytes int64) {
	b.figures.gets.add(messages, bytes)
	if !t.system {
		b.figures.userGets.Add(messages)
	}
}

// samplePasts notes, each stats.Step, what was counted.
func (b *Broker) samplePasts() {
	now := b.o.Now().UnixMilli()
	b.eachUsed(func(_ string, t *topic, _ []atomic.Pointer[queue]) {
		t.past.Note(t.counted(now))
	}, func(_, _ string, gt *groupTopic) {
		gt.past.Note(gt.gets.counted(now))
		backs, dead := gt.backs.Load(), gt.dead.Load()
		gt.backPast.Note(stats.Sample{At: now, Times: backs, Num: backs})
		gt.deadPast.Note(stats.Sample{At: now, Times: dead, Num: dead})
	})
	f := &b.figures
	for i, n := range [2]int64{f.puts.messages.Load(), f.gets.messages.Load()} {
		f.past[i].Note(stats.Sample{At: now, Num: n})
	}
	for i, n := range [2]int64{f.userPuts.Load(), f.userGets.Load()} {
		f.userPast[i].Note(stats.Sample{At: now, Num: n})
	}
}

func (f *flow) counted(now int64) stats.Sample {
	return stats.Sample{At: now, Times: f.calls.Load(), Num: f.messages.Load(), Size: f.bytes.Load()}
}

// counted is what was sent to the topic, of all kinds.
func (t *topic) counted(now int64) stats.Sample {
	sum := stats.Sample{At: now}
	for i := range t.in {
		if f := t.in[i].Load(); f != nil {
			s := f.counted(now)
			sum.Times, sum.Num, sum.Size = sum.Times+s.Times, sum.Num+s.Num, sum.Size+s.Size
		}
	}
	return sum
}

// Stats implements mq.StatsAdmin.
//
// Differs from Java: what was counted by queue, and for how long messages waited, is not kept; metrics have it.
func (b *Broker) Stats(_ context.Context, name, key string) (mq.Stats, error) {
	item, value := b.past(name, key)
	if item != nil {
		if p, ok := item.Past(value); ok {
			return mq.Stats{Minute: statsWindow(p.Minute), Hour: statsWindow(p.Hour), Day: statsWindow(p.Day)}, nil
		}
	}
	return mq.Stats{}, mq.Errorf(mq.KindInternal, "The stats <%s> <%s> not exist", name, key)
}

func statsWindow(w stats.Window) mq.StatsWindow {
	return mq.StatsWindow{Sum: w.Sum, TPS: w.TPS, AvgPT: w.AvgPT}
}

// past finds what a counter keeps, nil when there is none.
func (b *Broker) past(name, key string) (*stats.Item, stats.Value) {
	switch name {
	case mq.StatTopicPutNums, mq.StatTopicPutSize:
		if e, ok := b.meta.Topics.Get(key); ok {
			if t, ok := e.Runtime().(*topic); ok {
				return &t.past, valueOf(name == mq.StatTopicPutSize)
			}
		}
	case mq.StatGroupGetNums, mq.StatGroupGetSize, mq.StatSendBackNums, mq.StatDeadNums:
		gt := b.groupTopicOf(key)
		switch {
		case gt == nil:
		case name == mq.StatSendBackNums:
			return &gt.backPast, stats.Num
		case name == mq.StatDeadNums:
			return &gt.deadPast, stats.Num
		default:
			return &gt.past, valueOf(name == mq.StatGroupGetSize)
		}
	case mq.StatBrokerPutNums, mq.StatBrokerGetNums, mq.StatBrokerPutNumsUser, mq.StatBrokerGetNumsUser:
		if key != b.o.Cluster {
			return nil, nil
		}
		f := &b.figures
		return map[string]*stats.Item{
			mq.StatBrokerPutNums: &f.past[0], mq.StatBrokerGetNums: &f.past[1],
			mq.StatBrokerPutNumsUser: &f.userPast[0], mq.StatBrokerGetNumsUser: &f.userPast[1],
		}[name], stats.Num
	}
	return nil, nil
}

func valueOf(size bool) stats.Value {
	if size {
		return stats.Size
	}
	return stats.Num
}

// groupTopicOf finds topic@group. Neither may have an @ in its name.
func (b *Broker) groupTopicOf(key string) *groupTopic {
	name, reader, ok := strings.Cut(key, "@")
	if !ok {
		return nil
	}
	g, ok := b.group(reader)
	if !ok {
		return nil
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.topics[name]
}

var _ mq.StatsAdmin = (*Broker)(nil)
