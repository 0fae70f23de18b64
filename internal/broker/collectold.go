package broker

import (
	"context"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/broker/stats"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// collectExporter tells s what rocketmq-exporter would find out by asking this broker.
func (b *Broker) collectExporter(s *telemetry.Sink, rows []lagRow) {
	cluster, name := b.o.Cluster, b.o.Name
	host := b.o.Addr.String()
	s.Value(telemetry.ExBrokerTPS, b.figures.past[0].PerSecond(stats.Num), cluster, host, name)
	s.Value(telemetry.ExBrokerQPS, b.figures.past[1].PerSecond(stats.Num), cluster, host, name)
	b.exporterTopics(s)
	b.exporterGroups(s, rows)
	b.exporterClients(s)
	b.exporterRuntime(s)
}

// endOf is the sum of the ends of a topic's queues.
func (b *Broker) endOf(name string, queues int32) (sum int64) {
	for id := range min(queues, maxQueues) {
		if q, ok := b.store.Lookup(name, id); ok {
			sum += int64(q.Max())
		}
	}
	return sum
}

func (b *Broker) exporterTopics(s *telemetry.Sink) {
	cluster, broker := b.o.Cluster, b.o.Name
	entries, _ := b.meta.Topics.List()
	for _, e := range entries {
		name, c := e.Name(), e.Config()
		end := b.endOf(name, max(c.ReadQueues, c.WriteQueues))
		switch {
		case strings.HasPrefix(name, retryPrefix):
			s.Int(telemetry.ExRetryOffset, end, cluster, broker, name)
			continue
		case strings.HasPrefix(name, dlqPrefix):
			s.Int(telemetry.ExDLQOffset, end, cluster, broker, name[len(dlqPrefix):])
			continue
		}
		s.Int(telemetry.ExProducerOffset, end, cluster, broker, name)
		tps, size := 0.0, 0.0
		if t, ok := e.Runtime().(*topic); ok {
			tps, size = t.past.PerSecond(stats.Num), t.past.PerSecond(stats.Size)
		}
		s.Value(telemetry.ExProducerTPS, tps, cluster, broker, name)
		s.Value(telemetry.ExProducerSize, size, cluster, broker, name)
	}
}

// rocketmq-exporter tells the number that Java's MessageModel has.
const broadcastModel, clusteringModel = "0", "1"

func (b *Broker) exporterGroups(s *telemetry.Sink, rows []lagRow) {
	cluster, broker := b.o.Cluster, b.o.Name
	last, count, model := "", "0", ""
	for i := range rows {
		r := &rows[i]
		group, name := r.group.Name(), r.topic.entry.Name()
		if group != last || i == 0 {
			last, count, model = group, "0", clusteringModel
			if c, ok := b.clients.Group(group); ok {
				count = strconv.Itoa(c.Members)
				if c.Broadcast {
					model = broadcastModel
				}
			}
			if _, ok := b.meta.Topics.Get(dlqPrefix + group); ok {
				s.Int(telemetry.ExDLQDiff, b.endOf(dlqPrefix+group, 1), group, dlqPrefix+group, count, model)
			}
		}
		if strings.HasPrefix(name, retryPrefix) {
			s.Int(telemetry.ExRetryDiff, r.lag, group, name, count, model)
			continue
		}
		s.Int(telemetry.ExDiff, r.lag, group, name, count, model)
		at := b.endOf(name, r.topic.entry.Config().ReadQueues) - r.lag
		gt := groupOf(r.group).topic(r.topic)
		tps := gt.past.PerSecond(stats.Num)
		s.Value(telemetry.ExConsumerTPS, tps, cluster, broker, name, group)
		s.Value(telemetry.ExGroupTPS, tps, cluster, broker, name, group)
		s.Value(telemetry.ExConsumerSize, gt.past.PerSecond(stats.Size), cluster, broker, name, group)
		s.Int(telemetry.ExConsumerOffset, at, cluster, broker, name, group)
		s.Int(telemetry.ExGroupOffset, at, cluster, broker, name, group)
		s.Value(telemetry.ExSendBack, gt.backPast.PerSecond(stats.Num), cluster, broker, name, group)
		s.Int(telemetry.ExLatency, r.lagMs, cluster, broker, name, group)
	}
}

func (b *Broker) exporterClients(s *telemetry.Sink) {
	producers := map[string]int64{}
	type consumer struct{ addr, id, group string }
	consumers := map[consumer]int64{}
	b.clients.Each(func(group string, _ *mq.Session) { producers[group]++ }, func(group string, _ mq.ConsumeType, c *mq.Session) {
		consumers[consumer{c.Remote.String(), c.ClientID, group}]++
	})
	for group, n := range producers {
		s.Int(telemetry.ExProducerCount, n, b.o.Cluster, b.o.Name, group)
	}
	for c, n := range consumers {
		s.Int(telemetry.ExGroupCount, n, c.addr, c.id, c.group)
	}
}

func (b *Broker) exporterRuntime(s *telemetry.Sink) {
	info, err := b.RuntimeInfo(context.Background())
	if err != nil {
		return
	}
	labels := []string{
		b.o.Cluster, b.o.Addr.String(), b.o.Addr.Addr().String(), b.o.Name, strconv.FormatInt(b.started.UnixMilli(), 10), b.o.Version,
	}
	for key, m := range telemetry.ExRuntime {
		if v, err := strconv.ParseFloat(info[key], 64); err == nil {
			s.Value(m, v, labels...)
		}
	}
	for _, r := range []struct {
		key string
		to  []*telemetry.Metric
	}{
		{"putTps", telemetry.ExPutTPS},
		{"getTotalTps", telemetry.ExGetTotalTPS},
		{"getFoundTps", telemetry.ExGetFoundTPS},
		{"getMissTps", telemetry.ExGetMissTPS},
		{"getTransferredTps", telemetry.ExTransferredTPS},
	} {
		for i, text := range strings.Fields(info[r.key]) {
			if v, err := strconv.ParseFloat(text, 64); err == nil && i < len(r.to) {
				s.Value(r.to[i], v, labels...)
			}
		}
	}
	for i, n := range b.figures.times.Counts() {
		s.Int(telemetry.ExPutTimes[i], n, labels...)
	}
	st := b.store.Stats()
	s.Int(telemetry.ExUnflushed, max(int64(st.Appended-st.Flushed), 0), labels...)
	if u, err := b.o.FS.Usage(b.o.Dir); err == nil && u.Total > 0 {
		s.Value(telemetry.ExCapacity, float64(u.Total), labels...)
		s.Value(telemetry.ExFree, float64(u.Avail), labels...)
	}
}
