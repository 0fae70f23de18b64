package replication

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/record"
)

// sender is the master's side of one connection.
type sender struct {
	m       *Master
	c       net.Conn
	peer    string
	asked   chan record.Offset // the first report, once
	started atomic.Bool        // it has come
	sent    atomic.Int64
	acked   atomic.Int64

	heads []byte
	out   net.Buffers
	bufs  [][]byte
}

// handshakeWait is how long the second half of what may be a handshake of the controller mode is waited for. Java writes both
// halves at once.
const handshakeWait = time.Second

// run serves the slave until the connection or ctx ends, and closes it.
func (s *sender) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { cancel(s.read()) })
	wg.Go(func() {
		<-ctx.Done()
		_ = s.c.Close() // lets go of whoever reads or writes
	})
	if err := s.write(ctx); err != nil {
		cancel(err)
	}
	return context.Cause(ctx)
}

// read takes the reports of the slave.
func (s *sender) read() error {
	var in reports
	buf := make([]byte, 4<<10)
	var first record.Offset
	have, odd := false, false // odd: first is yet to be told from a handshake
	take := func(end record.Offset) error {
		switch {
		case !have:
			have, first, odd = true, end, maybeHandshake(end)
			if !odd {
				return s.start(end)
			}
			return nil
		case odd:
			odd = false
			if end < first { // a broker id; a slave's log does not shrink
				return &refusal{ErrController.Error()}
			}
			if err := s.start(first); err != nil {
				return err
			}
		}
		return s.ack(end)
	}
	for {
		wait := s.m.o.Housekeeping
		if odd {
			wait = handshakeWait
		}
		if err := s.c.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return err
		}
		n, err := s.c.Read(buf)
		before := s.acked.Load()
		if ferr := in.feed(buf[:n], take); ferr != nil {
			return ferr
		}
		if s.acked.Load() != before {
			s.m.acked()
		}
		switch {
		case err == nil:
		case odd && errors.Is(err, os.ErrDeadlineExceeded):
			odd = false
			if serr := s.start(first); serr != nil {
				return serr
			}
			s.m.acked()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("no report for %v", s.m.o.Housekeeping)
		default:
			return err
		}
	}
}

// start judges the first report: where the slave's log ends.
func (s *sender) start(end record.Offset) error {
	st := s.m.o.Store
	from, limit := end, st.Visible()
	if end == 0 {
		// As Java's master does: a slave that has nothing gets the newest file only.
		from = limit - limit%record.Offset(st.SegmentSize())
		from = max(from, st.MinOffset())
	}
	switch {
	case end > limit:
		return &refusal{fmt.Sprintf("its log ends at %d, ours at %d: it holds what this master has lost or never had. Stop it, move its store away and let it copy anew, or make it the master", end, limit)}
	case from < st.MinOffset():
		return &refusal{fmt.Sprintf("its log ends at %d, ours begins at %d: what is between has been deleted. Move its store away and let it copy anew", end, st.MinOffset())}
	}
	s.sent.Store(int64(from))
	s.acked.Store(int64(end))
	s.started.Store(true)
	s.asked <- from
	s.m.o.Log.Info("slave connected", "peer", s.peer, "has", end, "from", from)
	return nil
}

// ack notes how far the slave is.
func (s *sender) ack(end record.Offset) error {
	switch had := record.Offset(s.acked.Load()); {
	case end > record.Offset(s.sent.Load()):
		return &refusal{fmt.Sprintf("it reports %d, but only what is before %d was sent to it", end, s.sent.Load())}
	case end < had:
		return &refusal{fmt.Sprintf("it reports %d after %d", end, had)}
	}
	s.acked.Store(int64(end))
	return nil
}

// write sends the log and signs of life.
func (s *sender) write(ctx context.Context) error {
	var next record.Offset
	select {
	case next = <-s.asked:
	case <-ctx.Done():
		return nil
	}
	st := s.m.o.Store
	moved, stop := st.Watch()
	defer stop()
	rd := st.RawReader()
	defer rd.Close()
	idle := time.NewTimer(s.m.o.Heartbeat)
	defer idle.Stop()
	pace := pace{limit: s.m.o.BytesPerSecond}
	for {
		if ctx.Err() != nil {
			return nil
		}
		end := st.Visible()
		if next < end {
			if wait := pace.wait(time.Now()); wait > 0 {
				rd.Close()
				select {
				case <-time.After(wait):
				case <-ctx.Done():
				}
				continue
			}
			p, err := rd.View(next, end)
			if err != nil {
				return fmt.Errorf("read the log at %d: %w", next, err)
			}
			p = p[:pace.take(len(p))]
			if err := s.send(next, p); err != nil {
				return err
			}
			next += record.Offset(len(p))
			idle.Reset(s.m.o.Heartbeat)
			continue
		}
		rd.Close() // no block is held while nothing happens
		select {
		case <-ctx.Done():
		case <-moved:
		case <-idle.C:
			if err := s.send(next, nil); err != nil {
				return err
			}
			idle.Reset(s.m.o.Heartbeat)
		}
	}
}

// send writes p, which is at off in the log, as frames, with one system call.
func (s *sender) send(off record.Offset, p []byte) error {
	size := s.m.o.Batch
	n := max((len(p)+size-1)/size, 1)
	if cap(s.heads) < n*headerLen {
		s.heads = make([]byte, 0, n*headerLen)
	}
	s.sent.Store(int64(off) + int64(len(p))) // before the slave can report it
	s.heads, s.bufs = s.heads[:0], s.bufs[:0]
	for range n {
		body := p[:min(size, len(p))]
		at := len(s.heads)
		s.heads = appendHeader(s.heads, off, len(body))
		s.bufs = append(s.bufs, s.heads[at:])
		if len(body) > 0 {
			s.bufs = append(s.bufs, body)
		}
		off, p = off+record.Offset(len(body)), p[len(body):]
	}
	if err := s.c.SetWriteDeadline(time.Now().Add(s.m.o.Housekeeping)); err != nil {
		return err
	}
	s.out = s.bufs
	_, err := s.out.WriteTo(s.c)
	clear(s.bufs)
	return err
}

// pace limits the bytes of each second.
type pace struct {
	limit int64
	since time.Time
	spent int64
}

// wait returns how long nothing may be sent.
func (p *pace) wait(now time.Time) time.Duration {
	if p.limit <= 0 {
		return 0
	}
	if d := now.Sub(p.since); d >= time.Second || d < 0 {
		p.since, p.spent = now, 0
	}
	if p.spent < p.limit {
		return 0
	}
	return time.Second - now.Sub(p.since)
}

// take returns how many of n bytes may be sent.
func (p *pace) take(n int) int {
	if p.limit <= 0 {
		return n
	}
	n = int(min(int64(n), p.limit-p.spent))
	p.spent += int64(n)
	return n
}
