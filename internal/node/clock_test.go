package node

import (
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
)

// mute is a name server that takes everything and never answers. The result ends it.
func (w *world) mute() (end func()) {
	w.tb.Helper()
	l, err := w.net.Listen(nsAddr)
	must(w.tb, err)
	done := make(chan struct{})
	var conns []net.Conn
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
		}
	}()
	return func() {
		must(w.tb, l.Close())
		<-done
		for _, c := range conns {
			_ = c.Close()
		}
	}
}

// TestShutdownWaitIsTheDeadline ends a broker whose name server does not answer.
func TestShutdownWaitIsTheDeadline(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ wait, want time.Duration }{
		{0, 3 * time.Second}, // the default; a farewell is not given more than that
		{time.Second, time.Second},
		{100 * time.Millisecond, 100 * time.Millisecond},
		{-1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			end := w.mute()
			o := w.options(nil)
			o.Namesrv, o.ShutdownWait = nil, tc.wait
			began := time.Now()
			n := w.start(o)
			if d := time.Since(began); d != registerWait {
				t.Errorf("the start took %v, want %v: no longer than a client may wait", d, registerWait)
			}
			w.roundTrip(n, "topic") // it serves all the same
			n.failed <- errors.New("something is wrong")
			began = time.Now()
			err := n.Wait(t.Context())
			if d := time.Since(began); d != tc.want {
				t.Errorf("wait %v: the end took %v, want %v", tc.wait, d, tc.want)
			}
			if err == nil || w.exists("/store/abort") {
				t.Errorf("wait %v: %v, abort file %v", tc.wait, err, w.exists("/store/abort"))
			}
			end()
			w.free()
		})
	}
}

// TestALostNameServerIsTold at once, not with the next period: a name server that was restarted has forgotten everything.
func TestALostNameServerIsToldAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		names := w.options(nil)
		names.Broker = nil
		ns := w.start(names)
		o := w.options(map[string]string{"registerNameServerPeriod": "60000"})
		o.Namesrv = nil
		b := w.start(o)
		time.Sleep(10 * time.Second)
		must(t, ns.Shutdown(t.Context()))
		time.Sleep(300 * time.Millisecond)
		ns = w.start(names)
		began := time.Now()
		for {
			r, err := bench.RouteOf(t.Context(), w.net.Dial, nsAddr, "TBW102")
			if err == nil && slices.ContainsFunc(r.Write, func(q bench.Queue) bool { return q.Addr == brokerAddr }) {
				break
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("no route: %v\n%s", err, &w.diary)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("the broker was back after %v", d)
		}
		must(t, b.Shutdown(t.Context()))
		must(t, ns.Shutdown(t.Context()))
		w.free()
	})
}
