package member

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Engine is the broker in one role after another. Except for Fence its methods are called by one goroutine.
type Engine interface {
	// BecomeMaster makes this broker the master in t.Epoch. When it is that already it only lifts a fence. It returns nil when
	// sends are accepted, as far as Member.Held allows it.
	BecomeMaster(ctx context.Context, t Term) error
	// BecomeSlave makes this broker a slave of t's master. When it is one in this epoch already it takes what is new of the
	// master's addresses. t.MasterHA is "" until the master has told it; then BecomeSlave is called again.
	BecomeSlave(ctx context.Context, t Term) error
	// SetInSync gives the master the set that the controllers have now. It is called for each answer of theirs, also when it is the
	// same set: what was proposed and not answered has not come true by then.
	SetInSync(s SyncSet)
	// Fence takes from the broker the right to accept and to acknowledge, until the next BecomeMaster. It does not wait. reason is
	// for the operator; it has been logged.
	Fence(reason string)
}

// SyncSet is the members of the set that have all that was acknowledged, as the controllers know it.
type SyncSet struct {
	IDs   []int64 // ascending
	Epoch int32   // grows with each change
}

// Term says who is master.
type Term struct {
	Epoch      int32 // of the master, 1 and up
	Self       int64 // this broker's number in the set
	MasterID   int64
	MasterAddr string // where clients reach the master, host:port
	MasterHA   string // where its slaves connect; "" when unknown
	InSync     SyncSet
}

// Master reports whether this broker is the master.
func (t *Term) Master() bool { return t.MasterID != 0 && t.MasterID == t.Self }

// Status is what a heartbeat says about the log.
type Status struct {
	Epoch     int32 // the newest epoch that the log has, 0 when it has none
	MaxOffset int64
	Confirmed int64
	End       Place // of the log; Epoch may have begun there
	Durable   Place // up to where it survives a loss of power, not behind End
}

// Client makes calls; *remoting.Client is one.
type Client interface {
	Invoke(ctx context.Context, addr string, cmd *remoting.Command) (*remoting.Command, error)
	Disconnect(addr string, reason error)
}

// Options configure a Member. Keys in comments are the operator's names; zero values mean Java's defaults.
type Options struct {
	Controllers []string // controllerAddr, host:port each
	// Lookup, when it is set (fetchControllerAddrByDnsLookup), finds all addresses of the hosts in Controllers, again and again.
	// Otherwise each address is dialled as it is, a host name in it found at each dial.
	Lookup func(ctx context.Context, host string) ([]string, error)
	Client Client
	Engine Engine

	FS           vfs.FS
	IdentityFile string // storePathBrokerIdentity
	Cluster      string
	Name         string
	Addr         string // this broker's, as the others reach it
	// Status returns the state of the log. It is called for each heartbeat, also during a change of roles, and does not wait.
	Status func() Status
	// Epochs returns the epochs of the log, and where it ends.
	Epochs   func() (list []protocol.EpochEntry, end int64)
	Priority int32 // brokerElectionPriority: lower wins among equals; 0 means none
	// Learner (asyncLearner): this broker does not offer itself as the first master.
	Learner bool

	Heartbeat       time.Duration // brokerHeartbeatInterval, 1 s
	HeartbeatCall   time.Duration // sendHeartbeatTimeoutMillis, 1 s
	Expire          time.Duration // controllerHeartBeatTimeoutMills, 10 s: the lease
	SyncRoles       time.Duration // syncBrokerMetadataPeriod, 5 s; a fifth of Expire if that is less
	SyncControllers time.Duration // syncControllerMetadataPeriod, 10 s
	Call            time.Duration // a call's deadline; 3 s, a third of Expire if that is less

	Jitter func(n int64) int64 // a random number below n, n > 0; tests give their own
	Log    *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Heartbeat = cmp.Or(o.Heartbeat, time.Second)
	o.HeartbeatCall = cmp.Or(o.HeartbeatCall, time.Second)
	o.Expire = cmp.Or(o.Expire, 10*time.Second)
	o.SyncRoles = min(cmp.Or(o.SyncRoles, 5*time.Second), max(o.Expire/5, time.Millisecond))
	o.SyncControllers = cmp.Or(o.SyncControllers, 10*time.Second)
	o.Call = min(cmp.Or(o.Call, 3*time.Second), max(o.Expire/3, time.Millisecond))
	if o.Jitter == nil {
		o.Jitter = func(int64) int64 { return 0 }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Member keeps one broker a member of its set.
type Member struct {
	o     Options
	files identityFiles
	lease lease

	asked   chan struct{} // has room for one: ask who is master, at once
	find    chan struct{} // has room for one: find the leader of the controllers, at once
	changed chan struct{} // has room for one: the applier has work
	entered chan struct{} // closed when this broker has registered for the first time
	settled chan struct{} // closed when the first role has been taken
	marked  mark          // in the file, as far as it is known; see Member.mark

	mu          sync.Mutex // guards what follows
	controllers []string   // where controllers are
	leader      string
	id          int64 // 0 until the controllers gave it
	registered  bool
	floor       int32     // the newest epoch heard of
	want        Term      // what the controllers decided; Epoch 0: nothing yet
	word        time.Time // when the question was sent whose answer last said that
	done        Term      // what the engine has done
	doing       context.CancelFunc
	fenced      bool // the engine was told, since it last became master
	tellSet     bool // the controllers have named the set that the engine knows, again
}

// New returns a Member; Run makes it work.
func New(o Options) (*Member, error) {
	if len(o.Controllers) == 0 {
		return nil, errors.New("controller mode needs the addresses of controllers")
	}
	o = o.withDefaults()
	return &Member{
		o: o, files: identityFiles{o.FS, o.IdentityFile}, lease: newLease(o.Expire),
		asked: make(chan struct{}, 1), find: make(chan struct{}, 1), changed: make(chan struct{}, 1), entered: make(chan struct{}), settled: make(chan struct{}),
		controllers: slices.Clone(o.Controllers),
	}, nil
}

// Run registers the broker and plays the roles that the controllers give it, until ctx ends. It does not tell the controllers that
// the broker goes: they see the connection end.
func (m *Member) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { m.watchLeader(ctx) })
	wg.Go(func() { m.beat(ctx) })
	wg.Go(func() { m.apply(ctx) })
	wg.Go(func() { m.guard(ctx) })
	wg.Go(func() { m.keepMark(ctx) })
	m.follow(ctx)
	return nil
}

// Held reports whether this broker may acknowledge as a master, right now. It is cheap and meant to be asked before each
// acknowledgement. It says nothing about the role of the engine.
func (m *Member) Held() bool { return m.lease.held(time.Now()) }

// HeldAt is Held for a caller that knows the time: by time.Now, not by other means.
func (m *Member) HeldAt(now time.Time) bool { return m.lease.held(now) }

// Settled is closed when the broker has taken its first role.
func (m *Member) Settled() <-chan struct{} { return m.settled }

// Ask makes the member ask the controllers who is master, at once.
func (m *Member) Ask() { kick(m.asked) }

// State is what is known of this member.
type State struct {
	Leader     string // of the controllers, "" when unknown
	ID         int64  // 0 when there is none yet
	Registered bool
	Decided    Term // by the controllers
	Done       Term // by the engine
	Held       bool
}

// State returns the state.
func (m *Member) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return State{m.leader, m.id, m.registered, m.want, m.done, m.Held()}
}

func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wait waits for d, for a kick or for the end; it reports whether to go on.
func wait(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-t.C:
	}
	return ctx.Err() == nil
}

// complaint logs an error when it begins and when it is over, and another one in between only now and then.
type complaint struct {
	said string
	at   time.Time
}

const quietFor = 30 * time.Second

func (c *complaint) note(ctx context.Context, log *slog.Logger, what string, err error) {
	switch {
	case ctx.Err() != nil:
	case err == nil && c.said != "":
		c.said = ""
		log.Info(what + ": works again")
	case err != nil && err.Error() != c.said && (c.said == "" || time.Since(c.at) >= quietFor):
		c.said, c.at = err.Error(), time.Now()
		log.Warn(what+", will try again", "err", err)
	}
}
