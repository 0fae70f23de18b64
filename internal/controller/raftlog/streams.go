package raftlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// A connection between two members begins with a greeting, so that a wrong address, another group or anything else that
// listens there is found out before a vote is counted:
//
//	bytes[8]  magic; its first byte cannot begin a remoting frame, a TLS handshake or a PROXY header
//	text      group
//	text      id of who dials
//	text      id of who is meant
//
// and the answer:
//
//	uint8     0xC0 = welcome, 0xC1 = refused; nothing else that listens somewhere begins so
//	text      why, when refused
//
// A text is uint16 n, bytes[n]; numbers are big endian. What follows is the library's.
const magic = "\xC0MQRAFT\x01"

const (
	welcomed = 0xC0
	refused  = 0xC1

	maxGreeting   = 256 // bytes of a text
	greetingLimit = 10 * time.Second
)

// streams are the connections to and from other members.
type streams struct {
	group, self string
	peers       []Peer
	listener    net.Listener
	dial        func(ctx context.Context, network, addr string) (net.Conn, error)
	log         *slog.Logger
	ctx         context.Context
	cancel      context.CancelFunc
	greeted     chan net.Conn
	wg          sync.WaitGroup

	mu    sync.Mutex // guards conns and said
	conns map[*stream]struct{}
	said  map[string]time.Time
}

// stream is a connection that is closed with its streams.
type stream struct {
	net.Conn
	s *streams
}

func (c *stream) Close() error {
	c.s.mu.Lock()
	delete(c.s.conns, c)
	c.s.mu.Unlock()
	return c.Conn.Close()
}

func newStreams(ctx context.Context, o *Options) *streams {
	s := &streams{
		group: o.Group, self: o.Self, peers: o.Peers, listener: o.Listener, dial: o.Dial, log: o.Log,
		conns: map[*stream]struct{}{}, said: map[string]time.Time{}, greeted: make(chan net.Conn),
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.wg.Go(s.receive)
	return s
}

// keep registers a connection; nil when all is closed.
func (s *streams) keep(nc net.Conn) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		_ = nc.Close()
		return nil
	}
	c := &stream{Conn: nc, s: s}
	s.conns[c] = struct{}{}
	return c
}

// Accept returns the next connection of a member that has greeted well.
func (s *streams) Accept() (net.Conn, error) {
	select {
	case c := <-s.greeted:
		return c, nil
	case <-s.ctx.Done():
		return nil, net.ErrClosed
	}
}

// receive lets each new connection greet on its own, so that a slow one holds nobody up.
func (s *streams) receive() {
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			return // the owner of the listener says why
		}
		c := s.keep(nc)
		if c == nil {
			return
		}
		s.wg.Go(func() {
			if err := s.welcome(c); err != nil {
				s.warn("refused a connection of a controller", nc.RemoteAddr().String(), err)
				_ = c.Close()
				return
			}
			select {
			case s.greeted <- c:
			case <-s.ctx.Done():
				_ = c.Close()
			}
		})
	}
}

// warn logs one line a minute for each peer.
func (s *streams) warn(what, peer string, err error) {
	host, _, _ := net.SplitHostPort(peer)
	now := time.Now()
	s.mu.Lock()
	key := what + host + err.Error()
	last, ok := s.said[key]
	if len(s.said) > 1000 {
		clear(s.said)
	}
	quiet := ok && now.Sub(last) < time.Minute
	if !quiet {
		s.said[key] = now
	}
	s.mu.Unlock()
	if !quiet {
		s.log.Warn(what, "peer", peer, "err", err)
	}
}

// welcome reads the greeting behind the magic, which Mux has taken, and answers it.
func (s *streams) welcome(c net.Conn) error {
	_ = c.SetDeadline(time.Now().Add(greetingLimit))
	var text [3]string
	for i := range text {
		t, err := readText(c)
		if err != nil {
			return fmt.Errorf("read the greeting: %w", err)
		}
		text[i] = t
	}
	group, from, to := text[0], text[1], text[2]
	why := ""
	switch {
	case group != s.group:
		why = fmt.Sprintf("this is group %s, not %s", s.group, group)
	case to != s.self:
		why = fmt.Sprintf("this is controller %s, not %s", s.self, to)
	case !slices.ContainsFunc(s.peers, func(p Peer) bool { return p.ID == from }):
		why = from + " is not configured as a member here"
	}
	answer := []byte{welcomed}
	if why != "" {
		answer = appendText([]byte{refused}, why)
	}
	if _, err := c.Write(answer); err != nil {
		return fmt.Errorf("answer the greeting: %w", err)
	}
	if why != "" {
		return errors.New(why)
	}
	_ = c.SetDeadline(time.Time{})
	return nil
}

// Dial connects to a member and greets it.
func (s *streams) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	i := slices.IndexFunc(s.peers, func(p Peer) bool { return p.Addr == string(addr) })
	if i < 0 {
		return nil, fmt.Errorf("%s is not the address of a configured controller", addr)
	}
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	nc, err := s.dial(ctx, "tcp", string(addr))
	if err != nil {
		return nil, err
	}
	c := s.keep(nc)
	if c == nil {
		return nil, net.ErrClosed
	}
	if err := s.greet(c, s.peers[i].ID, timeout); err != nil {
		_ = c.Close()
		s.warn("a controller does not answer as one", string(addr), err)
		return nil, err
	}
	return c, nil
}

func (s *streams) greet(c net.Conn, id string, timeout time.Duration) error {
	_ = c.SetDeadline(time.Now().Add(timeout))
	b := []byte(magic)
	for _, t := range []string{s.group, s.self, id} {
		b = appendText(b, t)
	}
	if _, err := c.Write(b); err != nil {
		return fmt.Errorf("greet controller %s: %w", id, err)
	}
	var ok [1]byte
	if _, err := io.ReadFull(c, ok[:]); err != nil {
		return fmt.Errorf("no answer of a controller %s to the greeting: %w", id, err)
	}
	switch ok[0] {
	case welcomed:
		_ = c.SetDeadline(time.Time{})
		return nil
	case refused:
		why, err := readText(c)
		if err != nil {
			return fmt.Errorf("controller %s refuses: %w", id, err)
		}
		return fmt.Errorf("controller %s refuses: %s", id, why)
	}
	return fmt.Errorf("what listens there is not controller %s", id)
}

// Close ends all connections and waits for the greetings under way.
func (s *streams) Close() error {
	s.cancel()
	err := s.listener.Close()
	s.mu.Lock()
	all := make([]*stream, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
	s.wg.Wait()
	return err
}

// Addr is the configured address of this member.
func (s *streams) Addr() net.Addr {
	for _, p := range s.peers {
		if p.ID == s.self {
			return address(p.Addr)
		}
	}
	return address("")
}

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), maxGreeting)]
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func readText(r io.Reader) (string, error) {
	var n [2]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return "", err
	}
	size := int(binary.BigEndian.Uint16(n[:]))
	if size > maxGreeting {
		return "", fmt.Errorf("a text of %d bytes, the limit is %d", size, maxGreeting)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", err
	}
	return string(b), nil
}
