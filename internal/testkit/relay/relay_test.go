package relay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

const dialEnv = "RELAY_TEST_DIAL"

// TestMain is also the other process: it connects, sends a byte and sends back what comes.
func TestMain(m *testing.M) {
	if addr := os.Getenv(dialEnv); addr != "" {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			os.Exit(1)
		}
		_, _ = c.Write([]byte{'x'})
		_, _ = io.Copy(c, c)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// echo listens, and answers each byte with the next one.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 1)
				for {
					if _, err := c.Read(b); err != nil {
						return
					}
					b[0]++
					if _, err := c.Write(b); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func front(t *testing.T, n *Net, host, target string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip(err) // not every system has all of 127/8
	}
	addr := l.Addr().String()
	l.Close()
	n.Front(t, host, addr, target)
	return addr
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends a byte and reports whether the answer comes in time.
func ask(t *testing.T, c net.Conn, wait time.Duration) bool {
	t.Helper()
	_, _ = c.Write([]byte{1})
	return hear(t, c, wait)
}

func hear(t *testing.T, c net.Conn, wait time.Duration) bool {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(wait))
	b := make([]byte, 1)
	n, err := c.Read(b)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Logf("read: %v", err)
	}
	return n == 1
}

const (
	soon = time.Minute
	now  = 100 * time.Millisecond
)

func TestDropHoldsBackAndHealGoesOn(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"request", "answer"} {
		n := New(t)
		c := dial(t, front(t, n, "s", echo(t)))
		if !ask(t, c, soon) {
			t.Fatal("nothing comes through")
		}
		if to == "request" {
			n.Drop(Client, "s")
		} else {
			n.Drop("s", Any)
		}
		if ask(t, c, now) {
			t.Errorf("%s: it came through", to)
		}
		n.Heal()
		if !hear(t, c, soon) {
			t.Errorf("%s: what was held back is lost", to)
		}
	}
}

func TestCutResetsOldAndNewConnections(t *testing.T) {
	t.Parallel()
	n := New(t)
	addr := front(t, n, "s", echo(t))
	c := dial(t, addr)
	ask(t, c, soon)
	n.Cut("s", Client)
	late, err := net.Dial("tcp", addr)
	if err != nil { // reset already
		late = c
	}
	for i, c := range []net.Conn{c, late} {
		_ = c.SetReadDeadline(time.Now().Add(soon))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	_ = late.Close()
	n.Heal()
	if !ask(t, dial(t, addr), soon) {
		t.Error("nothing comes through after all is well")
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	n := New(t)
	c := dial(t, front(t, n, "s", echo(t)))
	n.Delay(Client, "s", 150*time.Millisecond)
	start := time.Now()
	if !ask(t, c, soon) || time.Since(start) < 150*time.Millisecond {
		t.Errorf("the answer came after %v", time.Since(start))
	}
}

func TestProcessesAreToldApart(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	n := New(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := front(t, n, "s", l.Addr().String())
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s", dialEnv, addr))
	pid := 0
	started := make(chan struct{})
	n.Host("other", func() int {
		<-started
		return pid
	})
	n.Drop("s", "other")
	if err = cmd.Start(); err == nil {
		pid = cmd.Process.Pid
	}
	close(started)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !hear(t, c, soon) {
		t.Fatal("what the other sends does not arrive")
	}
	if ask(t, c, now) {
		t.Error("the other got what is held back from it")
	}
	n.Heal()
	if !hear(t, c, soon) {
		t.Error("the other did not get it after all is well")
	}
}
