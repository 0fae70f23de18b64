package certificate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"
)

// HandshakeTimeout bounds a handshake and, on a Listener, the wait for the first byte before it. Java's Netty has the same.
const HandshakeTimeout = 10 * time.Second

const recordHandshake = 0x16 // the first byte of a TLS connection

// ErrPlain says that a peer does not use TLS where it must.
var ErrPlain = errors.New("the peer does not use TLS")

var errSilent = errors.New("it ended before it began")

// Dialer opens connections; net.Dialer has this method.
type Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// Dial returns a dialer whose connections are TLS. The handshake is part of dialing: ctx and HandshakeTimeout bound it.
func (k *Keeper) Dial(next Dialer) Dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		s := k.client.now.Load()
		c := s.conf.Clone()
		if c.ServerName, _, err = net.SplitHostPort(addr); err != nil {
			c.ServerName = addr
		}
		c.VerifyConnection = func(cs tls.ConnectionState) error { return k.verify(&cs, s.trust, c.ServerName) }
		tc := tls.Client(nc, c)
		ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
		defer cancel()
		if err = tc.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, fmt.Errorf("TLS handshake with %s: %w", addr, explained(err))
		}
		return tc, nil
	}
}

// explained says what the usual mistake looks like.
func explained(err error) error {
	if h, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Errorf("it does not speak TLS (%w)", h)
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("it closed the connection, perhaps it does not take TLS (%w)", err)
	}
	return err
}

// ListenOptions of a Listener.
type ListenOptions struct {
	Config  *tls.Config
	Plain   bool   // take connections without TLS, too
	Refusal []byte // written to a peer without TLS before it is closed, in the words of its protocol
	Log     *slog.Logger
}

// Listen makes of l one that takes TLS. Accept does not wait for peers: each connection finds out what it is with its first Read or Write.
func Listen(l net.Listener, o ListenOptions) net.Listener {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &listener{l, &o}
}

type listener struct {
	net.Listener
	o *ListenOptions
}

// Accept returns the next connection as it is.
func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: nc, o: l.o, known: make(chan struct{})}, nil
}

// Conn is a connection of a Listener. What it is, is known after its first byte.
type Conn struct {
	net.Conn // the network's
	o        *ListenOptions
	begun    atomic.Bool
	known    chan struct{} // closed when the rest is set
	in       net.Conn
	err      error
}

// Secured reports whether c turned out to be TLS.
func (c *Conn) Secured() bool {
	select {
	case <-c.known:
		_, ok := c.in.(*tls.Conn)
		return ok
	default:
		return false
	}
}

// settle finds out what c is, once.
func (c *Conn) settle() error {
	if c.begun.CompareAndSwap(false, true) {
		c.in, c.err = c.find()
		if c.err != nil {
			level := slog.LevelWarn
			if errors.Is(c.err, errSilent) { // somebody who only looks whether the port is open, or a browser that is ahead of its user
				level = slog.LevelDebug
			}
			c.o.Log.Log(context.Background(), level, "connection refused", "peer", c.RemoteAddr(), "err", c.err)
			_ = c.Conn.Close()
		}
		close(c.known)
	}
	<-c.known
	return c.err
}

func (c *Conn) find() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), HandshakeTimeout)
	defer cancel()
	first := make([]byte, 1)
	// The deadlines of c are its owner's, so that the end of the time closes it instead.
	stop := context.AfterFunc(ctx, func() { _ = c.Conn.Close() })
	_, err := io.ReadFull(c.Conn, first)
	if !stop() {
		return nil, fmt.Errorf("%w: nothing for %v", errSilent, HandshakeTimeout)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSilent, err)
	}
	pre := &prefixed{Conn: c.Conn, pre: first}
	if first[0] != recordHandshake {
		if c.o.Plain {
			return pre, nil
		}
		_, _ = c.Conn.Write(c.o.Refusal) // it is refused in any case
		return nil, ErrPlain
	}
	tc := tls.Server(pre, c.o.Config)
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return tc, nil
}

// Read reads what the peer has said, behind the handshake.
func (c *Conn) Read(b []byte) (int, error) {
	if err := c.settle(); err != nil {
		return 0, err
	}
	return c.in.Read(b)
}

// Write sends to the peer once it is known what it is.
func (c *Conn) Write(b []byte) (int, error) {
	if err := c.settle(); err != nil {
		return 0, err
	}
	return c.in.Write(b)
}

// Close ends c, also in the middle of a handshake.
func (c *Conn) Close() error {
	if c.Secured() {
		return c.in.Close()
	}
	return c.Conn.Close()
}

// prefixed gives back a byte that was read.
type prefixed struct {
	net.Conn
	pre []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.pre) > 0 && len(b) > 0 {
		n := copy(b, p.pre)
		p.pre = p.pre[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}
