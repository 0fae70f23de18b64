package storage

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// acked is what clients were promised.
type acked struct {
	mu   sync.Mutex
	list []where
}

type where struct {
	topic string
	queue int32
	idx   record.Index
	body  string
}

func (a *acked) add(w where) {
	a.mu.Lock()
	a.list = append(a.list, w)
	a.mu.Unlock()
}

func (a *acked) snapshot() []where {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clip(a.list)
}

// write appends until stop is closed and promises what it stored.
func write(t *testing.T, s *Store, id int, a *acked, stop <-chan struct{}) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(id), 3))
	var b Batch
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		b.Reset()
		var list []where
		for i := range 1 + rng.IntN(5) {
			w := where{topic: fmt.Sprintf("T%d", rng.IntN(3)), queue: int32(rng.IntN(2)), body: fmt.Sprintf("%d-%d-%d %s", id, n, i, strings.Repeat("z", rng.IntN(400)))}
			if _, err := b.Add(s.Queue(w.topic, w.queue), message(w.topic, w.body)); err != nil {
				t.Error(err)
				return
			}
			list = append(list, w)
		}
		if err := s.Append(&b); err != nil {
			t.Error(err)
			return
		}
		if s.o.FlushSync {
			done := make(chan Status, 1)
			if s.AwaitDurable(&Await{End: b.End(), Flush: true, Deadline: time.Now().Add(time.Minute), Done: func(st Status) { done <- st }}) {
				if st := <-done; st != Durable {
					t.Errorf("status %d", st)
					return
				}
			}
		}
		for i, w := range list {
			w.idx, _, _ = b.Result(i)
			a.add(w)
		}
	}
}

// tail follows a queue and checks that nothing is missing or out of order.
func tail(t *testing.T, s *Store, topic string, stop <-chan struct{}) {
	t.Helper()
	q := s.Queue(topic, 0)
	at := record.Index(0)
	var dst []byte
	for {
		select {
		case <-stop:
			return
		default:
		}
		res := s.Read(q, &Read{From: at}, dst[:0])
		dst = res.Records
		for p := res.Records; len(p) > 0; at++ {
			var m record.Message
			n, err := record.Decode(p, &m, true)
			if err != nil || m.Index != at {
				t.Errorf("index %d: %d, %v", at, m.Index, err)
				return
			}
			p = p[n:]
		}
		if res.Next != at && res.Status == Found {
			t.Errorf("next %d after %d", res.Next, at)
			return
		}
		s.IndexAtTime(q, time.Now().UnixMilli(), at%2 == 0)
	}
}

func TestCrashUnderLoadKeepsEachPromise(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		sync bool
		mode vfs.CrashMode
	}{
		{"async kill", false, vfs.ProcessKill},
		{"sync kill", true, vfs.ProcessKill},
		{"sync power cut", true, vfs.PowerCut},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			o.FlushSync = c.sync
			o.SegmentSize, o.CacheBytes = 64<<10, 2<<20
			o.MarkInterval, o.ThoroughInterval, o.CleanInterval = 3*time.Millisecond, 12*time.Millisecond, 5*time.Millisecond
			o.FlushInterval = 7 * time.Millisecond
			disk := vfs.NewMem(vfs.MemOptions{})
			s := open(t, disk, o)
			end := run(t, s)
			var a acked
			var wg sync.WaitGroup
			stop := make(chan struct{})
			for id := range 3 {
				wg.Go(func() { write(t, s, id, &a, stop) })
			}
			for id := range 2 {
				wg.Go(func() { tail(t, s, fmt.Sprintf("T%d", id), stop) })
			}
			rng := rand.New(rand.NewPCG(5, 5))
			for range 6 {
				from := len(a.snapshot())
				for len(a.snapshot()) < from+150 && !t.Failed() {
					time.Sleep(time.Millisecond)
				}
				promised := a.snapshot()
				checkPromises(t, disk.CrashClone(rng, c.mode), o, promised)
			}
			close(stop)
			wg.Wait()
			promised := a.snapshot()
			end()
			must(t, s.Close())
			checkPromises(t, disk, o, promised)
		})
	}
}

func checkPromises(t *testing.T, fsys *vfs.Mem, o Options, promised []where) {
	t.Helper()
	s := open(t, fsys, o)
	var dst []byte
	for _, w := range promised {
		res := s.Read(s.Queue(w.topic, w.queue), &Read{From: w.idx, MaxCount: 1}, dst[:0])
		dst = res.Records
		var m record.Message
		if _, err := record.Decode(res.Records, &m, true); err != nil || string(m.Body) != w.body {
			t.Fatalf("%s/%d index %d of %d promises: status %d, %v, %.20q, want %.20q", w.topic, w.queue, w.idx, len(promised), res.Status, err, m.Body, w.body)
		}
	}
	must(t, s.Close())
}
