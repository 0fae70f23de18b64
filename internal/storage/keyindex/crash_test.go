package keyindex

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

const keys = 9

// world is a model of a store: the log is a list of records of 10 bytes, each with some keys.
type world struct {
	fs     *vfs.Mem
	ix     *Index
	g      geometry
	log    [][]int // keys of record i
	times  []int64
	safe   record.Offset
	synced record.Offset
	rng    *rand.Rand
}

func (w *world) open(t *rapid.T, recovering bool) {
	ix, err := Open(w.fs, "/index", Options{
		Slots: w.g.slots, Capacity: w.g.capacity, Recovering: recovering,
		Now: func() time.Time { return time.UnixMilli(t0 + int64(len(w.log))).UTC() },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.ix = ix
}

func (w *world) dispatch(t *rapid.T, from int) {
	for i := from; i < len(w.log); i++ {
		for _, k := range w.log[i] {
			if err := w.ix.Put([]byte("t"), fmt.Appendf(nil, "k%d", k), record.Offset(i*10), w.times[i]); err != nil {
				t.Fatal(err)
			}
		}
		w.ix.Advance(record.Offset(i*10 + 10))
	}
}

func (w *world) append(t *rapid.T) {
	first := len(w.log)
	for range rapid.IntRange(1, 30).Draw(t, "records") {
		w.log = append(w.log, rapid.SliceOfN(rapid.IntRange(0, keys-1), 0, 3).Draw(t, "keys"))
		w.times = append(w.times, t0+int64(len(w.log))*400)
	}
	w.dispatch(t, first)
}

func (w *world) crash(t *rapid.T, mode vfs.CrashMode, trust record.Offset) {
	w.fs = w.fs.CrashClone(w.rng, mode)
	for range rapid.IntRange(0, 2).Draw(t, "crashes while it recovers") {
		w.crashInRecovery(t, mode, trust)
	}
	w.open(t, true)
	if err := w.ix.Recover(trust); err != nil {
		t.Fatal(err)
	}
	if rapid.Bool().Draw(t, "log loses its end") {
		n := rapid.IntRange(int(trust+9)/10, len(w.log)).Draw(t, "log")
		w.log, w.times = w.log[:n], w.times[:n]
	}
	w.safe, w.synced = min(w.safe, trust), min(w.synced, trust)
	w.dispatch(t, int(trust)/10)
}

// crashInRecovery ends a recovery before one of its writes.
func (w *world) crashInRecovery(t *rapid.T, mode vfs.CrashMode, trust record.Offset) {
	left := rapid.IntRange(1, 12).Draw(t, "writes")
	f := vfs.NewFaulty(w.fs, func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite {
			left--
		}
		if left <= 0 {
			return errors.New("the power is off")
		}
		return nil
	})
	ix, err := Open(f, "/index", Options{Slots: w.g.slots, Capacity: w.g.capacity, Recovering: true, Now: clock})
	if err == nil {
		_ = ix.Recover(trust)
	}
	w.fs = w.fs.CrashClone(w.rng, mode)
}

func (w *world) check(t *rapid.T) {
	var want [keys][]record.Offset
	last := -1
	for i, ks := range slices.Backward(w.log) {
		for _, k := range slices.Backward(ks) {
			want[k] = append(want[k], record.Offset(i*10))
			last = max(last, i)
		}
	}
	for k, offs := range want {
		if got := w.ix.Query("t", fmt.Sprintf("k%d", k), math.MaxInt32, 0, math.MaxInt64); !slices.Equal(got, offs) {
			t.Fatalf("key k%d: %v, want %v", k, got, offs)
		}
	}
	if last >= 0 {
		if _, off := w.ix.LastUpdate(); off != record.Offset(last*10) {
			t.Fatalf("last update at %d, want %d", off, last*10)
		}
		// The time of a record finds it.
		i := rapid.IntRange(0, last).Draw(t, "record")
		for _, k := range w.log[i] {
			got := w.ix.Query("t", fmt.Sprintf("k%d", k), math.MaxInt32, w.times[i], w.times[i])
			if !slices.Contains(got, record.Offset(i*10)) {
				t.Fatalf("record %d is not found by key k%d at its time: %v", i, k, got)
			}
		}
	}
	if w.ix.SafeUpTo() < w.safe {
		t.Fatalf("safe up to %d, was %d", w.ix.SafeUpTo(), w.safe)
	}
}

func TestIndexFollowsTheModelThroughCrashes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			fs: vfs.NewMem(vfs.MemOptions{}), rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)),
			g: geometry{int32(rapid.SampledFrom([]int{1, 5, 3000}).Draw(t, "slots")), int32(rapid.SampledFrom([]int{20, 600}).Draw(t, "capacity"))},
		}
		w.open(t, false)
		t.Repeat(map[string]func(*rapid.T){
			"append": w.append,
			"flush": func(t *rapid.T) {
				sync := rapid.Bool().Draw(t, "sync")
				if err := w.ix.Flush(sync); err != nil {
					t.Fatal(err)
				}
				end := record.Offset(len(w.log) * 10)
				if w.ix.SafeUpTo() < end {
					t.Fatalf("safe up to %d after a flush at %d", w.ix.SafeUpTo(), end)
				}
				w.safe = end
				if sync {
					w.synced = end
				}
			},
			"put again": func(t *rapid.T) { // as the store does after a restart with an older mark
				w.ix.mu.Lock()
				if w.ix.head.next > 1 {
					w.ix.found = w.ix.head.endOff
				}
				w.ix.mu.Unlock()
				w.dispatch(t, max(0, len(w.log)-10))
			},
			"reopen": func(t *rapid.T) {
				if err := w.ix.Close(); err != nil {
					t.Fatal(err)
				}
				w.open(t, false)
				w.safe = 0
				w.dispatch(t, max(0, len(w.log)-5))
			},
			"kill":      func(t *rapid.T) { w.crash(t, vfs.ProcessKill, w.ix.SafeUpTo()) },
			"power cut": func(t *rapid.T) { w.crash(t, vfs.PowerCut, w.synced) },
			"":          w.check,
		})
	})
}

// A kill at each write of a merge: nothing below SafeUpTo is lost.
func TestKillInsideAMerge(t *testing.T) {
	t.Parallel()
	for nth := range 60 {
		mem := vfs.NewMem(vfs.MemOptions{})
		var killed *vfs.Mem
		var ix *Index
		trust := record.Offset(0)
		writes := 0
		f := vfs.NewFaulty(mem, func(op vfs.Op) error {
			if op.Kind == vfs.OpWrite {
				if writes++; writes == nth {
					killed = mem.CrashClone(rand.New(rand.NewPCG(1, 1)), vfs.ProcessKill)
					trust = ix.SafeUpTo()
				}
			}
			return nil
		})
		ix = open(t, f, "/index", 30, 200)
		for i := range 90 {
			put(t, ix, i, i+1, 7)
			if i%20 == 19 {
				must(t, ix.Flush(false))
			}
		}
		must(t, ix.Close())
		if killed == nil {
			continue
		}
		again, err := Open(killed, "/index", Options{Slots: 30, Capacity: 200, Now: clock, Recovering: true})
		must(t, err)
		must(t, again.Recover(trust))
		put(t, again, int(trust)/100, 90, 7)
		for k := range 7 {
			find(t, again, 90, 7, k)
		}
		must(t, again.Close())
	}
}

func FuzzOpenDamagedFile(f *testing.F) {
	const slots, capacity = 3, 8
	g := geometry{slots, capacity}
	good := header{t0, t0 + 5000, 0, 300, 2, 4}.append(nil)
	for _, v := range []uint32{3, 2, 0} {
		good = binary.BigEndian.AppendUint32(good, v)
	}
	f.Add(good, int64(math.MaxInt64))
	for i := range int32(4) {
		b := make([]byte, entrySize)
		entry{i * 3, record.Offset(i * 100), i, i - 1}.put(b)
		good = append(good, b...)
	}
	f.Add(good, int64(200))
	f.Fuzz(func(t *testing.T, data []byte, trust int64) {
		m := vfs.NewMem(vfs.MemOptions{})
		must(t, m.MkdirAll("/index"))
		h, err := m.Create("/index/20250101000000000")
		must(t, err)
		_, err = h.WriteAt(data, 0)
		must(t, err)
		if len(data)%5 != 0 {
			must(t, h.Truncate(g.fileSize()))
		}
		must(t, h.Close())
		ix, err := Open(m, "/index", Options{Slots: slots, Capacity: capacity, Now: clock, Recovering: trust&1 == 0})
		if err != nil {
			return
		}
		ix.Query("t", "k1", 64, 0, math.MaxInt64)
		if trust&3 != 0 {
			if ix.Recover(record.Offset(trust)) != nil {
				return
			}
			ix.Query("t", "k1", 64, 0, math.MaxInt64)
		}
		off := record.Offset(1) << 40
		_, last := ix.LastUpdate()
		off = max(off, min(last, math.MaxInt64-20)+1)
		for i := range record.Offset(10) {
			must(t, ix.Put([]byte("t"), []byte("k1"), off+i, t0+1<<40))
		}
		must(t, ix.Flush(true))
		got := ix.Query("t", "k1", 1, 0, math.MaxInt64)
		if last < math.MaxInt64-20 && !slices.Equal(got, []record.Offset{off + 9}) {
			t.Fatalf("%v", got)
		}
		must(t, ix.Close())
	})
}
