// Package websocket is the server's side of WebSocket (RFC 6455) as MQTT uses it: the bytes of binary messages are a stream, and where
// one message ends means nothing (MQTT 5.0, 6).
//
// Invariants:
//   - A connection that does nothing has no buffer: frames are unmasked in the reader's slice, and a length makes nobody allocate.
//   - The handshake happens in the first Read, so that Accept waits for no peer. Write may be called from another goroutine behind it.
//   - A Ping is answered from inside Read, which waits for that as long as pongWithin. One that comes while something is being written
//     is not: the peer hears from us anyway.
package websocket

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455, 1.3
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxHandshake = 8 << 10 // bytes of a request
	pongWithin   = 5 * time.Second
	maxControl   = 125
	smallWrite   = 4 << 10 // up to here frame and bytes leave in one piece
	maxHead      = 10      // bytes before those of a message

	guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, 1.3
)

// Codes of frames and of the end.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA

	closeProtocol    = 1002
	closeUnsupported = 1003
)

// ErrProtocol is wrapped by the errors of peers that break the rules.
var ErrProtocol = errors.New("it is no WebSocket connection for MQTT")

// Options of a Listener.
type Options struct {
	// Origins are the pages whose scripts may connect, as browsers name them; empty: all. Who sends no Origin is no browser.
	Origins []string
}

// Listen makes of l one whose connections speak WebSocket.
func Listen(l net.Listener, o Options) net.Listener { return &listener{l, &o} }

type listener struct {
	net.Listener
	o *Options
}

// Accept returns the next connection as it is.
func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: nc, o: l.o, turn: make(chan struct{}, 1)}, nil
}

// Conn is the stream of bytes of one WebSocket connection. Read is for one goroutine, Write for another one.
type Conn struct {
	net.Conn // the network's
	o        *Options

	// Of the reader.
	pre     []byte // came with the request
	left    uint64 // bytes of the data frame that is read
	mask    [4]byte
	at      int  // in mask
	message bool // a message goes on
	err     error

	open atomic.Bool   // the handshake is over
	turn chan struct{} // one slot: who writes has it

	mu    sync.Mutex // guards limit, and with it the network's deadline for writing
	limit time.Time
}

// Read reads what the peer has sent in binary messages.
func (c *Conn) Read(b []byte) (int, error) {
	if c.err == nil && !c.open.Load() {
		if c.err = c.handshake(); c.err == nil {
			c.open.Store(true)
		}
	}
	for c.err == nil && c.left == 0 {
		c.err = c.next()
	}
	if c.err != nil {
		return 0, c.err
	}
	if len(b) == 0 {
		return 0, nil
	}
	n, err := c.raw(b[:min(uint64(len(b)), c.left)])
	for i := range b[:n] {
		b[i] ^= c.mask[c.at&3]
		c.at++
	}
	c.left -= uint64(n)
	return n, err
}

// raw reads from the network behind what came with the request.
func (c *Conn) raw(b []byte) (int, error) {
	if len(c.pre) > 0 {
		n := copy(b, c.pre)
		if c.pre = c.pre[n:]; len(c.pre) == 0 {
			c.pre = nil
		}
		return n, nil
	}
	return c.Conn.Read(b)
}

type rawReader struct{ c *Conn }

func (r rawReader) Read(b []byte) (int, error) { return r.c.raw(b) }

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrProtocol}, args...)...)
}

// handshake answers the request that opens the connection.
func (c *Conn) handshake() error {
	limited := &io.LimitedReader{R: c.Conn, N: maxHandshake}
	br := bufio.NewReader(limited)
	r, err := http.ReadRequest(br)
	if err != nil {
		if limited.N <= 0 {
			err = broken("the request is longer than %d bytes", maxHandshake)
		}
		return err
	}
	status, text := http.StatusBadRequest, ""
	key, kerr := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1) || !has(r.Header, "Connection", "upgrade") || !has(r.Header, "Upgrade", "websocket"):
		text = "this port is for MQTT over WebSocket"
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		status, text = http.StatusUpgradeRequired, "the version of WebSocket must be 13"
	case kerr != nil || len(key) != 16:
		text = "Sec-WebSocket-Key is not 16 bytes in base64"
	case !has(r.Header, "Sec-WebSocket-Protocol", "mqtt"):
		text = "the subprotocol must be mqtt"
	case !c.fromHere(r.Header.Get("Origin")):
		status, text = http.StatusForbidden, "pages of this origin may not connect"
	}
	if text != "" {
		_, _ = fmt.Fprintf(c.Conn, "HTTP/1.1 %d %s\r\nSec-WebSocket-Version: 13\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s\n",
			status, http.StatusText(status), len(text)+1, text) // it is refused in any case
		return broken("%s", text)
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + guid)) //nolint:gosec // RFC 6455, 1.3
	_, err = fmt.Fprintf(c.Conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	if n := br.Buffered(); n > 0 && err == nil {
		var ahead []byte
		ahead, err = br.Peek(n)
		c.pre = bytes.Clone(ahead)
	}
	return err
}

// has reports whether a header, a list of words, has a word.
func has(h http.Header, name, word string) bool {
	for _, v := range h.Values(name) {
		for w := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(w), word) {
				return true
			}
		}
	}
	return false
}

func (c *Conn) fromHere(origin string) bool {
	return origin == "" || len(c.o.Origins) == 0 || slices.ContainsFunc(c.o.Origins, func(o string) bool { return strings.EqualFold(o, origin) })
}

// next reads up to the bytes of the next data frame.
func (c *Conn) next() error {
	var b [8]byte
	if _, err := io.ReadFull(rawReader{c}, b[:2]); err != nil {
		return err
	}
	final, op, length := b[0]&0x80 != 0, b[0]&0x0f, uint64(b[1]&0x7f)
	switch {
	case b[0]&0x70 != 0:
		return c.fail(closeProtocol, "reserved bits are set")
	case b[1]&0x80 == 0:
		return c.fail(closeProtocol, "a frame is not masked")
	case op >= opClose && (!final || length > maxControl):
		return c.fail(closeProtocol, "a control frame is too long or in parts")
	}
	switch length {
	case 126:
		if _, err := io.ReadFull(rawReader{c}, b[:2]); err != nil {
			return err
		}
		length = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		if _, err := io.ReadFull(rawReader{c}, b[:8]); err != nil {
			return err
		}
		if length = binary.BigEndian.Uint64(b[:]); length > 1<<63-1 {
			return c.fail(closeProtocol, "a frame is too long")
		}
	}
	if _, err := io.ReadFull(rawReader{c}, c.mask[:]); err != nil {
		return err
	}
	c.at = 0
	switch op {
	case opBinary, opContinuation:
		if (op == opContinuation) != c.message {
			return c.fail(closeProtocol, "the parts of a message are out of order")
		}
		c.message, c.left = !final, length
		return nil
	case opText:
		return c.fail(closeUnsupported, "MQTT is in binary messages")
	case opClose, opPing, opPong:
		return c.control(op, int(length))
	default:
		return c.fail(closeProtocol, "an unknown frame")
	}
}

// control handles a control frame.
func (c *Conn) control(op byte, length int) error {
	var payload [maxControl]byte
	p := payload[:length]
	if _, err := io.ReadFull(rawReader{c}, p); err != nil {
		return err
	}
	for i := range p {
		p[i] ^= c.mask[i&3]
	}
	switch op {
	case opPing:
		return c.answer(opPong, p)
	case opClose:
		_ = c.answer(opClose, p[:min(length, 2)]) // it goes in any case
		return io.EOF
	}
	return nil
}

// fail tells the peer that it broke the rules.
func (c *Conn) fail(code uint16, text string) error {
	_ = c.answer(opClose, binary.BigEndian.AppendUint16(nil, code)) // it ends in any case
	return broken("%s", text)
}

// answer writes a control frame, unless something is being written. It takes pongWithin at most.
func (c *Conn) answer(op byte, payload []byte) error {
	select {
	case c.turn <- struct{}{}:
	default:
		return nil
	}
	defer func() { <-c.turn }()
	c.bound(time.Now().Add(pongWithin))
	defer c.bound(time.Time{})
	_, err := c.Conn.Write(append([]byte{0x80 | op, byte(len(payload))}, payload...))
	return err
}

// bound narrows the deadline for writing to at; the zero time gives it back what its owner has set.
func (c *Conn) bound(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.IsZero() || !c.limit.IsZero() && c.limit.Before(at) {
		at = c.limit
	}
	_ = c.Conn.SetWriteDeadline(at) // a connection that is closed is found by Write
}

// SetWriteDeadline bounds writes.
func (c *Conn) SetWriteDeadline(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = at
	return c.Conn.SetWriteDeadline(at)
}

// SetDeadline bounds reads and writes.
func (c *Conn) SetDeadline(at time.Time) error {
	return errors.Join(c.SetReadDeadline(at), c.SetWriteDeadline(at))
}

var errEarly = errors.New("nothing can be written before the handshake")

// Write sends b as one binary message.
func (c *Conn) Write(b []byte) (int, error) {
	if !c.open.Load() {
		return 0, errEarly
	}
	together := len(b) <= smallWrite
	size := maxHead
	if together {
		size += len(b)
	}
	head := append(make([]byte, 0, size), 0x80|opBinary)
	switch n := len(b); {
	case n < 126:
		head = append(head, byte(n))
	case n <= 0xffff:
		head = binary.BigEndian.AppendUint16(append(head, 126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 127), uint64(n))
	}
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if together {
		if _, err := c.Conn.Write(append(head, b...)); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	if _, err := c.Conn.Write(head); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
