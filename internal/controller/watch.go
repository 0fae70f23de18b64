package controller

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/controller/raftlog"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

const (
	shortestLook = 10 * time.Millisecond
	retryLook    = 500 * time.Millisecond // after an election that the log did not take
)

var errSilent = errors.New("no heartbeat of the broker within its timeout")

// watch finds brokers that are dead and, on the leader, masters that must be replaced. It looks when a connection ends, when
// this member becomes the leader, when the first lease runs out, and at Java's intervals.
func (c *Controller) watch(ctx context.Context, wg *sync.WaitGroup) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-t.C:
		}
		now := time.Now()
		gone, conns := c.live.expire(now)
		for _, m := range gone {
			c.log.Warn("broker is silent", "broker", m.set, "id", m.id)
		}
		for _, conn := range conns {
			conn.Close(errSilent)
		}
		next := c.replaceMasters(ctx, now, wg)
		t.Reset(max(time.Until(next), shortestLook))
	}
}

// replaceMasters starts an election in each set whose master cannot be acting any more, and returns when to look again.
func (c *Controller) replaceMasters(ctx context.Context, now time.Time, wg *sync.WaitGroup) time.Time {
	set := c.settings.Load()
	next := now.Add(min(set.scanBrokers, set.scanMasters))
	sooner := func(at time.Time) {
		// A lease covers its last instant, so what ends then is seen just after it.
		if at = at.Add(time.Millisecond); !at.IsZero() && at.After(now) && at.Before(next) {
			next = at
		}
	}
	if at := c.live.next(); !at.IsZero() {
		sooner(at)
	}
	s := c.State()
	c.live.keep(s)
	lead := c.raft.Leader()
	if !lead.Self || c.retired.Load() {
		return next
	}
	for _, t := range s.Sets() {
		if t.Master == 0 {
			continue
		}
		if at := c.live.deadline(t, lead.Since); !now.After(at) {
			sooner(at)
			continue
		}
		c.mu.Lock()
		busy := c.electing[t.Name]
		c.electing[t.Name] = true
		c.mu.Unlock()
		if !busy {
			wg.Go(func() { c.replace(ctx, t) })
		}
	}
	return next
}

// replace elects a new master in place of one that is dead.
func (c *Controller) replace(ctx context.Context, t *Set) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.electing, t.Name)
	}()
	bounded, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	a, err := c.do(bounded, &Command{Op: OpElect, Cluster: t.Cluster, Name: t.Name, ID: noID})
	switch {
	case errors.Is(err, raftlog.ErrNotLeader) || ctx.Err() != nil:
	case err != nil:
		c.log.Warn("elect a new master", "broker", t.Name, "old", t.Master, "err", err)
		time.AfterFunc(retryLook, c.look)
	case a.Elected:
		c.log.Info("new master elected", "broker", t.Name, "old", t.Master, "new", a.Set.Master, "addr", a.Set.addr(a.Set.Master), "epoch", a.Set.MasterEpoch)
		c.tell(a.Set)
	case a.Code == protocol.RespControllerElectMasterFailed:
		c.log.Info("the election of a new master waits", "broker", t.Name, "old", t.Master, "reason", a.Remark)
		time.AfterFunc(retryLook, c.look)
	case a.Code == protocol.RespControllerMasterNotAvailable:
		c.log.Warn("no broker can become master", "broker", t.Name, "old", t.Master, "in_sync", t.Sync)
	}
}

const (
	notifiers   = 8
	maxNotices  = 1024
	notifyTries = 3
	notifyWait  = 3 * time.Second
)

// notice tells one broker about its set.
type notice struct {
	addr string
	id   int64
	set  *Set
}

// tell lets the live members of a set know its master. What is not delivered they find out when they ask next.
func (c *Controller) tell(t *Set) {
	if c.opts.Client == nil || !c.settings.Load().notify {
		return
	}
	now := time.Now()
	for _, r := range t.Replicas {
		if !c.live.alive(now, member{t.Name, r.ID}) {
			continue
		}
		select {
		case c.notices <- &notice{addr: r.Addr, id: r.ID, set: t}:
		default:
			c.log.Warn("too many notices of new masters, dropped one", "broker", t.Name, "id", r.ID)
		}
	}
}

func (c *Controller) notifyLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-c.notices:
			c.notify(ctx, n)
		}
	}
}

// notify sends NOTIFY_BROKER_ROLE_CHANGED 1008, again when it could not be sent and still holds.
func (c *Controller) notify(ctx context.Context, n *notice) {
	t := n.set
	for try := 1; ; try++ {
		bounded, cancel := context.WithTimeout(ctx, notifyWait)
		err := c.opts.Client.Oneway(bounded, n.addr, &remoting.Command{
			Code: protocol.ReqNotifyBrokerRoleChanged,
			Header: &protocol.NotifyBrokerRoleChangedRequestHeader{
				MasterAddress: t.addr(t.Master), MasterEpoch: t.MasterEpoch, HasMasterEpoch: true,
				SyncStateSetEpoch: t.SyncEpoch, HasSyncStateSetEpoch: true, MasterBrokerID: t.Master, HasMasterBrokerID: true,
			},
			Body: syncBody(t),
		})
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		cur := c.State().Set(t.Name)
		if try == notifyTries || cur == nil || cur.MasterEpoch != t.MasterEpoch {
			c.log.Warn("tell broker about its master", "broker", t.Name, "id", n.id, "peer", n.addr, "err", err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(try) * retryLook):
		}
	}
}
