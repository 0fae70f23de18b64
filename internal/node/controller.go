package node

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/controller"
	"github.com/cometmq/cometmq/internal/controller/raftlog"
	"github.com/cometmq/cometmq/internal/remoting"
)

// controllerPart is a controller with its listener, which the other controllers use as well.
type controllerPart struct {
	addr   string
	group  string
	self   string
	server *remoting.Server
	mux    *raftlog.Mux
	ctl    *controller.Controller
	client *remoting.Client
	secure *secure
	access *access         // nil: everybody may do everything
	own    *access         // access, unless it is that of the name server of the same process
	ctx    context.Context // the lifetime of the part, ended by stop
	cancel context.CancelFunc
}

// startController starts a controller. shared is access control of the name server whose file has the keys of the controller, too.
func startController(ctx context.Context, o *Options, c *config.Controller, shared *access) (*controllerPart, error) {
	log := o.Log.With("role", "controller")
	sec, err := openSecure(&c.TLS, log)
	if err != nil {
		return nil, err
	}
	l, err := o.Listen(ctx, "tcp", c.Listen())
	if err != nil {
		return nil, fmt.Errorf("port %d of controller %s: %w", c.Port, c.Self, err)
	}
	dial := sec.dial(o.Dial)
	p := &controllerPart{
		group: c.Name, self: c.Self, secure: sec, client: remoting.NewClient(remoting.ClientOptions{Dial: dial, Log: log, Sign: signer(&c.Auth)}),
		mux: raftlog.NewMux(sec.listenMixed(l), log, sec.mode == remoting.TLSEnforcing),
	}
	peers := make([]raftlog.Peer, 0, len(c.Members))
	for _, m := range c.Members {
		peers = append(peers, raftlog.Peer{ID: m.ID, Addr: m.Addr})
	}
	if p.access = shared; c != sharedConfig(o) {
		p.access, err = openAccess(o, &c.Auth, c.Home, log)
		p.own = p.access
	}
	if err != nil {
		p.client.Close()
		return nil, errors.Join(fmt.Errorf("access control: %w", err), p.mux.Close())
	}
	p.ctl, err = controller.New(controller.Options{
		Group: c.Name, Properties: c.Properties(), FS: o.FS, Edit: config.Edit, Client: p.client, Log: log,
		Open: func(m raftlog.Machine, changed func()) (controller.Log, error) {
			return raftlog.Open(ctx, raftlog.Options{
				Dir: c.Folder(), Group: c.Name, Self: c.Self, Peers: peers, Machine: m, Listener: p.mux.Raft(), Dial: dial,
				Log: log, Changed: changed, Election: c.Election, SnapshotEvery: c.Snapshot, Memory: o.ControllerMemory,
			})
		},
	})
	if err != nil {
		p.client.Close()
		return nil, errors.Join(err, p.mux.Close(), p.own.close())
	}
	p.server = remoting.NewServer(remoting.ServerOptions{
		Log: log, IdleTimeout: c.Idle, OnClose: p.ctl.Closed, Admit: p.access.admitStrictly("controller"), TLS: sec.server(), TLSMode: sec.mode,
	})
	p.server.Limit(limits(config.Bounds(c.Bounds)))
	p.ctl.Attach(p.server)
	p.access.attach(p.server)
	p.addr = reachable(l.Addr(), "")
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	log.Info("controller serves", "addr", l.Addr(), "group", c.Name, "self", c.Self, "members", len(c.Members))
	return p, nil
}

// sharedConfig is the controller of the name server's file, nil without.
func sharedConfig(o *Options) *config.Controller {
	if o.Namesrv == nil {
		return nil
	}
	return o.Namesrv.Controller
}

func (p *controllerPart) run() error {
	errs := make(chan error, 4)
	background := func(f func() error) {
		go func() {
			err := f()
			p.cancel() // no part without the others
			errs <- quiet(err)
		}()
	}
	background(func() error { return p.ctl.Run(p.ctx) })
	background(p.mux.Run)
	background(func() error { return p.secure.run(p.ctx) })
	background(func() error { return p.own.run(p.ctx) })
	err := quiet(p.server.Serve(p.ctx, p.mux.Plain()))
	p.cancel()
	err = errors.Join(err, p.mux.Close())
	for range cap(errs) {
		err = errors.Join(err, <-errs)
	}
	return quietClosed(err)
}

// stop answers what has come and leaves the group; the others elect another leader if this was it.
func (p *controllerPart) stop(ctx context.Context) error {
	p.ctl.Retire()
	err := p.server.Shutdown(ctx)
	p.cancel()
	p.client.Close()
	return errors.Join(err, quietClosed(p.mux.Close()), p.ctl.Close(), p.own.close())
}

// quietClosed drops the error of closing a listener twice.
func quietClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
