package node

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/membership"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/replication"
)

// replicate makes the part of a broker that copies the log: to its slaves, or from its master.
func (p *brokerPart) replicate(o *Options, log *slog.Logger) {
	c, r := p.conf, &p.conf.Replica
	if c.Identity.Role != config.RoleSlave {
		mo := replication.MasterOptions{
			Store: p.store, Copies: r.Copies - 1, Heartbeat: r.Heartbeat, Housekeeping: r.Housekeeping, Batch: r.Batch, MaxGap: r.MaxGap, Log: log,
		}
		if r.Limited {
			mo.BytesPerSecond = r.MaxRate
		}
		p.master = replication.NewMaster(mo)
		return
	}
	p.slave = replication.NewSlave(replication.SlaveOptions{
		Store: p.store, Dial: o.Dial, Durable: c.Store.FlushDisk == config.FlushSync, Heartbeat: r.Heartbeat, Housekeeping: r.Housekeeping,
		Check: p.sameLog, Log: log,
	})
	if r.Master != "" {
		p.slave.Follow(r.Master)
	}
	p.follower = membership.NewFollower(membership.FollowerOptions{
		Client: p.client, Tables: tables{p}, Copying: func() bool { return p.slave.State().Connected }, End: p.store.Appended, Log: log,
	})
}

// tables are those of a broker that is made later.
type tables struct{ p *brokerPart }

func (t tables) FollowTopics(list []mq.TopicConfig, v mq.DataVersion) error {
	return t.p.core.FollowTopics(list, v)
}

func (t tables) FollowGroups(list []mq.GroupConfig, v mq.DataVersion) error {
	return t.p.core.FollowGroups(list, v)
}
func (t tables) FollowOffsets(text []byte) error { return t.p.core.FollowOffsets(text) }
func (t tables) FollowDelays(text []byte) error  { return t.p.core.FollowDelays(text) }

// follow takes what a name server says about the master.
func (p *brokerPart) follow(addr, haAddr string) {
	if p.slave == nil {
		return
	}
	p.follower.Follow(addr)
	if p.conf.Replica.Master == "" && haAddr != "" {
		p.slave.Follow(haAddr)
	}
}

// sameLog asks the master whether its log is the one that this slave has a part of.
func (p *brokerPart) sameLog(ctx context.Context) error {
	off, rec, err := p.store.LastRecord()
	if err != nil || rec == nil {
		return err
	}
	return p.follower.SameLog(ctx, off, rec)
}

// slavePeriod is how often a slave registers: with the answer it learns where its master is.
const slavePeriod = 10 * time.Second

func (p *brokerPart) registerPeriod() time.Duration {
	if p.slave != nil {
		return min(p.conf.Routes.Period, slavePeriod)
	}
	return p.conf.Routes.Period
}

// haAddr is where slaves connect.
func (p *brokerPart) haAddr() string {
	host, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		return ""
	}
	if p.conf.Identity.IP2 != "" {
		host = p.conf.Identity.IP2
	}
	if p.haListener == nil {
		// A slave says it, too, as Java's does; nobody connects there.
		n, _ := strconv.Atoi(port)
		return net.JoinHostPort(host, strconv.Itoa(n+1))
	}
	_, port, err = net.SplitHostPort(p.haListener.Addr().String())
	if err != nil {
		return ""
	}
	return net.JoinHostPort(host, port)
}

// runReplication adds the goroutines to g.
func (p *brokerPart) runReplication(ctx context.Context, g *errgroup.Group) {
	if p.slave == nil {
		g.Go(func() error { return quiet(p.master.Serve(ctx, p.haListener)) })
		return
	}
	g.Go(func() error { return quiet(p.slave.Run(ctx)) })
	g.Go(func() error { return quiet(p.follower.Run(ctx)) })
}
