package remoting

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// The first bytes of a connection decide what it is: a PROXY protocol header (stripped, the rest is looked at again), a
// TLS handshake, or plain frames. A frame starts with 0x00 because its length is below 16 MiB, so there is no doubt.
const (
	proxyV1     = "PROXY "
	proxyV2     = "\r\n\r\n\x00\r\nQUIT\n"
	proxyV1Max  = 107 // longest line with its end
	proxyV2Head = 16
	tlsRecord   = 0x16
)

// sniff reads until it knows what the connection is and prepares it. Bytes behind that stay in the read buffer.
func (c *Conn) sniff() error {
	proxied := false
	for {
		var b []byte
		if c.in != nil {
			b = c.in.B[c.r:c.w:cap(c.in.B)]
		}
		done := len(b) > 0
		if done && !proxied {
			n, from, err := proxyHeader(b)
			if err != nil {
				return err
			}
			if n > 0 {
				if from.IsValid() {
					if err := c.core.proxied(c, from); err != nil {
						c.core.noteRefused(err)
						return err
					}
					c.remote = from
				}
				c.r += n
				proxied = true
				continue
			}
			done = n == 0
		}
		if done {
			if b[0] == tlsRecord {
				return c.startTLS()
			}
			if c.core.tlsMode == TLSEnforcing && !secured(c.nc) {
				return fmt.Errorf("%w: TLS is required", ErrMalformed)
			}
			return nil
		}
		if c.draining.Load() {
			return ErrShutdown
		}
		n, err := c.read()
		if n == 0 && err != nil { // what comes before the first frame is no sign of life: nobody needs long for it
			return err
		}
	}
}

// secured reports whether TLS has ended below nc, in a listener that several protocols share.
func secured(nc net.Conn) bool {
	s, ok := nc.(interface{ Secured() bool })
	return ok && s.Secured()
}

// proxyHeader parses a PROXY protocol header at the start of b. n is its length, 0 when there is none, -1 when b is too
// short to tell. from is invalid when the proxy speaks for itself or does not know its client.
func proxyHeader(b []byte) (n int, from netip.AddrPort, err error) {
	switch {
	case prefixOf(proxyV1, b):
		return proxyLine(b)
	case prefixOf(proxyV2, b):
		return proxyBinary(b)
	}
	return 0, netip.AddrPort{}, nil
}

// prefixOf reports that b begins with sig, or sig with b.
func prefixOf(sig string, b []byte) bool {
	k := min(len(sig), len(b))
	return string(b[:k]) == sig[:k]
}

// proxyLine parses version 1: "PROXY TCP4 source destination sourcePort destinationPort\r\n".
func proxyLine(b []byte) (int, netip.AddrPort, error) {
	var none netip.AddrPort
	end := bytes.IndexByte(b[:min(len(b), proxyV1Max)], '\n')
	if end < 0 {
		if len(b) >= proxyV1Max {
			return 0, none, fmt.Errorf("%w: PROXY line without end", ErrMalformed)
		}
		return -1, none, nil
	}
	f := strings.Fields(string(b[:end]))
	if len(f) >= 2 && f[1] == "UNKNOWN" {
		return end + 1, none, nil
	}
	if len(f) != 6 || (f[1] != "TCP4" && f[1] != "TCP6") {
		return 0, none, fmt.Errorf("%w: PROXY line %q", ErrMalformed, b[:end])
	}
	from, err := netip.ParseAddrPort(net.JoinHostPort(f[2], f[4]))
	if err != nil {
		return 0, none, fmt.Errorf("%w: PROXY line %q", ErrMalformed, b[:end])
	}
	return end + 1, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), nil
}

// proxyBinary parses version 2:
//
//	bytes[12]  signature
//	uint8      version (2) << 4 | command (0 LOCAL, 1 PROXY)
//	uint8      address family << 4 | transport: 0x11 TCP4, 0x21 TCP6
//	uint16     length of what follows: source, destination, ports, TLVs
func proxyBinary(b []byte) (int, netip.AddrPort, error) {
	var none netip.AddrPort
	if len(b) < proxyV2Head {
		return -1, none, nil
	}
	if b[12]>>4 != 2 || b[12]&15 > 1 {
		return 0, none, fmt.Errorf("%w: PROXY version and command %#x", ErrMalformed, b[12])
	}
	n := proxyV2Head + int(binary.BigEndian.Uint16(b[14:]))
	if len(b) < n {
		return -1, none, nil
	}
	a := b[proxyV2Head:n]
	if b[12]&15 == 0 {
		return n, none, nil
	}
	switch family := b[13]; {
	case family == 0x11 && len(a) >= 12:
		return n, netip.AddrPortFrom(netip.AddrFrom4([4]byte(a)), binary.BigEndian.Uint16(a[8:])), nil
	case family == 0x21 && len(a) >= 36:
		return n, netip.AddrPortFrom(netip.AddrFrom16([16]byte(a)).Unmap(), binary.BigEndian.Uint16(a[32:])), nil
	case family == 0x11, family == 0x21:
		return 0, none, fmt.Errorf("%w: PROXY addresses of %d bytes", ErrMalformed, len(a))
	}
	return n, none, nil
}

// startTLS makes c a TLS connection. What has been read is the start of the handshake.
func (c *Conn) startTLS() error {
	if c.core.tls == nil || c.core.tlsMode == TLSDisabled {
		return fmt.Errorf("%w: TLS is disabled", ErrMalformed)
	}
	pre := bytes.Clone(c.in.B[c.r:c.w:cap(c.in.B)])
	c.in.Release()
	c.in, c.r, c.w, c.hint = nil, 0, 0, minRead
	tc := tls.Server(&prefixed{Conn: c.nc, pre: pre}, c.core.tls)
	c.mu.Lock()
	c.nc, c.raw = tc, nil
	c.mu.Unlock()

	_ = tc.SetDeadline(time.Now().Add(handshakeTimeout))
	if c.Closed() || c.draining.Load() { // their deadline may have come before ours
		return ErrClosed
	}
	if err := tc.HandshakeContext(c.core.ctx); err != nil {
		return fmt.Errorf("%w: TLS handshake: %w", ErrMalformed, err)
	}
	_ = tc.SetDeadline(time.Time{})
	if c.Closed() {
		return ErrClosed
	}
	return nil
}

// prefixed gives back bytes that were read before the connection got its present reader.
type prefixed struct {
	net.Conn
	pre []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.pre) > 0 {
		n := copy(b, p.pre)
		p.pre = p.pre[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}
