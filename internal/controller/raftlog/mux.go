package raftlog

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	sniffLimit   = 30 * time.Second // for the first byte
	maxUndecided = 1024             // connections that have not said what they are
	acceptPause  = 100 * time.Millisecond
)

// passing are errors of Accept after which it is worth trying again.
var passing = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED}

// Mux shares one listener between the members of the group and everybody else: a controller has one address, for brokers,
// tools and the other controllers. The first byte decides, see the greeting.
type Mux struct {
	l      net.Listener
	secure bool // members must use TLS
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	raft   *side
	plain  *side
	room   chan struct{} // has an element for each undecided connection

	mu        sync.Mutex // guards undecided
	undecided map[net.Conn]struct{}
}

// side is what one of the two sees.
type side struct {
	m     *Mux
	conns chan net.Conn
	ctx   context.Context
	close context.CancelFunc
}

// NewMux takes over l. Run it. secure: members whose connections are not TLS are refused; those of l must say whether they are
// (Secured).
func NewMux(l net.Listener, log *slog.Logger, secure bool) *Mux {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &Mux{l: l, secure: secure, log: log, room: make(chan struct{}, maxUndecided), undecided: map[net.Conn]struct{}{}}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.raft, m.plain = m.newSide(), m.newSide()
	return m
}

func (m *Mux) newSide() *side {
	s := &side{m: m, conns: make(chan net.Conn)}
	s.ctx, s.close = context.WithCancel(m.ctx)
	return s
}

// Raft gives the connections of members, behind the magic.
func (m *Mux) Raft() net.Listener { return m.raft }

// Plain gives all other connections, from their first byte.
func (m *Mux) Plain() net.Listener { return m.plain }

// Run accepts until Close is called or the listener fails.
func (m *Mux) Run() error {
	defer m.wg.Wait()
	defer func() { _ = m.Close() }()
	for {
		nc, err := m.l.Accept()
		if err != nil {
			if m.ctx.Err() != nil {
				return nil
			}
			if !slices.ContainsFunc(passing, func(e error) bool { return errors.Is(err, e) }) {
				return err
			}
			m.log.Warn("cannot accept connections", "addr", m.l.Addr(), "err", err)
			select {
			case <-time.After(acceptPause):
			case <-m.ctx.Done():
			}
			continue
		}
		select {
		case m.room <- struct{}{}:
		default:
			_ = nc.Close()
			continue
		}
		m.mu.Lock()
		m.undecided[nc] = struct{}{}
		m.mu.Unlock()
		m.wg.Go(func() { m.decide(nc) })
	}
}

// decide looks at the first byte and hands the connection on.
func (m *Mux) decide(nc net.Conn) {
	to, c, ok := m.sniff(nc)
	m.mu.Lock()
	delete(m.undecided, nc)
	m.mu.Unlock()
	<-m.room
	if !ok {
		_ = nc.Close()
		return
	}
	select {
	case to.conns <- c:
	case <-to.ctx.Done():
		_ = nc.Close()
	}
}

func (m *Mux) sniff(nc net.Conn) (to *side, c net.Conn, ok bool) {
	_ = nc.SetReadDeadline(time.Now().Add(sniffLimit))
	if m.ctx.Err() != nil {
		return nil, nil, false
	}
	begin := make([]byte, len(magic))
	if _, err := io.ReadFull(nc, begin[:1]); err != nil {
		return nil, nil, false
	}
	if begin[0] != magic[0] {
		_ = nc.SetReadDeadline(time.Time{})
		return m.plain, &prefixed{Conn: nc, pre: begin[:1]}, true
	}
	if _, err := io.ReadFull(nc, begin[1:]); err != nil {
		return nil, nil, false
	}
	if got := string(begin); got != magic {
		m.log.Warn("a connection begins like that of a controller and is not: another version?", "peer", nc.RemoteAddr(), "bytes", got)
		return nil, nil, false
	}
	if m.secure && !secured(nc) {
		m.log.Warn("a controller without TLS is refused: set useTLS = true there", "peer", nc.RemoteAddr())
		return nil, nil, false
	}
	_ = nc.SetReadDeadline(time.Time{})
	return m.raft, nc, true
}

// Close stops accepting and closes what has not been handed on.
func (m *Mux) Close() error {
	m.cancel()
	err := m.l.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	for nc := range m.undecided {
		_ = nc.Close()
	}
	return err
}

// Accept returns the next connection of this side.
func (s *side) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close ends Accept; the other side goes on.
func (s *side) Close() error {
	s.close()
	return nil
}

// Addr is the shared address.
func (s *side) Addr() net.Addr { return s.m.l.Addr() }

// prefixed gives back a byte that was read.
type prefixed struct {
	net.Conn
	pre []byte
}

// Secured reports whether the connection is TLS.
func (p *prefixed) Secured() bool { return secured(p.Conn) }

func secured(nc net.Conn) bool {
	s, ok := nc.(interface{ Secured() bool })
	return ok && s.Secured()
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.pre) > 0 && len(b) > 0 {
		n := copy(b, p.pre)
		p.pre = p.pre[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}
