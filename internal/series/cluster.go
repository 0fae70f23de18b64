package series

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/cometmq/cometmq/internal/mq"
)

// Remote tells the figures of a cluster from outside, Java's or ours. Each tick asks the masters three things each, however many topics
// and groups there are (runtime info, how far all groups are, replicas), and topics that no group reads in turns.
type Remote struct {
	Cluster mq.Cluster
	Name    string // of the cluster, "" = all that the name servers know, each under its own name
	// Watch returns groups of a cluster whose clients are to be counted: one request each. May be nil.
	Watch func(cluster string) []string

	mu     sync.Mutex // guards what follows
	topics []string   // those that are asked in turns
	turn   int
	rounds int
}

const (
	askAtOnce   = 4  // servers
	topicsATick = 32 // that are asked in turns
	listEvery   = 6  // ticks
)

// Sample implements Source.
func (r *Remote) Sample(ctx context.Context, b *Batch) error {
	ns := r.Cluster.NameServer("")
	info, err := ns.ClusterInfo(ctx)
	if err != nil {
		return err
	}
	topics := r.turns(ctx, ns)
	var mu sync.Mutex
	var errs []error
	g := errgroup.Group{}
	g.SetLimit(askAtOnce)
	for _, set := range info.In(r.Name) {
		to := b.Of(set.Cluster)
		master := 0.0
		if set.Master() != "" {
			master = 1
		}
		to.Gauge("broker.master", master, set.Name)
		if master == 0 {
			continue
		}
		g.Go(func() error {
			err := r.broker(ctx, to, set, topics)
			mu.Lock()
			errs = append(errs, err)
			mu.Unlock()
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs
	return errors.Join(errs...)
}

// turns returns the topics that are asked at this tick if no group reads them.
func (r *Remote) turns(ctx context.Context, ns mq.NameServerAdmin) []string {
	r.mu.Lock()
	list := r.rounds%listEvery == 0
	r.rounds++
	r.mu.Unlock()
	if list {
		all, err := ns.Topics(ctx)
		if err == nil {
			slices.Sort(all)
			all = slices.DeleteFunc(all, func(t string) bool { return strings.HasPrefix(t, retryPrefix) })
			r.mu.Lock()
			r.topics = all
			r.mu.Unlock()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]string, 0, topicsATick)
	for range min(topicsATick, len(r.topics)) {
		r.turn = (r.turn + 1) % len(r.topics)
		out = append(out, r.topics[r.turn])
	}
	return out
}

// broker asks one master.
func (r *Remote) broker(ctx context.Context, b View, set mq.BrokerSet, turns []string) error {
	at := r.Cluster.Broker(set.Master())
	info, err := at.RuntimeInfo(ctx)
	if err != nil {
		return err // the others would fail, too
	}
	runtimeFigures(b, set.Name, info)
	var errs []error
	if len(set.Addrs) > 1 {
		ha, herr := at.HAStatus(ctx)
		errs = append(errs, herr)
		for _, s := range ha.Slaves {
			b.Gauge("broker.ha.lag", float64(max(s.Behind, 0)), set.Name, s.Addr)
		}
	}
	groups, err := at.GroupsStats(ctx, false)
	errs = append(errs, err)
	ends := groupFigures(b, set.Name, &groups)
	for _, topic := range turns {
		if _, ok := ends[topic]; ok {
			continue
		}
		st, err := at.TopicStats(ctx, topic)
		if err != nil {
			continue // it is on other brokers, or was deleted meanwhile
		}
		for _, q := range st.Queues {
			ends[topic] += float64(q.Max)
		}
	}
	for topic, end := range ends {
		switch group, dead := strings.CutPrefix(topic, deadPrefix); {
		case dead:
			b.Gauge("group.dlq", end, group)
		case !strings.HasPrefix(topic, retryPrefix):
			b.Gauge("topic.offset.max", end, topic)
			b.Total("topic.in.tps", set.Name, end, topic)
		}
	}
	if r.Watch != nil {
		for _, group := range r.Watch(set.Cluster) {
			c, err := at.Consumers(ctx, group)
			if err != nil && mq.KindOf(err) != mq.KindConsumerNotOnline {
				continue
			}
			b.Gauge("group.clients", float64(len(c.Connections)), group)
		}
	}
	return errors.Join(errs...)
}

// plainKeys are figures of RuntimeInfo that are numbers as they are.
var plainKeys = map[string]string{
	"dispatchBehindBytes": "broker.dispatch.behind", "pageCacheLockTimeMills": "broker.lock.time",
	"putMessageEntireTimeMax": "broker.put.max", "putLatency99": "broker.put.p99", "putLatency999": "broker.put.p999",
	"commitLogDiskRatio": "broker.disk.ratio", "timerCongestNum": "timer.backlog", "clientConnections": "broker.connections",
}

// totalKeys are those that only grow.
var totalKeys = map[string]string{
	"msgPutTotalTodayNow": "broker.in.tps", "msgGetTotalTodayNow": "broker.out.tps", "putMessageSizeTotal": "broker.in.bytes",
}

func runtimeFigures(b View, broker string, info map[string]string) {
	number := func(key string) (float64, bool) {
		v, err := strconv.ParseFloat(strings.TrimSpace(info[key]), 64)
		return v, err == nil && v >= 0
	}
	for key, name := range plainKeys {
		if v, ok := number(key); ok {
			b.Gauge(name, v, broker)
		}
	}
	for key, name := range totalKeys {
		if v, ok := number(key); ok {
			b.Total(name, "", v, broker)
		}
	}
	low, ok1 := number("commitLogMinOffset")
	high, ok2 := number("commitLogMaxOffset")
	if ok1 && ok2 && high >= low {
		b.Gauge("broker.disk.bytes", high-low, broker)
	}
	if v, ok := parseSize(info["remainHowManyDataToFlush"]); ok {
		b.Gauge("broker.flush.behind", v, broker)
	}
}

// parseSize reads Java's sizes for people, such as "1.5 KiB".
func parseSize(s string) (float64, bool) {
	num, unit, _ := strings.Cut(strings.TrimSpace(s), " ")
	v, err := strconv.ParseFloat(num, 64)
	if err != nil || v < 0 {
		return 0, false
	}
	if unit == "" || unit == "B" {
		return v, true
	}
	i := strings.IndexByte("KMGTPE", unit[0])
	if i < 0 {
		return 0, false
	}
	for range i + 1 {
		v *= 1024
	}
	return v, true
}

// groupFigures tells how far groups are, and returns where the queues of the topics end, added up.
func groupFigures(b View, broker string, all *mq.GroupsStats) map[string]float64 {
	queueEnds := map[mq.Queue]mq.Index{}
	now := b.b.now().UnixMilli()
	for _, g := range all.Groups {
		type sums struct{ lag, late, done float64 }
		topics := map[string]*sums{}
		for _, st := range g.Stats {
			for _, q := range st.Queues {
				queueEnds[q.Queue] = max(queueEnds[q.Queue], q.End)
				s := topics[q.Queue.Topic]
				if s == nil {
					s = &sums{}
					topics[q.Queue.Topic] = s
				}
				behind := max(float64(q.End-q.Committed), 0)
				s.lag += behind
				s.done += float64(max(q.Committed, 0))
				if behind > 0 && q.LastConsume > 0 {
					s.late = max(s.late, float64(now-q.LastConsume))
				}
			}
		}
		for topic, s := range topics {
			if strings.HasPrefix(topic, retryPrefix) {
				b.Gauge("group.retry", s.lag, g.Group)
				continue
			}
			b.Gauge("group.lag", s.lag, g.Group, topic)
			b.Gauge("group.lag.time", s.late, g.Group, topic)
			b.Total("group.consume.tps", broker, s.done, g.Group, topic)
		}
	}
	ends := map[string]float64{}
	for q, end := range queueEnds {
		ends[q.Topic] += float64(end)
	}
	return ends
}
