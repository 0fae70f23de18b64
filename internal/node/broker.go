package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cometmq/cometmq/internal/api/remotingapi"
	"github.com/cometmq/cometmq/internal/broker/clients"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/membership"
	"github.com/cometmq/cometmq/internal/membership/member"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/quota"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// brokerPart is the shell of a broker, which lives as long as the process: what others see of it. What it is at the moment is in
// engine.
type brokerPart struct {
	o          *Options
	conf       *configuration // what the operator may change in it
	log        *slog.Logger
	addr       string // advertised
	advertised netip.AddrPort

	listeners []net.Listener
	server    *remoting.Server
	grpc      *grpcPart         // nil: no clients of gRPC
	ha        *trunk            // where slaves connect
	clients   *clients.Registry // who is connected
	client    *remoting.Client
	registrar *membership.Registrar
	peers     *membership.Peers
	set       *membership.SetMember // nil unless a slave may act as the master
	bridge    *membership.Bridge    // nil unless such a slave may store messages in other sets
	isOnline  atomic.Bool           // in such a set: the name servers may know this broker
	member    *member.Member        // nil without controllers
	cuts      chan cut
	mqtt      mqttPorts
	amqp      *trunk  // where AMQP clients connect; nil without enableAmqp
	access    *access // nil: everybody may do everything
	quotas    *quota.Table
	secure    *secure

	syncs *telemetry.Histogram // of the log, ns

	turn   chan struct{} // one token: who has it may change the engine
	engine atomic.Pointer[engine]
	failed chan error // from parts of an engine

	// Two lifetimes, ended by stop in this order: known to the name servers, serving. The engine ends last.
	known, serving         context.Context
	stopKnown, stopServing context.CancelFunc
	left, served           chan struct{} // closed when that has ended
}

// registerWait is how long a starting broker waits for its name servers before it says that it is ready.
const registerWait = 2 * time.Second

func startBroker(ctx context.Context, o *Options) (_ *brokerPart, err error) {
	c := o.Broker
	p := &brokerPart{
		o: o, log: o.Log.With("role", "broker", "broker", c.Identity.Name), clients: clients.New(time.Now),
		turn: make(chan struct{}, 1), failed: make(chan error, 1), left: make(chan struct{}), served: make(chan struct{}),
		quotas: quota.New(time.Now()), cuts: make(chan cut), syncs: telemetry.FsyncTime.New(),
	}
	p.conf = newConfiguration(p, c)
	p.serving, p.stopServing = context.WithCancel(context.WithoutCancel(ctx))
	p.known, p.stopKnown = context.WithCancel(p.serving)
	defer func() {
		if err != nil {
			p.abandon()
		}
	}()
	if p.secure, err = openSecure(&c.TLS, p.log); err != nil {
		return nil, err
	}
	// Listen before the store is opened: two brokers that were started twice by mistake differ in port or store.
	if err = p.listen(ctx); err != nil {
		return nil, err
	}
	if p.access, err = openAccess(o, &c.Auth, c.Process.Home, o.Log.With("role", "auth", "broker", c.Identity.Name)); err != nil {
		return nil, fmt.Errorf("access control: %w", err)
	}
	p.grpc.begin(p)
	p.client = remoting.NewClient(remoting.ClientOptions{
		Dial: p.secure.dial(o.Dial), Log: p.log, Sign: signer(&c.Auth),
		OnClose: func(addr string, _ *remoting.Conn) { p.registrar.Lost(addr) }, // only the registrar opens connections
	})
	p.registrar = membership.New(membership.Options{
		NameServers: c.Routes.NameServers, Client: p.client, Cluster: c.Identity.Cluster, Name: c.Identity.Name, ID: c.Identity.ID,
		Addr: p.addr, HAAddr: p.haAddr(), Perm: mq.Perm(c.Identity.Permission), Period: c.Routes.Period, Log: p.log,
		ActingMaster: acting(c), HeartbeatTimeout: heartbeatTimeout(c), Probe: probePeriod(c),
		Topics:        func() ([]mq.TopicConfig, mq.DataVersion) { return p.now().core.TopicTable() },
		OnMaster:      p.follow,
		OnOrderTopics: func(table map[string]string) { p.now().core.MarkOrdered(slices.Sorted(maps.Keys(table))) },
	})
	p.peers = membership.NewPeers(p.registrar, c.Consume.ForwardTimeout)
	p.joinSet()
	p.server = remoting.NewServer(remoting.ServerOptions{
		Log: p.log, IdleTimeout: c.Listen.Idle, Admit: p.access.admit(c.Identity.Cluster), TLS: p.secure.server(), TLSMode: p.secure.mode,
	})
	p.bound(&c.Quotas)
	role := roleOf(c)
	if c.Control.On {
		if err = p.joinControllers(); err != nil {
			return nil, err
		}
		role = undecided
	}
	e, err := p.open(role)
	if err != nil {
		return nil, err
	}
	p.begin(e)
	return p, nil
}

// bound sets what clients may send and how many connections they may have.
func (p *brokerPart) bound(q *config.Quotas) {
	p.quotas.Set(q.Of(), q.MaxDelay)
	p.server.Limit(limits(q.Bounds))
}

// now returns the engine that serves, or the last one that did.
func (p *brokerPart) now() *engine { return p.engine.Load() }

// listen opens the listeners. What it has opened when it fails is closed by abandon.
func (p *brokerPart) listen(ctx context.Context) error {
	c := p.o.Broker
	at := func(port int) string { return net.JoinHostPort(c.Listen.Address, strconv.Itoa(port)) }
	main, err := p.o.Listen(ctx, "tcp", at(c.Listen.Port))
	if err != nil {
		return fmt.Errorf("listenPort=%d: %w", c.Listen.Port, err)
	}
	p.listeners = append(p.listeners, main)
	if c.Listen.Port > 2 {
		var fast net.Listener
		if fast, err = p.o.Listen(ctx, "tcp", at(c.Listen.Port-2)); err != nil {
			return fmt.Errorf("fast port %d (listenPort - 2): %w", c.Listen.Port-2, err)
		}
		p.listeners = append(p.listeners, fast)
	}
	port := c.Listen.HAPort
	if port == 0 && c.Listen.Port > 0 {
		port = c.Listen.Port + 1
	}
	ha, err := p.o.Listen(ctx, "tcp", at(port))
	if err != nil {
		return fmt.Errorf("haListenPort=%d: %w", port, err)
	}
	if c.Replica.TLS {
		ha = p.secure.listenHA(ha)
	}
	p.ha = &trunk{l: ha, what: "slave", log: p.log}
	if p.grpc, err = p.openGRPC(ctx); err != nil {
		return err
	}
	p.addr = reachable(main.Addr(), c.Identity.IP1)
	if p.advertised, err = netip.ParseAddrPort(p.addr); err != nil {
		return fmt.Errorf("brokerIP1=%s: want an IP address: %w", c.Identity.IP1, err)
	}
	if err := p.listenMQTT(ctx); err != nil {
		return err
	}
	return p.listenAMQP(ctx)
}

// run serves until stop, or until a part of the broker fails.
func (p *brokerPart) run() error {
	defer close(p.served)
	g, ctx := errgroup.WithContext(p.serving)
	for _, l := range p.listeners {
		g.Go(func() error { return quiet(p.server.Serve(ctx, l)) })
	}
	g.Go(func() error { return quiet(p.ha.serve(ctx)) })
	for _, l := range p.mqtt.all {
		g.Go(func() error { return quiet(p.serveMQTT(ctx, l)) })
	}
	if p.amqp != nil {
		g.Go(func() error { return quiet(p.amqp.serve(ctx)) })
	}
	if p.grpc != nil {
		g.Go(func() error { return p.grpc.run(ctx) })
	}
	g.Go(func() error { return quiet(p.access.run(ctx)) })
	g.Go(func() error { return quiet(p.secure.run(ctx)) })
	defer context.AfterFunc(ctx, p.stopKnown)()
	g.Go(func() error {
		defer close(p.left)
		return quiet(p.registrar.Run(p.known))
	})
	if p.set != nil {
		g.Go(func() error { return quiet(p.set.Run(p.known)) })
	}
	if p.member != nil {
		g.Go(func() error { return quiet(p.member.Run(ctx)) })
		g.Go(func() error { return quiet(p.cutLogs(ctx)) })
	}
	g.Go(func() error { // no serving without an engine
		select {
		case err := <-p.failed:
			return err
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
	wait := func(done <-chan struct{}) {
		select {
		case <-done:
		case <-t.C:
			t.Reset(0)
		case <-ctx.Done():
		}
	}
	if p.member != nil {
		wait(p.member.Settled())
	}
	wait(p.registrar.Tried())
}

// stop is the four steps: leave the name servers and stop accepting; finish what is in flight; flush and checkpoint; close.
func (p *brokerPart) stop(ctx context.Context) error {
	p.stopKnown()
	p.turn <- struct{}{} // kept: the role does not change any more
	<-p.left
	p.registrar.Unregister(ctx)
	p.grpc.stop(ctx)
	err := p.server.Shutdown(ctx)
	p.stopServing()
	<-p.served
	err = errors.Join(err, p.now().end(func() {}))
	p.client.Close()
	return errors.Join(err, p.access.close())
}

// abandon releases what a failed start had acquired.
func (p *brokerPart) abandon() {
	p.stopServing()
	for _, l := range p.listeners {
		_ = l.Close()
	}
	if p.ha != nil {
		_ = p.ha.l.Close()
	}
	for _, l := range p.mqtt.all {
		_ = l.Close()
	}
	if p.amqp != nil {
		_ = p.amqp.l.Close()
	}
	p.grpc.abandon()
	if p.client != nil {
		p.client.Close()
	}
	_ = p.access.close()
}

func (p *brokerPart) doorOptions() remotingapi.Options {
	c := p.options().Broker
	return remotingapi.Options{StoreHost: p.advertised, Region: c.Identity.Region, TraceOff: !c.Topics.TraceOn, Config: p.conf, Auth: p.access.users(), Log: p.log}
}

// away answers while there is no engine. short: there will be one soon.
func (p *brokerPart) away(why string, short bool) *remotingapi.Absence {
	return remotingapi.NewAbsence(p.clients, p.doorOptions(), "service not available now. "+why, short)
}
