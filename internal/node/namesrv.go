package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/nameserver"
	"github.com/cometmq/cometmq/internal/remoting"
)

// namesrvPart is a name server with its listener.
type namesrvPart struct {
	addr   string
	server *remoting.Server
	l      net.Listener
	ns     *nameserver.Server
	client *remoting.Client
	secure *secure
	access *access         // nil: everybody may do everything
	ctx    context.Context // the lifetime of the part, ended by stop
	cancel context.CancelFunc
}

func startNamesrv(ctx context.Context, o *Options) (*namesrvPart, error) {
	c := o.Namesrv
	log := o.Log.With("role", "namesrv")
	sec, err := openSecure(&c.TLS, log)
	if err != nil {
		return nil, err
	}
	p := &namesrvPart{secure: sec, client: remoting.NewClient(remoting.ClientOptions{Dial: sec.dial(o.Dial), Log: log, Sign: signer(&c.Auth)})}
	if p.access, err = openAccess(o, &c.Auth, c.Home, log); err != nil {
		p.client.Close()
		return nil, fmt.Errorf("access control: %w", err)
	}
	ns, err := nameserver.New(nameserver.Options{Properties: c.Properties(), FS: o.FS, Edit: config.Edit, Client: p.client, Log: log})
	if err != nil {
		p.client.Close()
		return nil, errors.Join(err, p.access.close())
	}
	p.ns = ns
	p.server = remoting.NewServer(remoting.ServerOptions{
		Log: log, IdleTimeout: c.Idle, OnClose: ns.Closed, Admit: p.access.admitStrictly("namesrv"), TLS: sec.server(), TLSMode: sec.mode,
	})
	p.server.Limit(limits(config.Bounds(c.Bounds)))
	ns.Attach(p.server)
	p.access.attach(p.server)
	if p.l, err = o.Listen(ctx, "tcp", net.JoinHostPort(c.Address, strconv.Itoa(c.Port))); err != nil {
		p.client.Close()
		return nil, errors.Join(fmt.Errorf("listenPort=%d: %w", c.Port, err), p.access.close())
	}
	p.addr = reachable(p.l.Addr(), "")
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	log.Info("name server serves", "addr", p.l.Addr())
	return p, nil
}

func (p *namesrvPart) run() error {
	g, ctx := errgroup.WithContext(p.ctx)
	g.Go(func() error { return p.ns.Run(ctx) })
	g.Go(func() error { return p.secure.run(ctx) })
	g.Go(func() error { return p.access.run(ctx) })
	err := p.server.Serve(ctx, p.l)
	p.cancel()
	return errors.Join(quiet(err), quiet(g.Wait()))
}

func (p *namesrvPart) stop(ctx context.Context) error {
	err := p.server.Shutdown(ctx)
	p.cancel()
	p.client.Close()
	return errors.Join(err, p.access.close())
}

// quiet drops what a part returns when it was ended on purpose.
func quiet(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, remoting.ErrShutdown) {
		return nil
	}
	return err
}

// reachable turns the address of a listener into one that a client on this machine can use: an unspecified address
// becomes host, or loopback when there is none.
func reachable(a net.Addr, host string) string {
	h, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(h); host != "" {
		h = host
	} else if ip == nil || ip.IsUnspecified() {
		h = "127.0.0.1"
	}
	return net.JoinHostPort(h, port)
}
