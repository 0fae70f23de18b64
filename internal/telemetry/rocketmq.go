package telemetry

// Buckets of Java's views.
var (
	sizeBounds   = []int64{1 << 10, 4 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20}
	finishBounds = []int64{5, 60, 600, 3600, 12 * 3600, 24 * 3600}
	createBounds = []int64{10, 100, 1000, 3000, 5000}
	delayBounds  = []int64{60, 600, 3600, 12 * 3600, 24 * 3600, 72 * 3600}
	rpcBounds    = []int64{1, 3, 5, 7, 10, 100, 1000, 2000, 3000}
)

// Metrics of RocketMQ 5's brokers (BrokerMetricsConstant and those of the store, of timers, of pop and of remoting).
var (
	Watermark    = define(ScopeBroker, Gauge, "rocketmq_processor_watermark", "", "requests that wait for a thread; there are no such queues here", "processor")
	Permission   = define(ScopeBroker, Gauge, "rocketmq_broker_permission", "", "what clients may do: 2 write, 4 read, 6 both")
	TopicNumber  = define(ScopeBroker, Gauge, "rocketmq_topic_number", "", "topics")
	GroupNumber  = define(ScopeBroker, Gauge, "rocketmq_consumer_group_number", "", "subscription groups")
	MessagesIn   = define(ScopeBroker, Counter, "rocketmq_messages_in_total", "", "messages that producers sent", "topic", "message_type", "is_system")
	ThroughputIn = define(ScopeBroker, Counter, "rocketmq_throughput_in_total", "", "bytes of them in the log", "topic", "message_type", "is_system")
	MessageSize  = histogram(ScopeBroker, sizeBounds, "rocketmq_message_size", "", "bytes of a message in the log, once for each request", "topic", "message_type")
	MessagesOut  = define(ScopeBroker, Counter, "rocketmq_messages_out_total", "", "messages that consumers got", "topic", "consumer_group", "is_retry", "is_system")

	ThroughputOut = define(ScopeBroker, Counter, "rocketmq_throughput_out_total", "", "bytes of them", "topic", "consumer_group", "is_retry", "is_system")

	Producers = define(ScopeBroker, Gauge, "rocketmq_producer_connections", "", "connections that produce", "language", "version", "protocol_type")
	Consumers = define(ScopeBroker, Gauge, "rocketmq_consumer_connections", "", "connections that consume", "consumer_group", "language", "version", "protocol_type", "consume_mode", "is_system")

	Lag        = define(ScopeBroker, Gauge, "rocketmq_consumer_lag_messages", "", "messages that a group has not consumed", lagLabels...)
	LagLatency = define(ScopeBroker, Gauge, "rocketmq_consumer_lag_latency", "milliseconds", "how long the oldest of them has been stored", lagLabels...)
	Inflight   = define(ScopeBroker, Gauge, "rocketmq_consumer_inflight_messages", "", "messages that were given out and are not consumed yet", lagLabels...)
	Queueing   = define(ScopeBroker, Gauge, "rocketmq_consumer_queueing_latency", "milliseconds", "how long the oldest message that was not given out has been stored", lagLabels...)
	Ready      = define(ScopeBroker, Gauge, "rocketmq_consumer_ready_messages", "", "messages that were not given out yet", lagLabels...)

	ToDLQ        = define(ScopeBroker, Counter, "rocketmq_send_to_dlq_messages_total", "", "messages that became dead letters", "consumer_group", "topic", "is_system")
	Committed    = define(ScopeBroker, Counter, "rocketmq_commit_messages_total", "", "transactions that were committed", "topic")
	RolledBack   = define(ScopeBroker, Counter, "rocketmq_rollback_messages_total", "", "transactions that were rolled back", "topic")
	FinishTime   = histogram(ScopeBroker, finishBounds, "rocketmq_finish_message_latency", "ms", "from half message to commit", "topic")
	HalfMessages = define(ScopeBroker, Gauge, "rocketmq_half_messages", "", "transactions that are not decided", "topic")

	TopicCreate = histogram(ScopeBroker, createBounds, "rocketmq_topic_create_execution_time", "milliseconds", "time that it took to create or change a topic", "invocation_status", "is_system")
	GroupCreate = histogram(ScopeBroker, createBounds, "rocketmq_consumer_group_create_execution_time", "milliseconds", "time that it took to create or change a group", "invocation_status", "is_system")

	RPCLatency = scaled(histogram(ScopeBroker, times(rpcBounds, 1e6), "rocketmq_rpc_latency", "milliseconds", "from a request's arrival to its answer", "protocol_type", "request_code", "response_code", "is_long_polling", "result"), 1e6)

	StorageSize    = define(ScopeBroker, Gauge, "rocketmq_storage_size", "bytes", "bytes of the log", storeLabels...)
	FlushBehind    = define(ScopeBroker, Gauge, "rocketmq_storage_flush_behind_bytes", "bytes", "bytes of the log that are not on disk yet", storeLabels...)
	DispatchBehind = define(ScopeBroker, Gauge, "rocketmq_storage_dispatch_behind_bytes", "bytes", "bytes of the log that are in no queue yet", storeLabels...)
	ReserveTime    = define(ScopeBroker, Gauge, "rocketmq_storage_message_reserve_time", "milliseconds", "how long the oldest message has been stored", storeLabels...)

	TimerEnqueueLag     = define(ScopeBroker, Gauge, "rocketmq_timer_enqueue_lag", "", "timers that are not in the wheel yet")
	TimerEnqueueLatency = define(ScopeBroker, Gauge, "rocketmq_timer_enqueue_latency", "milliseconds", "how far the reading of new timers is behind")
	TimerDequeueLatency = define(ScopeBroker, Gauge, "rocketmq_timer_dequeue_latency", "milliseconds", "how far the delivery of timers is behind")
	TimingMessages      = define(ScopeBroker, Gauge, "rocketmq_timing_messages", "", "timers that wait", "topic")
	TimerEnqueue        = define(ScopeBroker, Counter, "rocketmq_timer_enqueue_total", "", "timers that were taken", "topic")
	DelayTime           = histogram(ScopeBroker, delayBounds, "rocketmq_delay_message_latency", "seconds", "how long after their births messages with a time of their own are due", "topic")
	TimerDequeue        = define(ScopeBroker, Counter, "rocketmq_timer_dequeue_total", "", "timers that were delivered", "topic")
)

var (
	lagLabels   = []string{"consumer_group", "topic", "is_retry", "is_system"}
	storeLabels = []string{"storage_type", "storage_medium"}
)

// Metrics of RocketMQ 5's controllers (ControllerMetricsConstant): bare names.
var (
	opBounds       = []int64{1_000, 3_000, 5_000, 10_000, 30_000, 50_000, 100_000, 300_000, 500_000, 1_000_000, 3_000_000, 5_000_000, 10_000_000, 30_000_000, 50_000_000, 100_000_000, 300_000_000, 500_000_000, 1_000_000_000, 3_000_000_000, 5_000_000_000, 10_000_000_000}
	Role           = define(ScopeController, Gauge, "role", "", "1 candidate, 2 follower, 3 leader, 0 unknown")
	ActiveBrokers  = define(ScopeController, Gauge, "active_broker_num", "", "brokers that this controller has heard of lately", "cluster", "broker_set")
	RequestTotal   = define(ScopeController, Counter, "request_total", "", "requests", "request_type", "request_handle_status")
	RequestLatency = scaled(histogram(ScopeController, opBounds, "request_latency", "us", "time that a request took", "request_type"), 1_000)
	ElectionTotal  = define(ScopeController, Counter, "election_total", "", "elections of masters", "cluster", "broker_set", "election_result")
)

// times multiplies bounds.
func times(bounds []int64, by int64) []int64 {
	out := make([]int64, len(bounds))
	for i, b := range bounds {
		out[i] = b * by
	}
	return out
}

// scaled says that Observe gets values that are to be divided.
func scaled(m *Metric, by int64) *Metric {
	m.Scale = by
	return m
}
