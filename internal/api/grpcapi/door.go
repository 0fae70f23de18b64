package grpcapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress calls
	"google.golang.org/grpc/keepalive"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/mq"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// Options are the settings of a door.
type Options struct {
	Broker string // the name of the broker, which handles and routes carry
	// Advertise is the host:port that clients are told to talk to; "": where they have reached the door.
	Advertise string
	Limits    Limits
	// Guard checks who may do what; nil: everybody may do everything.
	Guard *auth.Guard
	Now   func() time.Time // default time.Now
	Log   *slog.Logger
}

// Core is a broker in one role.
type Core struct {
	Service mq.Service
	Admin   mq.Admin
	ID      int64 // of the broker: 0 is the master
}

// Door serves clients. Begin with New, Swap and Serve; end with Close.
type Door struct {
	v2.UnimplementedMessagingServiceServer
	o      Options
	server *grpc.Server
	core   atomic.Pointer[serving] // nil: there is none now
	calls  [families]atomic.Int32
	sends  sync.Pool // *sending
	halves halves
	leases leases

	mu      sync.Mutex // guards the rest of this block; client.mu may be taken while it is held
	clients map[string]*client
	swept   time.Time // when clients were looked through
	ended   bool

	ending chan struct{}  // closed when streams are to end
	wg     sync.WaitGroup // what runs beside calls
}

// Transport settings. Java's proxy has the same, but for pings: there a client that sends them is cut off.
const (
	idleTimeout  = 2 * time.Minute // of a connection without a stream
	pingEvery    = time.Minute     // whether a silent peer is there
	pingsAllowed = 5 * time.Second // between those of a client
	bufferSize   = 8 << 10
)

// New returns a door that serves nobody yet.
func New(o Options) *Door {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Limits.setDefaults()
	d := &Door{o: o, clients: map[string]*client{}, ending: make(chan struct{})}
	d.server = grpc.NewServer(
		grpc.MaxRecvMsgSize(o.Limits.Request), grpc.MaxSendMsgSize(maxAnswer), grpc.WaitForHandlers(true),
		grpc.ReadBufferSize(bufferSize), grpc.WriteBufferSize(4*bufferSize),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTimeout, Time: pingEvery}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingsAllowed, PermitWithoutStream: true}),
	)
	v2.RegisterMessagingServiceServer(d.server, d)
	return d
}

// maxAnswer is no limit: one answer holds one message.
const maxAnswer = 1 << 30

// Serve takes the connections of l until Close.
func (d *Door) Serve(l net.Listener) error {
	if err := d.server.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// Close ends the door: clients are asked to connect elsewhere, streams end, calls under way may end until ctx does.
func (d *Door) Close(ctx context.Context) {
	d.mu.Lock()
	if !d.ended {
		d.ended = true
		close(d.ending)
	}
	d.mu.Unlock()
	quiet := make(chan struct{})
	go func() {
		d.server.GracefulStop()
		close(quiet)
	}()
	select {
	case <-quiet:
	case <-ctx.Done():
		d.server.Stop()
		<-quiet
	}
	d.leases.stop()
	d.wg.Wait()
}

func (d *Door) isEnding() bool {
	select {
	case <-d.ending:
		return true
	default:
		return false
	}
}

// serving is a core with its calls.
type serving struct {
	Core
	mu    sync.Mutex // guards the rest
	calls int
	over  bool
	idle  chan struct{}
}

func (s *serving) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.calls++
	return true
}

func (s *serving) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls--; s.over && s.calls == 0 {
		close(s.idle)
	}
}

// Swap lets calls come to another core from now on; nil: they are refused. quiet returns when no call is with the former one.
func (d *Door) Swap(c *Core) (quiet func()) {
	var next *serving
	if c != nil {
		next = &serving{Core: *c, idle: make(chan struct{})}
	}
	old := d.core.Swap(next)
	if old == nil {
		return func() {}
	}
	old.mu.Lock()
	if old.over = true; old.calls == 0 {
		close(old.idle)
	}
	old.mu.Unlock()
	return func() { <-old.idle }
}

// enter returns the core; who has got it leaves it.
func (d *Door) enter() (*serving, error) {
	for {
		s := d.core.Load()
		if s == nil {
			return nil, refuse(v2.Code_INTERNAL_SERVER_ERROR, "service not available now: the broker changes its role")
		}
		if s.enter() {
			return s, nil
		}
	}
}

// family is a kind of calls, of which so many may be under way (Java: a pool of threads with a queue).
type family uint8

const (
	famRoute family = iota
	famProducer
	famConsumer
	famClient
	famTransaction
	famReceive // they wait; the core limits how many
	families
)

// maxCalls of a family, Java's queue.
const maxCalls = 10_000

// serve runs f for a call of a client and returns the outcome.
func (d *Door) serve(ctx context.Context, f family, run func(*call) error) (st *v2.Status) {
	defer func() {
		if p := recover(); p != nil {
			d.o.Log.Error("a call has panicked", "panic", p, "stack", string(debug.Stack()))
			st = status(v2.Code_INTERNAL_SERVER_ERROR, "internal error")
		}
	}()
	if n := d.calls[f].Add(1); n > maxCalls && f != famReceive {
		d.calls[f].Add(-1)
		return status(v2.Code_TOO_MANY_REQUESTS, "flow limit")
	}
	defer d.calls[f].Add(-1)
	c, err := d.callOf(ctx)
	if err != nil {
		return statusOf(err)
	}
	if c.core, err = d.enter(); err != nil {
		return statusOf(err)
	}
	defer c.core.leave()
	return statusOf(run(c))
}
