package telemetry

// Metrics of rocketmq-exporter, all gauges. Help texts say what the number is here.
var (
	exBroker = []string{"cluster", "brokerIP", "broker"}
	exTopic  = []string{"cluster", "broker", "topic"}
	exGroup  = []string{"cluster", "broker", "group"}
	exBoth   = []string{"cluster", "broker", "topic", "group"}
	exDiff   = []string{"group", "topic", "countOfOnlineConsumers", "msgModel"}
	exRun    = []string{"cluster", "brokerIP", "brokerHost", "des", "boottime", "broker_version"}

	ExBrokerTPS = ex("rocketmq_broker_tps", "messages taken a second, over the last minute", exBroker)
	ExBrokerQPS = ex("rocketmq_broker_qps", "messages given a second, over the last minute", exBroker)
	ExLogDiff   = ex("rocketmq_broker_commitlog_diff", "bytes of the log that a slave of this master does not have; brokerIP is the slave's address", exBroker)

	ExProducerTPS    = ex("rocketmq_producer_tps", "messages taken a second, over the last minute", exTopic)
	ExProducerSize   = ex("rocketmq_producer_message_size", "bytes taken a second, over the last minute", exTopic)
	ExProducerOffset = ex("rocketmq_producer_offset", "sum of the ends of the topic's queues", exTopic)
	ExRetryOffset    = ex("rocketmq_topic_retry_offset", "sum of the ends of a retry topic's queues", exTopic)
	ExDLQOffset      = ex("rocketmq_topic_dlq_offset", "sum of the ends of a dead-letter topic's queues", exGroup)
	ExProducerCount  = ex("rocketmq_producer_count", "connections that produce for a group", exGroup)

	ExConsumerTPS    = ex("rocketmq_consumer_tps", "messages given a second, over the last minute", exBoth)
	ExGroupTPS       = ex("rocketmq_group_consume_tps", "the same", exBoth)
	ExConsumerSize   = ex("rocketmq_consumer_message_size", "bytes given a second, over the last minute", exBoth)
	ExConsumerOffset = ex("rocketmq_consumer_offset", "sum of the group's positions", exBoth)
	ExGroupOffset    = ex("rocketmq_group_consume_total_offset", "the same", exBoth)
	ExSendBack       = ex("rocketmq_send_back_nums", "messages given back a second, over the last minute", exBoth)
	ExLatency        = ex("rocketmq_group_get_latency_by_storetime", "age in ms of the oldest message that the group has not consumed", exBoth)

	ExDiff      = ex("rocketmq_group_diff", "messages that the group has not consumed; msgModel: 0 broadcasting, 1 clustering", exDiff)
	ExRetryDiff = ex("rocketmq_group_retrydiff", "the same, of its retry topic", exDiff)
	ExDLQDiff   = ex("rocketmq_group_dlqdiff", "messages of its dead-letter topic", exDiff)

	ExGroupCount = ex("rocketmq_group_count", "1 for each connection that consumes", []string{"caddr", "localaddr", "group"})
)

// Figures of a broker as rocketmq-exporter takes them from GET_BROKER_RUNTIME_INFO.
var (
	// ExPutTimes are how many messages took how long to store; bounds are in ms.
	ExPutTimes = exRuns("pmdt_", "messages whose append took so long",
		"0ms", "0to10ms", "10to50ms", "50to100ms", "100to200ms", "200to500ms", "500to1s", "1to2s", "2to3s", "3to4s", "4to5s", "5to10s", "10stomore")
	// ExPutBounds are the inclusive upper bounds of all of them but the last.
	ExPutBounds = []int64{0, 9, 49, 99, 199, 499, 999, 1999, 2999, 3999, 4999, 9999}

	// Rates over 10 s, 1 min, 10 min.
	ExPutTPS         = exRuns("put_tps", "messages taken a second, over so many seconds", "10", "60", "600")
	ExGetTotalTPS    = exRuns("gettotal_tps", "pulls a second", "10", "60", "600")
	ExGetFoundTPS    = exRuns("getfound_tps", "pulls with messages a second", "10", "60", "600")
	ExGetMissTPS     = exRuns("getmiss_tps", "pulls without messages a second", "10", "60", "600")
	ExTransferredTPS = exRuns("gettransfered_tps", "messages given a second", "10", "60", "600")

	// ExRuntime are by the key of the runtime information.
	ExRuntime = map[string]*Metric{}
	_         = exKeys(map[string]string{
		"msgPutTotalTodayNow": "msg_put_total_today_now", "msgPutTotalTodayMorning": "msg_puttotal_todaymorning",
		"msgPutTotalYesterdayMorning": "msg_puttotal_yesterdaymorning", "msgGetTotalTodayNow": "msg_gettotal_today_now",
		"msgGetTotalTodayMorning": "msg_gettotal_todaymorning", "msgGetTotalYesterdayMorning": "msg_gettotal_yesterdaymorning",
		"dispatchBehindBytes": "dispatch_behind_bytes", "dispatchMaxBuffer": "dispatch_maxbuffer", "putMessageSizeTotal": "put_message_size_total",
		"putMessageAverageSize": "put_message_average_size", "putMessageTimesTotal": "putmessage_times_total",
		"putMessageEntireTimeMax": "putmessage_entire_time_max", "getMessageEntireTimeMax": "getmessage_entire_time_max",
		"putLatency99": "put_latency_99", "putLatency999": "put_latency_999", "pageCacheLockTimeMills": "pagecache_lock_time_mills",
		"commitLogDiskRatio": "commitlog_disk_ratio", "consumeQueueDiskRatio": "consumequeue_disk_ratio",
		"commitLogMinOffset": "commitlog_minoffset", "commitLogMaxOffset": "commitlog_maxoffset",
		"remainTransientStoreBufferNumbs": "remain_transientstore_buffer_numbs", "earliestMessageTimeStamp": "earliest_message_timestamp",
		"startAcceptSendRequestTimeStamp": "start_accept_sendrequest_time", "sendThreadPoolQueueSize": "send_threadpool_queue_size",
		"sendThreadPoolQueueCapacity": "send_threadpoolqueue_capacity", "sendThreadPoolQueueHeadWaitTimeMills": "send_threadpoolqueue_headwait_timemills",
		"pullThreadPoolQueueSize": "pull_threadpoolqueue_size", "pullThreadPoolQueueCapacity": "pull_threadpoolqueue_capacity",
		"pullThreadPoolQueueHeadWaitTimeMills": "pull_threadpoolqueue_headwait_timemills", "queryThreadPoolQueueSize": "query_threadpoolqueue_size",
		"queryThreadPoolQueueCapacity": "query_threadpool_queue_capacity", "queryThreadPoolQueueHeadWaitTimeMills": "query_threadpoolqueue_headwait_timemills",
	})
	ExUnflushed = exRun1("remain_howmanydata_toflush", "bytes of the log that are not on disk yet")
	ExCapacity  = exRun1("commitlogdir_capacity_total", "bytes of the log's disk")
	ExFree      = exRun1("commitlogdir_capacity_free", "bytes of it that are free")
)

func ex(name, help string, labels []string) *Metric {
	return define(ScopeExporter, Gauge, name, "", help, labels...)
}

func exRun1(name, help string) *Metric { return ex("rocketmq_brokeruntime_"+name, help, exRun) }

func exRuns(prefix, help string, names ...string) []*Metric {
	out := make([]*Metric, len(names))
	for i, n := range names {
		out[i] = exRun1(prefix+n, help)
	}
	return out
}

// exKeys fills ExRuntime.
func exKeys(names map[string]string) bool {
	for _, key := range sortedKeys(names) {
		ExRuntime[key] = exRun1(names[key], key+" of the runtime information")
	}
	return true
}
