package remoting

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func certificate(tb testing.TB) (server, client *tls.Config) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, DNSNames: []string{"broker"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool, ServerName: "broker"}
}

func remoteServer(o ServerOptions) *Server {
	s := NewServer(o)
	s.Handle(codeEcho, echo)
	s.Handle(1, func(c *Conn, r *Request) {
		c.Reply(r.ReplyTo(), 0, fmt.Sprint(c.Remote(), " ", c.SocketRemote()), nil, nil)
	})
	return s
}

func TestTLSModes(t *testing.T) {
	t.Parallel()
	server, client := certificate(t)
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			for _, tc := range []struct {
				mode            TLSMode
				cfg             *tls.Config
				plain, overlaid bool
			}{
				{TLSPermissive, server, true, true},
				{TLSEnforcing, server, false, true},
				{TLSDisabled, server, true, false},
				{TLSPermissive, nil, true, false},
			} {
				r := serve(t, tr, remoteServer(ServerOptions{TLS: tc.cfg, TLSMode: tc.mode}))
				w := r.wire(t)
				w.send(get(JSON, codeEcho, 1))
				if tc.plain {
					w.want(1, 0)
				} else {
					w.wantEnd()
				}

				inner := r.wire(t)
				tc2 := tls.Client(inner.Conn, client)
				if err := tc2.Handshake(); (err == nil) != tc.overlaid {
					t.Fatalf("mode %d: handshake: %v", tc.mode, err)
				}
				if !tc.overlaid {
					continue
				}
				w = newWire(t, tc2)
				body := []byte(strings.Repeat("0123456789", 60_000))
				go w.send(get(JSON, 1, 2), frame(Binary, codeEcho, 3, 0, nil, body), get(Binary, codeEcho, 4))
				a := inner.LocalAddr().String()
				if rep := w.want(2, 0); rep.Remark != a+" "+a {
					t.Fatalf("remark %q", rep.Remark)
				}
				if rep := w.want(3, 0); !bytes.Equal(rep.Body, body) {
					t.Fatalf("body of %d bytes", len(rep.Body))
				}
				w.want(4, 0)
				r.stop(t) // with a live TLS connection
				w.wantEnd()
			}
		})
	}
}

func proxyV2Header(command, family byte, addrs []byte) []byte {
	b := append([]byte(proxyV2), 0x20|command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(addrs)))
	return append(b, addrs...)
}

var (
	v2IPv4 = []byte{192, 0, 2, 1, 198, 51, 100, 9, 0x30, 0x39, 0x2a, 0x9f}
	v2IPv6 = append(append(netip.MustParseAddr("2001:db8::7").AsSlice(), make([]byte, 16)...), 0x30, 0x39, 0x2a, 0x9f)
)

func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	server, client := certificate(t)
	r := serve(t, overTCP(), remoteServer(ServerOptions{TLS: server}))
	for name, tc := range map[string]struct {
		head []byte
		want string // "" = the socket's address
	}{
		"v1 TCP4":    {[]byte("PROXY TCP4 192.0.2.1 198.51.100.9 12345 10911\r\n"), "192.0.2.1:12345"},
		"v1 TCP6":    {[]byte("PROXY TCP6 2001:db8::7 2001:db8::8 12345 10911\r\n"), "[2001:db8::7]:12345"},
		"v1 unknown": {[]byte("PROXY UNKNOWN ffff:f...f:ffff\r\n"), ""},
		"v2 TCP4":    {proxyV2Header(1, 0x11, v2IPv4), "192.0.2.1:12345"},
		"v2 TLVs":    {proxyV2Header(1, 0x11, append(v2IPv4[:12:12], make([]byte, 9000)...)), "192.0.2.1:12345"},
		"v2 TCP6":    {proxyV2Header(1, 0x21, v2IPv6), "[2001:db8::7]:12345"},
		"v2 local":   {proxyV2Header(0, 0, nil), ""},
		"v2 unix":    {proxyV2Header(1, 0x31, make([]byte, 216)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := func(w *wire) {
				t.Helper()
				sock := w.LocalAddr().String()
				want := tc.want
				if want == "" {
					want = sock
				}
				if got := w.want(1, 0).Remark; got != want+" "+sock {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
			whole := r.wire(t)
			whole.send(tc.head, get(JSON, 1, 1))
			check(whole)

			if len(tc.head) < 1000 {
				drip := r.wire(t)
				for i := range tc.head {
					drip.send(tc.head[i : i+1])
				}
				drip.send(get(JSON, 1, 1))
				check(drip)
			}

			inner := r.wire(t)
			inner.send(tc.head)
			w := newWire(t, tls.Client(inner.Conn, client))
			w.send(get(JSON, 1, 1))
			check(w)
		})
	}
}

func TestBadProxyHeadersCloseTheConnection(t *testing.T) {
	t.Parallel()
	r := serve(t, overMemory(), remoteServer(ServerOptions{}))
	for _, bad := range []string{
		"PROXY TCP4 nonsense\r\n",
		"PROXY TCP4 300.0.2.1 198.51.100.9 12345 10911\r\n",
		"PROXY " + strings.Repeat("x", 200),
		"PROXIMITY",
		string(proxyV2Header(2, 0x11, v2IPv4)),
		string(proxyV2Header(1, 0x11, v2IPv4[:11])),
		string(proxyV2Header(1, 0x21, v2IPv4)),
	} {
		w := r.wire(t)
		w.send([]byte(bad), get(JSON, 1, 1))
		w.wantEnd()
	}
}

func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 198.51.100.9 12345 10911\r\n\x00"))
	f.Add(proxyV2Header(1, 0x11, v2IPv4))
	f.Add(proxyV2Header(1, 0x21, v2IPv6))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, _, err := proxyHeader(b)
		if n > len(b) || n < -1 || (err != nil && n != 0) {
			t.Fatalf("%d bytes of %d, %v", n, len(b), err)
		}
		if n > 0 { // an answer does not depend on what follows, and no shorter prefix gives another one
			for k := range n {
				if m, _, err := proxyHeader(b[:k]); k > 0 && (m > 0 || err != nil) {
					t.Fatalf("%d of %d bytes: %d, %v", k, n, m, err)
				}
			}
		}
	})
}

// TestAStalledHandshakeIsClosed in virtual time: also one that goes on byte by byte, which only the whole time can bound.
func TestAStalledHandshakeIsClosed(t *testing.T) {
	t.Parallel()
	server, _ := certificate(t)
	for _, drip := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := serve(t, overMemory(), remoteServer(ServerOptions{TLS: server}))
			nc, err := r.tr.dial(t.Context(), "tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, _ = nc.Write([]byte{0x16, 3, 1, 1, 0, 1}) // a record of 256 bytes
			done := make(chan struct{})
			go func() {
				defer close(done)
				for drip {
					time.Sleep(time.Second)
					if _, err := nc.Write([]byte{0}); err != nil {
						return
					}
				}
			}()
			_, _ = io.Copy(io.Discard, nc)
			if took := time.Since(began); took != handshakeTimeout {
				t.Errorf("it lived for %v, want %v", took, handshakeTimeout)
			}
			_ = nc.Close()
			<-done
			r.stop(t)
		})
	}
}
