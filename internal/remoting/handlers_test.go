package remoting

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// answering are handlers that answer with a code.
func answering(code int32) *Handlers {
	h := NewHandlers()
	h.Handle(codeEcho, func(c *Conn, r *Request) { c.Reply(r.ReplyTo(), code, "", nil, nil) })
	return h
}

func TestSwapKeepsConnections(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			s := NewServer(ServerOptions{})
			w := serve(t, tr, s).wire(t)
			w.send(get(JSON, codeEcho, 1))
			w.want(1, 3) // nobody answers yet
			for i := range int32(10) {
				s.Swap(answering(100 + i))()
				w.send(get(JSON, codeEcho, i))
				w.want(i, 100+i)
			}
		})
	}
}

func TestSwapWaitsForWhatRuns(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"handler", "task", "burst end", "close"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var running, ran atomic.Bool
				slow := func() {
					running.Store(true)
					time.Sleep(time.Second)
					running.Store(false)
					ran.Store(true)
				}
				old := NewHandlers()
				old.Handle(codeEcho, func(c *Conn, r *Request) {
					switch what {
					case "handler":
						slow()
					case "task":
						c.Go(slow)
					}
					c.Reply(r.ReplyTo(), 0, "", nil, nil)
				})
				old.OnBurstEnd = func(*Conn) {
					if what == "burst end" {
						slow()
					}
				}
				old.OnClose = func(*Conn) {
					if what == "close" {
						slow()
					}
				}
				s := NewServer(ServerOptions{})
				s.Swap(old)()
				w := serve(t, overMemory(), s).wire(t)
				w.send(get(JSON, codeEcho, 1))
				if what == "close" {
					w.want(1, 0)
					_ = w.Close()
				}
				synctest.Wait()
				if !running.Load() {
					t.Fatal("nothing runs")
				}
				began := time.Now()
				s.Swap(answering(7))()
				if running.Load() || !ran.Load() || time.Since(began) != time.Second {
					t.Errorf("running %v, ran %v, waited %v", running.Load(), ran.Load(), time.Since(began))
				}
				if what != "close" {
					w.send(get(JSON, codeEcho, 2))
					w.want(1, 0)
					w.want(2, 7)
				}
			})
		})
	}
}

// A connection whose peer does not read waits in the middle of a burst. That keeps nobody from exchanging the handlers.
func TestSwapDoesNotWaitForASlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		big := NewHandlers()
		big.Handle(codeEcho, func(c *Conn, r *Request) { c.Reply(r.ReplyTo(), 0, "", nil, make([]byte, 512<<10)) })
		s := NewServer(ServerOptions{MaxOutput: 1 << 20})
		s.Swap(big)()
		w := serve(t, overMemory(), s).wire(t)
		for i := range int32(8) {
			w.send(get(JSON, codeEcho, i))
		}
		synctest.Wait()
		began := time.Now()
		s.Swap(answering(7))()
		if d := time.Since(began); d != 0 {
			t.Errorf("waited %v", d)
		}
		_ = w.Close()
	})
}

// Whatever the moment, nothing of the former handlers runs when quiet has returned.
func TestSwapUnderLoad(t *testing.T) {
	t.Parallel()
	s := NewServer(ServerOptions{})
	run := serve(t, overTCP(), s)
	made := func(over *atomic.Bool) *Handlers {
		h := NewHandlers()
		check := func() {
			if over.Load() {
				t.Error("a handler runs after its time")
			}
		}
		h.Handle(codeEcho, func(c *Conn, r *Request) {
			check()
			to := r.ReplyTo()
			if r.Opaque%8 != 0 {
				c.Reply(to, 0, "", nil, nil)
				return
			}
			c.GoReply(to, func() {
				check()
				c.Reply(to, 0, "", nil, nil)
			})
		})
		h.OnBurstEnd = func(*Conn) { check() }
		return h
	}
	over := new(atomic.Bool)
	s.Swap(made(over))()
	stop := make(chan struct{})
	done := make(chan struct{})
	for range 4 {
		w := run.wire(t)
		go func() {
			defer func() { done <- struct{}{} }()
			for i := int32(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				w.send(get(JSON, codeEcho, i))
				w.want(i, 0)
			}
		}()
	}
	for range 500 {
		next := new(atomic.Bool)
		s.Swap(made(next))()
		over.Store(true)
		over = next
	}
	close(stop)
	for range 4 {
		<-done
	}
}
