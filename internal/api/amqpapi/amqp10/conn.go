package amqp10

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Config says how one side of a connection behaves.
type Config struct {
	// Client speaks first and logs in with Credentials. A server without Login takes everybody and has no SASL layer.
	Client      bool
	Credentials Credentials
	Login       Login
	// AllowBare lets a client of a server with a Login skip the SASL layer.
	AllowBare bool

	ContainerID, Hostname string
	MaxFrameSize          uint32        // largest frame that we take; 0: 1 MiB
	ChannelMax            uint16        // highest channel that we take; 0: 1023
	HandleMax             uint32        // highest handle of a session that we take; 0: 1023
	MaxLinks              int           // of a connection; 0: 8192
	IncomingWindow        uint32        // transfer frames that a session may send ahead; 0: 2048
	MaxMessageSize        uint64        // of one incoming message, in bytes; 0: 64 MiB
	IdleTimeout           time.Duration // a silent peer is dropped after that; 0: never
	OfferedCapabilities   []string
	DesiredCapabilities   []string
	Properties            Value
	Nonce                 func() string // of SCRAM; nil: random
}

func (c Config) withDefaults() Config {
	if c.MaxFrameSize == 0 {
		c.MaxFrameSize = 1 << 20
	}
	c.MaxFrameSize = max(c.MaxFrameSize, minFrameSize)
	if c.ChannelMax == 0 {
		c.ChannelMax = 1023
	}
	if c.HandleMax == 0 {
		c.HandleMax = 1023
	}
	if c.MaxLinks == 0 {
		c.MaxLinks = 8192
	}
	if c.IncomingWindow == 0 {
		c.IncomingWindow = 2048
	}
	if c.MaxMessageSize == 0 {
		c.MaxMessageSize = 64 << 20
	}
	if c.Nonce == nil {
		c.Nonce = randomNonce
	}
	return c
}

// Handler is told what the peer does. Its methods are called inside Receive; they may call everything but Receive, and must not wait.
// What they are given is theirs to keep, unless said otherwise.
type Handler interface {
	// Open: the peer has opened. A server's answer is Open; an error is answered with Open and Close, as the standard asks for.
	Open(c *Conn, o *Open) *Error
	// Begin: the peer has begun a session, or answered ours. A server answers by itself.
	Begin(s *Session)
	// Attach: the peer has attached a link, to be answered with l.Accept or l.Refuse, now or later; or has answered ours.
	Attach(l *Link)
	// Flow: the peer has changed credit or drain of a link that we send on, or has told its state of one that we receive on.
	Flow(l *Link)
	// Message: a whole message has come.
	Message(d *Delivery)
	// Disposition: the peer has told the state of a delivery. settled: it has forgotten it.
	Disposition(d *Delivery, state Composite, settled bool)
	// Detach: the peer has detached; we answered. It is not called for the links of a session or connection that ends.
	Detach(l *Link, closed bool, err *Error)
	// End: the peer has ended a session, or we have for what it did.
	End(s *Session, err *Error)
	// Close: the peer has closed, or we have for what it did. It is called once, unless we called Close first.
	Close(c *Conn, err *Error)
}

type phase uint8

const (
	awaitHeader phase = iota
	inSASL
	awaitAMQP // the header after the SASL layer
	awaitOpen
	opened
	closing // our Close is out, the peer's awaited
	closed
)

// partialMessages is how many of the largest messages may be incomplete at a time in one connection.
const partialMessages = 4

// closeWait is how long the peer may take to answer our Close.
const closeWait = 10 * time.Second

// Conn is one side of a connection. It is not safe for concurrent use.
type Conn struct {
	cfg     Config
	handler Handler
	phase   phase
	user    string
	sasl    saslState

	in       []byte // what has come of a frame that is not complete
	out      []byte
	remote   Open
	sentOpen bool
	told     bool // Handler.Close was called
	parted   bool // the peer's Close has come

	now           time.Time
	lastIn        time.Time
	lastOut       time.Time
	closeDeadline time.Time

	links   int    // attached, or being so
	partial uint64 // bytes of incoming messages that are not complete

	remoteSessions map[uint16]*Session // by the peer's channel
	localSessions  map[uint16]*Session // by ours

	// User belongs to the handler.
	User any
}

// New makes one side of a connection. A client's first bytes are in Output at once.
func New(cfg Config, h Handler, now time.Time) *Conn {
	c := &Conn{
		cfg: cfg.withDefaults(), handler: h, now: now, lastIn: now, lastOut: now,
		remoteSessions: map[uint16]*Session{}, localSessions: map[uint16]*Session{},
	}
	if cfg.Client {
		if cfg.Credentials.Mechanism != "" {
			c.out = append(c.out, headerSASL...)
		} else {
			c.out = append(c.out, headerAMQP...)
			c.sendOpen()
		}
	}
	return c
}

// LoginName is who has logged in, "" when anonymous.
func (c *Conn) LoginName() string { return c.user }

// Remote is the peer's Open.
func (c *Conn) Remote() *Open { return &c.remote }

// Done reports that nothing more will come or go: what Output still holds is the last.
func (c *Conn) Done() bool { return c.phase == closed }

// Output appends what is to be sent to dst and forgets it.
func (c *Conn) Output(dst []byte) []byte {
	for _, s := range c.localSessions {
		s.flushDispositions()
	}
	if len(c.out) > 0 {
		c.lastOut = c.now
	}
	dst = append(dst, c.out...)
	c.out = c.out[:0]
	return dst
}

// Lost reports that the peer has not closed: if the connection is over it just went away, or was sent away.
func (c *Conn) Lost() bool { return !c.parted }

// Pending is how many bytes Output holds. A handler that sends should stop above some measure and go on when it has shrunk.
func (c *Conn) Pending() int { return len(c.out) }

// Receive takes what came from the peer. After an error, or when Done, the stream is to be closed once Output is written.
func (c *Conn) Receive(now time.Time, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	c.now, c.lastIn = now, now
	if c.phase == closed {
		return io.EOF
	}
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	rest, err := c.consume(b)
	if err != nil {
		c.in = nil
		c.stop(nil)
		return err
	}
	if c.phase == closed {
		c.in = nil
		return nil
	}
	// rest may be a part of c.in: append copies forward, which is safe.
	c.in = append(c.in[:0], rest...)
	if len(c.in) == 0 && cap(c.in) > 64<<10 {
		c.in = nil
	}
	return nil
}

func (c *Conn) consume(b []byte) ([]byte, error) {
	for {
		switch c.phase {
		case awaitHeader, awaitAMQP:
			if len(b) < len(headerAMQP) {
				return b, nil
			}
			if err := c.header(string(b[:8])); err != nil {
				return nil, err
			}
			b = b[8:]
		case closed:
			return nil, nil
		default:
			f, rest, ok, err := cutFrame(b, c.cfg.MaxFrameSize)
			if err != nil {
				c.failed(NewError(CondFraming, err.Error()))
				c.phase = closed // where the next frame begins is unknown
				return nil, nil
			}
			if !ok {
				return b, nil
			}
			b = rest
			if err := c.frame(f); err != nil {
				return nil, err
			}
		}
	}
}

// header answers a protocol header.
func (c *Conn) header(h string) error {
	if c.cfg.Client {
		return c.headerOfServer(h)
	}
	switch {
	case h == headerSASL && c.phase == awaitHeader && c.cfg.Login != nil:
		c.out = append(c.out, headerSASL...)
		c.saslSend(&SASLMechanisms{SASLServerMechanisms: c.cfg.Login.Mechanisms()})
		c.phase = inSASL
	case h == headerAMQP && (c.phase == awaitAMQP || c.cfg.Login == nil || c.cfg.AllowBare):
		c.out = append(c.out, headerAMQP...)
		c.phase = awaitOpen
	default:
		// The standard: say which protocol would be right, and close.
		if c.cfg.Login != nil && c.phase == awaitHeader {
			c.out = append(c.out, headerSASL...)
		} else {
			c.out = append(c.out, headerAMQP...)
		}
		return fmt.Errorf("protocol header %q", h)
	}
	return nil
}

func (c *Conn) headerOfServer(h string) error {
	switch {
	case c.phase == awaitHeader && c.cfg.Credentials.Mechanism != "" && h == headerSASL:
		c.phase = inSASL
	case h == headerAMQP && (c.phase == awaitAMQP || c.cfg.Credentials.Mechanism == ""):
		c.phase = awaitOpen
	default:
		return fmt.Errorf("protocol header %q", h)
	}
	return nil
}

func (c *Conn) frame(f frame) error {
	if c.phase == inSASL {
		if f.kind != frameSASL {
			return fmt.Errorf("frame of type %d in the SASL layer", f.kind)
		}
		done, err := c.saslFrame(f.body)
		if err != nil || !done {
			return err
		}
		c.phase = awaitAMQP
		if c.cfg.Client {
			c.out = append(c.out, headerAMQP...)
			c.sendOpen()
		}
		return nil
	}
	if f.kind != frameAMQP {
		c.failed(NewError(CondFraming, fmt.Sprintf("frame of type %d", f.kind)))
		return nil
	}
	if len(f.body) == 0 {
		return nil // a heartbeat
	}
	r := NewReader(f.body)
	p, err := r.Composite()
	if err != nil {
		cond := CondDecode
		if de, ok := errors.AsType[*DecodeError](err); ok && de.At < 4 {
			cond = CondNotImplemented // the descriptor itself
		}
		c.failed(NewError(cond, err.Error()))
		return nil
	}
	c.performative(f.channel, p, r.Rest())
	return nil
}

func (c *Conn) performative(channel uint16, p Composite, payload []byte) {
	switch f := p.(type) {
	case *Open:
		c.gotOpen(f)
		return
	case *Close:
		c.gotClose(f.Error)
		return
	}
	if c.phase == closing {
		return
	}
	if c.phase != opened {
		c.failed(NewError(CondNotAllowed, "a frame before open"))
		return
	}
	if b, ok := p.(*Begin); ok {
		c.gotBegin(channel, b)
		return
	}
	s := c.remoteSessions[channel]
	if s == nil {
		c.failed(NewError(CondNotAllowed, fmt.Sprintf("channel %d has no session", channel)))
		return
	}
	if e, ok := p.(*End); ok {
		s.gotEnd(e.Error)
		return
	}
	if s.ended {
		return // until the peer's End
	}
	switch f := p.(type) {
	case *Attach:
		s.gotAttach(f)
	case *Flow:
		s.gotFlow(f)
	case *Transfer:
		s.gotTransfer(f, payload)
	case *Disposition:
		s.gotDisposition(f)
	case *Detach:
		s.gotDetach(f)
	default:
		c.failed(NewError(CondNotImplemented, fmt.Sprintf("performative 0x%x", p.Descriptor())))
	}
}

func (c *Conn) sendOpen() {
	if c.sentOpen {
		return
	}
	c.sentOpen = true
	c.send(0, &Open{
		ContainerID: c.cfg.ContainerID, Hostname: c.cfg.Hostname, MaxFrameSize: c.cfg.MaxFrameSize, ChannelMax: c.cfg.ChannelMax,
		// Half of it: a peer that sends at the last moment is not late yet.
		IdleTimeOut:         uint32(c.cfg.IdleTimeout.Milliseconds() / 2),
		OfferedCapabilities: c.cfg.OfferedCapabilities, DesiredCapabilities: c.cfg.DesiredCapabilities, Properties: c.cfg.Properties,
	})
}

func (c *Conn) gotOpen(o *Open) {
	if c.phase == closing {
		return
	}
	if c.phase != awaitOpen {
		c.failed(NewError(CondIllegalState, "a second open"))
		return
	}
	o.Properties = o.Properties.Clone()
	c.remote = *o
	c.phase = opened
	if o.MaxFrameSize < minFrameSize {
		c.remote.MaxFrameSize = minFrameSize
		c.failed(NewError(CondInvalidField, fmt.Sprintf("max-frame-size %d, must be %d at least", o.MaxFrameSize, minFrameSize)))
		return
	}
	if err := c.handler.Open(c, &c.remote); err != nil {
		if !c.sentOpen {
			c.cfg.Properties = c.cfg.Properties.Clone()
			c.cfg.Properties.Put("amqp:connection-establishment-failed", BoolValue(true))
		}
		c.told = true
		c.failed(err)
		return
	}
	c.sendOpen()
}

func (c *Conn) gotClose(err *Error) {
	c.parted = true
	wasOpen := c.phase == opened
	if c.phase == awaitOpen {
		wasOpen = true
		c.sendOpen()
	}
	if err != nil {
		err.Info = err.Info.Clone()
	}
	if wasOpen {
		c.send(0, &Close{})
	}
	c.stop(err)
}

// stop ends everything.
func (c *Conn) stop(err *Error) {
	c.phase = closed
	if !c.told {
		c.told = true
		c.handler.Close(c, err)
	}
}

// failed closes the connection for what the peer did.
func (c *Conn) failed(err *Error) {
	if c.phase == closing || c.phase == closed {
		return
	}
	told := c.told
	c.Close(err)
	if !told {
		c.handler.Close(c, err)
	}
}

// Close closes the connection. The peer's answer is awaited for some time: see Tick.
func (c *Conn) Close(err *Error) {
	if c.phase == closing || c.phase == closed {
		return
	}
	c.told = true
	if c.phase < awaitOpen && !c.sentOpen {
		c.phase = closed
		return
	}
	c.sendOpen()
	c.send(0, &Close{Error: err})
	c.phase = closing
	c.closeDeadline = c.now.Add(closeWait)
}

// Tick does what is due at now and returns when it wants to be called again, the zero time for never.
func (c *Conn) Tick(now time.Time) (next time.Time) {
	c.now = now
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	switch c.phase {
	case closed:
		return next
	case closing:
		if !now.Before(c.closeDeadline) {
			c.phase = closed
			return time.Time{}
		}
		sooner(c.closeDeadline)
	default:
	}
	if c.cfg.IdleTimeout > 0 {
		deadline := c.lastIn.Add(c.cfg.IdleTimeout)
		if !now.Before(deadline) {
			c.failed(NewError(CondResourceLimit, "nothing came for "+c.cfg.IdleTimeout.String()))
			c.stop(nil)
			return time.Time{}
		}
		sooner(deadline)
	}
	if c.remote.IdleTimeOut > 0 && c.phase == opened {
		every := max(time.Duration(c.remote.IdleTimeOut)*time.Millisecond/2, time.Millisecond)
		if now.Sub(c.lastOut) >= every {
			c.out = appendFrame(c.out, frameAMQP, 0, nil)
			c.lastOut = now
		}
		sooner(c.lastOut.Add(every))
	}
	return next
}

func (c *Conn) send(channel uint16, p Composite) { c.out = appendFrame(c.out, frameAMQP, channel, p) }

// BeginSession begins a session. Links may be attached at once.
func (c *Conn) BeginSession() (*Session, error) {
	s, err := c.newSession()
	if err != nil {
		return nil, err
	}
	c.send(s.channel, &Begin{NextOutgoingID: s.nextOut, IncomingWindow: s.inWindow, OutgoingWindow: outgoingWindow, HandleMax: c.cfg.HandleMax})
	return s, nil
}

// Sessions returns the sessions that are not ended.
func (c *Conn) Sessions() []*Session {
	list := make([]*Session, 0, len(c.localSessions))
	for _, s := range c.localSessions {
		list = append(list, s)
	}
	return list
}

func (c *Conn) newSession() (*Session, error) {
	limit := c.cfg.ChannelMax
	if c.phase == opened {
		limit = min(limit, c.remote.ChannelMax)
	}
	for n := uint32(0); n <= uint32(limit); n++ {
		if c.localSessions[uint16(n)] == nil {
			s := &Session{
				Conn: c, channel: uint16(n), inWindow: c.cfg.IncomingWindow, byName: map[linkName]*Link{}, local: map[uint32]*Link{},
				remote: map[uint32]*Link{}, unsettledIn: map[uint32]*Delivery{}, unsettledOut: map[uint32]*Delivery{},
			}
			c.localSessions[s.channel] = s
			return s, nil
		}
	}
	return nil, fmt.Errorf("all %d channels are in use", uint32(limit)+1)
}

func (c *Conn) gotBegin(channel uint16, b *Begin) {
	if c.remoteSessions[channel] != nil {
		c.failed(NewError(CondNotAllowed, fmt.Sprintf("channel %d has a session", channel)))
		return
	}
	if channel > c.cfg.ChannelMax {
		c.failed(NewError(CondFraming, fmt.Sprintf("channel %d, the highest is %d", channel, c.cfg.ChannelMax)))
		return
	}
	var s *Session
	if b.RemoteChannel.OK {
		s = c.localSessions[b.RemoteChannel.V]
		if s == nil || s.begun {
			c.failed(NewError(CondInvalidField, fmt.Sprintf("begin answers channel %d, which did not ask", b.RemoteChannel.V)))
			return
		}
	} else {
		var err error
		if s, err = c.newSession(); err != nil {
			c.failed(NewError(CondResourceLimit, err.Error()))
			return
		}
	}
	s.begun = true
	s.remoteChannel = channel
	s.nextIn = b.NextOutgoingID
	s.remoteWindow = b.IncomingWindow
	s.remoteHandleMax = b.HandleMax
	c.remoteSessions[channel] = s
	if !b.RemoteChannel.OK {
		c.send(s.channel, &Begin{
			RemoteChannel: Some(channel), NextOutgoingID: s.nextOut, IncomingWindow: s.inWindow, OutgoingWindow: outgoingWindow,
			HandleMax: c.cfg.HandleMax,
		})
	}
	if s.ended { // we ended it before the peer answered
		return
	}
	c.handler.Begin(s)
	s.pump()
}
