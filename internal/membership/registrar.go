package membership

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Timing of the registration (Java's defaults where it has one).
const (
	defaultPeriod = 30 * time.Second
	minPeriod     = 10 * time.Second
	maxPeriod     = 60 * time.Second
	callTimeout   = 24 * time.Second // registerBrokerTimeoutMills
	probeTimeout  = 3 * time.Second
	defaultProbe  = 5 * time.Second
	backoffFirst  = time.Second
	backoffMax    = 10 * time.Second
	// announceTimeout is how long a change waits for a name server that was well until now; others may have answered.
	announceTimeout = 3 * time.Second
	// calm is how long after a registration a lost connection is left to the next probe: no loop of reconnects.
	calm           = time.Second
	leaveTimeout   = 3 * time.Second
	routeFresh     = 30 * time.Second
	routeMissFresh = 2 * time.Second
	routeTimeout   = 3 * time.Second
)

// Client calls a name server. *remoting.Client is one.
type Client interface {
	Invoke(ctx context.Context, addr string, cmd *remoting.Command) (*remoting.Command, error)
}

// Options configure a Registrar. Name, Cluster, Addr and Topics are needed, Client when there are NameServers.
type Options struct {
	NameServers []string
	Client      Client

	Cluster string
	Name    string
	ID      int64  // see Become
	Addr    string // what clients connect to, host:port
	HAAddr  string // what slaves connect to
	// ActingMaster is enableSlaveActingMaster.
	ActingMaster bool
	// HeartbeatTimeout is after which silence the name servers forget this broker; 0: their default of 120 s.
	HeartbeatTimeout time.Duration
	// Perm is brokerPermission; 0 means read and write. Without one of them the topics are registered without it too.
	Perm mq.Perm
	// Topics returns all topics and the version of the table, read together.
	Topics func() ([]mq.TopicConfig, mq.DataVersion)
	// OnOrderTopics, if not nil, gets the order configuration that name servers return.
	OnOrderTopics func(table map[string]string)
	// OnMaster, if not nil, is called on a slave with what a name server says about its master.
	OnMaster func(addr, haAddr string)

	Period time.Duration // between full registrations; 30 s, at least 10 s and at most 60 s
	Probe  time.Duration // between questions whether a name server still knows us; 5 s
	Log    *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Period == 0 {
		o.Period = defaultPeriod
	}
	o.Period = min(max(o.Period, minPeriod), maxPeriod)
	if o.Probe <= 0 {
		o.Probe = defaultProbe
	}
	if o.Perm == 0 {
		o.Perm = mq.PermRead | mq.PermWrite
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Registrar keeps one broker registered with its name servers. Without name servers all its methods work and do
// nothing, and routes are the broker's own queues.
type Registrar struct {
	o       Options
	as      atomic.Pointer[identity]
	epoch   atomic.Int32 // of the master, see SetEpoch
	list    atomic.Pointer[[]*server]
	changed chan struct{} // has room for one: the list is another one
	routes  routeCache
	tried   chan struct{}
}

// servers are the name servers of the moment.
func (r *Registrar) servers() []*server { return *r.list.Load() }

// identity is as what a broker registers.
type identity struct {
	id     int64
	period time.Duration
	perm   mq.Perm
}

// New returns a Registrar; Run makes it work.
func New(o Options) *Registrar {
	o = o.withDefaults()
	r := &Registrar{o: o, tried: make(chan struct{}), changed: make(chan struct{}, 1)}
	r.as.Store(&identity{o.ID, o.Period, o.Perm})
	r.list.Store(&[]*server{})
	r.Use(o.NameServers)
	r.routes.init()
	return r
}

// Use replaces the name servers: the new ones get everything at once, those that are left out are told that the broker goes. Two calls
// must not be made at the same time.
func (r *Registrar) Use(addrs []string) {
	old := r.servers()
	next := make([]*server, 0, len(addrs))
	for _, addr := range addrs {
		at := func(s *server) bool { return s.addr == addr }
		if slices.ContainsFunc(next, at) {
			continue
		}
		if i := slices.IndexFunc(old, at); i >= 0 {
			next = append(next, old[i])
		} else {
			next = append(next, newServer(r, addr))
		}
	}
	r.list.Store(&next)
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Run registers with all name servers and keeps doing it until ctx ends. It does not unregister.
func (r *Registrar) Run(ctx context.Context) error {
	var all, first sync.WaitGroup
	running := map[*server]context.CancelFunc{}
	begin := func(s *server, tried func()) {
		own, stop := context.WithCancel(ctx)
		running[s] = stop
		all.Go(func() {
			defer stop()
			s.run(own, tried)
			if ctx.Err() == nil {
				r.drop(ctx, s)
			}
		})
	}
	servers := r.servers()
	first.Add(len(servers))
	for _, s := range servers {
		begin(s, first.Done)
	}
	all.Go(func() {
		first.Wait()
		close(r.tried)
	})
	for {
		select {
		case <-ctx.Done():
			all.Wait()
			return nil
		case <-r.changed:
		}
		servers = r.servers()
		for s, stop := range running {
			if !slices.Contains(servers, s) {
				stop()
				delete(running, s)
			}
		}
		for _, s := range servers {
			if running[s] == nil {
				begin(s, func() {})
			}
		}
	}
}

// drop tells a name server that is left out of the list that the broker goes. If it is taken into the list again meanwhile, the next probe
// finds that it has forgotten the broker.
func (r *Registrar) drop(ctx context.Context, s *server) {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	if err := s.leave(ctx); err != nil {
		r.o.Log.Warn("unregister from a name server that is not used any more", "peer", s.addr, "err", err)
		return
	}
	r.o.Log.Info("name server is not used any more", "peer", s.addr)
}

// Become makes the broker known under another id, with another period between registrations: at once, without waiting for that. A
// name server that gets an address under a new id forgets the old one. With an id below 0 the broker leaves the name servers until
// the next Become.
func (r *Registrar) Become(id int64, period time.Duration) {
	r.as.Store(&identity{id, min(max(period, minPeriod), maxPeriod), r.as.Load().perm})
	_, v := r.o.Topics()
	for _, s := range r.servers() {
		s.post(nil, v)
	}
}

// Retune changes the broker's permission and the period between registrations. Both count from the next registration on. Become and
// Retune must not be called at the same time.
func (r *Registrar) Retune(perm mq.Perm, period time.Duration) {
	if perm == 0 {
		perm = mq.PermRead | mq.PermWrite
	}
	r.as.Store(&identity{r.as.Load().id, min(max(period, minPeriod), maxPeriod), perm})
}

// SetEpoch makes registrations say in which epoch the broker has its role (controller mode): of two masters the name servers believe
// the one with the newer epoch. It counts from the next registration on.
func (r *Registrar) SetEpoch(epoch int32) { r.epoch.Store(epoch) }

// dated returns v with the epoch as its state version.
func (r *Registrar) dated(v mq.DataVersion) mq.DataVersion {
	v.StateVersion = max(v.StateVersion, int64(r.epoch.Load()))
	return v
}

// options are those of the moment.
func (r *Registrar) options() *Options {
	o, as := r.o, r.as.Load()
	o.ID, o.Period, o.Perm = as.id, as.period, as.perm
	return &o
}

// Tried is closed when each name server has been asked once, with or without success. A broker that wants to be
// known when it says that it is ready waits for it, with a limit.
func (r *Registrar) Tried() <-chan struct{} { return r.tried }

// Register announces changed topics to all name servers that know this broker and waits for their answers; those that
// are down get everything when they are back. Without changed topics the whole table is registered. It fails when
// ctx ends first or when not one name server has taken the change.
func (r *Registrar) Register(ctx context.Context, changed []mq.TopicConfig) error {
	r.routes.forget(changed)
	_, version := r.o.Topics()
	return r.Announce(ctx, changed, version)
}

// Announce is Register for a caller that knows the version of the table that holds the change.
func (r *Registrar) Announce(ctx context.Context, changed []mq.TopicConfig, version mq.DataVersion) error {
	r.routes.forget(changed)
	var waits []<-chan error
	for _, s := range r.servers() {
		if done := s.post(changed, version); done != nil {
			waits = append(waits, done)
		}
	}
	limit, cancel := context.WithTimeoutCause(ctx, announceTimeout, errSlow)
	defer cancel()
	var errs []error
	for _, done := range waits {
		if err := outcome(limit, done); err != nil {
			errs = append(errs, err)
		}
	}
	if err := ctx.Err(); err != nil && len(errs) > 0 {
		return fmt.Errorf("register topics: %w", err)
	}
	if len(waits) > 0 && len(errs) == len(waits) {
		return fmt.Errorf("register topics: %w", errors.Join(errs...))
	}
	return nil
}

// outcome waits for one server until ctx ends; what has come by then counts.
func outcome(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	default:
		return context.Cause(ctx)
	}
}

var errSlow = fmt.Errorf("no answer from a name server within %v", announceTimeout)

// Lost tells that the connection to a name server has ended: the server forgets this broker when that happens, so it
// registers again at once. It is meant for remoting.ClientOptions.OnClose and does not block.
func (r *Registrar) Lost(addr string) {
	for _, s := range r.servers() {
		if s.addr == addr {
			s.lost(time.Now())
		}
	}
}

// Unregister tells all name servers that this broker goes. Run must have returned.
func (r *Registrar) Unregister(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range r.servers() {
		if s.as < 0 {
			continue
		}
		wg.Go(func() {
			if err := s.leave(ctx); err != nil {
				r.o.Log.Warn("unregister from name server", "peer", s.addr, "err", err)
			}
		})
	}
	wg.Wait()
}
