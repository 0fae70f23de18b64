package remoting

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

// Client calls servers by address: one connection for each address, opened when it is needed and shared by all calls.
// Servers may send requests on it too.
type Client struct {
	core        *core
	dial        func(ctx context.Context, network, addr string) (net.Conn, error)
	dialTimeout time.Duration
	tls         *tls.Config
	signer      func(protocol.Fields, []byte) protocol.Fields
	onClose     func(addr string, c *Conn)

	mu    sync.Mutex // guards peers and what they point to
	peers map[string]*peer
}

// peer is one address: a connection, or the attempt to get one.
type peer struct {
	conn    *Conn
	attempt *attempt
}

type attempt struct {
	done chan struct{} // closed when conn or err is set
	conn *Conn
	err  error
}

// NewClient returns a client without connections.
func NewClient(o ClientOptions) *Client {
	cl := &Client{
		dial: o.Dial, dialTimeout: o.DialTimeout, tls: o.TLS, signer: o.Sign, onClose: o.OnClose, peers: map[string]*peer{},
	}
	if cl.dial == nil {
		cl.dial = new(net.Dialer).DialContext
	}
	if cl.dialTimeout == 0 {
		cl.dialTimeout = defaultDialTimeout
	}
	s := o.settings()
	s.onClose = cl.closed
	cl.core = newCore(s)
	for code, h := range o.OnRequest {
		cl.core.base.Handle(code, h)
	}
	return cl
}

// Invoke sends cmd to addr and waits for the answer until ctx ends. An answer with an error code is not an error here.
// Handlers must not call it for the connection that they serve.
func (cl *Client) Invoke(ctx context.Context, addr string, cmd *Command) (*Command, error) {
	c, err := cl.connect(ctx, addr)
	if err != nil {
		return nil, err
	}
	return c.call(ctx, &protocol.Head{Code: cmd.Code, Remark: cmd.Remark}, cl.signed(cmd), cmd.Body)
}

// Oneway sends cmd to addr; nobody answers. It returns when cmd is queued on a connection.
func (cl *Client) Oneway(ctx context.Context, addr string, cmd *Command) error {
	c, err := cl.connect(ctx, addr)
	if err != nil {
		return err
	}
	head := &protocol.Head{Code: cmd.Code, Remark: cmd.Remark, Opaque: c.opaque.Add(1), Flag: protocol.FlagOneway}
	return c.ask(head, cl.signed(cmd), cmd.Body)
}

// signed is what writes the fields of cmd.
func (cl *Client) signed(cmd *Command) HeaderAppender {
	if cl.signer == nil {
		return cmd
	}
	// What is signed is what the peer will read, so it is written and read here once.
	var w protocol.FieldWriter
	w.Begin(nil, Binary, &protocol.Head{})
	cmd.AppendTo(&w)
	b := w.End(0)
	_, n := protocol.SplitWord(binary.BigEndian.Uint32(b[4:]))
	var h protocol.Header
	if err := h.Decode(Binary, b[protocol.PrefixLen:protocol.PrefixLen+n]); err != nil {
		return cmd // sent unsigned, to be refused
	}
	for i := range h.Fields {
		if h.Fields[i].Val == nil {
			h.Fields[i].Val = []byte{} // an empty text, which the JSON form can say
		}
	}
	return slices.Concat(h.Fields, cl.signer(h.Fields, cmd.Body))
}

// Disconnect ends the connection to addr, if there is one. The next call opens a new one.
func (cl *Client) Disconnect(addr string, reason error) {
	cl.mu.Lock()
	var c *Conn
	if p := cl.peers[addr]; p != nil {
		c, p.conn = p.conn, nil
	}
	cl.mu.Unlock()
	if c != nil {
		c.Close(reason)
	}
}

// Close ends all connections, fails all calls and waits for all goroutines.
func (cl *Client) Close() {
	live := cl.core.beginStop()
	cl.core.cancel()
	for _, c := range live {
		c.Close(ErrClosed)
	}
	_ = cl.core.endStop(context.Background())
}

// connect returns the live connection to addr. Callers that come while it is being opened share the attempt, each with
// its own ctx.
func (cl *Client) connect(ctx context.Context, addr string) (*Conn, error) {
	a := cl.lookup(addr) //nolint:contextcheck // an attempt is shared by callers and outlives the one that began it
	if a.done == nil {
		return a.conn, nil
	}
	select {
	case <-a.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("connect to %s: %w", addr, context.Cause(ctx))
	}
	if a.err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, a.err)
	}
	return a.conn, nil
}

// lookup returns the running attempt for addr, or one with a connection and without done.
func (cl *Client) lookup(addr string) *attempt {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	p := cl.peers[addr]
	if p == nil {
		p = &peer{}
		cl.peers[addr] = p
	}
	if p.conn != nil && !p.conn.Closed() {
		return &attempt{conn: p.conn}
	}
	if p.attempt == nil {
		a := &attempt{done: make(chan struct{})}
		p.attempt = a
		if !cl.core.spawn(func() { cl.open(addr, p, a) }) {
			p.attempt = nil
			a.err = ErrClosed
			close(a.done)
		}
		return a
	}
	return p.attempt
}

// open runs one attempt.
func (cl *Client) open(addr string, p *peer, a *attempt) {
	ctx, cancel := context.WithTimeout(cl.core.ctx, cl.dialTimeout)
	defer cancel()
	nc, err := cl.dialOne(ctx, addr)
	cl.mu.Lock()
	defer cl.mu.Unlock()
	defer close(a.done)
	p.attempt = nil
	if err == nil {
		if a.conn, err = cl.core.start(nc, addr); err != nil {
			_ = nc.Close()
			err = ErrClosed
		}
	}
	a.err = err
	p.conn = a.conn
}

func (cl *Client) dialOne(ctx context.Context, addr string) (net.Conn, error) {
	nc, err := cl.dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	tune(nc)
	if cl.tls == nil {
		return nc, nil
	}
	cfg := cl.tls
	if cfg.ServerName == "" && !cfg.InsecureSkipVerify {
		cfg = cfg.Clone()
		cfg.ServerName, _, _ = net.SplitHostPort(addr)
	}
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return tc, nil
}

// closed runs in the reader goroutine of a connection that has ended.
func (cl *Client) closed(c *Conn) {
	cl.mu.Lock()
	if p := cl.peers[c.target]; p != nil && p.conn == c {
		p.conn = nil
		if p.attempt == nil {
			delete(cl.peers, c.target)
		}
	}
	cl.mu.Unlock()
	if cl.onClose != nil {
		cl.onClose(c.target, c)
	}
}
