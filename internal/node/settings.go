package node

import (
	"cmp"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/cometmq/cometmq/internal/broker"
	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/version"
)

// storeOptions are those of the store of a broker in a role.
func storeOptions(o *Options, r *Role, host netip.AddrPort) storage.Options {
	c := o.Broker
	s := &c.Store
	return storage.Options{
		Dir: s.Root, CommitLogDir: s.CommitLog, SegmentSize: s.SegmentSize, QueueFileSize: s.QueueFileSize,
		BatchFileSize: s.BatchFileSize, LightQueues: s.LightQueues && s.LightDispatch,
		IndexSlots: s.IndexSlots, IndexCapacity: s.IndexCapacity, IndexEnabled: s.Index, FlushSync: s.FlushDisk == config.FlushSync,
		FlushInterval: s.FlushInterval, AppendPropCRC: s.AppendCRC, SkipBodyCRC: !s.CheckCRC, CacheBytes: s.BlockCache,
		ReservedTime: s.Reserved, DeleteWhen: s.DeleteWhen, DiskMaxUsed: s.DiskMaxUsed, ForceClean: s.ForceClean, Warning: s.Warning,
		KeepForced: !s.CleanForcibly, CleanInterval: s.CleanInterval, MarkInterval: s.QueueInterval, ThoroughInterval: s.Thorough,
		Now: o.Now, Log: o.Log.With("role", "store"), StoreHost: host, Copy: r.Kind == Slave, Sealed: r.Kind == Fenced, TruncateTo: r.TruncateTo,
		TagsCode:        delay.Levels(c.Delay.DelayLevels()).Tags,
		CompactFileSize: s.CompactFileSize, CompactQueueSize: s.CompactQueueSize, CompactMapBytes: s.CompactMap, CompactInterval: s.CompactEvery,
	}
}

// brokerOptions are those of a broker in a role.
func brokerOptions(o *Options, role *Role, host netip.AddrPort) broker.Options {
	c := o.Broker
	t, u := &c.Topics, &c.Consume
	quota := int64(0)
	if c.Store.LightQuota {
		quota = c.Store.LightMax
	}
	l := &c.Lite
	b := broker.Options{
		Now: o.Now,
		Lite: broker.LiteOptions{
			NoEvents: !l.Events, MaxEvents: l.MaxEvents, MaxSubscriptions: l.Max, EventCheck: l.EventCheck, RefillDelay: l.Refill,
			WildcardRefillDelay: l.WildRefill, SubscriptionCheck: l.SilentCheck, SubscriptionTimeout: l.SilentTimeout,
			TTLCheck: l.TTLCheck, MinTTL: l.MinTTL, MaxQueues: c.Store.LightMax,
		},
		NoCompaction: !c.Store.Compaction, LightTopics: c.Store.LightQueues, LightDispatch: c.Store.LightQueues && c.Store.LightDispatch, LightQuota: quota,
		Name: c.Identity.Name, Cluster: c.Identity.Cluster, ID: max(role.ID, 0), Addr: host, Version: version.WireName,
		Region: c.Identity.Region, TraceOn: t.TraceOn, FS: o.FS, Dir: filepath.Clean(c.Store.Root),
		AutoCreateTopic: t.AutoCreate, AutoCreateGroup: u.AutoCreateGroup, NoSystemGroups: !u.SystemGroups,
		TopicQueues: t.DefaultQueues, NoClusterTopic: !t.ClusterTopic, NoBrokerTopic: !t.BrokerTopic, Trace: t.Trace,
		TraceTopic: t.TraceTopic, ReviveQueues: t.ReviveQueues, NoTimerTopic: !t.Timer,
		Perm: mq.Perm(c.Identity.Permission), MaxMessageSize: t.MaxMessage,
		FlushSync: c.Store.FlushDisk == config.FlushSync, FlushTimeout: c.Store.FlushTimeout,
		NoFastFailure: !c.Store.FastFailure, MaxWait: c.Store.MaxWait, BusyTimeout: c.Store.BusyTimeout,
		NoLongPolling: !u.LongPolling, ShortPolling: u.ShortPolling, NoLitePull: !u.LitePull,
		PropFilter: u.PropertyFilter, FilterRetry: u.FilterRetry, FilterKeep: u.FilterKeep,
		PullMessages: u.MaxMessagesHot, PullBytes: u.MaxBytesHot, DiskMessages: u.MaxMessagesCold, DiskBytes: u.MaxBytesCold,
		HotBytes: hotBytes(physicalMemory(), u.HotRatio), QueryMax: u.QueryMax, NoBalancing: !u.ServerBalance, NewGroups: broker.NewGroups(u.NewGroupStart), OffsetFold: u.OffsetFold,
		DelayLevels: c.Delay.DelayLevels(), DelayFold: c.Delay.Fold, Timers: timerOptions(c),
		PopToRetryTopic: c.Pop.Redeliver == config.PopToRetryTopic, PopAckSync: c.Pop.AckSync, PopInflight: c.Pop.Inflight,
		PopRetryPercent: c.Pop.RetryPercent, PopRetryPriority: c.Pop.RetryUrgent, PriorityLowFirst: !c.Pop.PriorityAsc, PopRetryV2: c.Pop.RetryV2, PopActualRetryTopic: c.Pop.ActualTopic,
		PopPolling: c.Pop.Polling, PopPollingMost: c.Pop.PollingMost, RequestMode: c.Pop.Mode, PopShareQueues: c.Pop.ShareQueues,
		ClientReset: !u.ServerReset, NoReplyStore: !u.StoreReplies,
	}
	b.NoTransactions = t.NoTransaction
	b.TxTimeout, b.TxCheckInterval = c.Transact.Timeout, c.Transact.Interval
	b.TxCheckMax, b.TxOpSize, b.Reserved = c.Transact.CheckMax, c.Transact.OpSize, c.Store.Reserved
	if c.Pop.RetryPercent == 0 {
		b.PopRetryPercent = -1
	}
	r := &c.Replica
	b.Slave, b.SlaveRead, b.OffsetCheck = role.Kind == Slave, r.SlaveRead, r.OffsetCheck
	if role.Kind == Fenced {
		b.Fenced = cmp.Or(role.Why, "it has no role")
	}
	if b.SlaveTimeout = r.Timeout; role.Kind == SyncMaster {
		b.Replicas = r.Copies - 1
		if c.Control.On && c.Control.AllAck {
			b.Replicas = max(b.Replicas, 1) // all that are in sync; the master of the epoch counts
		}
	}
	if t.AcceptFrom > 0 {
		b.StartAccept = time.UnixMilli(t.AcceptFrom)
	}
	return b
}

// limits are those of the connections of a server.
func limits(b config.Bounds) remoting.Limits {
	return remoting.Limits{Total: b.Conns, PerAddr: b.PerAddr, Proxies: b.Networks()}
}

func timerOptions(c *config.Broker) broker.TimerOptions {
	d := &c.Delay
	return broker.TimerOptions{
		MaxDelay: d.TimerMax, Precision: d.Precision, Flush: d.TimerFlush, FileSize: d.TimerFile,
		// Differs from Java: the window is at most half of the time for which log files are kept. There a timer is lost when
		// its message is deleted before it is stored again.
		RollWindow: min(time.Duration(d.RollWindow)*d.Precision, c.Store.Reserved/2),
		Recall:     d.Recall, NoRecallLocked: !d.RecallLocked, RecallTopicKey: d.RecallTopicKey,
	}
}
