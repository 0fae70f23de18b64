package remoting

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

// TLSMode says what a server does with a connection that starts with a TLS handshake, or without one.
type TLSMode uint8

// The modes of Java's tls.server.mode.
const (
	TLSPermissive TLSMode = iota // take both; without a tls.Config: as TLSDisabled
	TLSDisabled                  // close connections that start with a handshake
	TLSEnforcing                 // close connections that do not
)

// ParseTLSMode reads Java's tls.server.mode; ok is false for any other text, which Java treats as permissive.
func ParseTLSMode(s string) (m TLSMode, ok bool) {
	switch s {
	case "disabled":
		return TLSDisabled, true
	case "permissive":
		return TLSPermissive, true
	case "enforcing":
		return TLSEnforcing, true
	}
	return TLSPermissive, false
}

// ServerOptions tune a Server. The zero value works.
type ServerOptions struct {
	MaxFrame     int           // longest frame with its four length bytes, default 16 MiB
	MaxOutput    int           // bytes queued to one peer above which it is not read any more, default 4 MiB
	IdleTimeout  time.Duration // without a whole frame, 4 KiB of one or a byte that the peer takes, default 120 s; negative: never
	WriteTimeout time.Duration // without a byte taken by a peer that is being written to, default 120 s
	DrainTimeout time.Duration // Shutdown: how long a connection waits for answers that come later, default 1 s
	Workers      int           // most goroutines that run Conn.Go, default 64
	Serial       Serial        // of server-initiated commands, default JSON
	Version      int32         // reported to peers, default protocol.VersionServed
	Language     uint8         // reported to peers, default JAVA
	Log          *slog.Logger  // default: discard

	// OnOpen and OnClose run in the connection's reader goroutine, before its first request (PROXY header and TLS
	// handshake are over) and after its last. OnBurstEnd runs after all complete frames of a read were handled and before
	// the answers are flushed; also in the middle of a long burst when much output has gathered.
	OnOpen     func(*Conn)
	OnClose    func(*Conn)
	OnBurstEnd func(*Conn)

	// Admit runs before the handler of each request. When it returns false it has answered the request, which goes no further.
	Admit func(*Conn, *Request) bool

	TLS     *tls.Config
	TLSMode TLSMode
}

// ClientOptions tune a Client. The zero value works.
type ClientOptions struct {
	// Dial opens connections, default net.Dialer. DialTimeout bounds it, default 3 s.
	Dial        func(ctx context.Context, network, addr string) (net.Conn, error)
	DialTimeout time.Duration
	TLS         *tls.Config // set: every connection is TLS; ServerName defaults to the address dialed

	MaxFrame     int
	MaxOutput    int
	IdleTimeout  time.Duration // default 120 s; negative: never
	WriteTimeout time.Duration
	Workers      int
	Serial       Serial
	Version      int32
	Language     uint8
	Log          *slog.Logger

	// OnRequest handles what servers ask on our connections, by code. OnClose runs when a connection has ended.
	OnRequest map[int32]Handler
	OnClose   func(addr string, c *Conn)

	// Sign returns fields that are added to each request, such as a signature of its fields and body.
	Sign func(f protocol.Fields, body []byte) protocol.Fields
}

// settings are the options that a connection needs, of either side, with defaults filled in.
type settings struct {
	maxFrame, maxOutput, workers            int
	idleTimeout, writeTimeout, drainTimeout time.Duration
	serial                                  Serial
	version                                 int32
	language                                uint8
	log                                     *slog.Logger
	onOpen, onClose, onBurstEnd             func(*Conn)
	admit                                   func(*Conn, *Request) bool
	tls                                     *tls.Config
	tlsMode                                 TLSMode
	sniff                                   bool // the peer may start with a PROXY header or a TLS handshake
}

const (
	defaultMaxOutput    = 4 << 20
	defaultIdle         = 120 * time.Second
	defaultWriteTimeout = 120 * time.Second
	defaultDrain        = time.Second
	defaultDialTimeout  = 3 * time.Second
	defaultWorkers      = 64
	handshakeTimeout    = 10 * time.Second // Netty's
	lingerTimeout       = 5 * time.Second  // for output that is queued when the peer has closed its direction
	maxTasks            = 1024             // Conn.Go of one connection above which it is not read any more
)

func (s settings) withDefaults() settings {
	s.maxFrame = cmp.Or(s.maxFrame, protocol.MaxFrame)
	s.maxOutput = cmp.Or(s.maxOutput, defaultMaxOutput)
	s.workers = cmp.Or(s.workers, defaultWorkers)
	s.idleTimeout = cmp.Or(s.idleTimeout, defaultIdle)
	s.writeTimeout = cmp.Or(s.writeTimeout, defaultWriteTimeout)
	s.drainTimeout = cmp.Or(s.drainTimeout, defaultDrain)
	s.version = cmp.Or(s.version, protocol.VersionServed)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

func (o ServerOptions) settings() settings {
	return settings{
		maxFrame: o.MaxFrame, maxOutput: o.MaxOutput, workers: o.Workers, idleTimeout: o.IdleTimeout,
		writeTimeout: o.WriteTimeout, drainTimeout: o.DrainTimeout, serial: o.Serial, version: o.Version,
		language: o.Language, log: o.Log, onOpen: o.OnOpen, onClose: o.OnClose, onBurstEnd: o.OnBurstEnd, admit: o.Admit,
		tls: o.TLS, tlsMode: o.TLSMode, sniff: true,
	}.withDefaults()
}

func (o *ClientOptions) settings() settings {
	return settings{
		maxFrame: o.MaxFrame, maxOutput: o.MaxOutput, workers: o.Workers, idleTimeout: o.IdleTimeout,
		writeTimeout: o.WriteTimeout, serial: o.Serial, version: o.Version, language: o.Language, log: o.Log,
	}.withDefaults()
}
