package remoting

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/bufpool"
	"github.com/cometmq/cometmq/internal/protocol"
)

// Reasons for which a connection ends, besides what the network says.
var (
	ErrIdle     = errors.New("connection was idle")
	ErrClosed   = errors.New("connection closed")
	ErrShutdown = errors.New("shutting down")
)

// Conn is one connection to a peer, of a Server or a Client. Reply, ReplyBuf, Flush, Go, Call, Ask, Oneway and Close may be
// called from any goroutine, also after the connection has ended: then they do nothing or say so.
//
// A connection is driven by its reader goroutine (run): it reads, dispatches, and ends everything. Output is a list of
// chunks under mu. Whoever flushes takes the whole list and becomes the one writer until nothing is left: first with one
// attempt that does not block, then, if the peer is slow, as a goroutine that the reader waits for at the end.
type Conn struct {
	core   *core
	nc     net.Conn // nc and raw change once, under mu, when a TLS handshake begins
	raw    *rawIO   // nil: nc is no plain TCP connection
	target string   // the address that a Client dialed

	remote, socket, local netip.AddrPort
	counted               netip.Addr // for which limits count it; guarded by core.mu
	state                 any

	using    atomic.Pointer[Handlers] // of the burst that is under way, nil between bursts
	active   atomic.Uint32            // core.tick at the last byte read or written
	full     atomic.Bool              // too much output or too many tasks: the reader must wait
	turn     atomic.Uint32            // counts bursts
	draining atomic.Bool              // read no more, finish, close

	// The reader goroutine's own.
	in     *bufpool.Buf // unread bytes are in.B[r:w]; nil while a raw connection waits without any
	r, w   int
	want   int // bytes that the frame at r needs, 0 when unknown
	hint   int // size of the next read buffer
	small  int // reads in a row that used little of it
	fed    int // bytes that have come since the connection was last seen alive
	req    Request
	set    *Handlers // using
	asked  int64     // two-way requests dispatched
	opened bool

	mu       sync.Mutex // guards all below up to pmu
	cond     sync.Cond  // what the reader waits for when waiting is set: less output, fewer tasks, no writer, closed
	waiting  bool
	closed   bool
	reason   error
	fw       protocol.FieldWriter
	tail     *bufpool.Buf // small frames gather here
	tailFrom int          // tail.B[tailFrom:] is not in out yet
	out      []chunk
	queued   int // bytes handed over by Reply and not yet taken by the network
	hintOut  int // size of the next tail
	answered int64
	noted    []answered // since the last write
	tasks    int
	lingered bool // the wait for late answers is over

	writing bool // there is a writer; it alone uses the next three

	sending   []chunk // being written
	sent      int     // sending[:sent] is done
	deadlined bool    // a write deadline is set

	pmu     sync.Mutex // guards the fields below
	pending map[int32]waiting
	pclosed bool

	opaque  atomic.Int32
	writeFn func() // writeLoop, bound once
}

// chunk is a piece of output. buf is released after b was written; it is nil when a later chunk shares the buffer.
type chunk struct {
	b   []byte
	buf *bufpool.Buf
}

func newConn(co *core, nc net.Conn) *Conn {
	c := &Conn{core: co, nc: nc, hint: minRead, hintOut: minTail}
	c.cond.L = &c.mu
	c.writeFn = c.writeLoop
	c.socket, c.local = addrPort(nc.RemoteAddr()), addrPort(nc.LocalAddr())
	c.remote = c.socket
	c.raw = newRawIO(c, nc)
	if c.raw != nil {
		c.hint = rawRead
	}
	c.touch()
	return c
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// Remote is the client's address: what a PROXY header said, else the socket's peer.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// SocketRemote is the socket's peer, which may be a load balancer.
func (c *Conn) SocketRemote() netip.AddrPort { return c.socket }

// Local is our end of the socket.
func (c *Conn) Local() netip.AddrPort { return c.local }

// State is what SetState kept: the session of the door. Set it in OnOpen.
func (c *Conn) State() any { return c.state }

// SetState keeps s for State. It must be called in the reader goroutine.
func (c *Conn) SetState(s any) { c.state = s }

// Context ends when the server or client gives up waiting for its handlers.
func (c *Conn) Context() context.Context { return c.core.ctx }

// Queued is the number of bytes that wait to be sent to the peer.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued
}

// Writable reports that the peer reads fast enough: less than MaxOutput waits for it. Whoever answers parked requests
// should hold large answers back when it is false.
func (c *Conn) Writable() bool { return !c.full.Load() }

// Closed reports that the connection has ended or is about to.
func (c *Conn) Closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Close ends the connection now: queued output is dropped and calls that wait fail with reason (ErrClosed when nil).
// It does not wait; OnClose runs when the reader goroutine is done.
func (c *Conn) Close(reason error) {
	if reason == nil {
		reason = ErrClosed
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	c.reason = reason
	c.cond.Broadcast()
	nc, direct := c.nc, c.raw != nil
	c.mu.Unlock()
	if direct {
		_ = nc.Close()
		return
	}
	// The Close of a TLS connection writes; interrupt everybody instead, the reader closes.
	_ = nc.SetDeadline(longAgo)
}

// longAgo as a deadline interrupts what waits on a connection.
var longAgo = time.Unix(1, 0)

func (c *Conn) touch() { c.active.Store(c.core.tick.Load()) }

// drain makes the reader stop reading, finish what is in flight and close. It does not wait.
func (c *Conn) drain() {
	c.draining.Store(true)
	c.mu.Lock()
	nc := c.nc
	c.mu.Unlock()
	_ = nc.SetReadDeadline(longAgo)
}

// run is the reader goroutine.
func (c *Conn) run() {
	defer c.core.wg.Done()
	err := c.converse()
	if c.draining.Load() && !errors.Is(err, ErrMalformed) {
		err = ErrShutdown
	}
	c.linger(err)
	c.finish(err)
}

func (c *Conn) converse() error {
	if c.core.sniff {
		if err := c.sniff(); err != nil {
			return err
		}
	}
	c.opened = true
	if f := c.core.onOpen; f != nil {
		if err := c.guard("OnOpen", f); err != nil {
			return err
		}
	}
	// Bytes may have come with a PROXY header.
	err := c.burst()
	for err == nil {
		if c.draining.Load() {
			return ErrShutdown
		}
		var n int
		if n, err = c.read(); n > 0 {
			if c.advances(n) {
				c.touch()
			}
			if berr := c.burst(); berr != nil {
				return berr
			}
		}
	}
	return err
}

// slowest is how many bytes of a frame a peer must send within the idle timeout to count as alive. One that sends a byte now and then
// does not: it would keep its connection, and what it has sent, for ever.
const slowest = 4 << 10

// advances reports whether the n bytes that have come make a frame whole or are enough of one.
func (c *Conn) advances(n int) bool {
	c.fed += n
	if c.fed < slowest {
		whole, _, err := splitFrame(c.in.B[:cap(c.in.B)][c.r:c.w], c.core.maxFrame)
		if whole == 0 && err == nil {
			return false
		}
	}
	c.fed = 0
	return true
}

// guard runs a callback of the owner. After a panic the connection cannot be trusted: the error ends it.
func (c *Conn) guard(name string, f func(*Conn)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.logPanic(name, p)
			err = errors.New(name + " panicked")
		}
	}()
	f(c)
	return nil
}

// linger waits for what is still to be sent before the connection is closed. When we end it (Shutdown), for all answers:
// those of tasks as long as it takes, those that somebody else completes for DrainTimeout. When the peer closed its
// direction or sent garbage, for the output that is there. Close, by whomever, ends the wait.
func (c *Conn) linger(err error) {
	shutdown := c.draining.Load()
	limit := lingerTimeout
	if shutdown {
		limit = c.core.drainTimeout
	}
	c.Flush()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.lingeredLocked(shutdown) || (!shutdown && !errors.Is(err, io.EOF) && !errors.Is(err, ErrMalformed)) {
		return
	}
	t := time.AfterFunc(limit, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lingered = true
		c.cond.Broadcast()
	})
	defer t.Stop()
	c.waiting = true
	for !c.closed && !c.lingeredLocked(shutdown) {
		if c.queued > 0 && !c.writing {
			c.mu.Unlock()
			c.Flush()
			c.mu.Lock()
			continue
		}
		c.cond.Wait()
	}
	c.waiting = false
}

func (c *Conn) lingeredLocked(shutdown bool) bool {
	flushed := c.queued == 0 && !c.writing
	if shutdown {
		return flushed && c.tasks == 0 && (c.lingered || c.answered >= c.asked)
	}
	return flushed || c.lingered
}

// finish closes the connection and gives everything back. It waits for the writer.
func (c *Conn) finish(err error) {
	c.mu.Lock()
	if c.closed {
		err = c.reason
	} else {
		c.closed = true
		c.reason = err
	}
	c.mu.Unlock()
	c.logEnd(err)
	_ = c.nc.Close()

	c.mu.Lock()
	c.waiting = true
	for c.writing {
		c.cond.Wait()
	}
	c.waiting = false
	c.dropOutputLocked()
	c.mu.Unlock()

	c.in.Release()
	c.in = nil
	c.failPending()
	c.core.remove(c)
	if !c.opened {
		return
	}
	h := c.core.roster.hold()
	defer c.core.roster.release(h)
	if f := h.OnClose; f != nil {
		_ = c.guard("OnClose", f)
	}
}

// logEnd writes the one line that an unusual end deserves.
func (c *Conn) logEnd(err error) {
	level := slog.LevelDebug
	switch {
	case errors.Is(err, ErrMalformed), errors.Is(err, errStalled):
		level = slog.LevelWarn
	case errors.Is(err, ErrIdle):
		level = slog.LevelInfo
	}
	c.core.log.LogAttrs(c.core.ctx, level, "connection ends", slog.String("peer", c.remote.String()), slog.Any("err", err))
}

// Reason is why the connection ended, nil while it lives.
func (c *Conn) Reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// Go runs f on the bounded worker set of the server or client, then flushes. It is for handlers that wait or take long.
// f must not use the Request. A panic of f is logged; use GoReply where a caller waits. After Shutdown f is dropped. For Server.Swap
// f is part of the burst in which it was begun, so it must be a handler that begins it.
func (c *Conn) Go(f func()) { c.GoReply(ReplyTo{oneway: true}, f) }

// GoReply is Go for an f that answers to: if f panics, to is answered with code 1.
func (c *Conn) GoReply(to ReplyTo, f func()) {
	c.mu.Lock()
	c.tasks++
	if c.tasks >= maxTasks {
		c.full.Store(true)
	}
	c.mu.Unlock()
	h := c.holdMine()
	if !c.core.workers.run(func() { c.task(h, to, f) }) {
		c.core.roster.release(h)
		c.taskDone()
	}
}

func (c *Conn) task(h *Handlers, to ReplyTo, f func()) {
	defer c.core.roster.release(h)
	defer c.taskDone()
	defer c.Flush()
	defer c.recovered("task", to)
	f()
}

func (c *Conn) taskDone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tasks--
	c.settleLocked()
}
