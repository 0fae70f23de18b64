package broker_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/vfs"
)

// TestACompactedTopicOutlivesKillsAndTheLog sends the same keys again and again, with kills and compactions between, and deletes the log
// that the messages came in.
func TestACompactedTopicOutlivesKillsAndTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem(vfs.MemOptions{})
		with := func(o *setup) {
			o.FS = fs
			o.storage.SegmentSize, o.storage.CompactFileSize, o.storage.CompactQueueSize = 16<<10, 2300, 460
			o.storage.CompactInterval, o.storage.ReservedTime = 10*time.Second, 5*time.Minute
			// At any hour: a day has so many timers that the race detector does not survive it in a bubble.
			o.storage.DeleteWhen = "0;1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23"
		}
		r := start(t, with)
		must(t, r.PutTopic(t.Context(), mq.TopicConfig{
			Name: "C", ReadQueues: 1, WriteQueues: 1, Perm: 6, Attributes: map[string]string{"+cleanup.policy": "COMPACTION"},
		}))
		sent := 0
		put := func(n int) {
			for range n {
				r.put(message("C", 0, fmt.Sprintf("k%d v%d", sent%7, sent), "KEYS", fmt.Sprint("k", sent%7)))
				sent++
			}
		}
		check := func() int {
			t.Helper()
			r.settle()
			var ms []record.Message
			for q, at := r.store.Queue("C", 0), mq.Index(0); at < q.Max(); {
				res := r.store.Read(q, &storage.Read{From: at, MaxCount: 9}, nil)
				if res.Next <= at {
					t.Fatalf("read at %d: %+v", at, res)
				}
				at = res.Next
				ms = append(ms, messages(t, res.Records)...)
			}
			seen := map[string]bool{}
			for i := range ms {
				m := &ms[i]
				if want := fmt.Sprintf("k%d v%d", m.Index%7, m.Index); string(m.Body) != want || i > 0 && m.Index <= ms[i-1].Index {
					t.Fatalf("%d: %s at %d", i, m.Body, m.Index)
				}
				seen[string(m.Body)] = true
			}
			for i := sent - 7; i < sent; i++ {
				if !seen[fmt.Sprintf("k%d v%d", i%7, i)] {
					t.Fatalf("message %d of %d is missing", i, sent)
				}
			}
			return len(ms)
		}
		put(40)
		if n := check(); n != 40 {
			t.Errorf("%d messages before anything was copied", n)
		}
		for round := range 6 {
			time.Sleep(12 * time.Second)
			synctest.Wait()
			if n := check(); n > 25 {
				t.Errorf("round %d: %d messages are left", round, n)
			}
			put(30)
			clone := fs.CrashClone(nil, vfs.ProcessKill)
			r.stop()
			fs = clone
			r = start(t, with)
			check()
		}
		for range 300 { // another topic, so that the log grows
			r.put(message("Other", 0, "x", "k", "v"))
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if q, _ := r.store.Lookup("C", 0); q.Min() == 0 {
			t.Error("the log was not deleted")
		}
		check()
		must(t, r.DeleteTopic(t.Context(), "C"))
		if _, err := fs.Stat("/store/compaction/compactionLog/C"); err == nil {
			t.Error("the files of a deleted topic are there")
		}
	})
}
