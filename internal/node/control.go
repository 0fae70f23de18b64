package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/cometmq/cometmq/internal/membership/member"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/replication"
)

// In controller mode the roles of a broker come from its member, which hears them from the controllers, and its log is replicated by
// AutoSwitchHA. A broker begins fenced.

// undecided is the role of a broker in controller mode until it has another one.
var undecided = Role{Kind: Fenced, ID: -1, Why: "the controllers have not said yet who is the master of its set"}

// Term is what a role in controller mode needs besides.
type Term struct {
	Self   int64 // this broker's number in its set
	Master int64 // the master's
	InSync member.SyncSet
}

// joinControllers makes the member. It does not start it.
func (p *brokerPart) joinControllers() error {
	c := p.o.Broker
	o := member.Options{
		Controllers: c.Control.Addrs, Client: p.client, Engine: (*chair)(p), FS: p.o.FS, IdentityFile: c.Control.Identity,
		Cluster: c.Identity.Cluster, Name: c.Identity.Name, Addr: p.addr, Status: p.logStatus, Epochs: p.logEpochs,
		Priority: c.Control.Priority, Learner: c.Control.Learner, Heartbeat: c.Routes.Beat, HeartbeatCall: c.Routes.BeatCall,
		Expire: c.Control.Expire, SyncRoles: c.Control.Roles, SyncControllers: c.Control.Controllers, Jitter: rand.Int64N, Log: p.log,
	}
	if c.Control.Lookup {
		o.Lookup = net.DefaultResolver.LookupHost
	}
	var err error
	p.member, err = member.New(o)
	return err
}

// logStatus is for heartbeats: what the log of the engine is like that serves, or served last.
func (p *brokerPart) logStatus() member.Status {
	e := p.now()
	if e == nil || e.epochs == nil {
		return member.Status{}
	}
	durable, end := e.store.Flushed(), e.store.Appended()
	place := func(off record.Offset) member.Place {
		return member.Place{Epoch: e.epochs.Written(off), Offset: int64(off)}
	}
	s := member.Status{Epoch: e.epochs.Last().Number, MaxOffset: int64(end), End: place(end), Durable: place(min(durable, end))}
	if at, torn := e.store.Gap(); torn && e.role.Kind == Fenced {
		s.MaxOffset = int64(at) // others of the set that have what is missing here go first
	}
	switch {
	case e.ruler != nil:
		s.Confirmed = int64(e.ruler.Confirmed())
	case e.copy != nil:
		s.Confirmed = int64(e.copy.State().Confirmed)
	}
	return s
}

// logEpochs are the epochs of the log, and its end.
func (p *brokerPart) logEpochs() (list []protocol.EpochEntry, end int64) {
	e := p.now()
	if e == nil || e.epochs == nil {
		return nil, 0
	}
	for _, x := range e.epochs.List() {
		if n := len(list); n > 0 {
			list[n-1].EndOffset = int64(x.Start)
		}
		list = append(list, protocol.EpochEntry{Epoch: x.Number, StartOffset: int64(x.Start), EndOffset: protocol.EpochGoesOn})
	}
	return list, int64(e.store.Appended())
}

// replicateBySwitch is replicate in controller mode.
func (p *brokerPart) replicateBySwitch(e *engine) (err error) {
	c, r := p.o.Broker, &p.o.Broker.Replica
	if e.role.Kind == Fenced {
		return nil
	}
	if e.role.Kind == Slave {
		so := replication.SwitchSlaveOptions{
			SlaveOptions: p.slaveOptions(e), Epochs: e.epochs, ID: e.role.Term.Self, LastFile: c.Control.LastFile, Learner: c.Control.Learner,
			LimitReaders: c.Control.AllAck, SameLog: e.sameRecord,
		}
		if e.copy, err = replication.NewSwitchSlave(so); err != nil {
			return err
		}
		p.makeFollower(e, func() bool { return e.copy.State().Connected })
		e.follow(e.role.Master, e.role.MasterHA)
		return nil
	}
	mo := replication.SwitchMasterOptions{
		Store: e.store, Epochs: e.epochs, ID: e.role.Term.Self, Epoch: e.role.Epoch, Set: e.role.Term.InSync.IDs, SetEpoch: e.role.Term.InSync.Epoch,
		AllAck: c.Control.AllAck, Copies: r.Copies, MinInSync: r.MinInSync, NotCaughtUp: c.Control.CaughtUp, CheckPeriod: c.Control.CheckSet,
		LimitReaders: true, Propose: p.propose(e.role.Epoch, &e.ruler), Held: p.member.Held,
		Heartbeat: r.Heartbeat, Housekeeping: r.Housekeeping, Batch: r.Batch, Log: p.log,
	}
	if r.Limited {
		mo.BytesPerSecond = r.MaxRate
	}
	if e.ruler, err = replication.NewSwitchMaster(mo); err != nil {
		return err
	}
	e.slaves = p.ha.grow()
	return nil
}

// propose is how the master of an epoch changes the set of those in sync.
func (p *brokerPart) propose(epoch int32, m **replication.SwitchMaster) func(context.Context, []int64) ([]int64, int32, error) {
	return func(ctx context.Context, set []int64) ([]int64, int32, error) {
		got, err := p.member.Propose(ctx, epoch, member.SyncSet{IDs: set, Epoch: (*m).State().SetEpoch})
		refused, ok := errors.AsType[*member.Refused](err)
		switch {
		case !ok:
		case refused.Code == protocol.RespControllerFencedMasterEpoch, refused.Code == protocol.RespControllerInvalidMaster:
			err = fmt.Errorf("%w: %w", replication.ErrFenced, err)
		default:
			err = fmt.Errorf("%w: %w", replication.ErrRefused, err)
		}
		return got.IDs, got.Epoch, err
	}
}

// What a master that may take no messages says.
var (
	errLease   = mq.Errorf(mq.KindUnavailable, "service not available now. This broker takes no messages: no leader of the controllers has confirmed it as the master")
	errDeposed = mq.Errorf(mq.KindUnavailable, "service not available now. This broker takes no messages: another one is the master")
	errFew     = mq.Errorf(mq.KindInternal, "in-sync replicas not enough") // Java's text
)

// admit decides whether the master e may store messages.
func (p *brokerPart) admit(e *engine) func(time.Time) *mq.Error {
	return func(now time.Time) *mq.Error {
		if !p.member.HeldAt(now) {
			return errLease
		}
		err := e.ruler.Admit()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, replication.ErrFenced):
			return errDeposed
		default:
			return errFew
		}
	}
}

// unsure reports, in a slave with allAckInSyncStateSet, that what the log held when it was opened may be cut yet: the end of it may
// be what this broker took as the master of the past and nobody else has.
//
// Differs from Java: it shows a slave's readers such messages until they are cut, and those who have read them then pass over the ones that
// come in their place.
func (e *engine) unsure() bool { return e.copy == nil || e.copy.State().Confirmed < e.start0 }

// chair is the broker as its member sees it.
type chair brokerPart

// BecomeMaster implements member.Engine.
func (c *chair) BecomeMaster(ctx context.Context, t member.Term) error {
	p := (*brokerPart)(c)
	if e := p.now(); e.ruler != nil && e.role.Epoch == t.Epoch && e.serves() && !e.ruler.Fenced() {
		e.ruler.Adopt(t.InSync.IDs, t.InSync.Epoch) // counts anew, too
		return nil
	}
	return p.become(ctx, Role{
		Kind: SyncMaster, ID: 0, Epoch: t.Epoch, Master: t.MasterAddr, Term: Term{Self: t.Self, Master: t.MasterID, InSync: t.InSync},
	})
}

// BecomeSlave implements member.Engine. A slave that gets another master stays what it is: when it has to cut its log the connection
// to the new master says so.
func (c *chair) BecomeSlave(ctx context.Context, t member.Term) error {
	p := (*brokerPart)(c)
	r := Role{
		Kind: Slave, ID: t.Self, Epoch: t.Epoch, Master: t.MasterAddr, MasterHA: t.MasterHA, Term: Term{Self: t.Self, Master: t.MasterID},
	}
	if p.turnSlave(ctx, r) {
		return nil
	}
	return p.become(ctx, r)
}

// turnSlave makes a slave follow another master, or the same one in another epoch. It reports false when the broker is no slave.
func (p *brokerPart) turnSlave(ctx context.Context, r Role) bool {
	if !p.takeTurn(ctx) {
		return false
	}
	defer func() { <-p.turn }()
	e := p.now()
	if e.copy == nil || !e.serves() {
		return false
	}
	e.term.Store(&r)
	e.follow(r.Master, r.MasterHA)
	if r.MasterHA == "" {
		e.copy.Follow("", r.Epoch) // until the new master has said where its slaves connect
	}
	p.registrar.SetEpoch(r.Epoch)
	return true
}

// SetInSync implements member.Engine.
func (c *chair) SetInSync(s member.SyncSet) {
	if e := (*brokerPart)(c).now(); e.ruler != nil {
		e.ruler.Adopt(s.IDs, s.Epoch)
	}
}

// Fence implements member.Engine. There is nothing to do: the lease is looked at before anything is acknowledged.
func (c *chair) Fence(string) {}

// cut is a slave whose log must be cut.
type cut struct {
	e  *engine
	to record.Offset
}

// copyBySwitch follows the master until ctx ends. A log that has to be cut is reported to those who can do it.
func (p *brokerPart) copyBySwitch(ctx context.Context, e *engine) error {
	for {
		err := e.copy.Run(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if t, ok := errors.AsType[*replication.TruncateError](err); ok {
			p.log.Warn("the log of this slave is cut: its master does not have what is behind", "to", t.To, "end", t.End, "bytes", t.End-t.To, "same_since_epoch", t.Epoch.Number, "peer", t.Master)
			select {
			case p.cuts <- cut{e, t.To}:
			case <-ctx.Done():
			}
			<-ctx.Done() // another engine takes over
			return ctx.Err()
		}
		p.log.Error("this slave copies nothing", "err", err)
		select {
		case <-time.After(divergedAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// divergedAgain is how long a slave whose log is not its master's waits before it looks again: there may be another master.
const divergedAgain = 10 * time.Second

// cutLogs reopens slaves with a shorter log, until ctx ends.
func (p *brokerPart) cutLogs(ctx context.Context) error {
	for {
		var c cut
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c = <-p.cuts:
		}
		for pause := cutAgain; ; pause = min(2*pause, cutMost) {
			err := p.becomeFrom(ctx, c.e, func(was Role) Role {
				was.TruncateTo = &c.to
				return was
			})
			if err == nil || ctx.Err() != nil {
				break
			}
			p.log.Warn("cut the log, will try again", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
}

const (
	cutAgain = 200 * time.Millisecond
	cutMost  = 5 * time.Second
)

// switchStatus is the HAStatus in controller mode.
func (e *engine) switchStatus() mq.HAStatus {
	end := e.store.Appended()
	switch {
	case e.ruler != nil:
		out := mq.HAStatus{Master: true, End: end}
		for _, s := range e.ruler.State().Slaves {
			if s.InSync {
				out.InSync++
			}
			out.Slaves = append(out.Slaves, mq.SlaveStatus{Addr: s.Addr, Acked: s.Acked, Behind: s.Behind, InSync: s.InSync, SentUpTo: s.Sent})
		}
		return out
	case e.copy != nil:
		st := e.copy.State()
		c := mq.HAClientStatus{Master: st.Master, End: end, Connected: st.Connected}
		if !st.LastRead.IsZero() {
			c.LastRead = st.LastRead.UnixMilli()
		}
		return mq.HAStatus{Client: c}
	}
	return mq.HAStatus{Client: mq.HAClientStatus{End: end}}
}

// withMember adds to the handlers what controllers and other members ask.
func (p *brokerPart) withMember(h *remoting.Handlers) *remoting.Handlers {
	if p.member != nil {
		p.member.Attach(h)
	}
	return h
}
