package broker_test

import (
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// TestNothingIsSkippedAfterACut: positions of consumers, of delay levels and of timers come back to what the cut has left, at once, so that
// what is stored at the same indexes later is not skipped; and what had been delivered into the part that has gone is delivered again.
func TestNothingIsSkippedAfterACut(t *testing.T) {
	t.Parallel()
	for share := range 5 { // of the deliveries that stay
		synctest.Test(t, func(t *testing.T) {
			fs := vfs.NewMem(vfs.MemOptions{})
			with := func(o *setup) {
				withTimers(fs)(o)
				o.storage.TagsCode = delay.JavaLevels().Tags
			}
			r := start(t, with)
			ctx := t.Context()
			r.topic("P", 1)
			const n = 20
			for i := range n {
				r.put(message("T", 0, fmt.Sprint("level", i), "DELAY", "1", "UNIQ_KEY", fmt.Sprint("l", i)))
				r.put(message("T", 1, fmt.Sprint("timer", i), "TIMER_DELAY_MS", "1500", "UNIQ_KEY", fmt.Sprint("t", i)))
			}
			half := r.put(halfMessage("T", 2, "half"))
			r.putN("P", n)
			cut := r.store.Appended()
			time.Sleep(3 * time.Second)
			copies := append(r.read("T", 0), r.read("T", 1)...)
			if len(copies) != 2*n {
				t.Fatalf("%d deliveries", len(copies))
			}
			if share > 0 {
				cut = copies[(len(copies)-1)*share/4].Offset
			}
			r.putN("P", n)
			must(t, r.end(endOf(half, true)))
			must(t, r.PutGroup(ctx, mq.DefaultGroupConfig("g")))
			must(t, r.CommitIndex(ctx, "g", "P", 0, 2*n))
			r.put(message("T", 2, "late", "DELAY", "1"))
			time.Sleep(2 * time.Minute) // the half message is done with, too
			if at, err := r.QueryIndex(ctx, txGroup, halfTopic, 0, false); err != nil || at == 0 {
				t.Fatalf("half messages are done up to %d, %v", at, err)
			}
			r.stop()

			r = start(t, with, func(o *setup) { o.storage.TruncateTo = &cut })
			if at, err := r.QueryIndex(ctx, "g", "P", 0, false); err != nil || at != n {
				t.Errorf("the consumer is at %d, want %d: %v", at, n, err)
			}
			if res := r.put(message("P", 0, "new")); res.Index != n {
				t.Errorf("the next message has index %d, want %d", res.Index, n)
			}
			r.put(message("T", 3, "new", "DELAY", "1"))
			r.put(message("T", 3, "new", "TIMER_DELAY_MS", "700"))
			time.Sleep(5 * time.Second)
			for q, name := range []string{"level", "timer"} {
				times := map[string]int{}
				for _, m := range r.read("T", int32(q)) {
					times[string(m.Body)]++
				}
				for i := range n {
					if got := times[name+strconv.Itoa(i)]; got == 0 || got > 1 && name == "level" {
						t.Errorf("share %d: %s%d was delivered %d times", share, name, i, got)
					}
				}
			}
			if got := r.read("T", 3); len(got) != 2 {
				t.Errorf("share %d: %d of 2 new messages were delivered", share, len(got))
			}
			if got := r.read("T", 2); len(got) != 0 {
				t.Errorf("share %d: a message that was cut is delivered", share)
			}
			must(t, r.end(endOf(half, true)))
			if got := r.read("T", 2); len(got) != 1 {
				t.Errorf("share %d: the transaction whose end was cut cannot be ended", share)
			}
			r.stop()
			r = start(t, with) // as ever
			if got := r.read("P", 0); len(got) != n+1 {
				t.Errorf("%d messages, want %d", len(got), n+1)
			}
		})
	}
}
