package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cometmq/cometmq/internal/api/remotingapi"
	"github.com/cometmq/cometmq/internal/broker"
	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/membership"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/replication"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/version"
)

// brokerPart is a broker: store, core, door, listeners and its registration.
type brokerPart struct {
	addr      string
	conf      *config.Broker
	store     *storage.Store
	core      *broker.Broker
	server    *remoting.Server
	listeners []net.Listener
	client    *remoting.Client
	registrar *membership.Registrar

	haListener net.Listener // nil in a slave
	master     *replication.Master
	slave      *replication.Slave // nil in a master
	follower   *membership.Follower

	// Three lifetimes, ended by stop in this order: known to the name servers, serving, and after the last request the
	// store and the core.
	known, serving, storing             context.Context
	stopKnown, stopServing, stopStoring context.CancelFunc
	left, served, stored                chan struct{} // closed when that has ended
	storeErr                            error         // set before stored is closed
}

// registerWait is how long a starting broker waits for its name servers before it says that it is ready.
const registerWait = 2 * time.Second

func startBroker(ctx context.Context, o *Options) (_ *brokerPart, err error) {
	c := o.Broker
	log := o.Log.With("role", "broker", "broker", c.Identity.Name)
	p := &brokerPart{conf: c, left: make(chan struct{}), served: make(chan struct{}), stored: make(chan struct{})}
	p.serving, p.stopServing = context.WithCancel(context.WithoutCancel(ctx))
	p.known, p.stopKnown = context.WithCancel(p.serving)
	p.storing, p.stopStoring = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			p.abandon()
		}
	}()

	// Listen before the store is opened: two brokers that were started twice by mistake differ in port or store.
	main, err := o.Listen(ctx, "tcp", net.JoinHostPort(c.Listen.Address, strconv.Itoa(c.Listen.Port)))
	if err != nil {
		return nil, fmt.Errorf("listenPort=%d: %w", c.Listen.Port, err)
	}
	p.listeners = append(p.listeners, main)
	if c.Listen.Port > 2 {
		var fast net.Listener
		if fast, err = o.Listen(ctx, "tcp", net.JoinHostPort(c.Listen.Address, strconv.Itoa(c.Listen.Port-2))); err != nil {
			return nil, fmt.Errorf("fast port %d (listenPort - 2): %w", c.Listen.Port-2, err)
		}
		p.listeners = append(p.listeners, fast)
	}
	if c.Identity.Role != config.RoleSlave {
		port := c.Listen.HAPort
		if port == 0 && c.Listen.Port > 0 {
			port = c.Listen.Port + 1
		}
		if p.haListener, err = o.Listen(ctx, "tcp", net.JoinHostPort(c.Listen.Address, strconv.Itoa(port))); err != nil {
			return nil, fmt.Errorf("haListenPort=%d: %w", port, err)
		}
	}
	p.addr = reachable(main.Addr(), c.Identity.IP1)
	advertised, err := netip.ParseAddrPort(p.addr)
	if err != nil {
		return nil, fmt.Errorf("brokerIP1=%s: want an IP address: %w", c.Identity.IP1, err)
	}

	p.client = remoting.NewClient(remoting.ClientOptions{
		Dial: o.Dial, Log: log,
		OnClose: func(addr string, _ *remoting.Conn) { p.registrar.Lost(addr) }, // only the registrar opens connections
	})
	if p.store, err = storage.Open(o.FS, storeOptions(o, c, advertised)); err != nil {
		return nil, err
	}
	p.replicate(o, log)
	bo := brokerOptions(o, c, advertised)
	if p.slave != nil {
		bo.MasterAlive = func() bool { return p.slave.State().Connected }
	}
	bo.Store, bo.Log = p.store, log
	bo.Announce = func(ctx context.Context, changed []mq.TopicConfig, v mq.DataVersion) error {
		return p.registrar.Announce(ctx, changed, v)
	}
	bo.Routes = func(ctx context.Context, topic string) ([]mq.Queue, error) { return p.registrar.Routes(ctx, topic) }
	p.registrar = membership.New(membership.Options{
		NameServers: c.Routes.NameServers, Client: p.client, Cluster: c.Identity.Cluster, Name: c.Identity.Name, ID: c.Identity.ID,
		Addr: p.addr, HAAddr: p.haAddr(), Perm: mq.Perm(c.Identity.Permission), Period: p.registerPeriod(), Log: log,
		Topics:        func() ([]mq.TopicConfig, mq.DataVersion) { return p.core.TopicTable() },
		OnMaster:      p.follow,
		OnOrderTopics: func(table map[string]string) { p.core.MarkOrdered(slices.Sorted(maps.Keys(table))) },
	})
	if p.core, err = broker.Open(bo); err != nil {
		return nil, err
	}
	api := remotingapi.New(p.serving, p.core, p.core, remotingapi.Options{
		StoreHost: advertised, Region: c.Identity.Region, TraceOff: !c.Topics.TraceOn, Log: log,
	})
	burstEnd, closed := api.Hooks()
	p.server = remoting.NewServer(remoting.ServerOptions{Log: log, IdleTimeout: c.Listen.Idle, OnBurstEnd: burstEnd, OnClose: closed})
	api.Attach(p.server)
	return p, nil
}

// run serves until stop, or until a part of the broker fails.
func (p *brokerPart) run() error {
	defer close(p.served)
	go func() {
		defer close(p.stored)
		g, ctx := errgroup.WithContext(p.storing)
		g.Go(func() error { return p.store.Run(ctx) })
		g.Go(func() error { return p.core.Run(ctx) })
		p.storeErr = quiet(g.Wait())
	}()
	g, ctx := errgroup.WithContext(p.serving)
	for _, l := range p.listeners {
		g.Go(func() error { return quiet(p.server.Serve(ctx, l)) })
	}
	defer context.AfterFunc(ctx, p.stopKnown)()
	g.Go(func() error {
		defer close(p.left)
		return quiet(p.registrar.Run(p.known))
	})
	p.runReplication(ctx, g)
	g.Go(func() error { // no serving without a store
		select {
		case <-p.stored:
			return errors.Join(errors.New("the store has ended"), p.storeErr)
		case <-ctx.Done():
			return nil
		}
	})
	return g.Wait()
}

// announce waits a little for the name servers, so that a client that is told "ready" finds its routes.
func (p *brokerPart) announce(ctx context.Context) {
	t := time.NewTimer(registerWait)
	defer t.Stop()
	select {
	case <-p.registrar.Tried():
	case <-t.C:
	case <-ctx.Done():
	}
}

// stop is the four steps: leave the name servers and stop accepting; finish what is in flight; flush and checkpoint; close.
func (p *brokerPart) stop(ctx context.Context) error {
	p.stopKnown()
	<-p.left
	p.registrar.Unregister(ctx)
	shut := p.server.Shutdown(ctx)
	p.stopServing()
	<-p.served
	p.stopStoring()
	<-p.stored
	err := errors.Join(shut, p.storeErr, p.core.Close(), p.store.Close())
	p.client.Close()
	return err
}

// abandon releases what a failed start had acquired.
func (p *brokerPart) abandon() {
	p.stopServing()
	p.stopStoring()
	for _, l := range p.listeners {
		_ = l.Close()
	}
	if p.haListener != nil {
		_ = p.haListener.Close()
	}
	if p.core != nil {
		_ = p.core.Close()
	}
	if p.store != nil {
		_ = p.store.Close()
	}
	if p.client != nil {
		p.client.Close()
	}
}

func storeOptions(o *Options, c *config.Broker, host netip.AddrPort) storage.Options {
	s := &c.Store
	return storage.Options{
		Dir: s.Root, CommitLogDir: s.CommitLog, SegmentSize: s.SegmentSize, QueueFileSize: s.QueueFileSize,
		BatchFileSize: s.BatchFileSize, LightQueues: s.LightQueues && s.LightDispatch,
		IndexSlots: s.IndexSlots, IndexCapacity: s.IndexCapacity, IndexEnabled: s.Index, FlushSync: s.FlushDisk == config.FlushSync,
		FlushInterval: s.FlushInterval, AppendPropCRC: s.AppendCRC, SkipBodyCRC: !s.CheckCRC, CacheBytes: s.BlockCache,
		ReservedTime: s.Reserved, DeleteWhen: s.DeleteWhen, DiskMaxUsed: s.DiskMaxUsed, ForceClean: s.ForceClean, Warning: s.Warning,
		KeepForced: !s.CleanForcibly, CleanInterval: s.CleanInterval, MarkInterval: s.QueueInterval, ThoroughInterval: s.Thorough,
		Log: o.Log.With("role", "store"), StoreHost: host, Copy: c.Identity.Role == config.RoleSlave,
		TagsCode: delay.Levels(c.Delay.DelayLevels()).Tags,
	}
}

func brokerOptions(o *Options, c *config.Broker, host netip.AddrPort) broker.Options {
	t, u := &c.Topics, &c.Consume
	quota := int64(0)
	if c.Store.LightQuota {
		quota = c.Store.LightMax
	}
	b := broker.Options{
		LightTopics: c.Store.LightQueues, LightDispatch: c.Store.LightQueues && c.Store.LightDispatch, LightQuota: quota,
		Name: c.Identity.Name, Cluster: c.Identity.Cluster, ID: c.Identity.ID, Addr: host, Version: version.WireName,
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
		PopRetryPercent: c.Pop.RetryPercent, PopRetryV2: c.Pop.RetryV2, PopActualRetryTopic: c.Pop.ActualTopic,
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
	b.Slave, b.SlaveRead, b.OffsetCheck = c.Identity.Role == config.RoleSlave, r.SlaveRead, r.OffsetCheck
	if b.SlaveTimeout = r.Timeout; c.Identity.Role == config.RoleSyncMaster {
		b.Replicas = r.Copies - 1
	}
	if t.AcceptFrom > 0 {
		b.StartAccept = time.UnixMilli(t.AcceptFrom)
	}
	return b
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
