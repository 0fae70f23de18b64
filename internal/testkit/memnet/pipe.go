package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how many bytes a direction holds before its writer waits.
const window = 256 << 10

// flight is a write on its way over a link with delay.
type flight struct {
	n   int
	due time.Time
}

// pipe is one direction of a connection: a bounded buffer whose newest bytes may still be on their way.
type pipe struct {
	mu      sync.Mutex // guards all below
	cond    *sync.Cond
	buf     []byte // arrived, then on their way
	read    int    // bytes of buf already read
	ready   int    // bytes of buf[read:] that arrived
	flights []flight
	delay   time.Duration
	held    bool  // partitioned
	fin     bool  // the writer closed
	gone    bool  // the reader closed
	err     error // reset
	rd, wr  deadline
}

type deadline struct {
	at    time.Time
	timer *time.Timer
}

func newPipe(delay time.Duration, held bool) *pipe {
	p := &pipe{delay: delay, held: held}
	p.cond = sync.NewCond(&p.mu)
	return p
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (p *pipe) setDeadline(d *deadline, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.at = at
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if !at.IsZero() {
		if wait := time.Until(at); wait > 0 {
			d.timer = time.AfterFunc(wait, p.wake)
		}
	}
	p.cond.Broadcast()
}

func (p *pipe) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cond.Broadcast()
}

func (p *pipe) hold(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = on
	p.cond.Broadcast()
}

func (p *pipe) setDelay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

func (p *pipe) reset(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	p.stopTimersLocked()
	p.cond.Broadcast()
}

func (p *pipe) stopTimersLocked() {
	for _, d := range []*deadline{&p.rd, &p.wr} {
		if d.timer != nil {
			d.timer.Stop()
			d.timer = nil
		}
	}
}

// arriveLocked moves what is due from "on its way" to "arrived".
func (p *pipe) arriveLocked() {
	if len(p.flights) == 0 {
		return
	}
	now := time.Now()
	k := 0
	for k < len(p.flights) && !p.flights[k].due.After(now) {
		p.ready += p.flights[k].n
		k++
	}
	p.flights = p.flights[:copy(p.flights, p.flights[k:])]
}

func (p *pipe) readTo(dst []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		p.arriveLocked()
		switch {
		case p.gone:
			return 0, net.ErrClosed
		case p.err != nil:
			return 0, p.err
		case p.rd.passed():
			return 0, os.ErrDeadlineExceeded
		case len(dst) == 0:
			return 0, nil
		case p.held:
		case p.ready > 0:
			n := copy(dst, p.buf[p.read:p.read+p.ready])
			p.read += n
			p.ready -= n
			if p.read == len(p.buf) {
				p.buf, p.read = p.buf[:0], 0
			}
			p.cond.Broadcast()
			return n, nil
		case p.fin && len(p.flights) == 0:
			return 0, io.EOF
		}
		p.cond.Wait()
	}
}

func (p *pipe) write(src []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := 0
	for {
		switch {
		case p.fin:
			return done, net.ErrClosed
		case p.err != nil:
			return done, p.err
		case p.gone:
			return done, syscall.EPIPE
		case p.wr.passed():
			return done, os.ErrDeadlineExceeded
		case done == len(src):
			return done, nil
		}
		if room := window - (len(p.buf) - p.read); room > 0 {
			n := min(room, len(src)-done)
			p.putLocked(src[done : done+n])
			done += n
			continue
		}
		p.cond.Wait()
	}
}

func (p *pipe) putLocked(b []byte) {
	if p.read > 0 && len(p.buf)+len(b) > cap(p.buf) {
		p.buf = p.buf[:copy(p.buf, p.buf[p.read:])]
		p.read = 0
	}
	p.buf = append(p.buf, b...)
	if p.delay == 0 && len(p.flights) == 0 {
		p.ready += len(b)
	} else {
		p.launchLocked(len(b))
	}
	p.cond.Broadcast()
}

func (p *pipe) launchLocked(n int) {
	due := time.Now().Add(p.delay)
	if k := len(p.flights); k > 0 && due.Before(p.flights[k-1].due) {
		due = p.flights[k-1].due // a stream keeps its order when the delay shrinks
	}
	p.flights = append(p.flights, flight{n: n, due: due})
	time.AfterFunc(time.Until(due), p.wake)
}

// closeWrite is the writer's close: the reader gets what was written, then io.EOF.
func (p *pipe) closeWrite() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.fin {
		p.fin = true
		if p.delay > 0 {
			p.launchLocked(0)
		}
	}
	p.cond.Broadcast()
}

// closeRead is the reader's close: writes fail from now on.
func (p *pipe) closeRead() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	p.buf, p.read, p.ready, p.flights = nil, 0, 0, nil
	p.stopTimersLocked()
	p.cond.Broadcast()
}
