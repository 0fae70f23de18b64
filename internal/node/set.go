package node

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/membership"
	"github.com/cometmq/cometmq/internal/mq"
)

// A set in which a slave acts as the master when that is gone (enableSlaveActingMaster). Acting is no role: the store stays a
// slave's, and so does the engine. membership.SetMember decides who acts; here is what it drives.

// acting reports whether a slave of the set acts as the master. In controller mode it becomes the master instead.
func acting(c *config.Broker) bool { return c.Replica.Acting && !c.Control.On }

// joinSet makes what a broker of such a set needs besides.
func (p *brokerPart) joinSet() {
	c, r := p.o.Broker, &p.o.Broker.Replica
	if !acting(c) {
		return
	}
	if r.Escape {
		p.bridge = membership.NewBridge(p.registrar)
	}
	p.set = membership.NewSetMember(membership.SetOptions{
		NameServers: c.Routes.NameServers, Client: p.client, Host: setHost{p}, Cluster: c.Identity.Cluster, Name: c.Identity.Name,
		ID: c.Identity.ID, Addr: p.addr, HAAddr: p.haAddr(), Direct: r.SkipOnline || r.Total <= 1, Poll: r.Members, Log: p.log,
	})
}

// setHost is a broker as the member of its set drives it.
type setHost struct{ p *brokerPart }

func (h setHost) Act(ctx context.Context, on bool) error { return h.p.now().core.Act(ctx, on) }

func (h setHost) Online() {
	h.p.isOnline.Store(true)
	e := h.p.now()
	h.p.registrar.Become(e.role.ID, h.p.registerPeriod(e.role.Kind))
}

func (h setHost) Follow(addr, haAddr string) {
	h.p.follow(addr, haAddr)
	if e := h.p.now(); e.slave != nil {
		e.slave.Hurry()
	}
}

func (h setHost) Copying() bool {
	e := h.p.now()
	return e.slave != nil && e.slave.State().Connected
}

func (h setHost) Copied(host string) bool {
	e := h.p.now()
	if e.master == nil {
		return false
	}
	for _, s := range e.master.Slaves() {
		if at, _, err := net.SplitHostPort(s.Addr); err == nil && at == host {
			return true
		}
	}
	return false
}

func (h setHost) Start() mq.Offset { return h.p.now().start0 }

func (h setHost) Resume(offsets, delays []byte, timer *mq.TimerProgress) error {
	return h.p.now().core.Resume(offsets, delays, timer)
}

// publicID is as what the broker is registered: nobody hears of one that is not online yet.
func (p *brokerPart) publicID(id int64) int64 {
	if p.set != nil && !p.isOnline.Load() {
		return -1
	}
	return id
}

// mayFollow reports whether the tables of the master may be taken over.
func (p *brokerPart) mayFollow() bool { return p.set == nil || p.set.MayFollow() }

// setDoor answers what the brokers of the set ask each other.
type setDoor struct {
	p *brokerPart
	e *engine
}

func (d setDoor) HAInfo(context.Context) (mq.HAInfo, bool) {
	return mq.HAInfo{HAAddr: d.p.haAddr(), Addr: d.p.addr, Start: d.e.start0}, d.e.role.ID == 0
}

func (d setDoor) TakeHAInfo(ctx context.Context, info mq.HAInfo) error {
	switch {
	case d.p.member != nil:
		return errors.New("the controllers say who is the master of this broker")
	case d.e.slave == nil:
		return errors.New("this broker is no slave")
	case d.p.set != nil:
		return d.p.set.TakeHAInfo(ctx, info)
	}
	d.p.follow(info.Addr, info.HAAddr)
	return nil
}

func (d setDoor) MinBroker(context.Context, mq.MinBroker) error {
	if d.p.set != nil {
		d.p.set.MinChanged()
	}
	return nil
}

func (d setDoor) HAStatus(context.Context) (mq.HAStatus, error) {
	e := d.e
	if d.p.member != nil {
		return e.switchStatus(), nil
	}
	if e.slave != nil {
		st := e.slave.State()
		out := mq.HAStatus{Client: mq.HAClientStatus{Master: st.Master, End: st.End, Connected: st.Connected}}
		if !st.LastRead.IsZero() {
			out.Client.LastRead = st.LastRead.UnixMilli()
		}
		return out, nil
	}
	out := mq.HAStatus{Master: true, End: e.store.Appended()}
	for _, s := range e.master.Slaves() {
		if s.InSync {
			out.InSync++
		}
		out.Slaves = append(out.Slaves, mq.SlaveStatus{
			Addr: s.Addr, Acked: s.Acked, Behind: s.Behind, InSync: s.InSync, SentUpTo: s.Sent,
		})
	}
	return out, nil
}

// acks is how many slaves a send waits for in a set with acting masters (replication spec 1.4).
type acks struct{ replicas, short atomic.Int32 }

// acksPeriod is how often it is looked who is in sync.
const acksPeriod = 200 * time.Millisecond

func (a *acks) now() (replicas int, ok bool) { return int(a.replicas.Load()), a.short.Load() == 0 }

// count looks who is in sync until ctx ends.
func (p *brokerPart) countAcks(ctx context.Context, e *engine) error {
	t := time.NewTicker(acksPeriod)
	defer t.Stop()
	said := false
	for {
		need, inSync := p.acksNeeded(e)
		short := need > inSync
		if short != said {
			said = short
			if short {
				p.log.Error("messages are refused: fewer logs are in sync than they must be in", "inSync", inSync, "needed", need)
			} else {
				p.log.Info("messages are accepted again", "inSync", inSync, "needed", need)
			}
		}
		e.master.SetCopies(need - 1)
		e.acks.replicas.Store(int32(need - 1))
		if short {
			e.acks.short.Store(1)
		} else {
			e.acks.short.Store(0)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// acksNeeded returns in how many logs a message must be, this one included, and how many there are that can have it soon.
func (p *brokerPart) acksNeeded(e *engine) (need, inSync int) {
	r := &p.o.Broker.Replica
	inSync = 1
	for _, s := range e.master.Slaves() {
		if s.InSync {
			inSync++
		}
	}
	inSync = min(inSync, p.set.Alive())
	if need = r.Copies; r.Auto {
		need = max(min(need, inSync), r.MinInSync)
	}
	return need, inSync
}

// heartbeatTimeout is after which silence the name servers forget the broker, 0: what they think best.
func heartbeatTimeout(c *config.Broker) time.Duration {
	if acting(c) {
		return c.Replica.Inactive
	}
	return 0
}

// probePeriod is how often the name servers get a sign of life, 0: as often as usual. As by default in Java (compatibleWithOldNameSrv)
// it is the question whether they know this broker's version.
func probePeriod(c *config.Broker) time.Duration {
	if acting(c) {
		return c.Routes.Beat
	}
	return 0
}
