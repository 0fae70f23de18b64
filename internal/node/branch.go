package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// trunk is a listener that outlives those who serve its connections. Each of them has a branch; while there is none, connections
// are closed at once.
type trunk struct {
	l    net.Listener
	what string // connects
	log  *slog.Logger

	mu  sync.Mutex // guards now
	now *branch
}

const acceptAgain = time.Second

// branch is a net.Listener that gets the connections of a trunk until it is closed, or until there is another branch.
type branch struct {
	t     *trunk
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

// grow returns a new branch, which gets all connections from now on.
func (t *trunk) grow() *branch {
	b := &branch{t: t, conns: make(chan net.Conn), done: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = b
	return b
}

// serve accepts until ctx ends. It closes the listener.
func (t *trunk) serve(ctx context.Context) error {
	return acceptAll(ctx, t.l, t.what, t.log, func(c net.Conn) {
		t.mu.Lock()
		b := t.now
		t.mu.Unlock()
		if b == nil || !b.take(ctx, c) {
			_ = c.Close()
		}
	})
}

// acceptAll hands the connections of l to take until ctx ends. It closes the listener. what connects is for errors.
func acceptAll(ctx context.Context, l net.Listener, what string, log *slog.Logger, take func(net.Conn)) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	defer func() { _ = l.Close() }()
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = c.Close()
			}
			return ctx.Err()
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listener for %ss: %w", what, err)
		case err != nil: // too many open files passes
			log.Error("accept a connection", "of", what, "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(acceptAgain):
			}
		default:
			take(c)
		}
	}
}

func (b *branch) take(ctx context.Context, c net.Conn) bool {
	select {
	case <-b.done: // in any case, select chooses at random
		return false
	default:
	}
	select {
	case b.conns <- c:
		return true
	case <-b.done:
	case <-ctx.Done():
	}
	return false
}

// Accept implements net.Listener.
func (b *branch) Accept() (net.Conn, error) {
	select {
	case <-b.done:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-b.conns:
		return c, nil
	case <-b.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (b *branch) Close() error {
	b.once.Do(func() { close(b.done) })
	return nil
}

// Addr implements net.Listener.
func (b *branch) Addr() net.Addr { return b.t.l.Addr() }
