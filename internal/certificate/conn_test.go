package certificate

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	tls12 = tls.VersionTLS12
	tls13 = tls.VersionTLS13
)

func secured(nc net.Conn) bool {
	c, _ := nc.(*Conn)
	return c.Secured()
}

func withCancel(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(t.Context())
}

// pipes is a listener for connections that are there already.
type pipes struct{ conns chan net.Conn }

func (p *pipes) Accept() (net.Conn, error) {
	c, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// accepted connects to a Listener.
func accepted(t *testing.T, o ListenOptions) (ours net.Conn, peer net.Conn) {
	t.Helper()
	p := &pipes{make(chan net.Conn, 1)}
	l := Listen(p, o)
	here, there := connected(t)
	p.conns <- here
	ours, err := l.Accept() // at once: nobody has said anything
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = ours.Close(), there.Close() })
	return ours, there
}

func TestOnePortTakesTLSAndPlain(t *testing.T) {
	t.Parallel()
	d, _ := world(t)
	k := mustOpen(t, Options{Disk: d, Server: serverFiles})
	client := mustOpen(t, Options{Disk: d, Client: clientFiles})
	for _, secure := range []bool{true, false} {
		ours, peer := accepted(t, ListenOptions{Config: k.Server(), Plain: true})
		go func() {
			if secure {
				peer, _ = client.Dial(over(peer))(t.Context(), "tcp", "server:1")
			}
			_, _ = peer.Write([]byte("hello"))
			_, _ = io.Copy(peer, peer) // ends with the connection
		}()
		b := make([]byte, 5)
		if _, err := io.ReadFull(ours, b); err != nil || string(b) != "hello" {
			t.Fatalf("%q, %v", b, err)
		}
		if _, err := ours.Write([]byte("again")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(ours, b); err != nil || string(b) != "again" {
			t.Fatalf("%q, %v", b, err)
		}
		if secured(ours) != secure {
			t.Errorf("Secured is %t", secured(ours))
		}
	}
}

func TestPlainPeersAreRefusedInWords(t *testing.T) {
	t.Parallel()
	d, _ := world(t)
	k := mustOpen(t, Options{Disk: d, Server: serverFiles})
	var log syncBuffer
	ours, peer := accepted(t, ListenOptions{Config: k.Server(), Refusal: []byte("use TLS"), Log: logTo(&log)})
	got := make(chan string, 1)
	go func() {
		_, _ = peer.Write([]byte("G"))
		b, _ := io.ReadAll(peer)
		got <- string(b)
	}()
	if _, err := ours.Read(make([]byte, 10)); !errors.Is(err, ErrPlain) {
		t.Errorf("%v", err)
	}
	if s := <-got; s != "use TLS" {
		t.Errorf("the peer reads %q", s)
	}
	if _, err := ours.Write([]byte("x")); !errors.Is(err, ErrPlain) {
		t.Errorf("a write: %v", err)
	}
	if log.count("the peer does not use TLS") != 1 || secured(ours) {
		t.Error("not said once")
	}
}

// TestSlowPeersAreClosed in virtual time: one that says nothing, and one that stops in the middle of the handshake.
func TestSlowPeersAreClosed(t *testing.T) {
	t.Parallel()
	d, _ := world(t)
	for _, begin := range []string{"", "\x16\x03\x01"} {
		synctest.Test(t, func(t *testing.T) {
			k := mustOpen(t, Options{Disk: d, Server: serverFiles})
			ours, peer := accepted(t, ListenOptions{Config: k.Server()})
			go func() { _, _ = io.WriteString(peer, begin) }()
			began := time.Now()
			// The owner's deadline is far away, and must stay what it is.
			_ = ours.SetDeadline(began.Add(time.Hour))
			_, err := ours.Read(make([]byte, 1))
			if took := time.Since(began); err == nil || took != HandshakeTimeout {
				t.Errorf("%q: %v after %v", begin, err, took)
			}
		})
	}
}

func TestTheOwnersDeadlineCountsBeforeTheHandshake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, _ := accepted(t, ListenOptions{Plain: true})
		began := time.Now()
		_ = ours.SetReadDeadline(began.Add(time.Second))
		if _, err := ours.Read(make([]byte, 1)); err == nil || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestDialSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	k := mustOpen(t, Options{})
	for answer, want := range map[string]string{"HTTP/1.1 400 Bad Request\r\n": "does not speak TLS", "": "perhaps it does not take TLS"} {
		here, there := connected(t)
		go func() {
			_, _ = there.Read(make([]byte, 1<<16))
			_, _ = io.WriteString(there, answer)
			_ = there.Close()
		}()
		_, err := k.Dial(over(here))(t.Context(), "tcp", "10.0.0.1:9876")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "10.0.0.1:9876") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
