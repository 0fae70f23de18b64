package broker_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// settable is a time of day that is set during the test. What it shows has no monotonic reading.
type settable struct{ off atomic.Int64 }

func (c *settable) now() time.Time      { return time.Now().Round(0).Add(time.Duration(c.off.Load())) }
func (c *settable) set(d time.Duration) { c.off.Store(int64(d)) }

func startSettable(tb testing.TB) (*rig, *settable) {
	tb.Helper()
	c := &settable{}
	r := start(tb, func(o *setup) { o.Now, o.storage.Now, o.FlushSync = c.now, c.now, true })
	r.topic("T", 1)
	return r, c
}

var jumps = []time.Duration{-time.Hour, -time.Second, time.Second, time.Hour}

// A pop waits as long as its client lets it, whatever the clock shows meanwhile.
func TestAPopWaitsItsTimeWhenTheClockIsSet(t *testing.T) {
	t.Parallel()
	for _, jump := range jumps {
		synctest.Test(t, func(t *testing.T) {
			r, c := startSettable(t)
			r.pop(popRequest("g", "T", time.Second)) // makes the group
			park := func() time.Duration {
				t.Helper()
				woken := make(chan struct{})
				q := popRequest("g", "T", time.Second)
				q.BornTime = c.now().UnixMilli()
				began := time.Now()
				if st := r.ParkPop(q, &mq.Waiter{Wake: func(*mq.Waiter) { close(woken) }}); st != mq.PopParked {
					t.Fatalf("clock set by %v: park: %d", jump, st)
				}
				if c.off.Load() == 0 {
					time.Sleep(time.Second)
					c.set(jump)
				}
				<-woken
				return time.Since(began)
			}
			for i, what := range []string{"meanwhile", "before"} {
				if d := park(); d < 10*time.Second || d > 10100*time.Millisecond {
					t.Errorf("clock set by %v %s: pop %d waited %v, want 10 s", jump, what, i, d)
				}
			}
		})
	}
}

// Sends wait for the disk by a deadline that the clock does not move, and nothing that was stored before is lost to readers.
func TestMessagesWhenTheClockIsSet(t *testing.T) {
	t.Parallel()
	for _, jump := range jumps {
		synctest.Test(t, func(t *testing.T) {
			r, c := startSettable(t)
			for i := range 6 {
				if i == 3 {
					c.set(jump)
				}
				if res, status := r.send(message("T", 0, "x")); res[0].Err != nil || status != mq.SendOK || res[0].Index != mq.Index(i) {
					t.Fatalf("clock set by %v: message %d: %+v %v", jump, i, res[0], status)
				}
			}
			r.settle()
			f, err := r.Pull(t.Context(), pull("T", 0, 0), nil)
			must(t, err)
			if f.Count != 6 {
				t.Errorf("clock set by %v: %d messages, want 6", jump, f.Count)
			}
		})
	}
}

// A message with a delay comes at its time of day, or at once when the clock was set back behind the time of its storing.
func TestDelayedMessagesWhenTheClockIsSet(t *testing.T) {
	t.Parallel()
	for _, jump := range jumps {
		synctest.Test(t, func(t *testing.T) {
			r, c := startSettable(t)
			r.put(message("T", 0, "x", "DELAY", "3")) // 10 s
			time.Sleep(5 * time.Second)
			c.set(jump)
			began := time.Now()
			for {
				time.Sleep(100 * time.Millisecond)
				if at, err := r.MaxIndex(t.Context(), "T", 0); err == nil && at == 1 {
					break
				}
				if time.Since(began) > 30*time.Second {
					t.Fatalf("clock set by %v: not delivered after %v", jump, time.Since(began))
				}
			}
		})
	}
}

// What is not acknowledged comes again, when its time of day has come.
func TestPoppedMessagesComeAgainWhenTheClockIsSet(t *testing.T) {
	t.Parallel()
	for _, jump := range jumps {
		synctest.Test(t, func(t *testing.T) {
			r, c := startSettable(t)
			r.put(message("T", 0, "x"))
			r.settle()
			if got := r.pop(popRequest("g", "T", 10*time.Second)); len(got) != 1 {
				t.Fatalf("%v", got)
			}
			c.set(jump)
			time.Sleep(max(10*time.Second, 10*time.Second-jump) + time.Second)
			got := r.pop(popRequest("g", "T", 10*time.Second))
			if len(got) != 1 || got[0].body != "x" {
				t.Fatalf("clock set by %v: %v", jump, got)
			}
			r.ack("g", "T", got...)
		})
	}
}
