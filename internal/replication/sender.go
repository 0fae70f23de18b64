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

// dialogue is what a master says and hears on one connection: what differs between the two protocols.
type dialogue interface {
	// hear takes what the slave has said. An error ends the connection.
	hear(p []byte) error
	// patience returns how long to wait for more, and late says what it means that nothing has come: an error ends the connection.
	patience() time.Duration
	late() error
	// header appends what stands before n bytes of the log at off; n = 0: a sign of life.
	header(dst []byte, off record.Offset, n int) []byte
	// border returns where a frame that begins at off must end at the latest.
	border(off record.Offset) record.Offset
	// offered is told that everything before end is about to be sent.
	offered(end record.Offset)
}

var errSilent = errors.New("no report for too long")

// sender is the master's side of one connection.
type sender struct {
	m       *server
	d       dialogue
	c       net.Conn
	peer    string
	asked   chan record.Offset // where to begin, once
	started atomic.Bool        // the first report has come
	sent    atomic.Int64
	acked   atomic.Int64

	heads []byte
	out   net.Buffers
	bufs  [][]byte
}

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

// read takes what the slave says.
func (s *sender) read() error {
	buf := make([]byte, 4<<10)
	for {
		if err := s.c.SetReadDeadline(time.Now().Add(s.d.patience())); err != nil {
			return err
		}
		n, err := s.c.Read(buf)
		if herr := s.d.hear(buf[:n]); herr != nil {
			return herr
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = s.d.late()
		}
		if err != nil {
			return err
		}
	}
}

// start judges the first report: where the slave's log ends. newest: a slave that has nothing gets the newest file only.
func (s *sender) start(end record.Offset, newest bool) error {
	st := s.m.o.store
	from, limit := end, st.Visible()
	if end == 0 {
		if newest {
			from = limit - limit%record.Offset(st.SegmentSize())
		}
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
	s.m.o.log.Info("slave connected", "peer", s.peer, "has", end, "from", from)
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
	st := s.m.o.store
	moved, stop := st.Watch()
	defer stop()
	rd := st.RawReader()
	defer rd.Close()
	idle := time.NewTimer(s.m.o.heartbeat)
	defer idle.Stop()
	pace := pace{limit: s.m.o.bytesPerSecond}
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
			s.d.offered(end)
			if err := s.send(next, p); err != nil {
				return err
			}
			next += record.Offset(len(p))
			idle.Reset(s.m.o.heartbeat)
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
			idle.Reset(s.m.o.heartbeat)
		}
	}
}

// send writes p, which is at off in the log, as frames, with one system call.
func (s *sender) send(off record.Offset, p []byte) error {
	s.sent.Store(int64(off) + int64(len(p))) // before the slave can report it
	s.heads, s.bufs = s.heads[:0], s.bufs[:0]
	for first := true; first || len(p) > 0; first = false {
		body := p[:min(s.m.o.batch, len(p))]
		if border := s.d.border(off); border < off+record.Offset(len(body)) {
			body = body[:border-off]
		}
		at := len(s.heads)
		s.heads = s.d.header(s.heads, off, len(body)) // if it moves, the headers before stay where they are
		s.bufs = append(s.bufs, s.heads[at:])
		if len(body) > 0 {
			s.bufs = append(s.bufs, body)
		}
		off, p = off+record.Offset(len(body)), p[len(body):]
	}
	if err := s.c.SetWriteDeadline(time.Now().Add(s.m.o.housekeeping)); err != nil {
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
