package telemetry

import "time"

var spanBounds = []time.Duration{
	50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond,
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Metrics of our own.
var (
	BuildInfo     = define(ScopeOwn, Gauge, "cometmq_build_info", "", "1; the labels say what runs", "version", "goversion")
	Uptime        = define(ScopeOwn, Gauge, "cometmq_uptime_seconds", "", "seconds since the process began")
	Goroutines    = define(ScopeOwn, Gauge, "cometmq_goroutines", "", "goroutines")
	HeapBytes     = define(ScopeOwn, Gauge, "cometmq_heap_bytes", "", "bytes of live and unswept objects")
	MemoryBytes   = define(ScopeOwn, Gauge, "cometmq_memory_bytes", "", "bytes that the Go runtime has from the operating system")
	GCCycles      = define(ScopeOwn, Counter, "cometmq_gc_cycles_total", "", "completed garbage collections")
	OpenFiles     = define(ScopeOwn, Gauge, "cometmq_open_files", "", "open file descriptors, sockets included")
	OpenFilesMost = define(ScopeOwn, Gauge, "cometmq_open_files_limit", "", "most file descriptors that the process may have")
	Dropped       = define(ScopeOwn, Gauge, "cometmq_metrics_series_dropped", "", "series that the last collection left out because of metricsOtelCardinalityLimit")
	CollectTime   = define(ScopeOwn, Gauge, "cometmq_metrics_collect_seconds", "", "how long the collection of this page took")

	Watermarks          = define(ScopeOwn, Gauge, "cometmq_store_watermark_bytes", "", "log offset before which everything is appended, flushed, dispatched or replicated; min is where the log begins", "mark")
	QueueBytes          = define(ScopeOwn, Gauge, "cometmq_append_queue_bytes", "", "bytes of messages that wait to be appended")
	FsyncTime           = seconds("cometmq_fsync_duration_seconds", "time that a flush of the log took", spanBounds)
	LogFiles            = define(ScopeOwn, Gauge, "cometmq_store_log_files", "", "files of the log")
	QueueFiles          = define(ScopeOwn, Gauge, "cometmq_store_queue_files_open", "", "files of queues that are open")
	Damaged             = define(ScopeOwn, Counter, "cometmq_store_damaged_records_total", "", "records and queue entries that reads left out because they are damaged")
	Repaired            = define(ScopeOwn, Counter, "cometmq_store_repaired_records_total", "", "damaged records that were taken from another broker of the set")
	Holes               = define(ScopeOwn, Gauge, "cometmq_store_holes", "", "damaged places in the log that were stepped over")
	Writable            = define(ScopeOwn, Gauge, "cometmq_store_writable", "", "1: messages are taken, 0: the store refuses them after an error")
	DiskUsed            = define(ScopeOwn, Gauge, "cometmq_disk_used_ratio", "", "share of the log's disk that is used, 0 to 1; -1 unknown")
	SendRefused         = define(ScopeOwn, Counter, "cometmq_sends_failed_total", "", "messages that the store refused")
	Parked              = define(ScopeOwn, Gauge, "cometmq_parked_requests", "", "pulls and pops that wait for messages", "kind")
	PopHeld             = define(ScopeOwn, Gauge, "cometmq_pop_held_messages", "", "messages that were popped and are not acknowledged")
	Sessions            = define(ScopeOwn, Gauge, "cometmq_client_sessions", "", "connections that have sent a heartbeat")
	Connections         = define(ScopeOwn, Gauge, "cometmq_connections", "", "open connections", "role")
	CertificateExpires  = define(ScopeOwn, Gauge, "cometmq_tls_certificate_expires_seconds", "", "seconds until the certificate that a role shows expires; negative: it has", "role", "side")
	CertificateReloads  = define(ScopeOwn, Counter, "cometmq_tls_reloads_total", "", "changes of the files for TLS that came into force", "role", "side")
	CertificateFailures = define(ScopeOwn, Counter, "cometmq_tls_reload_failures_total", "", "changes of the files for TLS that could not be used", "role", "side")

	BrokerRole  = define(ScopeOwn, Gauge, "cometmq_broker_role", "", "1 for the role that the broker has", "role")
	MasterEpoch = define(ScopeOwn, Gauge, "cometmq_broker_master_epoch", "", "controller mode: epoch of the master that the broker knows")

	QuotaLimit     = define(ScopeOwn, Gauge, "cometmq_quota_limit", "", "what a topic, user or client may send a second", "kind", "name", "unit")
	QuotaTaken     = define(ScopeOwn, Counter, "cometmq_quota_taken_total", "", "what was sent by those who have a quota", "kind", "name", "unit")
	QuotaDelayed   = define(ScopeOwn, Counter, "cometmq_quota_delayed_messages_total", "", "messages whose answer was delayed because of a quota", "kind", "name")
	QuotaRefused   = define(ScopeOwn, Counter, "cometmq_quota_refused_messages_total", "", "messages that were refused because of a quota", "kind", "name")
	TopicRetention = define(ScopeOwn, Gauge, "cometmq_topic_retention_seconds", "", "how long messages of a topic with the attribute reserve.time are given out", "topic")
	TopicExpired   = define(ScopeOwn, Counter, "cometmq_topic_expired_messages_total", "", "messages of such a topic that became too old", "topic")
	ConnsRefused   = define(ScopeOwn, Counter, "cometmq_connections_refused_total", "", "connections that were closed because there were too many (total, address), or for a PROXY header from elsewhere than proxyAddresses", "role", "reason")
	AuthFailed     = define(ScopeOwn, Counter, "cometmq_authentications_failed_total", "", "requests whose sender is not who they say", "reason")
	AuthDenied     = define(ScopeOwn, Counter, "cometmq_authorizations_denied_total", "", "requests of users who may not do that", "reason")
	AuthLimited    = define(ScopeOwn, Gauge, "cometmq_authentication_limiter_entries", "", "addresses and users whose failed authentications are remembered")

	SlaveLag       = define(ScopeOwn, Gauge, "cometmq_replication_lag_bytes", "", "master: bytes of the log that a slave does not have", "slave")
	SlaveInSync    = define(ScopeOwn, Gauge, "cometmq_replication_in_sync", "", "master: 1 when a slave is in sync", "slave")
	SlaveConnected = define(ScopeOwn, Gauge, "cometmq_replication_connected", "", "slave: 1 when it has its master")

	MQTTConnections   = define(ScopeOwn, Gauge, "cometmq_mqtt_connections", "", "open MQTT connections")
	MQTTSessions      = define(ScopeOwn, Gauge, "cometmq_mqtt_sessions", "", "MQTT sessions, those without a connection included")
	MQTTSubscriptions = define(ScopeOwn, Gauge, "cometmq_mqtt_subscriptions", "", "subscriptions of MQTT sessions")
	MQTTRetained      = define(ScopeOwn, Gauge, "cometmq_mqtt_retained_messages", "", "retained messages")

	DelayDelivered = define(ScopeOwn, Counter, "cometmq_delayed_delivered_total", "", "messages with a delay level that were delivered")
	DelayLag       = define(ScopeOwn, Gauge, "cometmq_delayed_waiting_messages", "", "messages of a delay level that wait", "level")
	TimerLost      = define(ScopeOwn, Counter, "cometmq_timer_lost_total", "", "timers whose messages could not be read")

	ControllerTerm   = define(ScopeOwn, Gauge, "cometmq_controller_term", "", "term of the controllers' log")
	ControllerLeader = define(ScopeOwn, Gauge, "cometmq_controller_leader", "", "1 for the controller that leads, as far as this one knows", "leader")
	ControllerSets   = define(ScopeOwn, Gauge, "cometmq_controller_broker_sets", "", "broker sets")

	RouteTopics  = define(ScopeOwn, Gauge, "cometmq_namesrv_topics", "", "topics with a route")
	RouteBrokers = define(ScopeOwn, Gauge, "cometmq_namesrv_brokers", "", "registered brokers")
)
