package remotingapi

import (
	"net/netip"
	"sync"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Gate lets requests through to their handlers that are signed by a user who may do what they ask. It is in front of every handler of
// a server, whoever has registered it.
type Gate struct {
	guard   *auth.Guard
	cluster string
	strict  bool
	pool    sync.Pool // *auth.Scratch
}

// NewGate returns a gate of a broker in the cluster.
func NewGate(g *auth.Guard, cluster string) *Gate {
	return &Gate{guard: g, cluster: cluster, pool: sync.Pool{New: func() any { return new(auth.Scratch) }}}
}

// Strict makes g a gate of a server that is no broker, where Java has none: what no annotation of Java speaks of needs a permission on
// the cluster, too. It returns g.
func (g *Gate) Strict() *Gate {
	g.strict = true
	return g
}

// Admit is for remoting.ServerOptions. What it refuses is answered with code 16 and Java's text.
func (g *Gate) Admit(c *remoting.Conn, r *remoting.Request) bool {
	err := g.Check(r, c.Remote().Addr())
	if err == nil {
		return true
	}
	c.Reply(r.ReplyTo(), protocol.RespNoPermission, err.Error(), nil, nil)
	return false
}

// Check decides whether a request that comes from an address is admitted. The error is an *auth.Refused.
func (g *Gate) Check(r *remoting.Request, from netip.Addr) error {
	sc, _ := g.pool.Get().(*auth.Scratch)
	defer g.pool.Put(sc)
	a, err := g.guard.Authenticate(&auth.Request{Code: r.Code, Version: r.Version, Fields: r.Fields, Body: r.Body, From: from}, sc)
	if err != nil || !g.guard.Checks(r.Code) {
		return err
	}
	if a != nil && a.Super && !a.Disabled {
		return nil
	}
	name, named := r.Fields.Get(auth.FieldAccessKey)
	q := asker{guard: g.guard, account: a, name: name, named: named, from: from, cluster: g.cluster, strict: g.strict}
	return q.needsOf(r)
}
