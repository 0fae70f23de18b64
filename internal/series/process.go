package series

import (
	"context"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/telemetry"
)

// Process tells the figures of the broker in this process, from what it counts anyway.
type Process struct {
	Broker string
	// Sources is what prom.Options.Sources is.
	Sources func() []telemetry.Source
	// Limit is how many series of one metric are looked at, 0: all.
	Limit int
	// Master tells whether the broker set has a master; nil: it always has.
	Master func() bool
	// Resident tells how many bytes of the process are in RAM; nil: nobody knows.
	Resident func() (bytes int64, ok bool)
}

// takes is what becomes of the samples of a metric.
var takes = map[*telemetry.Metric]func(p *Process, b *Batch, s *telemetry.Sample){
	telemetry.MessagesIn:     in("broker.in.tps", "topic.in.tps", 2),
	telemetry.ThroughputIn:   in("broker.in.bytes", "topic.in.bytes", 2),
	telemetry.MessagesOut:    in("broker.out.tps", "topic.out.tps", 3),
	telemetry.ThroughputOut:  in("broker.out.bytes", "topic.out.bytes", 3),
	telemetry.Lag:            lag("group.lag", "group.retry"),
	telemetry.LagLatency:     lag("group.lag.time", ""),
	telemetry.Inflight:       lag("group.inflight", ""),
	telemetry.Ready:          lag("group.ready", ""),
	telemetry.HalfMessages:   plain("transaction.half"),
	telemetry.StorageSize:    plain("broker.disk.bytes"),
	telemetry.FlushBehind:    plain("broker.flush.behind"),
	telemetry.DispatchBehind: plain("broker.dispatch.behind"),
	telemetry.TimingMessages: plain("timer.backlog"),
	telemetry.MemoryBytes:    plain("process.memory"),
	telemetry.HeapBytes:      plain("process.heap"),
	telemetry.Goroutines:     plain("process.goroutines"),
	telemetry.OpenFiles:      plain("process.files"),
	telemetry.GCCycles:       func(p *Process, b *Batch, s *telemetry.Sample) { b.Total("process.gc.rate", "", s.Value, p.Broker) },
	telemetry.DiskUsed: func(p *Process, b *Batch, s *telemetry.Sample) {
		if s.Value >= 0 { // -1: unknown
			b.Gauge("broker.disk.ratio", s.Value, p.Broker)
		}
	},
	telemetry.SlaveLag: func(p *Process, b *Batch, s *telemetry.Sample) {
		b.Gauge("broker.ha.lag", s.Value, p.Broker, s.Labels[0])
	},
	telemetry.Connections: func(p *Process, b *Batch, s *telemetry.Sample) {
		if s.Labels[0] == "broker" {
			b.Gauge("broker.connections", s.Value, p.Broker)
		}
	},
	telemetry.Consumers: func(_ *Process, b *Batch, s *telemetry.Sample) {
		if s.Labels[5] == "false" {
			b.Gauge("group.clients", s.Value, s.Labels[0])
		}
	},
	telemetry.ToDLQ: func(_ *Process, b *Batch, s *telemetry.Sample) { b.Gauge("group.dlq", s.Value, s.Labels[0]) },
	telemetry.ExProducerOffset: func(_ *Process, b *Batch, s *telemetry.Sample) {
		b.Gauge("topic.offset.max", s.Value, s.Labels[2])
	},
	telemetry.CertificateExpires: func(_ *Process, b *Batch, s *telemetry.Sample) {
		b.Gauge("certificate.days", s.Value/86400, s.Labels[0], s.Labels[1])
	},
	telemetry.RPCLatency: latency,
	telemetry.FsyncTime: func(p *Process, b *Batch, s *telemetry.Sample) {
		b.Distribution("fsync", s.Dist, func(d *telemetry.Distribution) {
			b.addLocked(b.cluster, "broker.fsync.p99", 1000*quantileOf(d, 0.99), []string{p.Broker})
		})
	},
}

func plain(name string) func(*Process, *Batch, *telemetry.Sample) {
	return func(p *Process, b *Batch, s *telemetry.Sample) { b.Gauge(name, s.Value, p.Broker) }
}

// in is for messages that come or go; label system says whether they are the broker's own.
func in(broker, topic string, system int) func(*Process, *Batch, *telemetry.Sample) {
	return func(p *Process, b *Batch, s *telemetry.Sample) {
		if s.Labels[system] != "false" {
			return
		}
		part := s.Labels[0] + "\x00" + s.Labels[1] // the kind of message, or the group
		b.Total(broker, part, s.Value, p.Broker)
		b.Total(topic, part, s.Value, s.Labels[0])
		if s.Metric == telemetry.MessagesOut && s.Labels[2] == "false" {
			b.Total("group.consume.tps", "", s.Value, s.Labels[1], s.Labels[0])
		}
	}
}

// lag is for figures by group and topic; those of retry topics go to another series, "" = nowhere.
func lag(name, retry string) func(*Process, *Batch, *telemetry.Sample) {
	return func(_ *Process, b *Batch, s *telemetry.Sample) {
		switch group, topic, again, system := s.Labels[0], s.Labels[1], s.Labels[2], s.Labels[3]; {
		case system != "false":
		case again == "false":
			b.Gauge(name, s.Value, group, topic)
		case retry != "" && strings.HasPrefix(topic, retryPrefix):
			b.Gauge(retry, s.Value, group)
		}
	}
}

const (
	retryPrefix = "%RETRY%"
	deadPrefix  = "%DLQ%"
)

// sendCodes are the requests whose time is that of a send.
var sendCodes = []string{"send_message", "send_message_v2", "send_batch_message"}

// latency takes the times of requests; those that waited for messages say nothing about the broker.
func latency(p *Process, b *Batch, s *telemetry.Sample) {
	code, parked := s.Labels[1], s.Labels[3]
	if parked == "true" {
		return
	}
	b.Distribution("rpc "+code, s.Dist, func(d *telemetry.Distribution) {
		b.addLocked(b.cluster, "broker.rpc.avg", d.Sum/float64(d.Count), []string{p.Broker, code})
		b.addLocked(b.cluster, "broker.rpc.p99", quantileOf(d, 0.99), []string{p.Broker, code})
	})
	b.Total("broker.rpc.tps", s.Labels[2], float64(s.Dist.Count), p.Broker, code)
	if !slices.Contains(sendCodes, code) {
		return
	}
	b.Distribution("put", s.Dist, func(d *telemetry.Distribution) {
		b.addLocked(b.cluster, "broker.put.avg", d.Sum/float64(d.Count), []string{p.Broker})
		for name, q := range map[string]float64{"broker.put.p50": 0.5, "broker.put.p99": 0.99, "broker.put.p999": 0.999} {
			b.addLocked(b.cluster, name, quantileOf(d, q), []string{p.Broker})
		}
	})
}

// Sample implements Source.
func (p *Process) Sample(_ context.Context, b *Batch) error {
	b.born = true
	telemetry.Collect(p.Sources(), p.Limit, func(s *telemetry.Sample) {
		if take := takes[s.Metric]; take != nil {
			take(p, b, s)
		}
	})
	master := 1.0
	if p.Master != nil && !p.Master() {
		master = 0
	}
	b.Gauge("broker.master", master, p.Broker)
	if p.Resident != nil {
		if rss, ok := p.Resident(); ok {
			b.Gauge("process.rss", float64(rss), p.Broker)
		}
	}
	return nil
}
