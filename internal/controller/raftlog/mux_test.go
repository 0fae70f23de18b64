package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

func (g *group) dialRaw(to string) net.Conn {
	g.tb.Helper()
	c, err := g.net.Host("10.0.9.9").Dial(g.tb.Context(), "tcp", to)
	must(g.tb, err)
	return c
}

func greeting(texts ...string) []byte {
	b := []byte(magic)
	for _, t := range texts {
		b = appendText(b, t)
	}
	return b
}

// TestStrangersAreRefused on the port of a member, with the reason where they can read it, and the group goes on.
func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, "")
		g.startAll()
		g.say("a")
		for _, tc := range []struct {
			name, send, want string
		}{
			{"another group", string(greeting("group2", "n1", "n0")), "\xc1this is group group1, not group2"},
			{"meant for another one", string(greeting("group1", "n1", "n2")), "\xc1this is controller n0, not n2"},
			{"nobody knows it", string(greeting("group1", "n7", "n0")), "\xc1n7 is not configured as a member here"},
			{"another version", magic[:7] + "\x02", ""},
			{"half a magic", magic[:3], ""},
			{"a text that is too long", magic + "\xff\xff", ""},
			{"a greeting that ends", string(greeting("group1")), ""},
			{"garbage behind it", string(greeting("group1", "n1", "n0")) + strings.Repeat("\xff", 4096), "\xc0"},
		} {
			c := g.dialRaw(g.addr("n0"))
			_, err := c.Write([]byte(tc.send))
			must(t, err)
			must(t, c.(interface{ CloseWrite() error }).CloseWrite())
			_ = c.SetReadDeadline(time.Now().Add(time.Minute))
			got, err := io.ReadAll(c)
			if err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("%s: %v", tc.name, err)
			}
			text := string(got)
			if len(text) > 3 && text[0] == refused {
				text = text[:1] + text[3:] // the length of the reason
			}
			if !strings.HasPrefix(text, tc.want) || (tc.want == "" && text != "") {
				t.Errorf("%s: answer %q, want %q", tc.name, text, tc.want)
			}
			_ = c.Close()
		}
		g.say("b")
		g.agree("a", "b")
	})
}

// TestSlowStrangersHoldNobodyUp: connections that say nothing are closed, and members come in beside them.
func TestSlowStrangersHoldNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, "")
		var silent []net.Conn
		g.start("n0")
		for i := range 200 {
			c := g.dialRaw(g.addr("n0"))
			if i%2 == 0 {
				_, err := c.Write([]byte(magic + "\x00"))
				must(t, err)
			}
			silent = append(silent, c)
		}
		g.start("n1", "n2")
		began := time.Now()
		g.say("a")
		g.agree("a")
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("it took %v", d)
		}
		time.Sleep(sniffLimit + time.Second)
		for i, c := range silent {
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
				t.Fatalf("connection %d is still open: %v", i, err)
			}
			_ = c.Close()
		}
	})
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// TestPlainConnectionsAreWhole: what is no member's comes out of the other side from its first byte.
func TestPlainConnectionsAreWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 1, "")
		g.start("n0")
		for _, send := range []string{"\x00\x00\x00\x10rest of a frame", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "\x16\x03\x01 TLS"} {
			c := g.dialRaw(g.addr("n0"))
			_, err := c.Write([]byte(send))
			must(t, err)
			got, err := g.run["n0"].mux.Plain().Accept()
			must(t, err)
			b := make([]byte, len(send))
			if _, err := io.ReadFull(got, b); err != nil || string(b) != send {
				t.Errorf("%q, %v", b, err)
			}
			_ = got.Close()
			_ = c.Close()
		}
		plain := g.run["n0"].mux.Plain()
		if plain.Addr().String() != g.addr("n0") {
			t.Error(plain.Addr())
		}
		must(t, plain.Close())
		if _, err := plain.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// TestAnAddressThatIsSomethingElse is found out by whoever dials it.
func TestAnAddressThatIsSomethingElse(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{"a name server": "\x00\x00\x00\x10", "a web server": "HTTP/1.1 400 Bad Request\r\n\r\n", "nothing": ""} {
		synctest.Test(t, func(t *testing.T) {
			g := newGroup(t, 2, "")
			l, err := g.net.Host(host(g.addr("n1"))).Listen(g.addr("n1"))
			must(t, err)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = io.ReadFull(c, make([]byte, len(magic)))
					_, _ = c.Write([]byte(answer))
					_ = c.Close()
				}
			}()
			g.start("n0")
			time.Sleep(5 * time.Second)
			if g.run["n0"].log.Leader().Self {
				t.Errorf("%s was taken for a member", name)
			}
			if d := g.diary.String(); !strings.Contains(d, "does not answer as one") {
				t.Errorf("%s: nobody was told:\n%s", name, d)
			}
			must(t, l.Close())
			<-done
		})
	}
}

func TestGreetingIsAsDocumented(t *testing.T) {
	t.Parallel()
	b := greeting("g", "n1", "n0")
	if want := magic + "\x00\x01g\x00\x02n1\x00\x02n0"; string(b) != want {
		t.Errorf("%q, want %q", b, want)
	}
	if binary.BigEndian.Uint32([]byte(magic)) < 16<<20 {
		t.Error("it could be the length of a remoting frame")
	}
}

// encrypted is a listener whose connections say that they are TLS, or not.
type encrypted struct {
	net.Listener
	secured bool
}

func (l *encrypted) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return &encryptedConn{nc, l.secured}, err
}

type encryptedConn struct {
	net.Conn
	secured bool
}

func (c *encryptedConn) Secured() bool { return c.secured }

// TestMembersMustUseTLS where that is wanted; others are told apart by whoever serves them.
func TestMembersMustUseTLS(t *testing.T) {
	t.Parallel()
	for _, isTLS := range []bool{true, false} {
		n := memnet.New()
		l, err := n.Listen(":0")
		must(t, err)
		var log bytes.Buffer
		m := NewMux(&encrypted{l, isTLS}, slog.New(slog.NewTextHandler(&log, nil)), true)
		done := make(chan error, 1)
		go func() { done <- m.Run() }()
		c, err := n.Dial(t.Context(), "tcp", l.Addr().String())
		must(t, err)
		_, err = io.WriteString(c, magic)
		must(t, err)
		if isTLS {
			member, aerr := m.Raft().Accept()
			must(t, aerr)
			must(t, member.Close())
		} else if _, rerr := c.Read(make([]byte, 1)); rerr == nil {
			t.Error("not refused")
		}
		other, err := n.Dial(t.Context(), "tcp", l.Addr().String())
		must(t, err)
		_, err = io.WriteString(other, "\x00")
		must(t, err)
		got, err := m.Plain().Accept()
		must(t, err)
		if s, ok := got.(interface{ Secured() bool }); !ok || s.Secured() != isTLS {
			t.Errorf("Secured of a connection that is %t", isTLS)
		}
		_, _, _ = got.Close(), c.Close(), other.Close()
		must(t, m.Close())
		must(t, <-done)
		if said := strings.Contains(log.String(), "a controller without TLS is refused"); said == isTLS {
			t.Errorf("TLS %t: %s", isTLS, &log)
		}
	}
}
