package amqp10

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	readSize = 64 << 10
	// linger is how long the peer may take to close the stream once all is said: who closes first, while something from the peer is
	// still on its way, may take away what the peer has not read yet.
	linger = 3 * time.Second
	// writeWait is how long the peer may take to read something of what it is sent.
	writeWait = 30 * time.Second
	// highWater is how much output may wait before nothing more is read from the peer: one that does not read what it is sent is not
	// served either.
	highWater = 4 << 20
)

// Runner drives a Conn over a stream: it reads, writes and ticks.
type Runner struct {
	stream net.Conn
	wake   chan struct{} // there is output, or the time of the next tick has changed
	room   chan struct{} // output has shrunk
	// Written, when set, is called under the lock each time all output was written.
	Written func(c *Conn)
	// Busy, when set, is asked after each read, not under the lock: while it says true nothing is read. Resume has it asked again.
	Busy func() bool

	mu   sync.Mutex // guards conn, and with it all its sessions and links
	conn *Conn
	err  error // that ended the reading
}

// NewRunner makes a Runner; Run must be called.
func NewRunner(c *Conn, stream net.Conn) *Runner {
	return &Runner{conn: c, stream: stream, wake: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Do calls f with the connection locked, and sends what f has written. It must not be called by a Handler, which is called with the
// lock held already.
func (r *Runner) Do(f func(c *Conn)) {
	r.mu.Lock()
	r.conn.now = time.Now()
	f(r.conn)
	r.mu.Unlock()
	signal(r.wake)
}

// Run returns when the connection is closed, by either side, by an error or by ctx, and its goroutines are done. A connection that was
// closed in order is no error. The handler is told of the end in each case.
func (r *Runner) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = r.stream.Close() })
	defer stop()
	reader := make(chan struct{})
	go func() {
		defer close(reader)
		r.read(ctx)
	}()
	err := r.write(ctx, reader)
	if err == nil {
		r.part(reader)
	}
	cancel()
	_ = r.stream.Close()
	<-reader
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.conn.Done() {
		r.conn.stop(nil)
	}
	if err == nil && !isTimeout(r.err) { // of part
		err = r.err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// part ends a stream on which all is said: the peer hears that nothing more comes, and has some time to say so itself.
func (r *Runner) part(reader <-chan struct{}) {
	_ = r.stream.SetReadDeadline(time.Now().Add(linger))
	if half, ok := r.stream.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	<-reader
}

// Resume has Busy asked again.
func (r *Runner) Resume() { signal(r.room) }

// read hands what comes to the connection, and when that is over throws away what still comes, until the peer closes the stream.
func (r *Runner) read(ctx context.Context) {
	buf := make([]byte, readSize)
	for {
		n, err := r.stream.Read(buf)
		r.mu.Lock()
		var refused error
		if n > 0 {
			refused = r.conn.Receive(time.Now(), buf[:n])
		}
		over := refused != nil || r.conn.Done()
		if r.err = refused; refused == nil {
			r.err = err
		}
		r.mu.Unlock()
		signal(r.wake)
		switch {
		case err != nil:
			return
		case over:
			_, _ = io.Copy(io.Discard, r.stream)
			return
		}
		for r.full() {
			select {
			case <-r.room:
			case <-ctx.Done():
				return
			}
		}
	}
}

// full reports whether nothing more is to be read now.
func (r *Runner) full() bool {
	if r.Busy != nil && r.Busy() {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conn.Pending() > highWater
}

// write sends output until there is nothing more to come.
func (r *Runner) write(ctx context.Context, reader <-chan struct{}) error {
	var buf []byte
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		r.mu.Lock()
		next := r.conn.Tick(time.Now())
		buf = r.conn.Output(buf[:0])
		done := r.conn.Done()
		r.mu.Unlock()
		if len(buf) > 0 {
			_ = r.stream.SetWriteDeadline(time.Now().Add(writeWait))
			if _, err := r.stream.Write(buf); err != nil {
				return err
			}
			signal(r.room)
			if r.Written != nil {
				r.Do(r.Written)
			}
			if cap(buf) > 1<<20 {
				buf = nil
			}
			continue
		}
		if done {
			return nil
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = max(time.Until(next), 0)
		}
		timer.Reset(wait)
		select {
		case <-r.wake:
		case <-timer.C:
		case <-reader:
			// The last words of an error, if any, are written once more round.
			r.mu.Lock()
			more := r.conn.Pending() > 0
			r.mu.Unlock()
			if !more {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
