package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/broker/clients"
	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/broker/lite"
	"github.com/cometmq/cometmq/internal/broker/longpoll"
	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/broker/pop"
	"github.com/cometmq/cometmq/internal/broker/rebalance"
	"github.com/cometmq/cometmq/internal/broker/stats"
	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/broker/tx"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/quota"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/telemetry"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Options configures a Broker. Keys in comments are the operator's names; zero values mean Java's defaults unless the
// comment says otherwise.
type Options struct {
	Name    string // brokerName
	Cluster string // brokerClusterName, default DefaultCluster
	ID      int64  // brokerId
	Addr    netip.AddrPort
	Version string // what RuntimeInfo says the broker is, for example V5_5_0
	Region  string // regionId, default DefaultRegion
	TraceOn bool   // traceOn; Java's default is true

	Store   *storage.Store    // opened, not yet running
	Clients *clients.Registry // who is connected, when that is known from a broker before this one; nil: nobody
	FS      vfs.FS
	Dir     string // storePathRootDir

	AutoCreateTopic bool // autoCreateTopicEnable; Java's default is true
	AutoCreateGroup bool // autoCreateSubscriptionGroup; Java's default is true
	NoSystemGroups  bool // enableCreateSysGroup = false
	TopicQueues     int32
	NoClusterTopic  bool   // clusterTopicEnable = false
	NoBrokerTopic   bool   // brokerTopicEnable = false
	Trace           bool   // traceTopicEnable
	TraceTopic      string // msgTraceTopicName
	ReviveQueues    int32  // reviveQueueNum
	NoTimerTopic    bool   // timerWheelEnable = false

	Perm           mq.Perm   // brokerPermission, default read and write
	MaxMessageSize int       // maxMessageSize, default 4 MiB
	StartAccept    time.Time // startAcceptSendRequestTimeStamp
	MaxWaiting     int64     // bytes of messages that may wait to be appended before sends are refused, default 128 MiB
	// NoFastFailure turns the next two off (brokerFastFailureEnable = false).
	NoFastFailure bool
	MaxWait       time.Duration // waitTimeMillsInSendQueue: sends that would wait longer for the disk are refused, default 200 ms
	BusyTimeout   time.Duration // osPageCacheBusyTimeOutMills: sends are refused while a write or flush takes longer, default 1 s

	FlushSync    bool          // flushDiskType = SYNC_FLUSH: sends are answered when they are on disk
	FlushTimeout time.Duration // syncFlushTimeout, default 5 s
	Replicas     int           // > 0: sends are answered when replicas have them
	SlaveTimeout time.Duration // slaveTimeout, default 3 s
	// Acks, if not nil, says instead of Replicas how many replicas must have a send that comes now; ok = false: fewer are in sync
	// than the operator allows, and it is refused.
	Acks func() (replicas int, ok bool)
	// Copies, if not nil, says instead of Replicas and Acks in how many logs a message is when it is acknowledged, the own one included.
	Copies func() int

	NoLongPolling bool          // longPollingEnable = false
	ShortPolling  time.Duration // shortPollingTimeMills, default 1 s
	NoLitePull    bool          // litePullMessageEnable = false
	PropFilter    bool          // enablePropertyFilter: consumers may use SQL92
	FilterRetry   bool          // filterSupportRetry: SQL92 on a retry topic means the expression for the original topic
	FilterKeep    time.Duration // filterDataCleanTimeSpan, default 24 h
	PullMessages  int           // maxTransferCountOnMessageInMemory, default 32
	PullBytes     int           // maxTransferBytesOnMessageInMemory, default 256 KiB
	DiskMessages  int           // maxTransferCountOnMessageInDisk, default PullMessages
	DiskBytes     int           // maxTransferBytesOnMessageInDisk, default PullBytes
	Slave         bool          // brokerRole = SLAVE; the store is a copy
	// Fenced, if not empty, says why nothing is stored; what is there is read as from a master.
	Fenced string
	// Admit, if not nil, is asked for each burst of messages whether they may be stored now; not nil is why not.
	Admit func(now time.Time) *mq.Error
	// Acting: enableSlaveActingMaster. What only one broker of a set may do by itself begins with Act.
	Acting bool
	// Escape stores a message in another set, for a slave that acts as the master; nil: enableRemoteEscape = false. It has a deadline
	// of its own.
	Escape       func(ctx context.Context, m *mq.Escaped) error
	MasterAlive  func() bool   // a slave: whether its master is there; nil: always
	Unsure       func() bool   // whether messages may be in the log that are in no log that counts: pulls wait; nil: never
	SlaveRead    bool          // slaveReadEnable
	OffsetCheck  bool          // offsetCheckInSlave
	HotBytes     int64         // the end of the log that counts as in memory, default 3 GiB; Java: 40 % of the memory
	QueryMax     int           // defaultQueryMaxNum, default 32
	NoBalancing  bool          // serverLoadBalancerEnable = false
	ClientReset  bool          // useServerSideResetOffset = false: positions are reset by the clients that are online
	NoReplyStore bool          // storeReplyMessageEnable = false: answers to request messages are delivered, not stored
	NewGroups    NewGroups     // newGroupStart, default NewGroupsCompat
	OffsetFold   time.Duration // flushConsumerOffsetInterval, default 5 s

	DelayLevels     delay.Levels  // messageDelayLevel, default Java's; the store needs the same ones, see ScheduleTags
	DelayFold       time.Duration // flushDelayOffsetInterval, default 10 s
	Timers          TimerOptions
	NoTransactions  bool          // rejectTransactionMessage
	TxTimeout       time.Duration // transactionTimeOut, default 6 s
	TxCheckInterval time.Duration // transactionCheckInterval, default 30 s
	TxCheckMax      int           // transactionCheckMax, default 15
	TxOpSize        int           // transactionOpMsgMaxSize, default 4096
	Reserved        time.Duration // fileReservedTime, default 72 h: undecided half messages are given up

	PopRetryPercent     int    // popFromRetryProbability, default 20; < 0: 0
	PopRetryPriority    int    // popFromRetryProbabilityForPriority: of topics with priorities
	PriorityLowFirst    bool   // priorityOrderAsc = false: queue 0 has the highest priority
	PopRetryV2          bool   // enableRetryTopicV2
	PopActualRetryTopic bool   // popResponseReturnActualRetryTopic
	PopToRetryTopic     bool   // popRedeliver = retryTopic
	PopAckSync          bool   // popAckSync
	PopInflight         int    // popInflightMessageThreshold, default 10,000
	PopPolling          int    // popPollingSize, default 1024
	PopPollingMost      int    // maxPopPollingSize, default 100,000
	RequestMode         string // defaultMessageRequestMode, default PULL
	PopShareQueues      int32  // defaultPopShareQueueNum; Java's default is -1
	NoCompaction        bool   // enableCompaction = false
	LightTopics         bool   // enableLmq: topics called %LMQ%... exist without being made
	LightDispatch       bool   // enableLmq and enableMultiDispatch; the store needs it, too
	LightQuota          int64  // maxLmqConsumeQueueNum if enableLmqQuota, else 0: no limit

	Quotas *quota.Table // what may be sent a second; nil: no limits
	Lite   LiteOptions  // lite topics

	// Announce tells the name servers about changed topics; nil when there is none.
	Announce func(ctx context.Context, changed []mq.TopicConfig, v mq.DataVersion) error
	// Peers asks other brokers about their parts of the queues of static topics; nil: they cannot be asked.
	Peers mq.Peers
	// Routes returns the readable queues of a topic on all brokers, none when the topic is unknown; nil: only ours.
	Routes func(ctx context.Context, topic string) ([]mq.Queue, error)

	Now func() time.Time
	Log *slog.Logger

	suffix []byte // the properties that each message gets
}

func (o Options) withDefaults() Options {
	text := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	pick := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	span := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	text(&o.Cluster, "DefaultCluster")
	text(&o.Name, "broker-a")
	text(&o.Region, "DefaultRegion")
	text(&o.Version, "V5_5_0")
	pick(&o.MaxMessageSize, 4<<20)
	pick(&o.PullMessages, 32)
	pick(&o.PullBytes, 256<<10)
	pick(&o.DiskMessages, o.PullMessages)
	pick(&o.DiskBytes, o.PullBytes)
	pick(&o.QueryMax, 32)
	span(&o.FlushTimeout, 5*time.Second)
	span(&o.SlaveTimeout, 3*time.Second)
	span(&o.ShortPolling, time.Second)
	switch {
	case o.PopRetryPercent == 0:
		o.PopRetryPercent = 20
	case o.PopRetryPercent < 0:
		o.PopRetryPercent = 0
	}
	text(&o.RequestMode, modePull)
	span(&o.MaxWait, 200*time.Millisecond)
	span(&o.BusyTimeout, time.Second)
	if o.HotBytes <= 0 {
		o.HotBytes = 3 << 30
	}
	o.Timers.setDefaults()
	o.Lite.setDefaults()
	if len(o.DelayLevels) == 0 {
		o.DelayLevels = delay.JavaLevels()
	}
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = 128 << 20
	}
	if o.Perm == 0 {
		o.Perm = mq.PermRead | mq.PermWrite
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Clients == nil {
		o.Clients = clients.New(o.Now)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) validate() error {
	switch {
	case o.Store == nil || o.FS == nil || o.Dir == "":
		return errors.New("broker needs a store, its file system and its directory")
	case o.ID < 0:
		return fmt.Errorf("brokerId = %d: must not be negative", o.ID)
	case o.Perm&^7 != 0:
		return fmt.Errorf("brokerPermission = %d: must be 2, 4 or 6", o.Perm)
	}
	return nil
}

// systemOptions are the parts of o that decide which topics are the broker's own.
func (o Options) systemOptions() meta.SystemOptions {
	return meta.SystemOptions{
		Cluster: o.Cluster, Broker: o.Name, AutoCreate: o.AutoCreateTopic, DefaultQueues: o.TopicQueues,
		ClusterTopic: !o.NoClusterTopic, BrokerTopic: !o.NoBrokerTopic, Trace: o.Trace, TraceTopic: o.TraceTopic,
		ReviveQueues: o.ReviveQueues, Timer: !o.NoTimerTopic,
	}
}

// Broker implements mq.Service and mq.Admin. See the package comment for where its parts are.
type Broker struct {
	o       Options
	live    atomic.Pointer[Options] // what Retune changes
	system  meta.SystemOptions
	store   *storage.Store
	meta    *meta.Tables
	clients *clients.Registry
	polls   *longpoll.Table
	locks   *rebalance.Locks
	ids     *record.UniqueIDs
	refuse  *mq.Error // why nothing is stored, nil in a master
	started time.Time
	waiting waiting
	figures figures

	topicsMade, groupsMade creations

	routes  routeCache
	parts   []part // that always run
	acting  acting
	lights  sync.Map       // name of a light queue -> *topic
	inners  sync.Pool      // *inner
	delays  *delay.Machine // nil on a slave
	timer   *delay.Timer   // nil on a slave, or when it is off
	replies sync.Pool      // *replies
	tx      *tx.Machine

	staticSends staticSends

	feed     *tablefeed.Feed
	follower *tableFollower // nil in a master

	lites     *lite.Table
	litePops  *pop.Engine
	liteWaits *longpoll.Fifo
	liteDirty atomic.Bool // positions of lite topics have changed since SyncPops

	pops     *pop.Engine
	popWaits *longpoll.Fifo
	debts    *debts
}

var (
	_ mq.Service = (*Broker)(nil)
	_ mq.Admin   = (*Broker)(nil)
)

// Open loads the tables and returns a broker that can serve. The store is the caller's: it must not run yet, and it is
// closed after the broker. Open starts no goroutine.
func Open(o Options) (*Broker, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	b := &Broker{
		o: o, system: o.systemOptions(), store: o.Store,
		clients: o.Clients, polls: longpoll.New(longpoll.Options{}), locks: rebalance.NewLocks(o.Now, o.Log),
		ids: record.NewUniqueIDs(o.Addr.Addr(), os.Getpid()), started: o.Now(),
	}
	b.o.suffix = brokerProps(o)
	b.live.Store(&b.o)
	b.openFeed()
	tables, err := meta.Open(o.FS, o.Dir, meta.Options{
		SystemTopics: meta.SystemTopics(o.systemOptions()), OffsetFold: o.OffsetFold, FilterKeep: o.FilterKeep,
		LightOffsets: o.LightTopics, LogEnd: o.Store.Intact(), Feed: b.feed, Now: o.Now, Log: o.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("open broker tables: %w", err)
	}
	b.meta = tables
	b.clients.OnGone(tables.Filters.Leave)
	switch {
	case o.Fenced != "":
		b.refuse = errFenced(o.Fenced)
	case o.Slave:
		b.refuse = errSlave
	}
	b.openKinds()
	b.figures.init(o.Now())
	b.topicsMade, b.groupsMade = newCreations(telemetry.TopicCreate), newCreations(telemetry.GroupCreate)
	b.routes.init()
	if err := b.openTables(); err != nil {
		return nil, errors.Join(err, b.closeParts(), tables.Close())
	}
	o.Store.OnDispatch(b.arrived)
	return b, nil
}

// openTables makes the parts on the tables, which are those of a slave before a master uses them for the first time.
func (b *Broker) openTables() error {
	if err := b.forgetCut(); err != nil {
		return fmt.Errorf("after a cut of the log: %w", err)
	}
	promote, err := b.wasSlave()
	if err == nil && promote {
		err = b.promoteTables()
	}
	if err == nil {
		err = b.openParts()
	}
	if err == nil && promote {
		err = b.promoted()
	}
	if _, _, cut := b.store.Cut(); err == nil && cut {
		b.pops.Clamp(b.queueEnd)
		err = b.pops.Flush()
	}
	if err == nil {
		err = b.store.CutDone()
	}
	return err
}

// Run does the background work until ctx ends: long polling, writing the tables, forgetting dead clients. Requests that
// are parked are woken at the end. It returns when its goroutines did.
func (b *Broker) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, 3)
	wg.Go(func() { errs[0] = b.polls.Run(ctx) })
	wg.Go(func() { errs[1] = b.meta.Run(ctx) })
	wg.Go(func() { errs[2] = b.runParts(ctx) })
	wg.Go(func() { b.tick(ctx) })
	wg.Go(func() { b.runExpire(ctx) })
	wg.Wait()
	b.feed.Close()
	return errors.Join(errs...)
}

// tick samples the figures each second and lets clients and locks expire.
func (b *Broker) tick(ctx context.Context) {
	const expireEvery = int(stats.Step / time.Second) // as Java's scan
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		b.figures.sample(b.o.Now())
		if n%expireEvery == 0 {
			b.samplePasts()
			b.sampleQuotas(stats.Step)
			if closed := b.clients.Expire(); closed > 0 {
				b.o.Log.Warn("closed connections without a heartbeat", "count", closed)
			}
			b.locks.Expire()
			b.meta.Filters.Clean()
		}
	}
}

// Close writes the tables down. Run must have returned and no request may be under way.
func (b *Broker) Close() error {
	b.clients.OnGone(nil)
	b.feed.Close()
	parts := b.closeParts() // they may still change tables
	if err := b.meta.Close(); err != nil {
		return errors.Join(parts, fmt.Errorf("close broker tables: %w", err))
	}
	return parts
}

// arrived is called by the store for each message that becomes readable.
func (b *Broker) arrived(q *storage.Queue, d *storage.Dispatched) {
	if !b.live.Load().NoLongPolling {
		b.polls.Arrived(q.Topic(), q.ID(), d.Index, d.TagsCode, d.Props)
		b.popWaits.Arrived(q.Topic(), q.ID(), d.TagsCode, d.Props)
	}
	b.liteArrived(q.Topic())
	if q.Topic() == b.debts.topic {
		b.debts.arrived()
	}
	if b.delays != nil && q.Topic() == delay.Topic {
		b.delays.Arrived(q.ID())
	}
	if b.timer != nil && q.Topic() == delay.TimerTopic {
		b.timer.Arrived()
	}
}
