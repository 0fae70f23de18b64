package memnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns both ends of a connection from 10.0.0.1 to 10.0.0.2.
func open(t *testing.T, n *Network) (near, far net.Conn) {
	t.Helper()
	l, err := n.Host("10.0.0.2").Listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	near, err = n.Host("10.0.0.1").Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = near.Close(); _ = far.Close(); _ = l.Close() })
	return near, far
}

func read(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
		t.Fatalf("read %q, %v; want %q", b, err, want)
	}
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if n, err := c.Write([]byte(s)); err != nil || n != len(s) {
		t.Fatalf("write %q: %d, %v", s, n, err)
	}
}

func TestStreamBothWaysAndEOF(t *testing.T) {
	t.Parallel()
	near, far := open(t, New())
	write(t, near, "ping")
	read(t, far, "ping")
	write(t, far, "pong")
	write(t, far, "!")
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	read(t, near, "pong!")
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("after the peer's close: %v", err)
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Fatalf("write to a closed peer: %v", err)
	}
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("read after own close: %v", err)
	}
	if near.LocalAddr().(*net.TCPAddr).IP.String() != "10.0.0.1" || far.RemoteAddr().String() != near.LocalAddr().String() {
		t.Fatalf("addresses %v %v", near.LocalAddr(), far.RemoteAddr())
	}
}

func TestWriterWaitsWhenTheWindowIsFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := open(t, New())
		msg := bytes.Repeat([]byte("x"), 3*window)
		done := make(chan error, 1)
		go func() {
			_, err := near.Write(msg)
			done <- err
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("write of three windows ended: %v", err)
		default:
		}
		got := make([]byte, len(msg))
		if _, err := io.ReadFull(far, got); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, _ := open(t, New())
		t0 := time.Now()
		_ = near.SetDeadline(t0.Add(3 * time.Second))
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(t0) != 3*time.Second {
			t.Fatalf("read: %v after %v", err, time.Since(t0))
		}
		if _, err := near.Write(make([]byte, 2*window)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("write: %v", err)
		}
	})
}

func TestDelayKeepsOrderAndEOF(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New()
		n.Delay("10.0.0.1", "10.0.0.2", 50*time.Millisecond)
		t0 := time.Now()
		near, far := open(t, n)
		if d := time.Since(t0); d != 100*time.Millisecond {
			t.Fatalf("dial took %v", d)
		}
		write(t, near, "slow")
		n.Delay("10.0.0.1", "10.0.0.2", 0)
		write(t, near, "fast")
		_ = near.Close()
		read(t, far, "slowfast")
		if d := time.Since(t0); d != 150*time.Millisecond {
			t.Fatalf("arrived after %v", d)
		}
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	})
}

func TestPartitionHoldsBackAndHeals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New()
		near, far := open(t, n)
		n.Partition("10.0.0.2", "10.0.0.1")
		write(t, near, "held")
		_ = far.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := far.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read through a partition: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := n.Host("10.0.0.1").Dial(ctx, "tcp", far.LocalAddr().String())
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("dial through a partition: %v", err)
		}
		n.Heal("10.0.0.1", "10.0.0.2")
		_ = far.SetReadDeadline(time.Time{})
		read(t, far, "held")
	})
}

func TestCutResetsAndNewDialsWork(t *testing.T) {
	t.Parallel()
	n := New()
	near, far := open(t, n)
	n.Cut("10.0.0.1", "10.0.0.2")
	for _, c := range []net.Conn{near, far} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("read after cut: %v", err)
		}
	}
	near, far = open(t, n)
	write(t, near, "ok")
	read(t, far, "ok")
	if got := n.Conns("10.0.0.1", "10.0.0.2"); got != 1 {
		t.Fatalf("%d connections", got)
	}
}

func TestCutAfterTearsTheStream(t *testing.T) {
	t.Parallel()
	n := New()
	near, far := open(t, n)
	if err := n.CutAfter("10.0.0.1", "10.0.0.2", 5); err != nil {
		t.Fatal(err)
	}
	write(t, near, "abc")
	if k, err := near.Write([]byte("defg")); err == nil || k != 2 {
		t.Fatalf("write over the cut: %d, %v", k, err)
	}
	if _, err := far.Read(make([]byte, 8)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("read after the cut: %v", err)
	}
}

func TestListenErrors(t *testing.T) {
	t.Parallel()
	n := New()
	l, err := n.Listen("127.0.0.1:10911")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = n.Listen(":10911"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("second listener: %v", err)
	}
	waiting, err := n.Dial(t.Context(), "tcp", "localhost:10911")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := waiting.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("connection nobody accepted: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("accept: %v", err)
	}
	if _, err := n.Dial(t.Context(), "tcp", "127.0.0.1:10911"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("dial: %v", err)
	}
}

func TestPartitionOneWayHoldsBackOneDirection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New()
		near, far := open(t, n)
		n.PartitionOneWay("10.0.0.1", "10.0.0.2")
		write(t, near, "held")
		write(t, far, "passes")
		read(t, near, "passes")
		_ = far.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read of what is held back: %v", err)
		}
		for from, to := range map[string]string{"10.0.0.1": far.LocalAddr().String(), "10.0.0.2": "10.0.0.1:1"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := n.Host(from).Dial(ctx, "tcp", to); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("dial from %s: %v", from, err)
			}
			cancel()
		}
		n.Heal("10.0.0.2", "10.0.0.1")
		_ = far.SetReadDeadline(time.Time{})
		read(t, far, "held")
	})
}
