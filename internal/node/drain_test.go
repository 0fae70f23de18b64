package node

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
)

// writers is how many queues of a topic a client would write to.
func (w *world) writers(topic string) int {
	w.tb.Helper()
	r, err := bench.RouteOf(w.tb.Context(), w.net.Dial, nsAddr, topic)
	if err != nil {
		return -1
	}
	return len(r.Write)
}

func TestProducersAreSentElsewhereBeforeTheEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		set   map[string]string
		hurry time.Duration // when the operator loses patience
		want  time.Duration
	}{
		{"not told to", nil, 0, 0},
		{"nobody produces", map[string]string{"drainTimeSeconds": "60"}, 0, quickDrain},
		{"less than that", map[string]string{"drainTimeSeconds": "2"}, 0, 2 * time.Second},
		{"in a hurry", map[string]string{"drainTimeSeconds": "60"}, time.Second, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				names := w.options(nil)
				names.Broker = nil
				ns := w.start(names)
				o := w.options(c.set)
				o.Namesrv = nil
				if c.hurry > 0 {
					o.Hurry = func() (<-chan struct{}, func()) {
						now := make(chan struct{})
						timer := time.AfterFunc(c.hurry, func() { close(now) })
						return now, func() { timer.Stop() }
					}
				}
				n := w.start(o)
				w.roundTrip(n, "topic")
				time.Sleep(3 * time.Minute) // what the round trip has registered expires
				if w.writers("topic") <= 0 {
					t.Fatal("no route to write to")
				}
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				began := time.Now()
				go func() { ended <- n.Wait(ctx) }()
				stop()
				if c.want > 0 {
					time.Sleep(c.want / 2)
					if got := w.writers("topic"); got != 0 {
						t.Errorf("while it drains %d queues may be written", got)
					}
					w.roundTrip(n, "late") // who does not look still gets an answer
				}
				must(t, <-ended)
				if d := time.Since(began); d < c.want || d > c.want+registerWait {
					t.Errorf("the end took %v, want %v", d, c.want)
				}
				if w.writers("topic") > 0 || w.exists("/store/abort") {
					t.Error("it is still known, or has not ended well")
				}
				if drained := strings.Contains(w.diary.String(), "draining"); drained != (c.want > 0) {
					t.Errorf("draining: %v", drained)
				}
				must(t, ns.Shutdown(t.Context()))
				w.free()
			})
		})
	}
}
