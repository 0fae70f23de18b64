package remoting

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/bufpool"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

func TestPeerThatDoesNotReadIsNotReadAnyMore(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			const limit, answer, requests = 1 << 20, 100_000, 400
			var handled, worst atomic.Int64
			s := NewServer(ServerOptions{MaxOutput: limit})
			s.Handle(1, func(c *Conn, r *Request) {
				handled.Add(1)
				b := bufpool.Get(answer)
				b.B = append(b.B, make([]byte, answer)...)
				c.ReplyBuf(r.ReplyTo(), 0, "", nil, b)
				worst.Store(max(worst.Load(), int64(c.Queued())))
			})
			w := serve(t, tr, s).wire(t)
			sent := make(chan error, 1)
			go func() {
				for i := range int32(requests) {
					if _, err := w.Write(get(Binary, 1, i)); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			// Nothing is read: the server must come to a halt by itself.
			for last, same := int64(-1), 0; same < 20; {
				time.Sleep(10 * time.Millisecond)
				if n := handled.Load(); n == last && n > 0 {
					same++
				} else {
					last, same = n, 0
				}
			}
			if n := handled.Load(); n > requests/2 {
				t.Errorf("%d of %d requests were handled for a peer that does not read", n, requests)
			}
			if q := worst.Load(); q > limit+2*answer {
				t.Errorf("%d bytes were queued, the limit is %d", q, limit)
			}
			for i := range int32(requests) {
				if r := w.want(i, 0); len(r.Body) != answer {
					t.Fatalf("body of %d bytes", len(r.Body))
				}
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestReadBufferGrowsForABusyPeerWhileThereAreFew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ conns, hint int }{{1, maxRawRead}, {32, maxRawRead}, {64, 256 << 10}, {65, rawRead}, {10_000, rawRead}} {
		co := newCore(settings{})
		co.live.Store(int32(c.conns))
		conn := &Conn{core: co, raw: &rawIO{}, hint: rawRead}
		for range 10 {
			conn.in = bufpool.Get(conn.hint)
			conn.w = cap(conn.in.B)
			conn.adapt(conn.w)
			conn.in.Release()
		}
		if conn.hint != c.hint {
			t.Errorf("%d connections: %d, want %d", c.conns, conn.hint, c.hint)
		}
		for range 10 * calmDown {
			conn.in = bufpool.Get(conn.hint)
			conn.w = minRead + 1
			conn.adapt(conn.w)
			conn.in.Release()
		}
		if conn.hint != rawRead {
			t.Errorf("%d connections, little to read: %d", c.conns, conn.hint)
		}
	}
}

func TestPeerWithTooManyTasksIsNotReadAnyMore(t *testing.T) {
	t.Parallel()
	s := NewServer(ServerOptions{Workers: 2})
	release := make(chan struct{})
	var started atomic.Int64
	s.Handle(1, func(c *Conn, r *Request) {
		started.Add(1)
		to := r.ReplyTo()
		c.Go(func() {
			<-release
			c.Reply(to, 0, "", nil, nil)
		})
	})
	w := serve(t, overTCP(), s).wire(t)
	for i := range int32(3 * maxTasks) {
		w.send(get(Binary, 1, i))
	}
	for started.Load() < maxTasks {
		runtime.Gosched()
	}
	time.Sleep(20 * time.Millisecond)
	if n := started.Load(); n != maxTasks {
		t.Errorf("%d requests were taken, want %d", n, maxTasks)
	}
	close(release)
	for range 3 * maxTasks {
		if _, err := w.recv(); err != nil {
			t.Fatal(err)
		}
	}
}

// bubble starts a server on an in-memory network; r dials from another host. It is for synctest bubbles.
func bubble(t *testing.T, o ServerOptions) (n *memnet.Network, r *rig) {
	t.Helper()
	n = memnet.New()
	s := NewServer(o)
	s.Handle(codeEcho, echo)
	s.Handle(1, func(*Conn, *Request) {}) // never answers
	return n, serve(t, transport{
		listen: func(tb testing.TB) net.Listener {
			tb.Helper()
			l, err := n.Host("10.0.0.1").Listen(":10911")
			if err != nil {
				tb.Fatal(err)
			}
			return l
		},
		dial: n.Host("10.0.0.2").Dial,
	}, s)
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	var reason error
	synctest.Test(t, func(t *testing.T) {
		_, r := bubble(t, ServerOptions{OnClose: func(c *Conn) { reason = c.Reason() }})
		w := r.wire(t)
		_ = w.SetDeadline(time.Time{})
		t0 := time.Now()
		for i := range int32(10) { // heartbeats keep it
			time.Sleep(100 * time.Second)
			w.send(get(JSON, codeEcho, i))
			w.want(i, 0)
		}
		t0 = t0.Add(1000 * time.Second)
		w.wantEnd()
		if d := time.Since(t0); d < 120*time.Second || d > 130*time.Second {
			t.Errorf("closed after %v", d)
		}
		synctest.Wait()
		if !errors.Is(reason, ErrIdle) {
			t.Errorf("reason %v", reason)
		}
	})
}

func TestPeerThatTakesNothingIsClosed(t *testing.T) {
	t.Parallel()
	var reason error
	synctest.Test(t, func(t *testing.T) {
		_, r := bubble(t, ServerOptions{OnClose: func(c *Conn) { reason = c.Reason() }, IdleTimeout: -1})
		w := r.wire(t)
		_ = w.SetDeadline(time.Time{})
		t0 := time.Now()
		w.send(frame(JSON, codeEcho, 1, 0, nil, make([]byte, 2<<20)))
		time.Sleep(100 * time.Second)
		if _, err := io.ReadFull(w, make([]byte, 1<<20)); err != nil { // progress starts the time anew
			t.Fatal(err)
		}
		time.Sleep(200 * time.Second)
		if _, err := io.Copy(io.Discard, w); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !errors.Is(reason, errStalled) {
			t.Errorf("reason %v after %v", reason, time.Since(t0))
		}
	})
}

func TestShutdownDoesNotWaitForAnswersForever(t *testing.T) {
	t.Parallel()
	s := ServerOptions{DrainTimeout: 3 * time.Second}
	synctest.Test(t, func(t *testing.T) {
		_, r := bubble(t, s)
		w := r.wire(t)
		w.send(get(JSON, 1, 1))
		synctest.Wait()
		t0 := time.Now()
		r.stop(t)
		if d := time.Since(t0); d != 3*time.Second {
			t.Errorf("shutdown took %v", d)
		}
	})
}

func TestClientOverAPartitionedNetwork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, r := bubble(t, ServerOptions{})
		cl := NewClient(ClientOptions{Dial: n.Host("10.0.0.2").Dial})
		defer cl.Close()
		call := func(limit time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			a, err := cl.Invoke(ctx, r.addr, &Command{Code: codeEcho, Ext: map[string]string{"a": "b"}})
			if err == nil && a.Ext["a"] != "b" {
				t.Errorf("answer %+v", a)
			}
			return err
		}
		if err := call(time.Second); err != nil {
			t.Fatal(err)
		}
		n.Partition("10.0.0.1", "10.0.0.2")
		if err := call(time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("call through a partition: %v", err)
		}
		n.Heal("10.0.0.1", "10.0.0.2")
		if err := call(time.Second); err != nil {
			t.Fatal(err)
		}
		n.Cut("10.0.0.1", "10.0.0.2")
		synctest.Wait()
		if err := call(time.Second); err != nil { // on a new connection
			t.Fatal(err)
		}
	})
}

func TestNothingOfAClosedConnectionIsLeft(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan *Conn, 1)
			s := NewServer(ServerOptions{OnClose: func(c *Conn) { closed <- c }})
			s.Handle(1, func(c *Conn, r *Request) { // more than the network takes
				for range 100 {
					b := bufpool.Get(1 << 20)
					b.B = b.B[:1<<20]
					c.ReplyBuf(r.ReplyTo(), 0, "", nil, b)
				}
			})
			r := serve(t, tr, s)
			w := r.wire(t)
			w.send(get(Binary, 1, 1))
			if _, err := w.recv(); err != nil {
				t.Fatal(err)
			}
			_ = w.Close()
			c := <-closed
			if c.Queued() != 0 || c.in != nil || c.tail != nil || len(c.out) != 0 || len(c.sending) != 0 || c.writing {
				t.Fatalf("left behind: queued %d, in %v, tail %v, out %d, sending %d", c.Queued(), c.in, c.tail, len(c.out), len(c.sending))
			}
			c.Reply(ReplyTo{}, 0, "", nil, nil)
			c.ReplyBuf(ReplyTo{}, 0, "", nil, bufpool.Get(1))
			c.Flush()
			if _, err := c.Call(t.Context(), 1, nil, nil); err == nil {
				t.Fatal("call on a closed connection")
			}
			if err := c.Oneway(1, nil, nil); err == nil {
				t.Fatal("one-way on a closed connection")
			}
			c.Close(nil)
		})
	}
}

func TestHalfClosedPeerGetsItsAnswers(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			s := NewServer(ServerOptions{})
			s.Handle(codeEcho, echo)
			w := serve(t, tr, s).wire(t)
			body := bytes.Repeat([]byte("x"), 3<<20)
			go func() {
				w.send(frame(Binary, codeEcho, 1, 0, nil, body), get(Binary, codeEcho, 2))
				_ = w.Conn.(interface{ CloseWrite() error }).CloseWrite()
			}()
			if r := w.want(1, 0); len(r.Body) != len(body) {
				t.Fatalf("body of %d bytes", len(r.Body))
			}
			w.want(2, 0)
			w.wantEnd()
		})
	}
}

func TestIdleConnectionsAreCheap(t *testing.T) {
	if testing.Short() {
		t.Skip("opens a few thousand sockets")
	}
	const n = 1500
	s := NewServer(ServerOptions{})
	s.Handle(codeEcho, echo)
	r := serve(t, overTCP(), s)
	base := rest()
	ws := make([]*wire, n)
	for i := range ws {
		nc, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		ws[i] = &wire{t: t, Conn: nc}
	}
	msg := get(Binary, codeEcho, 1)
	buf := make([]byte, 1024)
	for _, w := range ws {
		w.send(msg)
		if _, err := w.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	used := rest() - base
	t.Logf("%d bytes a connection, both ends", used/n)
	if used/n > 12<<10 { // with the client's socket and Go's own share of both
		t.Errorf("%d bytes a connection", used/n)
	}
}

// A frame that is announced but does not come claims what has come of it, not what it announced.
func TestAnnouncedFramesClaimNoMemory(t *testing.T) {
	const n, came = 100, 3000
	for _, tr := range []transport{overTCP(), overMemory()} {
		s := NewServer(ServerOptions{})
		s.Handle(codeEcho, echo)
		r := serve(t, tr, s)
		ws := make([]*wire, n)
		for i := range ws {
			nc, err := tr.dial(t.Context(), "tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = nc.Close() })
			ws[i] = &wire{t: t, Conn: nc}
		}
		big := frame(Binary, codeEcho, 1, 0, nil, make([]byte, 15<<20))
		rest()
		base := rest()
		for _, w := range ws {
			w.send(big[:came])
		}
		time.Sleep(20 * time.Millisecond)
		for _, w := range ws {
			w.send(big[came : came+1])
		}
		time.Sleep(20 * time.Millisecond)
		if used := rest() - base; used > n*30<<10 {
			t.Errorf("%s: %d bytes a connection that sent %d of a frame of %d", tr.name, used/n, came, len(big))
		}
		r.stop(t)
	}
}

// rest is the memory in use after a collection: heap and stacks.
func rest() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
