package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/controller/raftlog"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/vfs"
)

const (
	answerWait      = 5 * time.Second // as long as Java waits
	unsetRemark     = "not set any response code"
	notLeaderRemark = "The controller is not in leader state"
)

// Client sends to brokers; *remoting.Client is one.
type Client interface {
	Oneway(ctx context.Context, addr string, cmd *remoting.Command) error
}

// Log is the replicated log; *raftlog.Log is one.
type Log interface {
	Propose(ctx context.Context, data []byte) (any, error)
	Leader() raftlog.Leadership
	Members() []raftlog.Peer
	Close() error
}

// Options configure a Controller. Open is required.
type Options struct {
	// Open starts the replicated log that drives m and calls changed when this member begins or stops to lead.
	Open func(m raftlog.Machine, changed func()) (Log, error)
	// Group is the name that GET_METADATA_INFO tells.
	Group string
	// Properties are the keys of Java's controller.conf. Unknown keys are kept and shown.
	Properties map[string]string
	// FS holds configStorePath, if that is set.
	FS vfs.FS
	// Edit sets values in the text of a properties file and leaves the rest as it is. Nil: configStorePath is written anew.
	Edit func(file []byte, values map[string]string) []byte
	// Client tells brokers about a new master; nil: they are not told and find out when they ask.
	Client Client
	Log    *slog.Logger
}

// Controller is one member of a group of controllers. Give its Closed to the remoting server as OnClose, Attach it, then
// Run it. To end it: Retire it, shut the server down, Close it.
type Controller struct {
	opts     Options
	log      *slog.Logger
	machine  *machine
	live     *liveTable
	raft     Log
	wake     chan struct{} // has room for one: look for dead masters now
	notices  chan *notice
	settings atomic.Pointer[settings]
	writing  chan struct{} // has room for one: who changes the configuration
	retired  atomic.Bool
	figures  figures

	mu       sync.Mutex // guards electing
	electing map[string]bool
}

// New starts the log and returns a Controller that answers.
func New(o Options) (*Controller, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Controller{
		opts: o, log: o.Log, machine: newMachine(o.Log), live: newLiveTable(), wake: make(chan struct{}, 1),
		notices: make(chan *notice, maxNotices), writing: make(chan struct{}, 1), electing: map[string]bool{},
	}
	c.settings.Store(newSettings(o.Properties))
	var err error
	if c.raft, err = o.Open(c.machine, c.look); err != nil {
		return nil, err
	}
	return c, nil
}

// Retire makes c blind: it is about to close its connections, and that says nothing about the brokers at their other ends.
func (c *Controller) Retire() { c.retired.Store(true) }

// Close leaves the group; if c leads, another member takes over.
func (c *Controller) Close() error { return c.raft.Close() }

// State is what this member has of the group's state. On any but the leader it may be behind.
func (c *Controller) State() *State { return c.machine.state.Load() }

// Leader says who leads the group.
func (c *Controller) Leader() raftlog.Leadership { return c.raft.Leader() }

// Attach registers the handlers of all request codes.
func (c *Controller) Attach(rs *remoting.Server) {
	rs.Handle(protocol.ReqBrokerHeartbeat, c.heartbeat)
	rs.Handle(protocol.ReqControllerAlterSyncStateSet, c.alterSyncStateSet)
	rs.Handle(protocol.ReqControllerElectMaster, c.electMaster)
	rs.Handle(protocol.ReqControllerRegisterBroker, c.registerBroker)
	rs.Handle(protocol.ReqControllerGetReplicaInfo, c.replicaInfo)
	rs.Handle(protocol.ReqControllerGetMetadataInfo, c.metadata)
	rs.Handle(protocol.ReqControllerGetSyncStateData, c.syncStateData)
	rs.Handle(protocol.ReqUpdateControllerConfig, c.updateConfig)
	rs.Handle(protocol.ReqGetControllerConfig, c.showConfig)
	rs.Handle(protocol.ReqCleanBrokerData, c.cleanBrokerData)
	rs.Handle(protocol.ReqControllerGetNextBrokerID, c.nextBrokerID)
	rs.Handle(protocol.ReqControllerApplyBrokerID, c.applyBrokerID)
}

// Run looks after masters and tells brokers about new ones until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { c.watch(ctx, &wg) })
	for range notifiers {
		wg.Go(func() { c.notifyLoop(ctx) })
	}
	wg.Wait()
	return nil
}

// look makes watch look now.
func (c *Controller) look() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// do gives a command to the group and returns the answer. What changes nothing is answered by the leader alone.
func (c *Controller) do(ctx context.Context, cmd *Command) (Answer, error) {
	a, err := c.decide(ctx, cmd)
	if err == nil && cmd.Op == OpElect {
		c.figures.election(a.Set, a.Elected)
	}
	return a, err
}

func (c *Controller) decide(ctx context.Context, cmd *Command) (Answer, error) {
	lead := c.raft.Leader()
	if !lead.Self {
		return Answer{}, raftlog.ErrNotLeader
	}
	set := c.settings.Load()
	s := c.State()
	now, t := time.Now(), s.Set(cmd.Name)
	if cmd.Op == OpRegister && t != nil && t.addr(cmd.ID) == cmd.Addr {
		c.live.registers(now, member{t.Name, cmd.ID})
	}
	cmd.View = c.live.view(now, t, lead.Since)
	cmd.View.Unclean = set.unclean
	next, a := s.Apply(cmd)
	if a.Elected && !cmd.Designate && !t.first() {
		if ids := c.live.unheard(now, t, a.Set.Master, lead.Since); len(ids) > 0 {
			a = refuse(protocol.RespControllerElectMasterFailed,
				"Failed to elect a new master: %d would be it, and %v have not said yet how long their logs are since it began", a.Set.Master, ids)
			return a, nil
		}
	}
	if next == s && cmd.Op != OpRead {
		if !set.readByLog {
			return a, nil
		}
		if _, err := c.propose(ctx, &Command{Op: OpRead}); err != nil {
			return Answer{}, err
		}
		return a, nil
	}
	return c.propose(ctx, cmd)
}

func (c *Controller) propose(ctx context.Context, cmd *Command) (Answer, error) {
	got, err := c.raft.Propose(ctx, cmd.AppendTo(nil))
	if err != nil {
		return Answer{}, err
	}
	a, ok := got.(Answer)
	if !ok {
		return Answer{}, fmt.Errorf("the log answers %T", got)
	}
	return a, nil
}

// read returns the state for an answer that must not be older than the question.
func (c *Controller) read(ctx context.Context) (*State, error) {
	if !c.raft.Leader().Self {
		return nil, raftlog.ErrNotLeader
	}
	if c.settings.Load().readByLog {
		if _, err := c.propose(ctx, &Command{Op: OpRead}); err != nil {
			return nil, err
		}
	}
	return c.State(), nil
}

// answer runs f away from the reader goroutine and answers to with what it returns.
func (c *Controller) answer(conn *remoting.Conn, r *remoting.Request, f func(ctx context.Context) reply) {
	to, code := r.ReplyTo(), r.Code
	conn.GoReply(to, func() {
		ctx, cancel := context.WithTimeout(conn.Context(), answerWait)
		defer cancel()
		begin := time.Now()
		a := f(ctx)
		c.figures.request(code, time.Since(begin), a.err)
		switch {
		case a.err == nil:
			conn.Reply(to, a.code, a.remark, a.header, a.body)
		case errors.Is(a.err, raftlog.ErrNotLeader):
			conn.Reply(to, protocol.RespControllerNotLeader, notLeaderRemark, nil, nil)
		default:
			c.log.Warn("a request of a broker or tool failed", "request", protocol.RequestName(code), "peer", conn.Remote(), "err", a.err)
			conn.Reply(to, protocol.RespSystemError, a.err.Error(), nil, nil)
		}
	})
}

// reply is a response, or why there is none.
type reply struct {
	code   int32
	remark string
	header remoting.HeaderAppender
	body   []byte
	err    error
}

// syncBody is the body that tells the sync-state set.
func syncBody(t *Set) []byte {
	b := protocol.SyncStateSet{SyncStateSet: t.Sync, SyncStateSetEpoch: t.SyncEpoch}
	return b.AppendTo(nil, false)
}

// own copies what aliases a request.
func own(text ...*string) {
	for _, s := range text {
		*s = strings.Clone(*s)
	}
}

// session is what a connection has to do with us: the brokers whose heartbeats came on it. The reader goroutine owns it.
type session struct{ members []member }

// Closed is the remoting server's OnClose: brokers whose last connection ends have gone, and a master among them is
// replaced now.
func (c *Controller) Closed(conn *remoting.Conn) {
	s, ok := conn.State().(*session)
	if !ok || c.retired.Load() {
		return
	}
	gone := c.live.closed(conn, s.members)
	for _, m := range gone {
		c.log.Info("connection of broker closed", "broker", m.set, "id", m.id, "peer", conn.Remote())
	}
	if len(gone) > 0 {
		c.look()
	}
}

// attach notes that heartbeats of m come on conn.
func attach(conn *remoting.Conn, m member) {
	s, ok := conn.State().(*session)
	if !ok {
		s = &session{}
		conn.SetState(s)
	}
	if !slices.Contains(s.members, m) {
		s.members = append(s.members, m)
	}
}
