package storage

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

func putBatch(tb testing.TB, s *Store, topic, body string, n int) record.Index {
	tb.Helper()
	var b Batch
	_, err := b.AddBatch(s.Queue(topic, 0), message(topic, body), n)
	must(tb, err)
	must(tb, s.Append(&b))
	idx, _, _ := b.Result(0)
	return idx
}

func putLight(tb testing.TB, s *Store, topic, body, names string) error {
	tb.Helper()
	var b Batch
	m := message(topic, body)
	m.Props = record.AppendProp(m.Props, "WAIT", "false")
	m.Props = record.AppendProp(m.Props, record.PropMultiOffset, "7,7")
	m.Props = record.AppendProp(m.Props, record.PropMultiDispatch, names)
	if _, err := b.AddLight(s.Queue(topic, 0), m, []byte(names)); err != nil {
		return err
	}
	return s.Append(&b)
}

func firstRecord(tb testing.TB, s *Store, topic string, from record.Index) (m record.Message, next record.Index) {
	tb.Helper()
	res := s.Read(s.Queue(topic, 0), &Read{From: from, MaxCount: 1}, nil)
	if res.Count == 0 {
		tb.Fatalf("nothing in %s at %d: status %d", topic, from, res.Status)
	}
	_, err := record.Decode(res.Records, &m, true)
	must(tb, err)
	return m, res.Next
}

func prop(m record.Message, key string) string {
	v, _ := m.Props.Get(key)
	return string(v)
}

// removeQueues takes all queues away, so that the next store builds them from the log.
func removeQueues(tb testing.TB, fsys vfs.FS, o Options) {
	tb.Helper()
	for _, dir := range []string{"consumequeue", "batchconsumequeue"} {
		must(tb, fsys.RemoveAll(o.Dir+"/"+dir))
	}
	forget(tb, fsys, o)
}

func TestBatchQueueCountsMessagesAndIsReadByRecords(t *testing.T) {
	t.Parallel()
	disk, o := vfs.NewMem(vfs.MemOptions{}), options(t)
	o.BatchFileSize = 3 * 46
	for _, crc := range []bool{false, true} {
		o.AppendPropCRC = crc
		s := open(t, disk, o)
		must(t, s.MakeBatch("B"))
		base := s.Queue("B", 0).Max()
		for i := range 20 {
			if idx := putBatch(t, s, "B", fmt.Sprint("body", i), i%5+1); idx != base {
				t.Fatalf("batch %d has index %d, want %d", i, idx, base)
			}
			base += record.Index(i%5 + 1)
		}
		settle(t, s)
		check := func(s *Store) {
			t.Helper()
			q := s.Queue("B", 0)
			if !q.Batch() || q.Min() != 0 || q.Max() != base {
				t.Fatalf("batch %v: [%d, %d), want [0, %d)", q.Batch(), q.Min(), q.Max(), base)
			}
			m, next := firstRecord(t, s, "B", 5) // in the middle of the third batch, 3 to 5
			if string(m.Body) != "body2" || m.Index != 3 || next != 6 || prop(m, "INNER_NUM") != "3" ||
				prop(m, "INNER_BASE") != "000000000000000003" || m.SysFlag&record.SysFlagInnerBatch == 0 {
				t.Fatalf("%s index %d, next %d, %q", m.Body, m.Index, next, m.Props)
			}
			res := s.Read(q, &Read{From: 0, MaxCount: 8}, nil) // 1+2+3, and 4 more would be too many
			if res.Count != 6 || res.Next != 6 {
				t.Fatalf("%d messages, next %d", res.Count, res.Next)
			}
			if at := s.IndexAtTime(q, 1<<60, true); at != base-5 {
				t.Fatalf("the last batch begins at %d, not %d", base-5, at)
			}
		}
		check(s)
		must(t, s.Close())
		s = open(t, disk, o)
		check(s)
		must(t, s.Close())
		removeQueues(t, disk, o)
		s = open(t, disk, o)
		check(s)
		must(t, s.Close())
		if _, err := disk.Stat("/store/consumequeue/B"); err == nil {
			t.Fatal("the topic has simple queues")
		}
	}
}

func TestTopicsDoNotChangeTheirKind(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem(vfs.MemOptions{})
	s := open(t, disk, options(t))
	put(t, s, "T", 0, "simple")
	settle(t, s)
	if err := s.MakeBatch("T"); !errors.Is(err, ErrInUse) {
		t.Fatal(err)
	}
	// A record that says that it is a batch is one message of a simple queue.
	if idx := putBatch(t, s, "T", "batch", 1); idx != 1 {
		t.Fatal(idx)
	}
	settle(t, s)
	equal(t, all(t, s, "T", 0), []string{"simple", "batch"})
	must(t, s.DeleteTopic("T"))
	must(t, s.MakeBatch("T"))
	if idx := putBatch(t, s, "T", "new", 7); idx != 0 {
		t.Fatal(idx)
	}
	// What Java stored as a single message of such a topic is in no queue of its; ours has it.
	if idx, _ := put(t, s, "T", 0, "plain"); idx != 7 {
		t.Fatal(idx)
	}
	settle(t, s)
	equal(t, all(t, s, "T", 0), []string{"new", "plain"})
	must(t, s.DeleteTopic("T"))
	if s.Queue("T", 0).Batch() {
		t.Fatal("still a batch queue")
	}
	must(t, s.Close())
}

func TestMessagesAreInTheLightQueuesTheyName(t *testing.T) {
	t.Parallel()
	disk, o := vfs.NewMem(vfs.MemOptions{}), options(t)
	o.LightQueues, o.AppendPropCRC = true, true
	told := map[string][]record.Index{}
	o.OnDispatch = func(q *Queue, d *Dispatched) { told[q.Topic()] = append(told[q.Topic()], d.Index) }
	s := open(t, disk, o)
	must(t, putLight(t, s, "T", "one", "%LMQ%a,%LMQ%b"))
	must(t, putLight(t, s, "T", "two", "%LMQ%b,x,%LMQ%b,%LMQ%a/b"))
	must(t, putLight(t, s, "T", "three", "%LMQ%a"))
	settle(t, s)
	if got := fmt.Sprint(told); got != "map[%LMQ%a:[0 1] %LMQ%b:[0 1] T:[0 1 2]]" {
		t.Fatal(got)
	}
	check := func(s *Store) {
		t.Helper()
		equal(t, all(t, s, "%LMQ%a", 0), []string{"one", "three"})
		equal(t, all(t, s, "%LMQ%b", 0), []string{"one", "two"})
		equal(t, all(t, s, "T", 0), []string{"one", "two", "three"})
		if n := s.LightQueues(); n != 2 {
			t.Fatalf("%d light queues", n)
		}
		m, _ := firstRecord(t, s, "%LMQ%b", 1)
		const first = "000000000000000001"
		if string(m.Topic) != "T" || m.Index != 1 || prop(m, "WAIT") != "" || prop(m, record.PropMultiOffset) != first+",-1,"+first+",-1" {
			t.Fatalf("%s index %d: %q", m.Topic, m.Index, m.Props)
		}
	}
	check(s)
	must(t, s.Close())
	removeQueues(t, disk, o)
	s = open(t, disk, o)
	check(s)
	must(t, s.DeleteTopic("%LMQ%b"))
	if n := s.LightQueues(); n != 1 {
		t.Fatalf("%d light queues", n)
	}
	must(t, putLight(t, s, "T", "four", "%LMQ%b"))
	settle(t, s)
	equal(t, all(t, s, "%LMQ%b", 0), []string{"four"})
	must(t, s.Close())
}

func TestForgedIndexesOfLightQueuesDoNoHarm(t *testing.T) {
	t.Parallel()
	disk, o := vfs.NewMem(vfs.MemOptions{}), options(t)
	o.LightQueues = true
	s := open(t, disk, o)
	must(t, putLight(t, s, "T", "good", "%LMQ%a"))
	for _, text := range []string{"", "x", "-5", "9223372036854775807", "99999999999999999999", "1099511627775", "0", ",,,"} {
		var b Batch
		m := message("T", "forged")
		m.Props = record.AppendProp(m.Props, record.PropMultiOffset, text)
		m.Props = record.AppendProp(m.Props, record.PropMultiDispatch, "%LMQ%a,,%LMQ%,%LMQ%"+strings.Repeat("n", 300))
		_, err := b.Add(s.Queue("T", 0), m)
		must(t, err)
		must(t, s.Append(&b))
	}
	settle(t, s)
	must(t, putLight(t, s, "T", "better", "%LMQ%a"))
	settle(t, s)
	equal(t, all(t, s, "%LMQ%a", 0), []string{"good", "better"})
	must(t, s.Close())
}

func TestPositionsOfFailedWritesAreGivenBack(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.LightQueues = true
	full := false
	now := time.Unix(1_700_000_000, 0)
	o.Now = func() time.Time { now = now.Add(time.Second); return now }
	disk := vfs.NewFaulty(vfs.NewMem(vfs.MemOptions{}), func(op vfs.Op) error {
		if full && op.Kind == vfs.OpWrite && strings.Contains(op.Name, "commitlog") {
			return syscall.ENOSPC
		}
		return nil
	})
	s := open(t, disk, o)
	must(t, s.MakeBatch("B"))
	must(t, putLight(t, s, "T", "one", "%LMQ%a,%LMQ%a,%LMQ%b"))
	putBatch(t, s, "B", "first", 5)
	full = true
	if putLight(t, s, "T", "lost", "%LMQ%a,%LMQ%b") == nil {
		t.Fatal("no error")
	}
	var b Batch
	_, err := b.AddBatch(s.Queue("B", 0), message("B", "lost"), 9)
	must(t, err)
	if s.Append(&b) == nil {
		t.Fatal("no error")
	}
	full = false
	for range 100 { // until the log tries the disk again
		if err = putLight(t, s, "T", "two", "%LMQ%a,%LMQ%b"); err == nil {
			break
		}
	}
	settle(t, s)
	equal(t, all(t, s, "%LMQ%b", 0), []string{"one", "two"})
	equal(t, all(t, s, "%LMQ%a", 0), []string{"one", "two"})
	if idx := putBatch(t, s, "B", "second", 2); idx != 5 {
		t.Fatalf("index %d, want 5", idx)
	}
	must(t, s.Close())
}
