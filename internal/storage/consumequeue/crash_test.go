package consumequeue

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// world is a model of a store: the log is a list of records, of which each belongs to one queue.
type world struct {
	fs  *vfs.Mem
	set *Set

	log     []logged
	next    [4]record.Index // of each queue; the last one is a batch queue
	end     record.Offset   // of the log
	min     record.Offset   // of the log
	written record.Offset   // units of records below were flushed
	synced  record.Offset   // and synced
	rng     *rand.Rand
}

type logged struct {
	queue int
	idx   record.Index
	unit  Unit
}

func (w *world) queue(i int) *Queue {
	return w.set.Queue([]string{"a", "%RETRY%b", "c", "batch"}[i], int32(i))
}

func (w *world) open(tb rapid.TB) {
	w.set = NewSet(w.fs, "/cq", Options{FileSize: smallFile, BatchSize: 7 * BatchUnitSize, MaxOpenFiles: 2})
	if err := w.set.MakeBatch("batch"); err != nil {
		tb.Fatal(err)
	}
}

func (w *world) dispatch(t *rapid.T, l logged) {
	err := error(nil)
	if u := &l.unit; l.queue == 3 {
		err = w.queue(l.queue).AppendBatch(l.idx, u.Count, u.Offset, u.Size, u.Tags, int64(u.Offset))
	} else {
		err = w.queue(l.queue).Append(l.idx, u.Offset, u.Size, u.Tags)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) append(t *rapid.T) {
	for range rapid.IntRange(1, 40).Draw(t, "units") {
		i := rapid.IntRange(0, 3).Draw(t, "queue")
		l := logged{i, w.next[i], Unit{
			Offset: w.end, Size: int32(rapid.IntRange(1, 9).Draw(t, "size")), Tags: rapid.Int64().Draw(t, "tags"),
			Index: w.next[i], Count: 1,
		}}
		if i == 3 {
			l.unit.Count = int32(rapid.IntRange(1, 50).Draw(t, "count"))
		}
		w.next[i] = l.unit.Next()
		w.end = l.unit.End()
		w.log = append(w.log, l)
		w.dispatch(t, l)
	}
}

// crash goes on with what a crash left. trust is the mark that the store had noted, and the end of the log may be
// lost.
func (w *world) crash(t *rapid.T, mode vfs.CrashMode, trust record.Offset) {
	w.fs = w.fs.CrashClone(w.rng, mode)
	w.open(t)
	w.set.SetTrust(trust)
	if rapid.Bool().Draw(t, "log loses its end") {
		for len(w.log) > 0 && w.log[len(w.log)-1].unit.Offset >= max(trust, w.min) && rapid.IntRange(0, 3).Draw(t, "more") > 0 {
			l := w.log[len(w.log)-1]
			w.log = w.log[:len(w.log)-1]
			w.next[l.queue] = l.idx
			w.end = l.unit.Offset
		}
		if err := w.set.OpenAll(); err != nil {
			t.Fatal(err)
		}
	}
	w.written, w.synced = min(w.written, trust), min(w.synced, trust)
	for _, l := range w.log {
		if l.unit.Offset >= max(trust, w.min) {
			w.dispatch(t, l)
		}
	}
}

func (w *world) check(t *rapid.T) {
	var want [4][]logged
	for _, l := range w.log {
		if l.unit.Offset >= w.min {
			want[l.queue] = append(want[l.queue], l)
		}
	}
	for i, units := range want {
		q := w.queue(i)
		if err := q.SetMinByOffset(w.min); err != nil {
			t.Fatal(err)
		}
		first := w.next[i]
		if len(units) > 0 {
			first = units[0].idx
		}
		if q.Next() != w.next[i] || q.Min() != first && len(units) > 0 {
			t.Fatalf("queue %d has [%d, %d), want [%d, %d)", i, q.Min(), q.Next(), first, w.next[i])
		}
		if len(units) > 0 && q.LastOffset() != units[len(units)-1].unit.End() {
			t.Fatalf("queue %d ends at %d", i, q.LastOffset())
		}
		buf := make([]Unit, 7)
		for len(units) > 0 {
			from := units[0].idx
			if rapid.Bool().Draw(t, "from the middle") {
				from = units[0].unit.Next() - 1
			}
			n, err := q.Read(from, buf)
			if err != nil || n == 0 {
				t.Fatalf("queue %d at %d: %d units, %v", i, units[0].idx, n, err)
			}
			for k := range n {
				if buf[k] != units[k].unit {
					t.Fatalf("queue %d unit %d is %+v, want %+v", i, units[k].idx, buf[k], units[k].unit)
				}
			}
			units = units[n:]
		}
	}
}

func TestQueuesFollowTheModelThroughCrashes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{fs: vfs.NewMem(vfs.MemOptions{}), rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))}
		w.open(t)
		t.Repeat(map[string]func(*rapid.T){
			"append": w.append,
			"flush": func(t *rapid.T) {
				sync := rapid.Bool().Draw(t, "sync")
				if err := w.set.Flush(sync); err != nil {
					t.Fatal(err)
				}
				w.written = w.end
				if sync {
					w.synced = w.end
				}
			},
			"append again": func(t *rapid.T) {
				for _, l := range w.log[max(0, len(w.log)-10):] {
					if l.unit.Offset >= w.min {
						w.dispatch(t, l)
					}
				}
			},
			"clean": func(t *rapid.T) {
				w.min = max(w.min, record.Offset(rapid.Int64Range(0, int64(w.synced)).Draw(t, "min")))
				if _, err := w.set.Clean(w.min); err != nil {
					t.Fatal(err)
				}
			},
			"reopen": func(t *rapid.T) {
				if err := w.set.Close(); err != nil {
					t.Fatal(err)
				}
				w.open(t)
				w.written = w.end
			},
			"kill":      func(t *rapid.T) { w.crash(t, vfs.ProcessKill, w.written) },
			"power cut": func(t *rapid.T) { w.crash(t, vfs.PowerCut, w.synced) },
			"":          w.check,
		})
	})
}

func TestFailedWritesAreErrorsAndAreTriedAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []vfs.OpKind{vfs.OpCreate, vfs.OpMkdirAll, vfs.OpTruncate, vfs.OpWrite} {
		full := true
		boom := errors.New("boom")
		s := NewSet(vfs.NewFaulty(vfs.NewMem(vfs.MemOptions{}), func(op vfs.Op) error {
			if full && op.Kind == kind {
				if kind == vfs.OpWrite {
					return &vfs.ShortWrite{Bytes: 7, Err: boom}
				}
				return boom
			}
			return nil
		}), "/cq", Options{FileSize: smallFile, MaxDirty: 1 << 20})
		q := s.Queue("t", 0)
		fill(t, q, 0, 5)
		if err := s.Flush(true); !errors.Is(err, boom) {
			t.Fatalf("%v: flush: %v", kind, err)
		}
		check(t, q, 0, 5)
		var err error
		for i := record.Index(5); i < 1000 && err == nil; i++ {
			err = q.Append(i, record.Offset(100*i), 50, int64(7*i))
		}
		if !errors.Is(err, boom) {
			t.Fatalf("%v: append: %v", kind, err)
		}
		full = false
		fill(t, q, q.Next(), 1000)
		must(t, s.Flush(true))
		check(t, q, 0, 1000)
		must(t, s.Close())
	}
}

func TestFailedSyncIsFinal(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, kind := range []vfs.OpKind{vfs.OpDatasync, vfs.OpSyncDir, vfs.OpSyncFS} {
		s := NewSet(vfs.NewFaulty(vfs.NewMem(vfs.MemOptions{}), vfs.FailNth(kind, 1, boom)), "/cq", Options{FileSize: smallFile})
		queues := 1
		if kind != vfs.OpSyncFS {
			must(t, s.Flush(true))
		}
		if kind == vfs.OpSyncFS {
			queues = maxSyncedAlone + 1
		}
		for i := range queues {
			fill(t, s.Queue("t", int32(i)), 0, 1)
		}
		for range 2 {
			if err := s.Flush(true); !errors.Is(err, boom) {
				t.Fatalf("%v: %v", kind, err)
			}
		}
		must(t, s.Flush(false))
		must(t, s.Close())
	}
}

func TestTooManyDirtyUnitsAreWritten(t *testing.T) {
	t.Parallel()
	s := NewSet(vfs.NewMem(vfs.MemOptions{}), "/cq", Options{MaxDirty: 100 * UnitSize})
	for i := range record.Index(3) {
		for id := range int32(90) {
			must(t, s.Queue("t", id).Append(i, record.Offset(i*100), 50, 0))
		}
	}
	if d := s.Stats().Dirty; d > 100*UnitSize {
		t.Fatalf("%d dirty bytes", d)
	}
	must(t, s.Close())
}

func TestAppendAndReadAllocateNothing(t *testing.T) {
	s := NewSet(vfs.OS(), t.TempDir(), Options{})
	q := s.Queue("t", 0)
	idx := record.Index(0)
	us := make([]Unit, 32)
	step := func() {
		for range 300 {
			if q.Append(idx, record.Offset(idx)*100, 50, 0) != nil {
				t.Fatal("append")
			}
			idx++
		}
		if n, err := q.Read(idx-32, us); n != 32 || err != nil {
			t.Fatal("read")
		}
		if s.Queue("t", 0) != q || s.Flush(false) != nil {
			t.Fatal("flush")
		}
	}
	for range 10 {
		step()
	}
	if n := testing.AllocsPerRun(200, step); n != 0 {
		t.Fatalf("%v allocations", n)
	}
	must(t, s.Close())
}

func FuzzOpenDamagedFile(f *testing.F) {
	unit := make([]byte, UnitSize)
	newKind(false, "", UnitSize, smallFile).put(unit, &Unit{Size: 50, Tags: 7}, 0)
	f.Add(unit, int64(math.MaxInt64), int64(0))
	f.Add(append(make([]byte, 3*UnitSize), unit...), int64(40), int64(10))
	f.Fuzz(func(t *testing.T, data []byte, trust, logMin int64) {
		m := vfs.NewMem(vfs.MemOptions{})
		must(t, m.MkdirAll("/cq/t/0"))
		file, err := m.Create("/cq/t/0/" + fileName(smallFile))
		must(t, err)
		_, err = file.WriteAt(data, 0)
		must(t, err)
		if len(data)%3 != 0 {
			must(t, file.Truncate(smallFile))
		}
		must(t, file.Close())
		s := NewSet(m, "/cq", Options{FileSize: smallFile})
		s.SetTrust(record.Offset(trust))
		s.SetLogMin(record.Offset(logMin))
		q := s.Queue("t", 0)
		if q.Open() != nil {
			return
		}
		if q.Min() > q.Next() || q.Min() < 0 {
			t.Fatalf("queue has [%d, %d)", q.Min(), q.Next())
		}
		us := make([]Unit, 4)
		for at := q.Min(); at < q.Next(); at++ {
			n, err := q.Read(at, us)
			if n == 0 && err == nil {
				t.Fatalf("no unit and no error at %d", at)
			}
		}
		next := q.Next()
		must(t, q.Append(next, 1<<40, 5, 0))
		if _, err := s.Clean(record.Offset(logMin) + 1); err != nil {
			t.Fatal(err)
		}
		if n, err := q.Read(next, us); n != 1 || err != nil || us[0].Offset != 1<<40 {
			t.Fatalf("%d units, %v", n, err)
		}
		must(t, s.Close())
	})
}
