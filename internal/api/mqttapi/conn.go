package mqttapi

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/topic"
)

const (
	firstBuffer = 512       // bytes; an idle connection has no more
	keepBuffer  = 64 << 10  // a larger buffer is given back when it is empty
	outFull     = 256 << 10 // with that many bytes to be written nothing is delivered to a client
	outStop     = 1 << 20   // and with that many nothing is read from it
	lingerOut   = 2 * time.Second
)

// conn is one network connection.
type conn struct {
	srv     *Server
	nc      net.Conn
	remote  netip.AddrPort
	version packet.Version // 0 before CONNECT, like what follows
	user    string
	client  string
	s       *session
	limit   int // the longest packet that the client takes
	idle    time.Duration
	aliases map[uint16]string // of the client's publishes
	burst   *burst            // the publishes of one read

	mu        sync.Mutex // guards what follows
	changed   sync.Cond  // out became shorter, acks became fewer, or closed
	out       []byte
	spare     []byte
	writing   bool
	full      bool // something was not delivered since out is long
	closed    bool
	answering bool     // somebody acknowledges them
	bursts    []*burst // that are not acknowledged, in the order of arrival
	owed      int      // publishes of QoS 1 and 2 in them, and those of QoS 2 that wait for PUBREL
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, nc: nc, limit: packet.MaxRemaining}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		c.remote = a.AddrPort()
	}
	c.changed.L = &c.mu
	return c
}

// run reads until the connection ends, for whatever reason, and then leaves the session.
func (c *conn) run() {
	reason, err := c.read()
	if reason != packet.Success {
		c.end(reason)
	} else {
		c.end(packet.Reason(0xff)) // nobody to tell
	}
	if c.s != nil {
		c.s.leave(c, err != nil)
	}
	c.srv.mu.Lock()
	delete(c.srv.conns, c)
	c.srv.mu.Unlock()
}

var errGone = errors.New("the connection ended without DISCONNECT")

// read handles packets until the end. err = nil: the client has said goodbye. reason is what the client is told.
func (c *conn) read() (reason packet.Reason, err error) {
	c.setDeadline(c.srv.o.ConnectWithin)
	buf := make([]byte, 0, firstBuffer)
	for {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		n, rerr := c.nc.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		used, need, bye, err := c.handleAll(buf)
		c.flushBurst()
		switch bad, ok := errors.AsType[*packet.Error](err); {
		case ok:
			c.srv.o.Log.Debug("an MQTT client is disconnected", "client", c.client, "peer", c.remote, "err", bad.Text)
			return bad.Reason, err
		case err != nil:
			return packet.Success, err
		case bye:
			return packet.Success, nil
		}
		switch {
		case rerr != nil:
			var ne net.Error
			if errors.As(rerr, &ne) && ne.Timeout() {
				return packet.KeepAliveTimeout, rerr
			}
			return packet.Success, errGone
		case !c.throttle():
			return packet.Success, errGone
		}
		rest := len(buf) - used
		switch {
		case need > cap(buf):
			// It grows only as bytes come: a length alone makes nobody allocate.
			buf = append(make([]byte, 0, min(need, max(2*cap(buf), 4096))), buf[used:]...)
		case rest == 0 && cap(buf) > keepBuffer:
			buf = make([]byte, 0, firstBuffer)
		default:
			buf = buf[:copy(buf[:cap(buf)], buf[used:])]
		}
		if c.idle > 0 && n > 0 {
			c.setDeadline(c.idle)
		}
	}
}

func (c *conn) setDeadline(d time.Duration) {
	t := time.Time{}
	if d > 0 {
		t = time.Now().Add(d)
	}
	c.nc.SetReadDeadline(t) //nolint:errcheck // a connection that is closed is found by Read
}

// handleAll handles the whole packets in buf. need is the length of the one that is not whole, 0 if it is not known.
func (c *conn) handleAll(buf []byte) (used, need int, bye bool, err error) {
	for {
		head, body, n, more, err := packet.Split(buf[used:], c.srv.o.MaxPacket)
		if err != nil || n == 0 {
			return used, more, false, err
		}
		used += n
		if bye, err = c.handle(head, body); err != nil || bye {
			return used, 0, bye, err
		}
	}
}

func (c *conn) handle(head byte, body []byte) (bye bool, err error) {
	t, err := packet.Flags(head)
	if err != nil {
		return false, err
	}
	if c.s == nil {
		if t != packet.Connect {
			return false, protocolError("the first packet is no CONNECT")
		}
		return c.connect(body)
	}
	switch t {
	case packet.Publish:
		return false, c.publish(head, body)
	case packet.Puback, packet.Pubrec, packet.Pubrel, packet.Pubcomp:
		var p packet.AckPacket
		if err = p.Decode(t, body, c.version); err != nil {
			return false, err
		}
		if t == packet.Pubrel {
			c.flushBurst() // its PUBLISH may be in the same read
			c.s.released(c, p.ID)
			return false, nil
		}
		return false, c.s.acknowledged(c, t, &p)
	case packet.Subscribe:
		c.flushBurst()
		return false, c.subscribe(body)
	case packet.Unsubscribe:
		c.flushBurst()
		return false, c.unsubscribe(body)
	case packet.Pingreq:
		if err = packet.Empty(body); err == nil {
			c.send(packet.AppendPingresp)
		}
		return false, err
	case packet.Disconnect:
		return c.disconnect(body)
	case packet.Auth:
		return false, protocolError("there is no authentication to go on with")
	default:
		return false, protocolError("a " + t.String() + " from a client")
	}
}

// may asks whether the client may publish to a name, or subscribe to a filter.
func (c *conn) may(publish bool, name string) bool {
	return c.srv.o.May(&Access{User: c.user, ClientID: c.client, Remote: c.remote, Publish: publish, Name: name, Topic: topic.First(name)})
}

func protocolError(text string) error { return &packet.Error{Reason: packet.ProtocolError, Text: text} }

// disconnect ends the session's connection as the client wants it.
func (c *conn) disconnect(body []byte) (bye bool, err error) {
	var p packet.DisconnectPacket
	if err = p.Decode(body, c.version); err != nil {
		return false, err
	}
	if v, ok := p.Props.Num(packet.PropSessionExpiry); ok {
		if !c.s.changeExpiry(c, v) {
			return false, protocolError("a session that ends with the connection cannot be kept")
		}
	}
	if p.Reason == packet.DisconnectWithWill {
		return false, errGone
	}
	return true, nil
}

// send appends a packet to what is written. It never waits.
func (c *conn) send(appendTo func(dst []byte) []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.out = appendTo(c.out)
		c.startLocked()
	}
}

// deliver is send for a message: false when too much waits already.
func (c *conn) deliver(appendTo func(dst []byte) []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.out) >= outFull {
		c.full = true
		return false
	}
	c.out = appendTo(c.out)
	c.startLocked()
	return true
}

func (c *conn) startLocked() {
	if !c.writing && len(c.out) > 0 {
		c.writing = true
		c.srv.wg.Go(c.write)
	}
}

// write writes what there is, and ends when there is nothing.
func (c *conn) write() {
	c.mu.Lock()
	for len(c.out) > 0 {
		b := c.out
		c.out, c.spare = c.spare[:0], nil
		c.mu.Unlock()
		_, err := c.nc.Write(b)
		c.mu.Lock()
		if cap(b) <= keepBuffer {
			c.spare = b
		}
		if err != nil {
			c.out, c.closed = nil, true
			c.nc.Close() //nolint:errcheck // nothing can be done about it
		}
		c.changed.Broadcast()
	}
	c.writing = false
	c.out, c.spare = nil, nil
	if c.closed {
		c.nc.Close() //nolint:errcheck // nothing can be done about it
	}
	wasFull := c.full && !c.closed
	c.full = false
	c.mu.Unlock()
	if wasFull && c.s != nil {
		c.s.kick()
	}
}

// throttle waits until the client has read its answers and its publishes are decided; false: the connection is closed.
func (c *conn) throttle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && (len(c.out) >= outStop || len(c.bursts) > 0 && c.owed >= int(c.srv.o.ReceiveMaximum)) {
		c.changed.Wait()
	}
	return !c.closed
}

// end closes the connection when all is written, after a DISCONNECT if the client understands one.
func (c *conn) end(reason packet.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if c.version == packet.V5 && reason != 0xff {
		c.out = (&packet.DisconnectPacket{Reason: reason}).AppendTo(c.out, c.version)
	}
	c.closed = true
	c.changed.Broadcast()
	c.nc.SetDeadline(time.Now().Add(lingerOut)) //nolint:errcheck // a connection that is closed already
	if c.startLocked(); !c.writing {
		c.nc.Close() //nolint:errcheck // nothing can be done about it
	}
}
