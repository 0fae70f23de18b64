package broker

import (
	"net/netip"
	"testing"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/vfs"
)

// openIdle returns a broker on an empty store in memory that does no work in the background.
func openIdle(tb testing.TB, sync bool) *Broker {
	tb.Helper()
	fs := vfs.NewMem(vfs.MemOptions{})
	host := netip.MustParseAddrPort("10.0.0.2:10911")
	st, err := storage.Open(fs, storage.Options{
		Dir: "/store", SegmentSize: 4 << 20, QueueFileSize: 20_000, CacheBytes: 4 << 20, StoreHost: host, FlushSync: sync,
	})
	if err != nil {
		tb.Fatal(err)
	}
	b, err := Open(Options{Name: "broker-a", Addr: host, FS: fs, Dir: "/store", Store: st, FlushSync: sync, AutoCreateTopic: true, AutoCreateGroup: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := b.Close(); err != nil {
			tb.Error(err)
		}
		if err := st.Close(); err != nil {
			tb.Error(err)
		}
	})
	return b
}

func TestInnerStoresAllWithOneAppend(t *testing.T) {
	t.Parallel()
	b := openIdle(t, false)
	w := b.takeInner()
	defer w.release()
	for i, body := range []string{"one", "two", "three"} {
		m := record.Message{Body: []byte(body), BornHost: b.o.Addr, Props: record.Props("TAGS\x01a")}
		n, refusal := w.add(&m, place{"BenchmarkTest", int32(i % 2)})
		if refusal != nil || n != i {
			t.Fatalf("message %d: %d, %v", i, n, refusal)
		}
	}
	pending, refusal := w.store(true, func(*inner, mq.SendStatus) { t.Error("nothing to wait for") })
	if pending || refusal != nil {
		t.Fatalf("pending %v, refusal %v", pending, refusal)
	}
	for i, want := range []record.Index{0, 0, 1} {
		if at, _, _ := w.batch.Result(i); at != want {
			t.Errorf("message %d is at %d, want %d", i, at, want)
		}
	}
	topic, _ := b.topic("BenchmarkTest")
	if n := topic.queue(b, 0).puts.messages.Load(); n != 2 {
		t.Errorf("queue 0 counts %d messages, want 2", n)
	}
	if q := b.store.Queue("BenchmarkTest", 0); q.Max() != 2 {
		t.Errorf("queue 0 ends at %d, want 2", q.Max())
	}
}

func TestInnerAnswersWhenSafe(t *testing.T) {
	t.Parallel()
	b := openIdle(t, true)
	w := b.takeInner()
	if _, refusal := w.addAt(&record.Message{Body: []byte("x"), BornHost: b.o.Addr}, place{"BenchmarkTest", 3}); refusal != nil {
		t.Fatal(refusal)
	}
	called := make(chan mq.SendStatus, 1)
	pending, refusal := w.store(true, func(w *inner, st mq.SendStatus) {
		if w.batch.Len() != 1 {
			t.Error("the results are gone")
		}
		called <- st
	})
	if !pending || refusal != nil {
		t.Fatalf("pending %v, refusal %v", pending, refusal)
	}
	if len(called) != 0 {
		t.Fatal("answered before anything was flushed")
	}
	if err := b.store.Flush(); err != nil {
		t.Fatal(err)
	}
	if st := <-called; st != mq.SendOK {
		t.Errorf("status %v, want ok", st)
	}
}
