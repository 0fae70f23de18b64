package config

import (
	"path/filepath"
	"time"
)

// Broker is the configuration of one broker.
type Broker struct {
	Identity Identity
	Listen   Listen
	GRPC     GRPC
	Routes   Routes
	Topics   Topics
	Transact Transactions
	Consume  Consume
	Pop      Pop
	Lite     Lite
	Delay    Delay
	Store    Store
	Replica  Replica
	Control  Control
	Auth     Auth
	TLS      TLS
	Metrics  Metrics
	Quotas   Quotas
	MQTT     MQTT
	AMQP     AMQP
	Process  Process

	// Set are the values that somebody set, by key, those of keys that are not served here among them.
	Set map[string]Setting `key:"-"`
}

// Identity says which broker this is.
type Identity struct {
	Cluster    string `key:"brokerClusterName" doc:"name of the cluster"`
	Name       string `key:"brokerName" doc:"name of the broker set; default the host name"`
	ID         int64  `key:"brokerId" min:"-1" doc:"0 is the master; -1 stands in Java's files for controller mode"`
	Role       string `key:"brokerRole" enum:"ASYNC_MASTER SYNC_MASTER SLAVE" doc:"role in the broker set"`
	IP1        string `key:"brokerIP1" doc:"address that clients are told; default the first IPv4 address that is not loopback"`
	IP2        string `key:"brokerIP2" doc:"address that slaves are told"`
	Permission int32  `key:"brokerPermission" live:"true" min:"0" max:"7" doc:"bit 4 read, bit 2 write"`
	Region     string `key:"regionId" doc:"region in traces"`
}

// Listen is the network side.
type Listen struct {
	Address string        `key:"bindAddress" doc:"address to listen on"`
	Port    int           `key:"listenPort" min:"0" max:"65535" doc:"main port; the fast port is two lower; 0 = any free port"`
	HAPort  int           `key:"haListenPort" min:"0" max:"65535" doc:"port for slaves, 0 = listenPort + 1"`
	Idle    time.Duration `key:"serverChannelMaxIdleTimeSeconds" unit:"s" min:"1" max:"86400" doc:"a connection without traffic is closed after that"`
}

// Routes is how the broker registers with the name servers.
type Routes struct {
	NameServers []string      `key:"namesrvAddr" sep:";" live:"true" doc:"name servers, host:port;host:port"`
	Period      time.Duration `key:"registerNameServerPeriod" unit:"ms" live:"true" min:"1" max:"3600000" doc:"time between full registrations, 10 s to 60 s"`
	Beat        time.Duration `key:"brokerHeartbeatInterval" unit:"ms" min:"10" max:"3600000" doc:"time between heartbeats, to controllers and, of a set with an acting master, to name servers"`
	BeatCall    time.Duration `key:"sendHeartbeatTimeoutMillis" unit:"ms" min:"10" max:"3600000" doc:"how long the answer to a heartbeat is waited for"`
}

// Topics is what happens to topics and messages that come in.
type Topics struct {
	AutoCreate    bool   `key:"autoCreateTopicEnable" live:"true" doc:"create a topic on the first send"`
	DefaultQueues int32  `key:"defaultTopicQueueNums" live:"true" min:"1" max:"65535" doc:"queues of TBW102"`
	ClusterTopic  bool   `key:"clusterTopicEnable" doc:"the topic called like the cluster can be read and written"`
	BrokerTopic   bool   `key:"brokerTopicEnable" doc:"the topic called like the broker can be read and written"`
	Trace         bool   `key:"traceTopicEnable" doc:"have a topic for traces"`
	TraceTopic    string `key:"msgTraceTopicName" doc:"name of that topic"`
	TraceOn       bool   `key:"traceOn" live:"true" doc:"tell clients that traces are wanted"`
	ReviveQueues  int32  `key:"reviveQueueNum" min:"1" max:"65535" doc:"queues of pop's own log"`
	Timer         bool   `key:"timerWheelEnable" doc:"have a topic for messages with an arbitrary delay"`
	MaxMessage    int    `key:"maxMessageSize" live:"true" min:"1" max:"16711680" doc:"largest body in bytes"`
	NoTransaction bool   `key:"rejectTransactionMessage" live:"true" doc:"refuse half messages"`
	AcceptFrom    int64  `key:"startAcceptSendRequestTimeStamp" min:"0" doc:"sends are refused before that time, ms since 1970"`
}

// Transactions is what happens to half messages.
type Transactions struct {
	Timeout  time.Duration `key:"transactionTimeOut" unit:"ms" live:"true" min:"1" max:"2147483647" doc:"age from which the producer of an undecided half message is asked"`
	Interval time.Duration `key:"transactionCheckInterval" unit:"ms" live:"true" min:"1" max:"2147483647" doc:"time between looks at what is undecided"`
	CheckMax int           `key:"transactionCheckMax" live:"true" min:"1" max:"2147483647" doc:"how often producers are asked before a half message goes to TRANS_CHECK_MAX_TIME_TOPIC"`
	OpSize   int           `key:"transactionOpMsgMaxSize" live:"true" min:"1" max:"1048576" doc:"bytes of a record about decided half messages"`
}

// Consume is what consumers meet.
type Consume struct {
	AutoCreateGroup bool          `key:"autoCreateSubscriptionGroup" live:"true" doc:"create a group when a consumer comes"`
	SystemGroups    bool          `key:"enableCreateSysGroup" live:"true" doc:"create system groups even when groups are not created"`
	LongPolling     bool          `key:"longPollingEnable" live:"true" doc:"pulls wait for messages"`
	ShortPolling    time.Duration `key:"shortPollingTimeMills" unit:"ms" live:"true" min:"1" max:"600000" doc:"how long a pull waits without long polling"`
	LitePull        bool          `key:"litePullMessageEnable" live:"true" doc:"allow lite pull"`
	PropertyFilter  bool          `key:"enablePropertyFilter" doc:"consumers may choose messages by SQL92 expressions"`
	FilterRetry     bool          `key:"filterSupportRetry" doc:"a SQL92 expression on a retry topic means the one for the original topic"`
	FilterKeep      time.Duration `key:"filterDataCleanTimeSpan" unit:"ms" min:"1" max:"31536000000" doc:"the expressions of a group that has left are kept that long"`
	ServerBalance   bool          `key:"serverLoadBalancerEnable" live:"true" doc:"assign queues in the broker when a client asks"`
	OffsetFold      time.Duration `key:"flushConsumerOffsetInterval" unit:"ms" min:"10" max:"3600000" doc:"age of consumerOffset.json"`
	MaxBytesHot     int           `key:"maxTransferBytesOnMessageInMemory" live:"true" min:"1" max:"16711680" doc:"most bytes of one pull of recent messages"`
	MaxMessagesHot  int           `key:"maxTransferCountOnMessageInMemory" live:"true" min:"1" max:"65535" doc:"most messages of one pull of recent messages"`
	MaxBytesCold    int           `key:"maxTransferBytesOnMessageInDisk" live:"true" min:"1" max:"16711680" doc:"most bytes of one pull of old messages"`
	MaxMessagesCold int           `key:"maxTransferCountOnMessageInDisk" live:"true" min:"1" max:"65535" doc:"most messages of one pull of old messages"`
	HotRatio        int           `key:"accessMessageInMemoryMaxRatio" min:"0" max:"100" doc:"percent of the machine's memory; the end of the log of that size counts as in memory"`
	ServerReset     bool          `key:"useServerSideResetOffset" doc:"positions are reset in the broker; off: by the clients that are online"`
	StoreReplies    bool          `key:"storeReplyMessageEnable" doc:"store the answers to request messages, too"`
	NewGroupStart   string        `key:"newGroupStart" enum:"compat latest earliest" doc:"where a group begins that has no position in a queue yet: as Java and the client decide, behind what is there, or at the first message"`
	QueryMax        int           `key:"defaultQueryMaxNum" live:"true" min:"1" max:"65535" doc:"most messages of one query"`
	ForwardTimeout  time.Duration `key:"forwardTimeout" unit:"ms" min:"1" max:"3600000" doc:"static topics: how long another broker is asked about its part of a queue"`
}

// Pop is what consumers that pop meet.
type Pop struct {
	Redeliver    string `key:"popRedeliver" enum:"inplace retryTopic" doc:"hand out again from where a message is, or copy it to the retry topic at once as Java does"`
	AckSync      bool   `key:"popAckSync" doc:"answer an acknowledgement when it is on disk, not only safe from a kill"`
	Inflight     int    `key:"popInflightMessageThreshold" min:"1" max:"10000000" doc:"messages of one queue that a group may hold"`
	RetryPercent int    `key:"popFromRetryProbability" min:"0" max:"100" doc:"percent of the pops that read retry topics first"`
	RetryUrgent  int    `key:"popFromRetryProbabilityForPriority" min:"0" max:"100" doc:"the same for topics of the type PRIORITY"`
	PriorityAsc  bool   `key:"priorityOrderAsc" doc:"of a topic of the type PRIORITY the queue with the highest number is popped first, else queue 0"`
	RetryV2      bool   `key:"enableRetryTopicV2" doc:"name new retry topics of pop group+topic instead of group_topic"`
	ActualTopic  bool   `key:"popResponseReturnActualRetryTopic" doc:"messages of retry topics keep its name"`
	Polling      int    `key:"popPollingSize" min:"1" max:"10000000" doc:"pops of one group and queue that may wait"`
	PollingMost  int    `key:"maxPopPollingSize" min:"1" max:"10000000" doc:"pops that may wait in all"`
	Mode         string `key:"defaultMessageRequestMode" enum:"PULL POP" doc:"how a group consumes when the broker assigns queues"`
	ShareQueues  int32  `key:"defaultPopShareQueueNum" min:"-1" max:"65535" doc:"a consumer that pops shares the queues of so many others, -1 = all"`
}

// Lite is about lite topics.
type Lite struct {
	Events        bool          `key:"enableLiteEventMode" doc:"a pop reads the lite topics that have news; off: all of its client, and it never waits for one"`
	MaxEvents     int           `key:"maxClientEventCount" min:"1" max:"1000000" doc:"lite topics with news that are kept for a client, unless its group says how many"`
	Max           int           `key:"maxLiteSubscriptionCount" min:"1" max:"100000000" doc:"subscriptions of all clients"`
	EventCheck    time.Duration `key:"liteEventCheckInterval" unit:"ms" min:"10" max:"3600000" doc:"time between looks at clients that do not fetch their news"`
	Refill        time.Duration `key:"liteEventFullDispatchDelayTime" unit:"ms" min:"50" max:"3600000" doc:"after so long the lite topics of a client that had too much news are looked through"`
	WildRefill    time.Duration `key:"liteEventFullDispatchDelayTimeForWildcardGroup" unit:"ms" min:"50" max:"3600000" doc:"the same for a group that consumes all lite topics"`
	SilentCheck   time.Duration `key:"liteSubscriptionCheckInterval" unit:"ms" min:"10" max:"86400000" doc:"time between looks for silent clients"`
	SilentTimeout time.Duration `key:"liteSubscriptionCheckTimeoutMills" unit:"ms" min:"10" max:"86400000" doc:"the subscriptions of a client end that does not repeat them for so long"`
	TTLCheck      time.Duration `key:"liteTtlCheckInterval" unit:"ms" min:"10" max:"86400000" doc:"time between looks for lite topics that got no message for as long as their topic says"`
	MinTTL        time.Duration `key:"minLiteTTl" unit:"ms" min:"1" max:"86400000" doc:"no lite topic goes that got a message within this time, and none this early after a start"`
}

// Store is the store on disk.
type Store struct {
	Root          string        `key:"storePathRootDir" doc:"folder of the store"`
	CommitLog     string        `key:"storePathCommitLog" doc:"folder of the commit log, default commitlog in the store"`
	SegmentSize   int64         `key:"mappedFileSizeCommitLog" min:"4096" max:"2147483647" doc:"bytes of a commit log file"`
	QueueFileSize int64         `key:"mappedFileSizeConsumeQueue" min:"20" max:"2147483640" doc:"bytes of a queue file, rounded up to units of 20"`
	FlushDisk     string        `key:"flushDiskType" enum:"ASYNC_FLUSH SYNC_FLUSH" doc:"answer a send before or after it is on disk"`
	FlushInterval time.Duration `key:"flushIntervalCommitLog" unit:"ms" min:"1" max:"3600000" doc:"time between flushes of the log with ASYNC_FLUSH"`
	FlushTimeout  time.Duration `key:"syncFlushTimeout" unit:"ms" live:"true" min:"1" max:"3600000" doc:"how long a send waits for the disk"`
	FastFailure   bool          `key:"brokerFastFailureEnable" doc:"refuse sends that would wait too long for the disk"`
	MaxWait       time.Duration `key:"waitTimeMillsInSendQueue" unit:"ms" min:"1" max:"3600000" doc:"with SYNC_FLUSH: sends are refused when the disk is so far behind"`
	BusyTimeout   time.Duration `key:"osPageCacheBusyTimeOutMills" unit:"ms" min:"1" max:"3600000" doc:"sends are refused while a write to the log takes longer"`
	QueueInterval time.Duration `key:"flushIntervalConsumeQueue" unit:"ms" min:"1" max:"3600000" doc:"time between writes of queues and index"`
	Thorough      time.Duration `key:"flushCommitLogThoroughInterval" unit:"ms" min:"1" max:"3600000" doc:"time between syncs of queues and index"`
	Reserved      time.Duration `key:"fileReservedTime" unit:"h" live:"true" min:"1" max:"876000" doc:"age at which log files are deleted"`
	DeleteWhen    string        `key:"deleteWhen" live:"true" doc:"hours of the day for it, 04 or 04;16"`
	DiskMaxUsed   int           `key:"diskMaxUsedSpaceRatio" live:"true" min:"1" max:"100" doc:"percent of the disk from which files go early, 10 to 95"`
	ForceClean    int           `key:"diskSpaceCleanForciblyRatio" live:"true" min:"1" max:"100" doc:"percent from which they go at any age, 30 to 85"`
	Warning       int           `key:"diskSpaceWarningLevelRatio" live:"true" min:"1" max:"100" doc:"percent from which sends are refused, 35 to 90"`
	CleanForcibly bool          `key:"cleanFileForciblyEnable" live:"true" doc:"delete at any age when the disk is full"`
	CleanInterval time.Duration `key:"cleanResourceInterval" unit:"ms" min:"1" max:"3600000" doc:"time between looks at the disk"`
	CheckCRC      bool          `key:"checkCRCOnRecover" doc:"check bodies at start"`
	AppendCRC     bool          `key:"enabledAppendPropCRC" doc:"store a checksum of the properties"`
	Index         bool          `key:"messageIndexEnable" doc:"index keys"`
	IndexSlots    int           `key:"maxHashSlotNum" min:"1" max:"500000000" doc:"hash slots of an index file"`
	IndexCapacity int           `key:"maxIndexNum" min:"2" max:"100000000" doc:"entries of an index file"`
	BatchFileSize int64         `key:"mapperFileSizeBatchConsumeQueue" min:"46" max:"2147483647" doc:"bytes of a batch queue file"`
	Compaction    bool          `key:"enableCompaction" doc:"of topics with cleanup.policy=COMPACTION only the newest message of each key is kept"`

	CompactFileSize  int64         `key:"compactionMappedFileSize" min:"1024" max:"2147483647" doc:"bytes of a compaction log file, rounded to a multiple of the queue file's"`
	CompactQueueSize int64         `key:"compactionCqMappedFileSize" min:"138" max:"2147483647" doc:"bytes of a compaction queue file"`
	CompactMap       int64         `key:"maxOffsetMapSize" min:"6400" max:"2147483647" doc:"memory of one compaction"`
	CompactEvery     time.Duration `key:"compactionScheduleInternal" unit:"ms" min:"1" max:"2147483647" doc:"time between two compactions of a topic"`

	LightQueues   bool  `key:"enableLmq" doc:"light queues (topics called %LMQ%...) exist without being made"`
	LightDispatch bool  `key:"enableMultiDispatch" doc:"with enableLmq: messages are in the light queues that INNER_MULTI_DISPATCH names"`
	LightMax      int64 `key:"maxLmqConsumeQueueNum" min:"0" max:"100000000" doc:"number of light queues"`
	LightQuota    bool  `key:"enableLmqQuota" doc:"refuse messages that need more light queues"`
	BlockCache    int64 `key:"blockCacheBytes" min:"1048576" max:"1099511627776" doc:"memory for blocks of the log"`
}

// Process is about the program.
type Process struct {
	Home         string        `key:"rocketmqHome" doc:"where Java's broker is installed; unused"`
	ConfigPath   string        `key:"brokerConfigPath" doc:"the file that was read"`
	Blacklist    string        `key:"configBlackList" doc:"keys that cannot be changed in a running broker"`
	ShutdownWait time.Duration `key:"shutdownWaitTimeSeconds" unit:"s" min:"0" max:"3600" doc:"deadline of a graceful stop"`
	Drain        time.Duration `key:"drainTimeSeconds" unit:"s" live:"true" min:"0" max:"3600" doc:"time before a graceful stop of a master in which its name servers send producers to other brokers; 60 lets all of them notice"`
	LogLevel     string        `key:"logLevel" live:"true" enum:"debug info warn error" doc:"what is logged"`
	LogFormat    string        `key:"logFormat" enum:"text json" doc:"form of the lines of the log"`
	LogLevels    []string      `key:"logLevels" sep:"," live:"true" doc:"other levels for single components, such as store=debug,broker=warn"`
}

// DefaultBroker returns the defaults: Java 5.5.0's where Java has the key.
func DefaultBroker(h Host) Broker {
	return Broker{
		Identity: Identity{
			Cluster: "DefaultCluster", Name: h.Name, Role: RoleAsyncMaster, IP1: h.IP, IP2: h.IP, Permission: 6, Region: "DefaultRegion",
		},
		Listen: Listen{Address: "0.0.0.0", Port: 10911, Idle: 120 * time.Second},
		GRPC:   defaultGRPC(),
		Routes: Routes{NameServers: h.NameServers, Period: 30 * time.Second, Beat: time.Second, BeatCall: time.Second},
		Topics: Topics{
			AutoCreate: true, DefaultQueues: 8, ClusterTopic: true, BrokerTopic: true, TraceTopic: "RMQ_SYS_TRACE_TOPIC",
			TraceOn: true, ReviveQueues: 8, Timer: true, MaxMessage: 4 << 20,
		},
		Transact: Transactions{Timeout: 6 * time.Second, Interval: 30 * time.Second, CheckMax: 15, OpSize: 4096},
		Pop: Pop{
			Redeliver: PopInPlace, Inflight: 10_000, RetryPercent: 20, Polling: 1024, PollingMost: 100_000, Mode: "PULL", ShareQueues: -1, PriorityAsc: true,
		},
		Lite: Lite{
			Events: true, MaxEvents: 100, Max: 100_000, EventCheck: 10 * time.Second, Refill: 10 * time.Second, WildRefill: 10 * time.Second,
			SilentCheck: 2 * time.Minute, SilentTimeout: 3 * time.Minute, TTLCheck: 2 * time.Minute, MinTTL: 15 * time.Minute,
		},
		Consume: Consume{
			AutoCreateGroup: true, SystemGroups: true, LongPolling: true, ShortPolling: time.Second, LitePull: true,
			ServerBalance: true, FilterKeep: 24 * time.Hour, OffsetFold: 5 * time.Second, MaxBytesHot: 256 << 10, MaxMessagesHot: 32,
			// Differs from Java: 64 KiB and 8 messages there, to spare a broker that reads page by page. A cold read here is
			// one large sequential read, and small answers would only cost the consumer its catch-up rate.
			MaxBytesCold: 256 << 10, MaxMessagesCold: 32, HotRatio: 40, NewGroupStart: "compat", QueryMax: 32, ServerReset: true, StoreReplies: true,
			ForwardTimeout: 3 * time.Second,
		},
		Delay: Delay{
			Levels: javaDelayLevels, Fold: 10 * time.Second,
			TimerMax: 72 * time.Hour, Precision: time.Second, RollWindow: 2 * 24 * 3600, TimerFlush: time.Second, TimerFile: 100 << 20,
			RecallLocked: true,
		},
		Store: Store{
			Root: filepath.Join(h.Home, "store"), SegmentSize: 1 << 30, QueueFileSize: 6000000, BatchFileSize: 13_800_000, LightMax: 20_000,
			Compaction: true, CompactFileSize: 100 << 20, CompactQueueSize: 10 << 20, CompactMap: 100 << 20, CompactEvery: 15 * time.Minute,
			FlushDisk: FlushAsync, FlushInterval: 500 * time.Millisecond, FlushTimeout: 5 * time.Second,
			FastFailure: true, MaxWait: 200 * time.Millisecond, BusyTimeout: time.Second,
			QueueInterval: time.Second, Thorough: 10 * time.Second, Reserved: 72 * time.Hour, DeleteWhen: "04",
			DiskMaxUsed: 75, ForceClean: 85, Warning: 90, CleanForcibly: true, CleanInterval: 10 * time.Second,
			CheckCRC: true, Index: true, IndexSlots: 5000000, IndexCapacity: 20000000, BlockCache: 64 << 20,
		},
		Replica: defaultReplica(),
		Auth:    defaultAuth(), TLS: defaultTLS(), Control: defaultControl(),
		// Differs from Java: the page for Prometheus is there unless it is switched off. A port that is taken costs the page and a
		// warning, not the start of the broker.
		Metrics: defaultMetrics(MetricsPage), Quotas: Quotas{MaxDelay: 500 * time.Millisecond}, MQTT: defaultMQTT(), AMQP: defaultAMQP(),
		Process: Process{
			Home: h.RocketMQHome, Blacklist: "configBlackList;brokerConfigPath", ShutdownWait: 30 * time.Second, LogLevel: "info", LogFormat: "text",
		},
	}
}

// Words of brokerRole and flushDiskType.
const (
	RoleAsyncMaster = "ASYNC_MASTER"
	RoleSyncMaster  = "SYNC_MASTER"
	RoleSlave       = "SLAVE"
	FlushAsync      = "ASYNC_FLUSH"
	FlushSync       = "SYNC_FLUSH"

	PopInPlace      = "inplace"
	PopToRetryTopic = "retryTopic"
)
