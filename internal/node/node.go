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
	"github.com/cometmq/cometmq/internal/vfs"
)

// Options say which roles to play. A nil config leaves its role out.
type Options struct {
	Namesrv *config.Namesrv
	Broker  *config.Broker

	FS     vfs.FS // default: the operating system's
	Listen func(ctx context.Context, network, addr string) (net.Listener, error)
	Dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	Log    *slog.Logger
}

func (o *Options) defaults() {
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
	log     *slog.Logger
	namesrv *namesrvPart
	broker  *brokerPart
	parts   []part // in the order of their start

	wg     sync.WaitGroup
	failed chan error
	once   sync.Once
	err    error
}

// Start builds the roles and returns when all of them serve. What was started is stopped again when a later one fails.
func Start(ctx context.Context, o Options) (*Node, error) {
	o.defaults()
	n := &Node{log: o.Log, failed: make(chan error, 8)}
	if o.Namesrv == nil && o.Broker == nil {
		return nil, errors.New("no role to play")
	}
	fail := func(err error) (*Node, error) {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		return nil, errors.Join(err, n.Shutdown(stopCtx))
	}
	if o.Namesrv != nil {
		p, err := startNamesrv(ctx, &o)
		if err != nil {
			return fail(fmt.Errorf("name server: %w", err))
		}
		n.namesrv = p
		n.add(p)
	}
	if o.Broker != nil {
		if n.namesrv != nil {
			o.Broker = knownTo(o.Broker, n.namesrv.addr)
		}
		p, err := startBroker(ctx, &o)
		if err != nil {
			return fail(fmt.Errorf("broker: %w", err))
		}
		n.broker = p
		n.add(p)
		p.announce(ctx)
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

// shutdownTimeout bounds a shutdown that nobody else bounds.
const shutdownTimeout = 30 * time.Second

// Wait blocks until ctx ends or a role fails, then shuts everything down.
func (n *Node) Wait(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
		n.log.Info("shutting down")
	case err = <-n.failed:
		n.log.Error("a role has failed, shutting down", "err", err)
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	return errors.Join(err, n.Shutdown(stopCtx))
}

// Shutdown ends the roles in reverse order of their start. It may be called more than once.
func (n *Node) Shutdown(ctx context.Context) error {
	n.once.Do(func() {
		var errs []error
		for i := len(n.parts) - 1; i >= 0; i-- {
			errs = append(errs, n.parts[i].stop(ctx))
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

// BrokerAddr is the advertised address of the broker, "" when that role is not played.
func (n *Node) BrokerAddr() string {
	if n.broker == nil {
		return ""
	}
	return n.broker.addr
}
