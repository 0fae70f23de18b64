package storage

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// options are those of a store with small files.
func options(testing.TB) Options {
	o := Options{
		Dir: "/store", SegmentSize: 16 << 10, QueueFileSize: 2000, IndexSlots: 10, IndexCapacity: 50,
		CacheBytes: 1 << 20, StoreHost: netip.MustParseAddrPort("10.0.0.2:10911"),
	}
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return o
}

func open(tb testing.TB, fsys vfs.FS, o Options) *Store {
	tb.Helper()
	s, err := Open(fsys, o)
	must(tb, err)
	return s
}

// run starts the background work; stop ends it and waits.
func run(tb testing.TB, s *Store) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil && s.Writable() == nil {
			tb.Error(err)
		}
	}
	tb.Cleanup(stop)
	return stop
}

func message(topic, body string, tags ...string) *record.Message {
	m := &record.Message{
		Topic: []byte(topic), Body: []byte(body), BornTime: 1_700_000_000_000,
		BornHost: netip.MustParseAddrPort("10.0.0.1:1234"),
	}
	if len(tags) > 0 {
		m.Props = record.AppendProp(nil, "TAGS", tags[0])
	}
	return m
}

// put appends one message.
func put(tb testing.TB, s *Store, topic string, queue int32, body string, tags ...string) (record.Index, record.Offset) {
	tb.Helper()
	var b Batch
	_, err := b.Add(s.Queue(topic, queue), message(topic, body, tags...))
	must(tb, err)
	must(tb, s.Append(&b))
	idx, off, _ := b.Result(0)
	return idx, off
}

// bodies returns the bodies of a read's records.
func bodies(tb testing.TB, res ReadResult) []string {
	tb.Helper()
	var out []string
	count := 0
	for p := res.Records; len(p) > 0; {
		var m record.Message
		n, err := record.Decode(p, &m, true)
		must(tb, err)
		out = append(out, string(m.Body))
		p = p[n:]
		if v, ok := m.Props.Get(record.PropInnerNum); ok {
			k, err := strconv.Atoi(string(v))
			must(tb, err)
			count += k
		} else {
			count++
		}
	}
	if count != res.Count {
		tb.Fatalf("count %d, records have %d", res.Count, count)
	}
	return out
}

// all reads a queue from its begin to its end.
func all(tb testing.TB, s *Store, topic string, queue int32) []string {
	tb.Helper()
	q := s.Queue(topic, queue)
	var out []string
	for at := q.Min(); at < q.Max(); {
		res := s.Read(q, &Read{From: at}, nil)
		out = append(out, bodies(tb, res)...)
		if res.Next <= at {
			tb.Fatalf("read of %s/%d at %d does not go on: %+v", topic, queue, at, res.Status)
		}
		at = res.Next
	}
	return out
}

func equal(tb testing.TB, got, want []string) {
	tb.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			tb.Fatalf("message %d is %.20q, want %.20q (%d messages, want %d)", i, got[i], want[i], len(got), len(want))
		}
	}
	if len(got) != len(want) {
		tb.Fatalf("%d messages, want %d", len(got), len(want))
	}
}

// settle dispatches what is there.
func settle(tb testing.TB, s *Store) {
	tb.Helper()
	if s.o.FlushSync {
		must(tb, s.Flush())
	}
	must(tb, s.dispatchAll())
}

func numbered(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%04d %s", i, strings.Repeat("x", i*37%500)))
	}
	return out
}

func TestMessagesAreReadBackInOrder(t *testing.T) {
	t.Parallel()
	s := open(t, vfs.NewMem(vfs.MemOptions{}), options(t))
	want := numbered(300) // several log and queue files
	for i, body := range want {
		idx, _ := put(t, s, "T", 0, body)
		if idx != record.Index(i) {
			t.Fatalf("index %d, want %d", idx, i)
		}
		put(t, s, "other", int32(i%3), body)
	}
	settle(t, s)
	equal(t, all(t, s, "T", 0), want)
	if q, ok := s.Lookup("other", 2); !ok || q.Max() != 100 {
		t.Fatalf("other queue: %v %d", ok, q.Max())
	}
	if _, ok := s.Lookup("none", 0); ok {
		t.Fatal("a queue nobody wrote to exists")
	}
	must(t, s.Close())
}

func TestCloseAndOpenKeepsAll(t *testing.T) {
	t.Parallel()
	fsys := vfs.NewMem(vfs.MemOptions{})
	want := numbered(200)
	for round := range 4 {
		s := open(t, fsys, options(t))
		stop := run(t, s)
		equal(t, all(t, s, "T", 0), want[:round*50])
		for _, body := range want[round*50 : round*50+50] {
			put(t, s, "T", 0, body)
		}
		stop()
		must(t, s.Close())
		if _, err := fsys.Stat("/store/abort"); err == nil {
			t.Fatal("abort is there after a clean stop")
		}
	}
}

func TestReadStatuses(t *testing.T) {
	t.Parallel()
	s := open(t, vfs.NewMem(vfs.MemOptions{}), options(t))
	for i := range 10 {
		put(t, s, "T", 0, "b", fmt.Sprintf("tag%d", i%2))
	}
	settle(t, s)
	code := record.Props(record.AppendProp(nil, "TAGS", "tag1")).Indexed().TagsCode()
	q := s.Queue("T", 0)
	for _, c := range []struct {
		name   string
		q      *Queue
		r      Read
		status ReadStatus
		count  int
		next   record.Index
	}{
		{"all", q, Read{}, Found, 10, 10},
		{"from the middle", q, Read{From: 4}, Found, 6, 10},
		{"count", q, Read{MaxCount: 3}, Found, 3, 3},
		{"bytes", q, Read{MaxBytes: 1}, Found, 1, 1},
		{"tag", q, Read{Match: func(c int64) bool { return c == code }}, Found, 5, 10},
		{"no tag", q, Read{Match: func(int64) bool { return false }}, NoMatchedMessage, 0, 10},
		{"scan limit", q, Read{Match: func(int64) bool { return false }, MaxScan: 4}, NoMatchedMessage, 0, 4},
		{"properties", q, Read{Props: func(p record.Props) bool { return p.Indexed().TagsCode() != code }}, Found, 5, 10},
		{"end", q, Read{From: 10}, OffsetOverflowOne, 0, 10},
		{"behind the end", q, Read{From: 11}, OffsetOverflowBadly, 0, 10},
		{"before the begin", q, Read{From: -1}, OffsetTooSmall, 0, 0},
		{"empty queue", s.Queue("none", 0), Read{From: 7}, NoMessageInQueue, 0, 0},
	} {
		res := s.Read(c.q, &c.r, nil)
		if res.Status != c.status || res.Count != c.count || res.Next != c.next {
			t.Errorf("%s: status %d count %d next %d, want %d %d %d", c.name, res.Status, res.Count, res.Next, c.status, c.count, c.next)
		}
	}
	must(t, s.Close())
}

func TestSecondOpenIsRefused(t *testing.T) {
	t.Parallel()
	fsys := vfs.NewMem(vfs.MemOptions{})
	s := open(t, fsys, options(t))
	if _, err := Open(fsys, options(t)); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("second open: %v", err)
	}
	must(t, s.Close())
	s = open(t, fsys, options(t))
	must(t, s.Close())
}

func TestAwaitDurable(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.FlushSync = true
	s := open(t, vfs.NewMem(vfs.MemOptions{}), o)
	stop := run(t, s)
	_, off := put(t, s, "T", 0, "x")
	done := make(chan Status, 1)
	a := &Await{End: off + 1, Flush: true, Deadline: time.Now().Add(time.Minute), Done: func(st Status) { done <- st }}
	if s.AwaitDurable(a) {
		if st := <-done; st != Durable {
			t.Fatalf("status %d", st)
		}
	}
	if s.Flushed() <= off {
		t.Fatal("not flushed")
	}
	late := &Await{End: off + 1, Replicas: 1, Deadline: time.Now(), Done: func(st Status) { done <- st }}
	if !s.AwaitDurable(late) {
		t.Fatal("nothing to wait for")
	}
	if st := <-done; st != SlaveTimeout {
		t.Fatalf("status %d", st)
	}
	both := &Await{End: off + 1, Flush: true, Replicas: 1, Deadline: time.Now().Add(time.Minute), Done: func(st Status) { done <- st }}
	if !s.AwaitDurable(both) {
		t.Fatal("nothing to wait for")
	}
	s.SetReplicated(off + 100)
	if st := <-done; st != Durable {
		t.Fatalf("status %d", st)
	}
	stop()
	must(t, s.Close())
}
