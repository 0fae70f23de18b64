package node

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/membership"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/replication"
)

// replicate makes the part of e that copies the log: to its slaves, or from its master.
func (p *brokerPart) replicate(e *engine) error {
	if p.member != nil {
		return p.replicateBySwitch(e)
	}
	r := &p.o.Broker.Replica
	if e.role.Kind != Slave {
		mo := replication.MasterOptions{
			Store: e.store, Copies: r.Copies - 1, Heartbeat: r.Heartbeat, Housekeeping: r.Housekeeping, Batch: r.Batch, MaxGap: r.MaxGap, Log: p.log,
		}
		if r.Limited {
			mo.BytesPerSecond = r.MaxRate
		}
		e.master, e.slaves = replication.NewMaster(mo), p.ha.grow()
		return nil
	}
	so := p.slaveOptions(e)
	so.Check = e.sameLog
	e.slave = replication.NewSlave(so)
	p.makeFollower(e, func() bool { return e.slave.State().Connected })
	e.follow(e.role.Master, e.role.MasterHA)
	return nil
}

func (p *brokerPart) slaveOptions(e *engine) replication.SlaveOptions {
	c, r := p.o.Broker, &p.o.Broker.Replica
	dial := p.o.Dial
	if r.TLS {
		dial = p.secure.keeper.Dial(dial)
	}
	return replication.SlaveOptions{
		Store: e.store, Dial: dial, Durable: c.Store.FlushDisk == config.FlushSync, Heartbeat: r.Heartbeat, Housekeeping: r.Housekeeping, Log: p.log,
	}
}

// makeFollower makes what brings the tables of the master.
func (p *brokerPart) makeFollower(e *engine, copying func() bool) {
	e.follower = membership.NewFollower(membership.FollowerOptions{
		Client: p.client, Tables: e.core, Copying: func() bool { return copying() && p.mayFollow() }, End: e.store.Appended, Log: p.log,
	})
}

// follow says where the master is, as far as that is known.
func (e *engine) follow(addr, haAddr string) {
	if addr != "" {
		e.follower.Follow(addr)
	}
	switch {
	case haAddr == "":
	case e.copy != nil:
		e.copy.Follow(haAddr, e.now().Epoch)
	default:
		e.slave.Follow(haAddr)
	}
}

// follow takes what a name server says about the master. What the role says wins.
func (p *brokerPart) follow(addr, haAddr string) {
	e := p.now()
	if e.slave == nil { // in controller mode the controllers say it
		return
	}
	if e.role.Master != "" {
		addr = ""
	}
	if e.role.MasterHA != "" {
		haAddr = ""
	}
	e.follow(addr, haAddr)
}

// sameLog asks the master whether its log is the one that this slave has a part of.
func (e *engine) sameLog(ctx context.Context) error {
	off, rec, err := e.store.LastRecord()
	if err != nil || rec == nil {
		return err
	}
	return e.follower.SameLog(ctx, besideHA(e.slave.State().Master), off, rec)
}

// besideHA is where clients find a master that serves its slaves at haAddr, if it has the usual ports: haListenPort is listenPort + 1
// unless it is set. It is asked when no name server can be.
func besideHA(haAddr string) string {
	host, port, err := net.SplitHostPort(haAddr)
	if err != nil {
		return ""
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n < 2 {
		return ""
	}
	return net.JoinHostPort(host, strconv.FormatUint(n-1, 10))
}

// sameRecord asks the master whether it has the record rec at off.
func (e *engine) sameRecord(ctx context.Context, off record.Offset, rec []byte) error {
	return e.follower.SameLog(ctx, "", off, rec)
}

// slavePeriod is how often a slave registers: with the answer it learns where its master is.
const slavePeriod = 10 * time.Second

func (p *brokerPart) registerPeriod(k RoleKind) time.Duration {
	if k == Slave {
		return min(p.options().Broker.Routes.Period, slavePeriod)
	}
	return p.options().Broker.Routes.Period
}

// haAddr is where slaves connect. A slave says it, too, as Java's does.
func (p *brokerPart) haAddr() string {
	host, _, err := net.SplitHostPort(p.addr)
	if err != nil {
		return ""
	}
	if ip := p.o.Broker.Identity.IP2; ip != "" {
		host = ip
	}
	_, port, err := net.SplitHostPort(p.ha.l.Addr().String())
	if err != nil {
		return ""
	}
	return net.JoinHostPort(host, port)
}
