package series

import (
	"math"
	"slices"
	"strings"
)

// Merge says what several series make together.
type Merge uint8

// Merges.
const (
	Sum Merge = iota
	Largest
)

func (m Merge) prom() string { return [...]string{"sum", "max"}[m] }

func (m Merge) of(a, b float64) float64 {
	if m == Largest {
		return math.Max(a, b)
	}
	return a + b
}

// Def describes a logical series.
type Def struct {
	Name   string
	Unit   string
	Labels []string // besides the cluster's, which is the first of all
	Merge  Merge
	Help   string
	prom   query
}

// Kind is rate, latency or gauge: how a chart writes the values.
func (d *Def) Kind() string {
	switch {
	case strings.HasSuffix(d.Unit, "/s"):
		return "rate"
	case d.Unit == "ms":
		return "latency"
	}
	return "gauge"
}

// query is how Prometheus is asked for it, with the names of docs/operations/metrics.md.
type query struct {
	metric string
	match  string // fixed matchers
	how    how
	scale  float64 // what the answer is multiplied by, 0 = 1
	q      float64 // of a quantile
}

type how uint8

const (
	absent how = iota // Prometheus is not told
	gauge
	rate
	quantile
	average
)

// promLabels are Prometheus' names of our labels.
var promLabels = map[string]string{
	"cluster": "cluster", "broker": "node_id", "topic": "topic", "group": "consumer_group", "slave": "slave", "code": "request_code",
	"role": "role", "side": "side",
}

const (
	users   = `is_system="false"`
	noRetry = `is_system="false",is_retry="false"`
	sends   = `request_code=~"send_message|send_message_v2|send_batch_message"`
	retries = `is_retry="true"`
)

var (
	perBroker = []string{"broker"}
	perTopic  = []string{"topic"}
	perGroup  = []string{"group", "topic"}
	oneGroup  = []string{"group"}
)

// catalogue is sorted by name.
var catalogue = sorted([]Def{
	{"broker.in.tps", "1/s", perBroker, Sum, "messages that producers sent", query{metric: "rocketmq_messages_in_total", match: users, how: rate}},
	{"broker.out.tps", "1/s", perBroker, Sum, "messages that consumers got", query{metric: "rocketmq_messages_out_total", match: users, how: rate}},
	{"broker.in.bytes", "B/s", perBroker, Sum, "bytes of messages that producers sent", query{metric: "rocketmq_throughput_in_total", match: users, how: rate}},
	{"broker.out.bytes", "B/s", perBroker, Sum, "bytes of messages that consumers got", query{metric: "rocketmq_throughput_out_total", match: users, how: rate}},
	{"broker.put.avg", "ms", perBroker, Largest, "time that a send took, on average", query{metric: "rocketmq_rpc_latency_milliseconds", match: sends, how: average}},
	{"broker.put.p50", "ms", perBroker, Largest, "time that half of the sends stayed below", query{metric: "rocketmq_rpc_latency_milliseconds", match: sends, how: quantile, q: 0.5}},
	{"broker.put.p99", "ms", perBroker, Largest, "time that 99 % of the sends stayed below", query{metric: "rocketmq_rpc_latency_milliseconds", match: sends, how: quantile, q: 0.99}},
	{"broker.put.p999", "ms", perBroker, Largest, "time that 99.9 % of the sends stayed below", query{metric: "rocketmq_rpc_latency_milliseconds", match: sends, how: quantile, q: 0.999}},
	{"broker.put.max", "ms", perBroker, Largest, "longest time that storing a message took since the broker began", query{}},
	{"broker.lock.time", "ms", perBroker, Largest, "how long the store has been locked for writing", query{}},
	{"broker.fsync.p99", "ms", perBroker, Largest, "time that 99 % of the flushes stayed below", query{metric: "cometmq_fsync_duration_seconds", how: quantile, q: 0.99, scale: 1000}},
	{"broker.disk.ratio", "ratio", perBroker, Largest, "share of the log's disk that is used, 0 to 1", query{metric: "cometmq_disk_used_ratio", how: gauge}},
	{"broker.disk.bytes", "B", perBroker, Sum, "bytes of the log", query{metric: "rocketmq_storage_size_bytes", how: gauge}},
	{"broker.dispatch.behind", "B", perBroker, Largest, "bytes of the log that are in no queue yet", query{metric: "rocketmq_storage_dispatch_behind_bytes", how: gauge}},
	{"broker.flush.behind", "B", perBroker, Largest, "bytes of the log that are not on disk yet", query{metric: "rocketmq_storage_flush_behind_bytes", how: gauge}},
	{"broker.ha.lag", "B", []string{"broker", "slave"}, Largest, "bytes of the log that a slave does not have", query{metric: "cometmq_replication_lag_bytes", how: gauge}},
	{"broker.master", "", perBroker, Sum, "1 when the broker set has a master", query{}},
	{"broker.connections", "", perBroker, Sum, "open connections", query{metric: "cometmq_connections", match: `role="broker"`, how: gauge}},
	{"broker.rpc.tps", "1/s", []string{"broker", "code"}, Sum, "requests", query{metric: "rocketmq_rpc_latency_milliseconds_count", how: rate}},
	{"broker.rpc.avg", "ms", []string{"broker", "code"}, Largest, "time that a request took, on average", query{metric: "rocketmq_rpc_latency_milliseconds", how: average}},
	{"broker.rpc.p99", "ms", []string{"broker", "code"}, Largest, "time that 99 % of the requests stayed below", query{metric: "rocketmq_rpc_latency_milliseconds", how: quantile, q: 0.99}},
	{"topic.in.tps", "1/s", perTopic, Sum, "messages that producers sent", query{metric: "rocketmq_messages_in_total", match: users, how: rate}},
	{"topic.out.tps", "1/s", perTopic, Sum, "messages that consumers got", query{metric: "rocketmq_messages_out_total", match: users, how: rate}},
	{"topic.in.bytes", "B/s", perTopic, Sum, "bytes of messages that producers sent", query{metric: "rocketmq_throughput_in_total", match: users, how: rate}},
	{"topic.out.bytes", "B/s", perTopic, Sum, "bytes of messages that consumers got", query{metric: "rocketmq_throughput_out_total", match: users, how: rate}},
	{"topic.offset.max", "", perTopic, Sum, "ends of the topic's queues, added up", query{}},
	{"group.lag", "", perGroup, Sum, "messages that a group has not consumed", query{metric: "rocketmq_consumer_lag_messages", match: noRetry, how: gauge}},
	{"group.lag.time", "ms", perGroup, Largest, "how long the oldest of them has been stored", query{metric: "rocketmq_consumer_lag_latency_milliseconds", match: noRetry, how: gauge}},
	{"group.ready", "", perGroup, Sum, "messages that were not given out yet", query{metric: "rocketmq_consumer_ready_messages", match: noRetry, how: gauge}},
	{"group.inflight", "", perGroup, Sum, "messages that were given out and are not consumed yet", query{metric: "rocketmq_consumer_inflight_messages", match: noRetry, how: gauge}},
	{"group.consume.tps", "1/s", perGroup, Sum, "messages that a group consumes", query{metric: "rocketmq_messages_out_total", match: noRetry, how: rate}},
	{"group.clients", "", oneGroup, Sum, "consumers of a group that are connected", query{metric: "rocketmq_consumer_connections", how: gauge}},
	{"group.retry", "", oneGroup, Sum, "messages that wait to be consumed once more", query{metric: "rocketmq_consumer_lag_messages", match: retries, how: gauge}},
	{"group.dlq", "", oneGroup, Sum, "dead letters of a group since the broker began, or in its dead letter topic", query{metric: "rocketmq_send_to_dlq_messages_total", how: gauge}},
	{"timer.backlog", "", perBroker, Sum, "timers that wait", query{metric: "rocketmq_timing_messages", how: gauge}},
	{"transaction.half", "", perBroker, Sum, "transactions that are not decided", query{metric: "rocketmq_half_messages", how: gauge}},
	{"certificate.days", "d", []string{"role", "side"}, Largest, "days until a certificate ends, negative: it has", query{metric: "cometmq_tls_certificate_expires_seconds", how: gauge, scale: 1.0 / 86400}},
	{"process.rss", "B", perBroker, Sum, "memory of the process that is resident", query{}},
	{"process.memory", "B", perBroker, Sum, "bytes that the Go runtime has from the operating system", query{metric: "cometmq_memory_bytes", how: gauge}},
	{"process.heap", "B", perBroker, Sum, "bytes of live and unswept objects", query{metric: "cometmq_heap_bytes", how: gauge}},
	{"process.goroutines", "", perBroker, Sum, "goroutines", query{metric: "cometmq_goroutines", how: gauge}},
	{"process.gc.rate", "1/s", perBroker, Sum, "garbage collections", query{metric: "cometmq_gc_cycles_total", how: rate}},
	{"process.files", "", perBroker, Sum, "open file descriptors", query{metric: "cometmq_open_files", how: gauge}},
})

func sorted(defs []Def) []Def {
	slices.SortFunc(defs, func(a, b Def) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	for i := range defs {
		defs[i].Labels = append([]string{"cluster"}, defs[i].Labels...)
	}
	return defs
}

// Catalogue returns all logical series, sorted by name. The first label of each is the cluster.
func Catalogue() []Def { return slices.Clone(catalogue) }

// find returns the definition of a name, nil when there is none.
func find(name string) *Def {
	i, ok := slices.BinarySearchFunc(catalogue, name, func(d Def, name string) int {
		switch {
		case d.Name < name:
			return -1
		case d.Name > name:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return &catalogue[i]
}
