package broker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/mq"
)

func TestADelayStartsWithTheCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(o *setup) { o.storage.TagsCode = delay.JavaLevels().Tags })
		r.topic("T", 1)
		h := r.put(halfMessage("T", 0, "h", "DELAY", "2")) // 5 s
		time.Sleep(4 * time.Second)
		must(t, r.end(endOf(h, true)))
		time.Sleep(4900 * time.Millisecond)
		synctest.Wait()
		if got := bodies(r.all("T", 0)); got != "" {
			t.Errorf("seen before its time: %q", got)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		ms := r.all("T", 0)
		if bodies(ms) != "h" || prop(&ms[0], "TRAN_MSG") != "" || prop(&ms[0], "REAL_TOPIC") != "T" {
			t.Errorf("seen: %q", bodies(ms))
		}
		r.stop()
	})
}

// TestEndsWaitForTheDisk: with synchronous flush an end is answered when it is on disk, also one that repeats another.
func TestEndsWaitForTheDisk(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.FlushSync = true })
	r.topic("T", 1)
	h := r.put(halfMessage("T", 0, "h"))
	for range 2 {
		must(t, r.end(endOf(h, true)))
		if r.store.Flushed() < r.store.Appended() {
			t.Error("answered before it was on disk")
		}
	}
	if got := bodies(r.all("T", 0)); got != "h" {
		t.Errorf("stored: %q", got)
	}
}

// BenchmarkTransactions is half messages and their commits in batches of 64, as they come from a busy connection.
func BenchmarkTransactions(b *testing.B) {
	r := start(b, func(o *setup) { o.storage.SegmentSize = 64 << 20 })
	r.topic("T", 1)
	halves, ends := &mq.SendBatch{}, &mq.SendBatch{}
	m := halfMessage("T", 0, "a body")
	b.ReportAllocs()
	for i := 0; i < b.N; i += 64 {
		halves.Reset()
		ends.Reset()
		for range 64 {
			halves.Requests = append(halves.Requests, m)
		}
		r.Send(b.Context(), halves)
		for k := range halves.Results {
			ends.Ends = append(ends.Ends, endOf(halves.Results[k], true))
		}
		r.Send(b.Context(), ends)
		if err := ends.Ends[0].Err; err != nil {
			b.Fatal(err)
		}
	}
}
