package remoting

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// idleTicks is how many ticks of the coarse clock an idle connection may live.
const idleTicks = 24

// core is what Server and Client share: the handlers, the live connections, the coarse clock that finds idle ones, and
// everything that must have ended before Shutdown or Close returns.
type core struct {
	settings
	base    *Handlers // those it began with
	roster  roster
	workers workers

	latencies *latencies // nil in a Client
	limiter   limiter

	ctx    context.Context // ends when handlers are given up
	cancel context.CancelFunc
	tick   atomic.Uint32
	live   atomic.Int32  // len(conns)
	stop   chan struct{} // closed to end the clock
	wg     sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	conns    map[*Conn]struct{}
	ticking  bool
	stopping bool          // no new connections and goroutines
	empty    chan struct{} // closed when stopping and the last connection has ended
}

func newCore(s settings) *core {
	co := &core{
		settings: s, base: NewHandlers(), workers: workers{most: s.workers}, stop: make(chan struct{}), conns: map[*Conn]struct{}{},
		empty: make(chan struct{}),
	}
	co.base.OnBurstEnd, co.base.OnClose = s.onBurstEnd, s.onClose
	co.roster.init(co.base)
	co.limiter.perAddr = map[netip.Addr]int{}
	co.ctx, co.cancel = context.WithCancel(context.Background())
	return co
}

// start makes a connection of nc and runs its reader. It fails with ErrShutdown when stopping and with errTooMany above a limit; nc is
// then still the caller's.
func (co *core) start(nc net.Conn, target string) (*Conn, error) {
	c := newConn(co, nc)
	c.target = target
	co.mu.Lock()
	defer co.mu.Unlock()
	if co.stopping {
		return nil, ErrShutdown
	}
	if err := co.countLocked(c); err != nil {
		return nil, err
	}
	co.conns[c] = struct{}{}
	co.live.Add(1)
	co.wg.Add(1)
	go c.run()
	if !co.ticking && co.idleTimeout > 0 {
		co.ticking = true
		co.wg.Add(1)
		go co.clock()
	}
	return c, nil
}

// spawn runs f in a goroutine that is waited for; false when stopping.
func (co *core) spawn(f func()) bool {
	co.mu.Lock()
	defer co.mu.Unlock()
	if co.stopping {
		return false
	}
	co.wg.Go(f)
	return true
}

func (co *core) remove(c *Conn) {
	co.mu.Lock()
	defer co.mu.Unlock()
	delete(co.conns, c)
	co.uncountLocked(c)
	co.live.Add(-1)
	if co.stopping && len(co.conns) == 0 {
		close(co.empty)
	}
}

// clock advances tick and closes the connections whose last byte is too many ticks ago.
func (co *core) clock() {
	defer co.wg.Done()
	t := time.NewTicker(max(co.idleTimeout/idleTicks, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-co.stop:
			return
		case <-t.C:
		}
		now := co.tick.Add(1)
		for _, c := range co.idle(now) {
			c.Close(ErrIdle)
		}
	}
}

func (co *core) idle(now uint32) []*Conn {
	co.mu.Lock()
	defer co.mu.Unlock()
	var idle []*Conn
	for c := range co.conns {
		if now-c.active.Load() > idleTicks {
			idle = append(idle, c)
		}
	}
	return idle
}

// beginStop refuses new connections and returns those that live.
func (co *core) beginStop() []*Conn {
	co.mu.Lock()
	defer co.mu.Unlock()
	if !co.stopping {
		co.stopping = true
		if len(co.conns) == 0 {
			close(co.empty)
		}
	}
	return co.liveLocked()
}

func (co *core) liveLocked() []*Conn {
	live := make([]*Conn, 0, len(co.conns))
	for c := range co.conns {
		live = append(live, c)
	}
	return live
}

// endStop closes the connections that still live when ctx ends, then waits for all goroutines.
func (co *core) endStop(ctx context.Context) error {
	var err error
	select {
	case <-co.empty:
	case <-ctx.Done():
		err = context.Cause(ctx)
		co.cancel()
		co.mu.Lock()
		live := co.liveLocked()
		co.mu.Unlock()
		for _, c := range live {
			c.Close(ErrShutdown)
		}
		<-co.empty
	}
	co.workers.close()
	co.cancel()
	co.mu.Lock()
	select {
	case <-co.stop:
	default:
		close(co.stop)
	}
	co.mu.Unlock()
	co.wg.Wait()
	return err
}
