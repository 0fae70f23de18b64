package replication

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// SlaveOptions configure a Slave.
type SlaveOptions struct {
	Store *storage.Store
	Dial  func(ctx context.Context, network, addr string) (net.Conn, error)
	// Durable: what is reported to the master is on disk here. Java reports what is in memory, whatever flushDiskType says.
	Durable      bool
	Heartbeat    time.Duration // haSendHeartbeatInterval, 5 s
	Housekeeping time.Duration // haHousekeepingInterval, 20 s: a master that is silent for so long is left
	// Check, if not nil, is asked before each connection whether the master's log is that of this store.
	Check func(ctx context.Context) error
	Log   *slog.Logger
}

func (o SlaveOptions) withDefaults() SlaveOptions {
	o.Heartbeat = cmp.Or(o.Heartbeat, 5*time.Second)
	o.Housekeeping = cmp.Or(o.Housekeeping, 20*time.Second)
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Timing of connections. Java tries every 5 s.
const (
	dialTimeout  = 3 * time.Second
	retryFirst   = 500 * time.Millisecond
	retryMax     = 5 * time.Second
	readBuffer   = 512 << 10
	checkTimeout = 3 * time.Second
)

// accent is what a slave says and hears on a connection besides the log: what differs between the two protocols.
type accent interface {
	// greet is called first on a connection. nil without an error: DefaultHA.
	greet(ctx context.Context, c net.Conn) (*crossing, error)
	// report appends what tells the master where the slave's log ends.
	report(dst []byte, end record.Offset) []byte
	// received is called when something has been stored or heard.
	received(r *receiver)
	// final reports whether there is nothing to be tried again.
	final(err error) bool
}

// copier keeps a connection to a master: what slaves of both protocols share.
type copier struct {
	o SlaveOptions
	a accent

	mu      sync.Mutex // guards what follows
	master  string
	changed chan struct{} // closed when master changes
	state   SlaveState

	unsound record.Offset // where the master sent no record, -1: nowhere; for the goroutine of Run
}

func newCopier(o SlaveOptions, a accent) *copier {
	return &copier{o: o.withDefaults(), a: a, changed: make(chan struct{}), unsound: -1}
}

// Slave keeps a store's log a copy of its master's, by DefaultHA.
type Slave struct{ *copier }

// SlaveState is how a slave stands to its master.
type SlaveState struct {
	Master    string
	Connected bool
	End       record.Offset // of the slave's log
	LastRead  time.Time
	Err       error // why there is no connection
}

// NewSlave returns a Slave that follows nobody yet; Run makes it work.
func NewSlave(o SlaveOptions) *Slave { return &Slave{newCopier(o, plainAccent{})} }

// plainAccent is DefaultHA's: nothing but reports.
type plainAccent struct{}

func (plainAccent) greet(context.Context, net.Conn) (*crossing, error) { return nil, nil } //nolint:nilnil // accent says what it means
func (plainAccent) report(dst []byte, end record.Offset) []byte        { return appendReport(dst, end) }
func (plainAccent) received(*receiver)                                 {}
func (plainAccent) final(error) bool                                   { return false }

// Follow names the address where the master serves slaves, "" for none. A connection to another one is given up.
func (s *copier) Follow(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if addr == s.master {
		return
	}
	s.master = addr
	close(s.changed)
	s.changed = make(chan struct{})
}

// Hurry has a slave without a connection try again at once.
func (s *Slave) Hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.Connected {
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// State tells how it goes.
func (s *copier) State() SlaveState {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	st.Master, st.End = s.master, s.o.Store.Appended()
	return st
}

func (s *copier) target() (addr string, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.master, s.changed
}

func (s *copier) note(f func(*SlaveState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.state)
}

// Run follows the master until ctx ends.
func (s *copier) Run(ctx context.Context) error {
	wait := retryFirst
	var said string
	var saidAt time.Time
	for ctx.Err() == nil {
		addr, changed := s.target()
		if addr == "" {
			select {
			case <-ctx.Done():
			case <-changed:
			}
			continue
		}
		moved, err := s.session(ctx, addr, changed)
		s.note(func(st *SlaveState) { st.Connected, st.Err = false, err })
		if ctx.Err() != nil {
			break
		}
		if s.a.final(err) {
			return err
		}
		if moved {
			wait = retryFirst
		}
		if now := time.Now(); err.Error() != said || now.Sub(saidAt) >= quietFor {
			said, saidAt = err.Error(), now
			s.o.Log.Error("not replicating, will try again", "peer", addr, "end", s.o.Store.Appended(), "err", err)
		}
		select {
		case <-ctx.Done():
		case <-changed:
			wait = retryFirst
		case <-time.After(wait):
			wait = min(2*wait, retryMax)
		}
	}
	return ctx.Err()
}

var errMoved = errors.New("the master's address has changed")

// session is one connection. moved: something came over it. The error is never nil.
func (s *copier) session(ctx context.Context, addr string, changed <-chan struct{}) (moved bool, err error) {
	if _, readOnly := errors.AsType[*storage.ReadOnlyError](s.o.Store.Writable()); readOnly {
		return false, s.o.Store.Writable()
	}
	if s.o.Check != nil {
		cctx, cancel := context.WithTimeout(ctx, checkTimeout)
		err = s.o.Check(cctx)
		cancel()
		if err != nil {
			return false, err
		}
	}
	dctx, cancel := context.WithTimeout(ctx, dialTimeout)
	c, err := s.o.Dial(dctx, "tcp", addr)
	cancel()
	if err != nil {
		return false, fmt.Errorf("connect to the master: %w", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		select {
		case <-ctx.Done():
		case <-changed:
			stop(errMoved)
		}
		_ = c.Close() // lets go of whoever reads or writes
	})
	x, err := s.a.greet(ctx, c)
	if err != nil {
		stop(err)
		return false, context.Cause(ctx)
	}
	rep := &reporter{s: s, c: c, grown: make(chan struct{}, 1)}
	if err = rep.send(); err != nil {
		stop(err)
		return false, err
	}
	wg.Go(func() { stop(rep.run(ctx)) })
	s.o.Log.Info("replicating", "peer", addr, "from", s.o.Store.Appended())
	s.note(func(st *SlaveState) { st.Connected, st.Err, st.LastRead = true, nil, time.Now() })
	moved, err = s.receive(c, rep, x)
	stop(err)
	return moved, context.Cause(ctx)
}

// receive stores what comes until the connection ends.
func (s *copier) receive(c net.Conn, rep *reporter, x *crossing) (moved bool, err error) {
	r := newReceiver(s.o.Store, s.unsound, x)
	defer func() {
		if s.unsound = -1; errors.Is(err, storage.ErrUnsound) {
			// Perhaps the network has spoilt it. If it comes again, the master's log is damaged, and this one is to be the same.
			s.unsound = r.base
		}
	}()
	buf := make([]byte, readBuffer)
	for {
		if err := c.SetReadDeadline(time.Now().Add(s.o.Housekeeping)); err != nil {
			return r.moved, err
		}
		n, err := c.Read(buf)
		if n > 0 {
			grown, ferr := r.feed(buf[:n])
			if grown {
				rep.poke()
			}
			if r.inHole || r.base > r.hole && r.hole >= 0 {
				s.o.Log.Error("the master's log is damaged, this one is now damaged in the same place", "offset", r.hole, "upto", r.base)
				r.hole = -1
			}
			if ferr != nil {
				return r.moved, ferr
			}
			s.note(func(st *SlaveState) { st.LastRead = time.Now() })
			s.a.received(r)
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return r.moved, fmt.Errorf("nothing from the master for %v", s.o.Housekeeping)
		case err != nil:
			return r.moved, fmt.Errorf("the master closed the connection: %w", err)
		}
	}
}

// reporter tells the master how far the slave is.
type reporter struct {
	s     *copier
	c     net.Conn
	grown chan struct{}
	buf   []byte
}

func (r *reporter) poke() {
	select {
	case r.grown <- struct{}{}:
	default:
	}
}

// run reports when there is more, and as a sign of life.
func (r *reporter) run(ctx context.Context) error {
	t := time.NewTicker(r.s.o.Heartbeat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.grown:
			t.Reset(r.s.o.Heartbeat)
		case <-t.C:
		}
		if err := r.send(); err != nil {
			return err
		}
	}
}

// send reports once. All that came while the disk was busy is in the next flush and the next report.
func (r *reporter) send() error {
	st := r.s.o.Store
	end := st.Appended()
	if r.s.o.Durable {
		if err := st.Flush(); err != nil {
			return err
		}
		end = st.Flushed()
	}
	if err := r.c.SetWriteDeadline(time.Now().Add(r.s.o.Housekeeping)); err != nil {
		return err
	}
	r.buf = r.s.a.report(r.buf[:0], end)
	if _, err := r.c.Write(r.buf); err != nil {
		return fmt.Errorf("report to the master: %w", err)
	}
	return nil
}
