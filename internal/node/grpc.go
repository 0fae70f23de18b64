package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"

	"github.com/cometmq/cometmq/internal/api/grpcapi"
	"github.com/cometmq/cometmq/internal/certificate"
	"github.com/cometmq/cometmq/internal/remoting"
)

// grpcPart is the door for clients of gRPC, which lives as long as the shell of the broker. Its methods other than run may be called on
// nil: then there is none.
type grpcPart struct {
	l    net.Listener
	addr string
	door *grpcapi.Door
}

// openGRPC listens, if the configuration wants that.
func (p *brokerPart) openGRPC(ctx context.Context) (*grpcPart, error) {
	c := p.o.Broker
	if !c.GRPC.On {
		return nil, nil //nolint:nilnil // none is no error
	}
	l, err := listenNear(ctx, p.o, net.JoinHostPort(c.Listen.Address, strconv.Itoa(c.GRPC.Port)), p.o.Elsewhere)
	if err != nil {
		return nil, fmt.Errorf("grpcServerPort=%d: %w", c.GRPC.Port, err)
	}
	return &grpcPart{l: p.secure.listenHTTP2(l), addr: reachable(l.Addr(), c.Identity.IP1)}, nil
}

// begin makes the door.
func (g *grpcPart) begin(p *brokerPart) {
	if g == nil {
		return
	}
	c := p.o.Broker
	g.door = grpcapi.New(grpcapi.Options{
		Broker: c.Identity.Name, Advertise: c.GRPC.Advertise, Guard: p.access.users(), Now: p.o.Now, Log: p.log,
		Limits: grpcapi.Limits{Body: c.Topics.MaxMessage},
	})
}

// run serves until ctx ends; who has time to let calls end calls stop before.
func (g *grpcPart) run(ctx context.Context) error {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		g.door.Close(ctx)
	})
	err := g.door.Serve(g.l)
	if !stop() {
		<-closed
	}
	return err
}

// swap lets calls come to an engine, nil: they are refused. quiet returns when no call is with the former one.
func (g *grpcPart) swap(e *engine) (quiet func()) {
	switch {
	case g == nil:
		return func() {}
	case e == nil:
		return g.door.Swap(nil)
	}
	return g.door.Swap(&grpcapi.Core{Service: e.core, Admin: e.core, ID: max(e.role.ID, 0)})
}

// stop ends calls and streams.
func (g *grpcPart) stop(ctx context.Context) {
	if g != nil {
		g.door.Close(ctx)
	}
}

// abandon releases what a failed start had acquired.
func (g *grpcPart) abandon() {
	if g == nil {
		return
	}
	_ = g.l.Close()
	if g.door != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		g.door.Close(ctx)
	}
}

// listenHTTP2 is listen for HTTP/2: clients agree on it within TLS.
func (s *secure) listenHTTP2(l net.Listener) net.Listener {
	if s.mode == remoting.TLSDisabled {
		return l
	}
	return certificate.Listen(l, certificate.ListenOptions{
		Config: overHTTP2(s.keeper.Server()), Plain: s.mode != remoting.TLSEnforcing, Log: s.log,
	})
}

func overHTTP2(c *tls.Config) *tls.Config {
	next := c.GetConfigForClient
	c = c.Clone()
	c.NextProtos = []string{"h2"}
	c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		own, err := next(h)
		if own != nil {
			own = own.Clone()
			own.NextProtos = []string{"h2"}
		}
		return own, err
	}
	return c
}

// GRPCAddr is where clients of gRPC are served, "" when they are not.
func (n *Node) GRPCAddr() string {
	if n.broker == nil || n.broker.grpc == nil {
		return ""
	}
	return n.broker.grpc.addr
}
