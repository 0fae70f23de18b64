package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/controller/raftlog"
	"github.com/cometmq/cometmq/internal/telemetry"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Options say which roles to play. A nil config leaves its role out.
type Options struct {
	Namesrv    *config.Namesrv
	Controller *config.Controller // default: that of Namesrv, when it has one (enableControllerInNamesrv)
	Broker     *config.Broker
	Dashboard  *Dashboard

	// ControllerMemory is the disk of the controller, for simulations: its files are not behind FS. Nil: its folder.
	ControllerMemory *raftlog.Memory

	// ShutdownWait bounds a graceful stop: how long it waits for what is in flight and for peers. Default 30 s; negative:
	// not at all. What goes to the disk is waited for in any case.
	ShutdownWait time.Duration
	// Hurry, if not nil, is called when a broker begins to drain. The drain ends when what it returns is closed; end is called after it.
	Hurry func() (now <-chan struct{}, end func())

	FS     vfs.FS // default: the operating system's
	Listen func(ctx context.Context, network, addr string) (net.Listener, error)
	Dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	Now    func() time.Time // the time of day for messages and timers of the broker, which may be set; default: the machine's
	Log    *slog.Logger
	Level  *slog.LevelVar // of Log, for the key logLevel; nil: it cannot change
	// Levels are those of components in Log, for the key logLevels; nil: they cannot change.
	Levels *telemetry.Levels

	// Elsewhere: when a port of a door that users choose by habit, such as 1883, is taken, one of the next ones will do, or any.
	Elsewhere bool

	// ownNames is the name server of this process, with which its broker registers whatever namesrvAddr says.
	ownNames string
}

func (o *Options) defaults() {
	if o.ShutdownWait == 0 {
		o.ShutdownWait = 30 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Listen == nil {
		o.Listen = new(net.ListenConfig).Listen
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: 3 * time.Second}).DialContext
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// part is one running role.
type part interface {
	// run blocks until the role has failed or stop was called.
	run() error
	// stop ends the role in the four steps of the package comment.
	stop(ctx context.Context) error
}

// Node is a running process.
type Node struct {
	log        *slog.Logger
	wait       time.Duration
	hurry      func() (now <-chan struct{}, end func())
	started    time.Time
	namesrv    *namesrvPart
	controller *controllerPart
	broker     *brokerPart
	metrics    *metricsPart // nil: nobody gets figures
	dashboard  *dashboardPart
	parts      []part // in the order of their start

	wg     sync.WaitGroup
	failed chan error
	once   sync.Once
	err    error
}

// Start builds the roles and returns when all of them serve. What was started is stopped again when a later one fails.
func Start(ctx context.Context, o Options) (*Node, error) {
	o.defaults()
	n := &Node{log: o.Log, wait: o.ShutdownWait, hurry: o.Hurry, started: time.Now(), failed: make(chan error, 8)}
	if o.Controller == nil && o.Namesrv != nil {
		o.Controller = o.Namesrv.Controller
	}
	if o.Namesrv == nil && o.Broker == nil && o.Controller == nil && o.Dashboard == nil {
		return nil, errors.New("no role to play")
	}
	fail := func(err error) (*Node, error) {
		return nil, errors.Join(err, n.shutdown(ctx))
	}
	if o.Namesrv != nil {
		p, err := startNamesrv(ctx, &o)
		if err != nil {
			return fail(fmt.Errorf("name server: %w", err))
		}
		n.namesrv = p
		n.add(p)
	}
	if o.Controller != nil {
		var shared *access
		if n.namesrv != nil {
			shared = n.namesrv.access
		}
		p, err := startController(ctx, &o, o.Controller, shared)
		if err != nil {
			return fail(fmt.Errorf("controller: %w", err))
		}
		n.controller = p
		n.add(p)
	}
	if o.Broker != nil {
		if n.namesrv != nil {
			o.ownNames = n.namesrv.addr
			o.Broker = knownTo(o.Broker, o.ownNames)
		}
		p, err := startBroker(ctx, &o)
		if err != nil {
			return fail(fmt.Errorf("broker: %w", err))
		}
		n.broker = p
		n.add(p)
		p.announce(ctx)
	}
	n.openMetrics(ctx, &o)
	if o.Dashboard != nil {
		p, err := n.startDashboard(ctx, &o)
		if err != nil {
			return fail(fmt.Errorf("dashboard: %w", err))
		}
		n.dashboard = p
		if p.watch != nil {
			n.add(p.watch)
		}
		n.add(p)
	}
	return n, nil
}

// knownTo returns c with the name server of this process among those that the broker registers with.
func knownTo(c *config.Broker, addr string) *config.Broker {
	if slices.Contains(c.Routes.NameServers, addr) {
		return c
	}
	own := *c
	own.Routes.NameServers = append([]string{addr}, c.Routes.NameServers...)
	return &own
}

func (n *Node) add(p part) {
	n.parts = append(n.parts, p)
	n.wg.Go(func() {
		if err := p.run(); err != nil {
			n.failed <- err
		}
	})
}

// Wait blocks until ctx ends or a role fails, then shuts everything down.
func (n *Node) Wait(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
		n.log.Info("shutting down")
		n.drain(context.WithoutCancel(ctx))
	case err = <-n.failed:
		n.log.Error("a role has failed, shutting down", "err", err)
	}
	return errors.Join(err, n.shutdown(ctx))
}

// drain has producers go elsewhere first.
func (n *Node) drain(ctx context.Context) {
	if n.broker == nil || !n.broker.drains() {
		return
	}
	var hurry <-chan struct{}
	if n.hurry != nil {
		var end func()
		hurry, end = n.hurry()
		defer end()
	}
	n.broker.drain(ctx, hurry)
}

// shutdown is Shutdown with the configured deadline.
func (n *Node) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.wait)
	defer cancel()
	return n.Shutdown(ctx)
}

// Shutdown ends the roles in reverse order of their start; ctx bounds the waiting for peers. It may be called more than
// once.
func (n *Node) Shutdown(ctx context.Context) error {
	n.once.Do(func() {
		var errs []error
		for _, p := range slices.Backward(n.parts) {
			errs = append(errs, p.stop(ctx))
		}
		n.wg.Wait()
		n.err = errors.Join(errs...)
	})
	return n.err
}

// NamesrvAddr is the address of the name server, "" when that role is not played.
func (n *Node) NamesrvAddr() string {
	if n.namesrv == nil {
		return ""
	}
	return n.namesrv.addr
}

// ControllerAddr is the address of the controller, "" when that role is not played.
func (n *Node) ControllerAddr() string {
	if n.controller == nil {
		return ""
	}
	return n.controller.addr
}

// MetricsAddr is the address of the page for Prometheus, "" when there is none.
func (n *Node) MetricsAddr() string {
	if n.metrics == nil {
		return ""
	}
	return n.metrics.addr
}

// MetricsURL is the page for Prometheus, "" when there is none.
func (n *Node) MetricsURL() string {
	if n.metrics == nil {
		return ""
	}
	return n.metrics.scheme + "://" + n.metrics.addr + "/metrics"
}

// BrokerAddr is the advertised address of the broker, "" when that role is not played.
func (n *Node) BrokerAddr() string {
	if n.broker == nil {
		return ""
	}
	return n.broker.addr
}
