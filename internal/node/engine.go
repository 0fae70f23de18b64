package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cometmq/cometmq/internal/api/amqpapi"
	"github.com/cometmq/cometmq/internal/api/mqttapi"
	"github.com/cometmq/cometmq/internal/api/mqttapi/state"
	"github.com/cometmq/cometmq/internal/api/remotingapi"
	"github.com/cometmq/cometmq/internal/broker"
	"github.com/cometmq/cometmq/internal/membership"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/replication"
	"github.com/cometmq/cometmq/internal/storage"
)

// engine is a broker in one role: the store, the core, the door, and what copies the log. A role ends with its engine; what lives
// longer is in brokerPart.
//
// Requests come from the server of the shell to api, and through core to store. The log goes from store to slaves through master,
// or comes from the master through slave; follower brings the tables that belong to it.
type engine struct {
	role  Role
	store *storage.Store
	core  *broker.Broker
	api   *remotingapi.API

	master   *replication.Master
	slaves   *branch                         // where master accepts
	slave    *replication.Slave              // nil in a master
	follower *membership.Follower            // nil in a master
	acks     acks                            // for a SYNC_MASTER in a set with acting masters
	count    func(ctx context.Context) error // keeps acks up to date; nil without
	start0   mq.Offset                       // where the log ended
	repairs  *repairs                        // nil without name servers, which know the other brokers of the set
	mqtt     *mqttapi.Server                 // nil without enableMqtt, and in a slave
	sessions *state.Store                    // of mqtt

	amqp *amqpapi.Server // nil without enableAmqp, and in a slave

	// Of controller mode, instead of master and slave.
	epochs *replication.Epochs
	ruler  *replication.SwitchMaster
	copy   *replication.SwitchSlave
	term   atomic.Pointer[Role] // a slave's, when it has got another master since it was opened

	// What handlers wait for ends with asked. The rest are what runs, in the order of its end.
	asked                         context.Context
	stopAsked                     context.CancelFunc
	serving                       *task // of amqp
	replicating, working, storing *task

	page  chan struct{} // one token: who has it reads figures, or closes the store for ever
	ended sync.Once
	over  atomic.Bool // the end has begun
	err   error       // of the end
}

// now is the role, with what has changed since the engine was opened.
func (e *engine) now() Role {
	if r := e.term.Load(); r != nil {
		return *r
	}
	return e.role
}

// serves reports whether the end of e has not begun.
func (e *engine) serves() bool { return !e.over.Load() }

// open makes an engine of what is in the directories. It starts nothing.
func (p *brokerPart) open(r Role) (_ *engine, err error) {
	e, o := &engine{role: r, page: make(chan struct{}, 1)}, p.options()
	e.asked, e.stopAsked = context.WithCancel(p.serving)
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	root := o.Broker.Store.Root
	was, err := readFormat(p.o.FS, root)
	if err != nil {
		return nil, err
	}
	if r.Wipe {
		if err = p.putAside(); err != nil {
			return nil, err
		}
		was = format{}
	}
	so := storeOptions(o, &r, p.advertised)
	so.Synced = func(took time.Duration) { p.syncs.Observe(int64(took)) }
	if len(o.Broker.Routes.NameServers) > 0 {
		e.repairs = newRepairs()
		so.OnDamage = e.repairs.found
	}
	if e.store, err = storage.Open(p.o.FS, so); err != nil {
		return nil, err
	}
	// Without the file the store counts as the first format, and this program writes no other: what cannot be written, on a full disk
	// for one, is no reason to be away.
	if missed := writeFormat(p.o.FS, root, was); missed != nil {
		p.log.Warn("the store does not say which programs may read it", "err", missed)
	}
	e.start0 = e.store.Appended()
	bo := brokerOptions(o, &r, p.advertised)
	if bo.Acting = p.set != nil; bo.Acting {
		if p.bridge != nil {
			bo.Escape = p.bridge.Escape
		}
		if r.Kind == SyncMaster {
			e.acks.replicas.Store(int32(bo.Replicas))
			bo.Acks = e.acks.now
			e.count = func(ctx context.Context) error { return p.countAcks(ctx, e) }
		}
	}
	bo.Store, bo.Clients, bo.Log = e.store, p.clients, p.log
	bo.MasterAlive = e.masterAlive
	if p.member != nil {
		if e.epochs, err = replication.OpenEpochs(p.o.FS, p.o.Broker.Control.Epochs, p.log); err != nil {
			return nil, fmt.Errorf("epochs of the log: %w", err)
		}
		if p.o.Broker.Control.AllAck && (r.Kind == Slave || r.Kind == Fenced) {
			bo.Unsure = e.unsure
		}
		if r.Kind == SyncMaster {
			bo.Admit = p.admit(e)
			if p.o.Broker.Control.AllAck {
				bo.Copies = func() int { return len(e.ruler.State().Set) }
			}
		}
	}
	bo.Announce, bo.Quotas = p.registrar.Announce, p.quotas
	bo.Routes = p.registrar.Routes
	bo.Peers = p.peers
	if e.core, err = broker.Open(bo); err != nil {
		return nil, err
	}
	door := p.doorOptions()
	door.Set = setDoor{p, e}
	e.api = remotingapi.New(e.asked, e.core, e.core, door)
	if err = p.replicate(e); err != nil {
		return nil, err
	}
	p.openAMQP(e)
	e.role.TruncateTo, e.role.Wipe = nil, false // done
	return e, p.openMQTT(e, o)
}

// putAside takes the store away. What says which broker this is stays.
func (p *brokerPart) putAside() error {
	c := &p.o.Broker.Store
	folder, err := storage.PutAside(p.o.FS, c.Root, c.CommitLog, time.Now(), "brokerIdentity", "brokerIdentity-temp", "auth", "brokerIdentity-log")
	if err == nil {
		p.log.Warn("the store was put aside, its master's is copied anew", "folder", folder)
	}
	return err
}

// start lets the engine work. What ends by itself is told to failed.
func (e *engine) start(p *brokerPart) {
	ctx := context.WithoutCancel(e.asked)
	e.storing = begin(ctx, "the store", p.failed, e.store.Run)
	e.working = begin(ctx, "the broker", p.failed, e.core.Run)
	e.replicating = begin(ctx, "replication", p.failed, func(ctx context.Context) error { return e.replicate(ctx, p) })
	if e.amqp != nil {
		l := p.amqp.grow()
		e.serving = begin(ctx, "AMQP", p.failed, func(ctx context.Context) error { return e.amqp.Serve(ctx, l) })
	}
}

func (e *engine) replicate(ctx context.Context, p *brokerPart) error {
	g, ctx := errgroup.WithContext(ctx)
	switch {
	case e.master != nil:
		g.Go(func() error { return e.master.Serve(ctx, e.slaves) })
		if e.count != nil {
			g.Go(func() error { return e.count(ctx) })
		}
	case e.ruler != nil:
		g.Go(func() error { return e.ruler.Serve(ctx, e.slaves) })
	case e.slave != nil:
		g.Go(func() error { return e.slave.Run(ctx) })
	case e.copy != nil:
		g.Go(func() error { return p.copyBySwitch(ctx, e) })
	default:
		g.Go(func() error {
			<-ctx.Done()
			return nil
		})
	}
	if e.follower != nil {
		g.Go(func() error { return e.follower.Run(ctx) })
	}
	if e.repairs != nil {
		g.Go(func() error { return p.repair(ctx, e) })
	}
	return g.Wait()
}

// masterAlive reports whether there is a master that does what only one broker of a set may do.
func (e *engine) masterAlive() bool {
	switch {
	case e.slave != nil:
		return e.slave.State().Connected
	case e.copy != nil:
		return e.copy.State().Connected
	}
	return true
}

// end ends the engine. New requests do not come any more; quiet returns when those that have come are done. A send under way is
// answered with what is true at the end: no slave is heard any more, and what is in the log is flushed.
func (e *engine) end(quiet func()) error {
	e.ended.Do(func() {
		e.over.Store(true)
		e.stopAsked()
		e.endMQTT()
		if e.serving != nil {
			e.err = e.serving.end()
		}
		e.err = errors.Join(e.err, e.replicating.end())
		e.err = errors.Join(e.err, e.working.end()) // answers what is parked
		e.err = errors.Join(e.err, e.store.Settle())
		quiet()
		e.err = errors.Join(e.err, e.storing.end())
		e.page <- struct{}{} // kept
		e.err = errors.Join(e.err, e.close())
	})
	return e.err
}

// close closes what open has opened. Nothing runs.
func (e *engine) close() error {
	e.stopAsked()
	var err error
	if e.slaves != nil {
		_ = e.slaves.Close()
	}
	if e.core != nil {
		err = e.core.Close()
	}
	if e.store != nil {
		err = errors.Join(err, e.store.Close())
	}
	if e.sessions != nil { // last: what the store has decided may change them
		err = errors.Join(err, e.sessions.Close())
	}
	return err
}

// task is a goroutine that ends when it is told to.
type task struct {
	stop context.CancelFunc
	done chan struct{}
	err  error // once done is closed
}

// begin runs f. If it ends without being told to, failed hears of it.
func begin(ctx context.Context, what string, failed chan<- error, f func(context.Context) error) *task {
	t := &task{done: make(chan struct{})}
	ctx, t.stop = context.WithCancel(ctx)
	go func() {
		defer close(t.done)
		t.err = quiet(f(ctx))
		if ctx.Err() == nil {
			select {
			case failed <- errors.Join(fmt.Errorf("%s has ended", what), t.err):
			default: // others have failed, too
			}
		}
	}()
	return t
}

// end stops the task and waits for it.
func (t *task) end() error {
	t.stop()
	<-t.done
	return t.err
}
