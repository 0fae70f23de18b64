package memnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// backlog is how many connections may wait for Accept.
const backlog = 1024

// Network is one address space. The zero value is not usable: call New.
type Network struct {
	mu        sync.Mutex // guards all below; taken before a pipe's mutex
	healed    *sync.Cond // a fault was lifted
	listeners map[netip.AddrPort]*listener
	links     map[linkKey]*link
	nextPort  uint16
}

// New returns an empty network without faults.
func New() *Network {
	n := &Network{listeners: map[netip.AddrPort]*listener{}, links: map[linkKey]*link{}, nextPort: 32768}
	n.healed = sync.NewCond(&n.mu)
	return n
}

// Host is one address of a network: what it listens on by default and where its dials come from.
type Host struct {
	n  *Network
	ip netip.Addr
}

// Host returns the host with the address ip, for example "10.0.0.7". It panics when ip is not an address: a test bug.
func (n *Network) Host(ip string) *Host { return &Host{n: n, ip: netip.MustParseAddr(ip)} }

// Listen opens a listener. A missing host means 127.0.0.1, port 0 picks a free port.
func (n *Network) Listen(addr string) (net.Listener, error) { return n.Host("127.0.0.1").Listen(addr) }

// Dial connects from 127.0.0.1. Its signature is that of net.Dialer.DialContext.
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return n.Host("127.0.0.1").Dial(ctx, network, addr)
}

// Listen opens a listener on h. A missing host means the host's own address, port 0 picks a free port.
func (h *Host) Listen(addr string) (net.Listener, error) {
	at, err := h.resolve(addr)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
	}
	n := h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if at.Port() == 0 {
		at = netip.AddrPortFrom(at.Addr(), n.freePortLocked(at.Addr()))
	}
	if _, taken := n.listeners[at]; taken {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: net.TCPAddrFromAddrPort(at), Err: syscall.EADDRINUSE}
	}
	l := &listener{n: n, at: at, queue: make(chan *conn, backlog), closed: make(chan struct{})}
	n.listeners[at] = l
	return l, nil
}

// Dial connects from h to a listener. It waits while the link is partitioned, until ctx ends.
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	to, err := h.resolve(addr)
	if err == nil {
		var c net.Conn
		if c, err = h.dial(ctx, to); err == nil {
			return c, nil
		}
	}
	oe := &net.OpError{Op: "dial", Net: network, Err: err}
	if to.IsValid() {
		oe.Addr = net.TCPAddrFromAddrPort(to)
	}
	return nil, oe
}

func (h *Host) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	n := h.n
	stop := context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.healed.Broadcast()
	})
	defer stop()

	n.mu.Lock()
	lk := n.linkLocked(h.ip, to.Addr())
	for len(lk.held) > 0 && ctx.Err() == nil {
		n.healed.Wait()
	}
	delay := lk.delay
	n.mu.Unlock()
	if delay > 0 { // the round trip of the handshake
		t := time.NewTimer(2 * delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}

	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[to]
	if l == nil {
		l = n.listeners[netip.AddrPortFrom(netip.IPv4Unspecified(), to.Port())]
	}
	if l == nil {
		return nil, syscall.ECONNREFUSED
	}
	from := netip.AddrPortFrom(h.ip, n.freePortLocked(h.ip))
	near, far := newConnPair(n, lk, from, to)
	select {
	case l.queue <- far:
		lk.conns[near] = struct{}{}
		return near, nil
	default:
		return nil, syscall.ECONNREFUSED
	}
}

func (h *Host) resolve(addr string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port of %q: %w", addr, err)
	}
	ip := h.ip
	switch host {
	case "":
	case "localhost":
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		if ip, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, fmt.Errorf("host of %q: %w", addr, err)
		}
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(p)), nil
}

// freePortLocked hands out ports round robin and skips those that something listens on.
func (n *Network) freePortLocked(ip netip.Addr) uint16 {
	for {
		n.nextPort++
		if n.nextPort < 32768 {
			n.nextPort = 32768
		}
		if _, taken := n.listeners[netip.AddrPortFrom(ip, n.nextPort)]; !taken {
			return n.nextPort
		}
	}
}

type listener struct {
	n      *Network
	at     netip.AddrPort
	queue  chan *conn
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, l.gone()
	default:
	}
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, l.gone()
	}
}

func (l *listener) gone() error {
	return &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
}

// Close stops the listener and resets the connections that nobody accepted.
func (l *listener) Close() error {
	err := error(&net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed})
	l.once.Do(func() {
		err = nil
		close(l.closed)
		l.n.mu.Lock()
		delete(l.n.listeners, l.at)
		l.n.mu.Unlock()
		for {
			select {
			case c := <-l.queue:
				c.reset(syscall.ECONNRESET)
			default:
				return
			}
		}
	})
	return err
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }

var errTooMuch = errors.New("memnet: negative byte count")
