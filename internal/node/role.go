package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/record"
)

// RoleKind is what a broker does in its broker set.
type RoleKind uint8

// The kinds of roles.
const (
	Master     RoleKind = iota // takes messages
	SyncMaster                 // takes messages, and acknowledges them when slaves have them
	Slave                      // copies a master's log
	Fenced                     // takes no messages, serves what it has: it may not be a master, and knows of none
)

func (k RoleKind) String() string {
	switch k {
	case Master:
		return config.RoleAsyncMaster
	case SyncMaster:
		return config.RoleSyncMaster
	case Slave:
		return config.RoleSlave
	case Fenced:
		return "FENCED"
	default:
		return fmt.Sprintf("RoleKind(%d)", uint8(k))
	}
}

// Role is what a broker is for a time.
type Role struct {
	Kind RoleKind
	// ID is what the broker registers as: 0 is the master. Below 0: it is not registered.
	ID int64
	// Epoch is the term of the master (controller mode), 0 without.
	Epoch int32
	// Master and MasterHA are where the master serves clients and slaves; "" in a slave: what the name servers say, or the
	// configuration.
	Master, MasterHA string
	// TruncateTo, if not nil, is where the log is cut before the role begins: what is behind it is in no log that counts. An offset
	// inside of a record cuts before that record.
	TruncateTo *record.Offset
	// Wipe puts the whole store aside, into a folder of its own, and begins with an empty one: for a slave whose log has nothing in
	// common with its master's.
	Wipe bool
	// Why says, in a fenced broker, what clients are told.
	Why string
	// Term is of controller mode.
	Term Term
}

// roleOf is the role that the configuration gives.
func roleOf(c *config.Broker) Role {
	r := Role{Kind: Master, ID: c.Identity.ID}
	switch c.Identity.Role {
	case config.RoleSyncMaster:
		r.Kind = SyncMaster
	case config.RoleSlave:
		r.Kind, r.MasterHA = Slave, c.Replica.Master
	}
	return r
}

// Become changes the role of the broker. It returns when the broker serves in the new role, and not before the former one has ended
// completely; connections stay open. ctx bounds the waiting for another change only.
//
// After an error the broker serves nobody, and says why, until a later Become succeeds.
func (n *Node) Become(ctx context.Context, r Role) error {
	if n.broker == nil {
		return errors.New("this process is no broker")
	}
	return n.broker.become(ctx, r)
}

// Role returns what the broker is.
func (n *Node) Role() Role { return n.broker.now().now() }

var errStopping = errors.New("the broker is being stopped")

// become ends the engine and starts another one in the role r. The order keeps what was promised:
//
//  1. Requests are refused from here on, pulls wait, and nobody hears of slaves any more. What was sent before is decided: on disk, or not
//     (engine.end). A message that waited for slaves is answered with a timeout, although it may still be in the log that counts.
//  2. The engine is closed, which makes its files as after a clean stop.
//  3. The new engine opens them. That is the same recovery as of a new process, so nothing that the former role knew in
//     memory can be wrong in the new one.
//  4. It answers, and the name servers are told.
func (p *brokerPart) become(ctx context.Context, r Role) error {
	return p.becomeFrom(ctx, nil, func(Role) Role { return r })
}

// takeTurn waits until nobody else changes the role; who gets true puts the token back. It reports false when ctx or the broker ends.
func (p *brokerPart) takeTurn(ctx context.Context) bool {
	select {
	case p.turn <- struct{}{}:
		return true
	case <-p.known.Done():
	case <-ctx.Done():
	}
	return false
}

// becomeFrom is become, for a role that depends on the one before. It does nothing when the engine is not was any more; nil: any.
func (p *brokerPart) becomeFrom(ctx context.Context, from *engine, next func(Role) Role) error {
	if !p.takeTurn(ctx) {
		if p.known.Err() != nil {
			return errStopping
		}
		return fmt.Errorf("wait for another change of the role: %w", ctx.Err())
	}
	defer func() { <-p.turn }()
	was := p.now()
	switch {
	case p.known.Err() != nil:
		return errStopping
	case from != nil && from != was:
		return nil
	}
	began := time.Now()
	r := next(was.now())
	p.log.Info("the role changes", "from", was.role.Kind, "to", r.Kind, "id", r.ID, "epoch", r.Epoch)
	away := p.away("the broker changes its role", true)
	defer away.End() // whatever comes of it
	quiet, calls := p.server.Swap(p.withMember(away.Handlers())), p.grpc.swap(nil)
	if err := was.end(func() { quiet(); calls() }); err != nil {
		// The next one recovers what this one could not write down.
		p.log.Error("the end of the former role", "role", was.role.Kind, "err", err)
	}
	if at, torn := was.store.Gap(); torn && r.Kind == Slave && was.role.Kind == Fenced && r.TruncateTo == nil {
		p.log.Warn("the log has a gap since the last start: it is cut there, and the master sends the rest again", "offset", at, "end", was.store.Appended())
		r.TruncateTo = &at
	}
	closed := time.Now()
	e, err := p.open(r)
	if err != nil {
		err = fmt.Errorf("become %s: %w", r.Kind, err)
		p.server.Swap(p.withMember(p.away(err.Error(), false).Handlers()))()
		p.log.Error("the broker has no role", "err", err)
		return err
	}
	p.begin(e)
	p.log.Info("the role has changed", "role", r.Kind, "id", r.ID, "end", e.store.Appended(), "closing", closed.Sub(began), "took", time.Since(began))
	return nil
}

// begin lets an open engine work and serve.
func (p *brokerPart) begin(e *engine) {
	p.engine.Store(e)
	e.start(p)
	p.server.Swap(p.withMember(e.api.Handlers()))()
	p.grpc.swap(e)()
	p.registrar.SetEpoch(e.role.Epoch)
	p.log.Info("serving", "role", e.role.Kind, "id", e.role.ID, "acknowledged", e.core.Promise())
	p.registrar.Become(p.publicID(e.role.ID), p.registerPeriod(e.role.Kind))
}
