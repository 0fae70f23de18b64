package memnet

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// conn is one end of a connection.
type conn struct {
	n             *Network
	lk            *link
	owner         *conn // the dialing end, which the link knows
	local, remote netip.AddrPort
	in, out       *pipe
}

func newConnPair(n *Network, lk *link, from, to netip.AddrPort) (near, far *conn) {
	up, down := newPipe(lk.delay, lk.held[from.Addr()]), newPipe(lk.delay, lk.held[to.Addr()])
	near = &conn{n: n, lk: lk, local: from, remote: to, in: down, out: up}
	far = &conn{n: n, lk: lk, local: to, remote: from, in: up, out: down}
	near.owner, far.owner = near, near
	return near, far
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.readTo(b)
	return n, c.wrap("read", err)
}

func (c *conn) Write(b []byte) (int, error) {
	pass, cut := c.n.spend(c.lk, c.local.Addr(), len(b))
	n, err := c.out.write(b[:pass])
	if cut {
		c.n.Cut(c.local.Addr().String(), c.remote.Addr().String())
		if err == nil {
			err = syscall.ECONNRESET
		}
	}
	return n, c.wrap("write", err)
}

func (c *conn) wrap(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Close ends both directions: the peer reads what was written, then io.EOF.
func (c *conn) Close() error {
	c.out.closeWrite()
	c.in.closeRead()
	c.forget()
	return nil
}

// CloseWrite ends the direction to the peer only.
func (c *conn) CloseWrite() error {
	c.out.closeWrite()
	return nil
}

// forget takes the connection out of its link once both ends are closed.
func (c *conn) forget() {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if c.in.finished() && c.out.finished() {
		delete(c.lk.conns, c.owner)
	}
}

// finished reports that the writer closed and nobody reads.
func (p *pipe) finished() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone && p.fin || p.err != nil
}

func (c *conn) reset(err error) {
	c.in.reset(err)
	c.out.reset(err)
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *conn) SetDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.rd, t)
	c.out.setDeadline(&c.out.wr, t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.rd, t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(&c.out.wr, t)
	return nil
}
