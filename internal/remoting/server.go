package remoting

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// Server answers requests on any number of listeners. Register all handlers before the first Serve.
type Server struct {
	core *core

	mu        sync.Mutex // guards the fields below
	listeners map[net.Listener]struct{}
	closed    bool
	done      chan struct{} // closed by Shutdown
	serving   sync.WaitGroup
}

// NewServer returns a server without handlers: every request is answered with code 3 until Handle is called.
func NewServer(o ServerOptions) *Server {
	co := newCore(o.settings())
	co.latencies = &latencies{}
	return &Server{core: co, listeners: map[net.Listener]struct{}{}, done: make(chan struct{})}
}

// Handle makes h the handler of a request code. It must not be called once Serve runs.
func (s *Server) Handle(code int32, h Handler) { s.core.base.Handle(code, h) }

// HandleDefault makes h the handler of all codes without one.
func (s *Server) HandleDefault(h Handler) { s.core.base.HandleDefault(h) }

// Swap makes h answer everything that is read from now on, with h's hooks; connections stay open. quiet returns when nothing of the
// former handlers runs any more: no handler, no hook, no task of Conn.Go that they began. Whoever swaps waits for that outside of
// handlers, before the next Swap.
func (s *Server) Swap(h *Handlers) (quiet func()) { return s.core.swap(h) }

// Conns calls f for every live connection until f returns false.
func (s *Server) Conns(f func(*Conn) bool) {
	s.core.mu.Lock()
	live := s.core.liveLocked()
	s.core.mu.Unlock()
	for _, c := range live {
		if !f(c) {
			return
		}
	}
}

const (
	acceptWaitMin = 5 * time.Millisecond
	acceptWaitMax = time.Second
)

// Serve accepts connections until ctx ends, Shutdown is called or l fails, and closes l. The connections live on until
// Shutdown. Several calls may run at once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if !s.listen(l) {
		_ = l.Close()
		return ErrShutdown
	}
	defer s.serving.Done()
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = l.Close()
	})
	err := s.accept(ctx, l)
	if !stop() {
		<-interrupted
	}
	_ = l.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	if ctx.Err() != nil || s.closed {
		return nil
	}
	return fmt.Errorf("accept on %s: %w", l.Addr(), err)
}

func (s *Server) listen(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.listeners[l] = struct{}{}
	s.serving.Add(1)
	return true
}

func (s *Server) accept(ctx context.Context, l net.Listener) error {
	wait := time.Duration(0)
	for {
		nc, err := l.Accept()
		if err == nil {
			wait = 0
			tune(nc)
			if _, err = s.core.start(nc, ""); err != nil {
				_ = nc.Close()
				s.core.noteRefused(err)
				if errors.Is(err, ErrShutdown) {
					return err
				}
			}
			continue
		}
		if !passing(err) {
			return err
		}
		// Out of descriptors or memory: existing connections go on, new ones wait in the kernel's queue.
		if wait = min(max(2*wait, acceptWaitMin), acceptWaitMax); wait == acceptWaitMax {
			s.core.log.Error("cannot accept connections", "addr", l.Addr(), "err", err)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-s.done:
		}
		t.Stop()
	}
}

// passing reports errors of Accept after which it is worth trying again.
func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// tune sets what Java sets: no delay; no keep-alive, since idle connections are closed anyway.
func tune(nc net.Conn) {
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetNoDelay(true)
		_ = t.SetKeepAlive(false)
	}
}

// Shutdown stops accepting, stops reading, lets what is in flight finish, sends the answers, closes all connections and
// waits for all goroutines. In flight are handlers, tasks of Conn.Go, and for DrainTimeout requests that somebody else
// will answer. When ctx ends first, the connections are closed as they are, Conn.Context ends, and the error is ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	for l := range s.listeners {
		_ = l.Close()
	}
	s.mu.Unlock()
	for _, c := range s.core.beginStop() {
		c.drain()
	}
	err := s.core.endStop(ctx)
	s.serving.Wait()
	if err != nil {
		return fmt.Errorf("shut down remoting server: %w", err)
	}
	return nil
}
