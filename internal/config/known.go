package config

import (
	_ "embed" // the facts
	"reflect"
	"slices"
	"strings"
	"sync"
)

// javaFacts lists all keys of Java 5.5.0 with type and default.
//
//go:embed java-5.5.0.tsv
var javaFacts string

// Kind is a role that has a configuration.
type Kind uint8

// The roles.
const (
	KindBroker Kind = iota
	KindNamesrv
	KindController
)

// String returns the role's name.
func (k Kind) String() string { return [...]string{"broker", "name server", "controller"}[k] }

// classes are the Java classes whose keys stand in one file.
func (k Kind) classes() []string {
	switch k {
	case KindNamesrv:
		return []string{"NamesrvConfig", "NettyServerConfig", "NettyClientConfig"}
	case KindController:
		return []string{"ControllerConfig", "JraftConfig", "NettyServerConfig", "NettyClientConfig"}
	case KindBroker:
	}
	return []string{"BrokerConfig", "MessageStoreConfig", "NettyServerConfig", "NettyClientConfig", "AuthConfig"}
}

// javaKey is a key of Java as the facts have it.
type javaKey struct{ class, key, typ, def string }

// javaKeys, decisions and allKeys are immutable tables, made when first needed.
var javaKeys = sync.OnceValue(func() []javaKey {
	var out []javaKey
	for line := range strings.Lines(javaFacts) {
		if p := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); len(p) == 4 && !strings.HasPrefix(line, "#") {
			out = append(out, javaKey{p[0], p[1], p[2], p[3]})
		}
	}
	return out
})

// Fate is what becomes of a key of Java that is not implemented.
type Fate struct {
	// Refused: any value but the default is an error. Otherwise the key is accepted and has no effect.
	Refused bool
	Why     string
	def     string
	free    bool // the default depends on the machine: any value will do
}

// same reports whether value is what Java has anyway.
func (f Fate) same(value string) bool {
	return f.free || strings.EqualFold(strings.TrimSpace(value), f.def)
}

// Words in the table of fates that are not keys.
const (
	accepted = false
	refused  = true
)

// fates says for groups of keys why they have no effect or are refused. A key in the class's name (Class.key) is meant
// there only. The test sees to it that each key of Java is here or in a struct, once.
var fates = []struct {
	refused bool
	why     string
	keys    string
}{
	{accepted, "requests are handled by the goroutine that reads the connection, there are no thread pools", `
		sendMessageThreadPoolNums putMessageFutureThreadPoolNums pullMessageThreadPoolNums litePullMessageThreadPoolNums
		ackMessageThreadPoolNums processReplyMessageThreadPoolNums queryMessageThreadPoolNums adminBrokerThreadPoolNums
		clientManageThreadPoolNums consumerManageThreadPoolNums loadBalanceProcessorThreadPoolNums heartbeatThreadPoolNums
		recoverThreadPoolNums endTransactionThreadPoolNums sendThreadPoolQueueCapacity putThreadPoolQueueCapacity
		pullThreadPoolQueueCapacity litePullThreadPoolQueueCapacity ackThreadPoolQueueCapacity replyThreadPoolQueueCapacity
		queryThreadPoolQueueCapacity clientManagerThreadPoolQueueCapacity consumerManagerThreadPoolQueueCapacity
		heartbeatThreadPoolQueueCapacity endTransactionPoolQueueCapacity adminBrokerThreadPoolQueueCapacity
		loadBalanceThreadPoolQueueCapacity asyncSendEnable highSpeedMode enableFastChannelEventProcess
		clientRequestThreadPoolNums defaultThreadPoolNums clientRequestThreadPoolQueueCapacity
		defaultThreadPoolQueueCapacity unRegisterBrokerQueueCapacity controllerThreadPoolNums
		controllerRequestThreadPoolQueueCapacity`},
	{accepted, "requests do not wait in queues, so there is nothing to drop from them; slow writes are answered with SYSTEM_BUSY", `
		waitTimeMillsInPullQueue waitTimeMillsInLitePullQueue
		waitTimeMillsInHeartbeatQueue waitTimeMillsInTransactionQueue waitTimeMillsInAckQueue
		waitTimeMillsInAdminBrokerQueue putMessageTimeout maxAsyncPutMessageRequests`},
	{accepted, "it tunes Netty; the network code here is Go's", `
		serverWorkerThreads serverCallbackExecutorThreads serverSelectorThreads serverOnewaySemaphoreValue
		serverAsyncSemaphoreValue writeBufferHighWaterMark writeBufferLowWaterMark serverNettyWorkerGroupEnable
		serverPooledByteBufAllocatorEnable useEpollNativeSelector enableShutdownGracefully transferMsgByHeap
		enableNetWorkFlowControl`},
	{accepted, "the queue of connections and the buffers of sockets are left to the operating system", `
		serverSocketBacklog serverSocketSndBufSize serverSocketRcvBufSize`},
	{accepted, "it tunes the client that Java's broker uses inside", `
		clientWorkerThreads clientCallbackExecutorThreads clientOnewaySemaphoreValue clientAsyncSemaphoreValue
		connectTimeoutMillis channelNotActiveInterval isScanAvailableNameSrv scanAvailableNameSrv
		clientChannelMaxIdleTimeSeconds clientSocketSndBufSize clientSocketRcvBufSize clientPooledByteBufAllocatorEnable
		clientCloseSocketIfTimeout disableCallbackExecutor disableNettyWorkerGroup maxReconnectIntervalTimeSeconds
		enableReconnectForGoAway`},
	{refused, "connections through a SOCKS proxy are not implemented", `socksProxyConfig`},
	{refused, "ACL 1.0 ended with Java 5.3: set authenticationEnabled, authorizationEnabled and migrateAuthFromV1Enabled", `aclEnable`},
	{accepted, "users and policies are kept in files of the broker, and each request is checked anew", `
		configName clusterName authenticationProvider authenticationMetadataProvider authenticationStrategy
		authorizationProvider authorizationMetadataProvider authorizationStrategy userCacheMaxNum userCacheExpiredSecond
		userCacheRefreshSecond aclCacheMaxNum aclCacheExpiredSecond aclCacheRefreshSecond
		statefulAuthenticationCacheMaxNum statefulAuthenticationCacheExpiredSecond statefulAuthorizationCacheMaxNum
		statefulAuthorizationCacheExpiredSecond`},
	{refused, "name servers are found by namesrvAddr only", `
		fetchNameSrvAddrByDnsLookup fetchNamesrvAddrByAddressServer`},
	{accepted, "name servers are found by namesrvAddr only", `
		fetchNamesrvAddrInterval updateNameServerAddrPeriod loadBalancePollNameServerInterval`},
	{accepted, "registrations are small and complete, all name servers since 4.9 read them", `
		compressedRegister enableSingleTopicRegister enableSplitRegistration splitRegistrationSize enableSplitMetadata
		splitMetadataSize compatibleWithOldNameSrv
		registerBrokerTimeoutMills forceRegister`},
	{accepted, "it is not implemented yet", `
		maxChecksumRange maxSlaveResendLength syncMasterFlushOffsetWhenStartup`},
	{accepted, "it tunes the log of Java's controllers, the one here is another", `
		jraftConfig mappedFileSize jRaftScanWaitTimeoutMs`},
	{accepted, "an election is tried until it is done", `electMasterMaxRetryCount`},
	{refused, "logs that another program writes are not supported", `duplicationEnable`},
	{accepted, "locks that several brokers keep and broker containers are not implemented", `
		cleanOfflineBrokerInterval
		lockInStrictMode enableBatchPush preferredLeaderId`},
	{refused, "a DLedger commit log cannot be read; use a plain store", `
		enableDLegerCommitLog`},
	{accepted, "it belongs to the DLedger commit log", `
		storePathDLedgerCommitLog dLegerGroup dLegerPeers dLegerSelfId`},
	{refused, "RocksDB stores cannot be read: queues can be rebuilt from the commit log, tables must be exported with Java's tool first", `
		storeType configManagerVersion useSingleRocksDBForAllConfigs rocksdbCQDoubleWriteEnable timerRocksDBEnable
		transRocksDBEnable indexRocksDBEnable popConsumerKVServiceInit popConsumerKVServiceEnable combineCQPreferCQType
		combineAssignOffsetCQType combineCQUseRocksdbForLmq persistConsumerOffsetIncrementally`},
	{accepted, "it tunes RocksDB, which is not used", `
		combineCQLoadingCQTypes combineCQEnableCheckSelf combineCQMaxExtraSearchCommitLogFiles
		iteratorWhenUseRocksdbConsumeQueue cleanRocksDBDirtyCQIntervalMin statRocksDBCQIntervalSec memTableFlushIntervalMs
		realTimePersistRocksDBConfig enableRocksDBLog bottomMostCompressionTypeForConsumeQueueStore rocksdbCompressionType
		rocksdbFlushWalFrequency rocksdbWalFileRollingThreshold useSeparateStorePathForRocksdbCQ maxRocksDBIndexQueryDays
		indexFileReadEnable indexFileWriteEnable timerRocksDBStopScan timerRocksDBPrecisionMs timerRocksDBRollMaxTps
		timerRocksDBTimeExpiredMaxTps timerRocksDBRollIntervalHours timerRocksDBRollRangeHours
		timerRecallToTimeWheelEnable timerRecallToTimelineEnable timerReputServiceCorePoolSize
		timerReputServiceMaxPoolSize timerReputServiceQueueCapacity transWriteOriginTransHalfEnable
		transactionCheckRocksdbCoreThreads transactionCheckRocksdbMaxThreads transactionCheckRocksdbQueueCapacity
		popConsumerKVServiceLog flushConsumerOffsetHistoryInterval`},
	{refused, "plug-ins are Java classes", `messageStorePlugIn`},
	{refused, "one process is one broker; start one for each", `isBrokerContainer isInBrokerContainer inBrokerContainer`},
	{refused, "a commit log over several folders is not supported", `readOnlyCommitLogStorePaths`},
	{accepted, "extended queue entries are read where Java wrote them and not written: SQL92 is evaluated on the messages", `
		enableConsumeQueueExt enableCalcFilterBitMap
		mappedFileSizeConsumeQueueExt bitMapLengthConsumeQueueExt expectConsumerNumUseFilter maxErrorRateOfBloomFilter`},
	{refused, "messages could be read before they are on disk or copied", `readUnCommitted`},
	{accepted, "files are not mapped and there is no pool of buffers: writes are plain, grouped system calls", `
		transientStorePoolEnable transientStorePoolSize fastFailIfNoBufferInStorePool writeWithoutMmap warmMapedFileEnable
		flushLeastPagesWhenWarmMapedFile mappedFileSwapEnable commitLogForceSwapMapInterval commitLogSwapMapInterval
		commitLogSwapMapReserveFileNum logicQueueForceSwapMapInterval logicQueueSwapMapInterval cleanSwapedMapInterval
		logicQueueSwapMapReserveFileNum commitIntervalCommitLog commitCommitLogLeastPages commitCommitLogThoroughInterval
		putConsumeQueueDataByFileChannel sharedByteBufferNum dataReadAheadEnable`},
	{accepted, "locks and threads of the store are different here", `
		useReentrantLockWhenPutMessage topicQueueLockNum spinLockCollisionRetreatOptimalDegree useABSLock debugLockEnable
		dispatchFromSenderThread dispatchCqThreads dispatchCqCacheNum enableAsyncReput recheckReputOffsetFromCq
		enableBuildConsumeQueueConcurrently batchDispatchRequestThreadPoolNums recoverConcurrently wakeCommitWhenPutMessage
		wakeFlushWhenPutMessage`},
	{accepted, "flushing follows time and group commit, not pages", `
		flushCommitLogLeastPages flushConsumeQueueLeastPages flushConsumeQueueThoroughInterval flushCommitLogTimed
		enableRunningFlagsInFlush`},
	{accepted, "recovery is bounded by its own marks and keeps everything behind a damaged record", `
		maxRecoveryCommitlogFiles commitLogRecoverMaxNum checkCommitLogOffsetOnRecover messageIndexSafe
		enableAcceleratedRecovery enableLogConsumeQueueRepeatedlyBuildWhenRecover forceVerifyPropCRC`},
	{accepted, "expired files are removed when nobody reads them, at once", `
		deleteCommitLogFilesInterval deleteConsumeQueueFilesInterval destroyMapedFileIntervalForcibly
		redeleteHangedFileInterval deleteFileBatchMax maxBatchDeleteFilesNum enableCleanExpiredOffset
		correctLogicMinOffsetSleepInterval correctLogicMinOffsetForceInterval replicasPerDiskPartition
		logicalDiskSpaceCleanForciblyThreshold disappearTimeAfterStart`},
	{accepted, "limits of reading are different here", `
		maxFilterMessageSize travelCqFileNumWhenGetMessage maxConsumeQueueScan pullBatchMaxMessageCount accessMessageInMemoryHotRatio
		sampleCountThreshold sampleSteps estimateAccumulation diskFallRecorded putMsgIndexHightWater searchBcqByCacheEnable`},
	{accepted, "cold reads are not slowed down: they do not disturb the hot path", `
		coldDataFlowControlEnable coldDataScanEnable coldCtrStrategyEnable usePIDColdCtrStrategy cgColdReadThreshold
		globalColdReadThreshold timerColdDataCheckIntervalMs`},
	{accepted, "topics of up to 255 bytes are stored in the long form when they need it", `
		maxTopicLength autoMessageVersionOnTopicLen`},
	{accepted, "one compaction runs at a time", `compactionThreadNum`},
	{accepted, "light queues are not among the counters of the broker's statistics", `enableLmqStats`},
	{accepted, "how far groups are behind in lite topics is not measured, only told when an operator asks", `
		liteLagLatencyCollectEnable liteLagLatencyMetricsEnable liteLagCountMetricsEnable liteLagLatencyTopK`},
	{accepted, "pops of lite topics are not logged", `enableLitePopLog`},
	{accepted, "timers are served by one goroutine, a delivery is tried until it succeeds, and what cannot be read is reported and left out", `
		timerGetMessageThreadNum timerPutMessageThreadNum timerEnableDisruptor timerEnableRetryUntilSuccess timerSkipUnknownError
		timerWarmEnable timerStopEnqueue timerStopDequeue timerCongestNumEachSlot timerProgressLogIntervalMs`},
	{accepted, "a message with a delay level waits in its level's queue", `timerInterceptDelayLevel`},
	{accepted, "timers are not counted per topic", `timerEnableCheckMetrics timerCheckMetricsWhen timerMetricSmallThreshold`},
	{accepted, "the timer wheel is written page by page", `timerWheelSnapshotFlush timerWheelSnapshotIntervalMs`},
	{accepted, "delay levels are delivered by one goroutine, in batches and in order, and counted always", `
		delayOffsetUpdateVersionStep enableScheduleMessageStats enableScheduleAsyncDeliver
		scheduleAsyncDeliverMaxPendingLimit scheduleAsyncDeliverMaxResendNum2Blocked`},
	{accepted, "what is decided about a half message is written with the message that it becomes, not collected", `
		transactionOpBatchInterval`},
	{accepted, "the file transactionMetrics, which only Java's metrics exporter reads, is not written", `
		transactionMetricFlushInterval`},
	{accepted, "what is popped is kept by a journal and a clock instead of messages in a revive topic", `
		popPollingMapSize popPollingMapExpireTimeSeconds reviveInterval reviveMaxSlow
		reviveScanTime enableSkipLongAwaitingAck reviveAckWaitMs enablePopLog enablePopBufferMerge popCkStayBufferTime
		popCkStayBufferTimeOut popCkMaxBufferSize popCkOffsetMaxQueueSize enablePopBatchAck
		popLongPollingForceNotifyInterval enableNotifyBeforePopCalculateLag enableNotifyAfterPopOrderLockRelease
		initPopOffsetByCheckMsgInMem retrieveMessageFromPopRetryTopicV1 
		popConsumerFSServiceInit popReviveMaxReturnSizePerRead
		popReviveConcurrency popReviveMaxAttemptTimes popReviveSkipIfGroupAbsent useSeparateRetryQueue
		useMessageFilterForNotification maxMessageFilterNumForNotification
		enablePopMessageThreshold skipWhenCKRePutReachMaxTimes appendAckAsync appendCkAsync
		clearRetryTopicWhenDeleteTopic`},
	{accepted, "the topic type MIXED is always refused", `enableMixedMessageType`},
	{accepted, "system topics are always guarded", `validateSystemTopicWhenUpdateTopic`},
	{accepted, "a query by key returns at most 64 messages", `maxMsgsNumBatch`},
	{accepted, "a client is dropped when its connection is idle too long (serverChannelMaxIdleTimeSeconds)", `channelExpiredTimeout`},
	{accepted, "offsets of broadcast consumers are not kept in the broker yet", `
		enableBroadcastOffsetStore broadcastOffsetExpireSecond broadcastOffsetExpireMaxSecond`},
	{accepted, "consumers are not switched off or refused by the broker yet", `
		rejectPullConsumerEnable disableConsumeIfConsumerReadSlowly consumerFallbehindThreshold useStaticSubscription
		subscriptionExpiredTimeout`},
	{accepted, "the change of a group is always announced at once", `
		realTimeNotifyConsumerChange notifyConsumerIdsChangedEnable`},
	{accepted, "producers are always registered", `enableRegisterProducer`},
	{accepted, "the data version of offsets advances every 500 commits", `consumerOffsetUpdateVersionStep`},
	{accepted, "statistics and metrics are different here", `
		commercialBaseCount commercialSizePerMsg accountStatsEnable accountStatsPrintZeroValues maxStatsIdleTimeInMinutes
		enableDetailStat autoDeleteUnusedStats isolateLogEnable printChannelGroups printChannelGroupsMinNum
		enableRemotingMetrics enableMessageStoreMetrics
		enablePopMetrics enableConnectionMetrics enableTransactionMetrics enableStatsMetrics enableRequestMetrics
		enableLagAndDlqMetrics`},
}

// decisions returns the fates by key and by class.key.
var decisions = sync.OnceValue(func() map[string]Fate {
	out := map[string]Fate{}
	for _, g := range fates {
		for k := range strings.FieldsSeq(g.keys) {
			out[k] = Fate{Refused: g.refused, Why: g.why}
		}
	}
	return out
})

// fateOf returns what becomes of a key of Java in a file of kind k.
func fateOf(k Kind, key string) (Fate, bool) {
	all := decisions()
	for _, class := range k.classes() {
		for _, j := range javaKeys() {
			if j.class != class || j.key != key {
				continue
			}
			f, ok := all[class+"."+key]
			if !ok {
				f, ok = all[key]
			}
			f.def, f.free = j.def, j.def == "(host)"
			if ok {
				return f, true
			}
		}
	}
	return Fate{}, false
}

// AllKeys are the keys of all roles, sorted.
func AllKeys() []string { return slices.Clone(allKeys()) }

// allKeys returns every key of all roles, of Java and ours, sorted.
var allKeys = sync.OnceValue(func() []string {
	var out []string
	for _, j := range javaKeys() {
		out = append(out, j.key)
	}
	for _, t := range []reflect.Type{reflect.TypeFor[Broker](), reflect.TypeFor[Namesrv](), reflect.TypeFor[Controller]()} {
		for _, f := range fieldsOf(t) {
			out = append(out, f.key)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
})

func isKey(key string) bool {
	_, ok := slices.BinarySearch(allKeys(), key)
	return ok
}

// candidates are the keys that may stand in a file of kind k.
func candidates(k Kind, fields []field) []string {
	var out []string
	for _, f := range fields {
		out = append(out, f.key)
	}
	for _, j := range javaKeys() {
		if slices.Contains(k.classes(), j.class) {
			out = append(out, j.key)
		}
	}
	return out
}
