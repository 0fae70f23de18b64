package keyindex

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const t0 = 1_700_000_000_000

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func clock() time.Time { return time.Date(2025, 9, 19, 23, 59, 58, 7_000_000, time.UTC) }

func open(tb testing.TB, fsys vfs.FS, dir string, slots, capacity int32) *Index {
	tb.Helper()
	ix, err := Open(fsys, dir, Options{Slots: slots, Capacity: capacity, Now: clock})
	must(tb, err)
	return ix
}

// put puts key i of topic t: record i is at 100*i, stored i milliseconds after t0, and has key "k<i mod n>".
func put(tb testing.TB, ix *Index, from, to, n int) {
	tb.Helper()
	for i := from; i < to; i++ {
		must(tb, ix.Put([]byte("t"), fmt.Appendf(nil, "k%d", i%n), record.Offset(100*i), t0+int64(i)))
	}
}

// find checks that key k leads to the records of put, newest first.
func find(tb testing.TB, ix *Index, to, n, k int) {
	tb.Helper()
	var want []record.Offset
	for i := to - 1; i >= 0; i-- {
		if i%n == k {
			want = append(want, record.Offset(100*i))
		}
	}
	got := ix.Query("t", fmt.Sprintf("k%d", k), math.MaxInt32, 0, math.MaxInt64)
	if !slices.Equal(got, want) {
		tb.Fatalf("key k%d: %v, want %v", k, got, want)
	}
}

func TestKeyHashIsJavas(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		topic, key string
		want       int32
	}{
		{"TopicTest", "k1", 2746024},
		{"TopicTest", "k2", 2746025}, // golden vector G6
		{"TopicTest", "0A0000010000000000000000000A0001", 411086106},
		{"", "", '#'},
	} {
		if got, _ := keyHash(c.topic, c.key, nil); got != c.want {
			t.Errorf("%s#%s: %d, want %d", c.topic, c.key, got, c.want)
		}
	}
	if positive(math.MinInt32) != 0 || positive(-5) != 5 || positive(math.MaxInt32) != math.MaxInt32 {
		t.Error("absolute value")
	}
	var scratch []byte
	for _, s := range []string{"", "a", "abcdefghi", "äöü", "日本語", "a\xffb", "x\U0001F600y"} {
		var got int32
		got, scratch = keyHash([]byte("topic"), []byte(s), scratch)
		if want := positive(record.HashCode("topic#" + s)); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

func TestKeysAreFoundInMemoryAndFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ix := open(t, vfs.OS(), dir, 10, 50)
	const n = 7
	for to := 3; to < 400; to += 3 {
		put(t, ix, to-3, to, n)
		if to%5 == 0 {
			must(t, ix.Flush(to%2 == 0))
		}
		find(t, ix, to, n, to%n)
	}
	must(t, ix.Close())
	ix = open(t, vfs.OS(), dir, 10, 50)
	for k := range n {
		find(t, ix, 399, n, k)
	}
	put(t, ix, 380, 500, n) // what is there is ignored
	for k := range n {
		find(t, ix, 500, n, k)
	}
	if ms, off := ix.LastUpdate(); ms != t0+499 || off != 49900 {
		t.Fatalf("last update %d %d", ms, off)
	}
	must(t, ix.Close())
	names, err := filepath.Glob(dir + "/*")
	must(t, err)
	if len(names) != 11 || filepath.Base(names[0]) != "20250919235958007" || filepath.Base(names[1]) != "20250919235958008" {
		t.Fatalf("files %v", names)
	}
}

func TestManyKeysInLargeFiles(t *testing.T) {
	t.Parallel()
	for _, slots := range []int32{1, 3, 1000, 100_003, 5_000_000} {
		dir := t.TempDir()
		ix := open(t, vfs.OS(), dir, slots, 200_000)
		const n = 5000
		total := 150_000
		if slots < 1000 {
			total = 3000
		}
		put(t, ix, 0, total, n)
		for k := 0; k < n; k += 977 {
			find(t, ix, total, n, k)
		}
		must(t, ix.Flush(false))
		for k := 0; k < n; k += 977 {
			find(t, ix, total, n, k)
		}
		must(t, ix.Close())
		ix = open(t, vfs.OS(), dir, slots, 200_000)
		for k := 0; k < n; k += 977 {
			find(t, ix, total, n, k)
		}
		must(t, ix.Close())
	}
}

func TestQueryHonoursTimeAndLimit(t *testing.T) {
	t.Parallel()
	ix := open(t, vfs.NewMem(vfs.MemOptions{}), "/index", 10, 50)
	for i := range 100 {
		must(t, ix.Put([]byte("t"), []byte("k"), record.Offset(i), t0+int64(i)*1000))
	}
	for _, flush := range []bool{false, true} {
		if flush {
			must(t, ix.Flush(true))
		}
		for _, c := range []struct {
			begin, end int64
			limit      int
			want       int
			first      record.Offset
		}{
			{0, math.MaxInt64, 64, 64, 99},
			{t0 + 10_000, t0 + 20_000, 64, 11, 20},
			{t0 + 10_500, t0 + 20_500, 64, 11, 20},
			{t0 + 98_000, t0 + 1<<40, 64, 2, 99},
			{t0, t0, 64, 1, 0},
			{t0 - 1000, t0 - 1, 64, 0, 0},
			{t0 + 100_000, math.MaxInt64, 64, 0, 0},
			{0, math.MaxInt64, 0, 0, 0},
			{0, t0 + 60_000, 3, 3, 60},
		} {
			got := ix.Query("t", "k", c.limit, c.begin, c.end)
			if len(got) != c.want || c.want > 0 && got[0] != c.first {
				t.Errorf("[%d, %d]: %d results, want %d: %v", c.begin-t0, c.end-t0, len(got), c.want, got)
			}
		}
	}
	must(t, ix.Close())
}

// Two keys of one slot, and two keys of one hash ("Aa" and "BB"), are kept apart as far as the format can.
func TestCollisions(t *testing.T) {
	t.Parallel()
	ix := open(t, vfs.NewMem(vfs.MemOptions{}), "/index", 1, 50)
	for i, k := range []string{"Aa", "BB", "x", "Aa"} {
		must(t, ix.Put([]byte("t"), []byte(k), record.Offset(i), t0))
	}
	if got := ix.Query("t", "Aa", 64, 0, math.MaxInt64); !slices.Equal(got, []record.Offset{3, 1, 0}) {
		t.Fatalf("%v", got)
	}
	if got := ix.Query("t", "x", 64, 0, math.MaxInt64); !slices.Equal(got, []record.Offset{2}) {
		t.Fatalf("%v", got)
	}
	must(t, ix.Close())
}

func TestSafeUpToFollowsFlushes(t *testing.T) {
	t.Parallel()
	ix := open(t, vfs.NewMem(vfs.MemOptions{}), "/index", 10, 50)
	step := func(want record.Offset) {
		t.Helper()
		if got := ix.SafeUpTo(); got != want {
			t.Fatalf("safe up to %d, want %d", got, want)
		}
	}
	step(0)
	put(t, ix, 0, 10, 3)
	ix.Advance(950)
	step(0)
	must(t, ix.Flush(false))
	step(950)
	ix.Advance(5000) // records without keys
	step(950)
	must(t, ix.Flush(false))
	step(5000)
	put(t, ix, 60, 70, 3)
	must(t, ix.Flush(false))
	step(6900) // the last record may have more keys
	must(t, ix.Close())
}

func TestIdleIndexGivesItsMemoryBack(t *testing.T) {
	t.Parallel()
	ix := open(t, vfs.NewMem(vfs.MemOptions{}), "/index", 1000, 500_000)
	put(t, ix, 0, 3*batchMax, 100)
	for range 4 {
		must(t, ix.Flush(false))
	}
	if ix.cur != nil || ix.spare != nil || ix.window != nil || ix.merging != nil {
		t.Fatal("memory is kept")
	}
	put(t, ix, 3*batchMax, 3*batchMax+1, 100)
	must(t, ix.Close())
}

func TestCleanRemovesLeadingFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ix := open(t, vfs.OS(), dir, 10, 11)
	put(t, ix, 0, 35, 1) // 10 a file
	n, err := ix.Clean(1901)
	must(t, err)
	if n != 2 {
		t.Fatalf("%d files removed", n)
	}
	if got := ix.Query("t", "k0", 99, 0, math.MaxInt64); len(got) != 15 {
		t.Fatalf("%v", got)
	}
	n, err = ix.Clean(1 << 40)
	must(t, err)
	if n != 1 || len(ix.Query("t", "k0", 99, 0, math.MaxInt64)) != 5 {
		t.Fatal("the newest file must stay")
	}
	must(t, ix.Flush(true))
	must(t, ix.Close())
}

func TestWrongLengthIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ix := open(t, vfs.OS(), dir, 10, 50)
	put(t, ix, 0, 5, 1)
	must(t, ix.Close())
	_, err := Open(vfs.OS(), dir, Options{Slots: 10, Capacity: 51})
	if !errors.Is(err, errLength) || !strings.Contains(err.Error(), "maxIndexNum") {
		t.Fatalf("%v", err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "20300101000000000"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "readme"), []byte("x"), 0o644))
	ix = open(t, vfs.OS(), dir, 10, 50)
	find(t, ix, 5, 1, 0)
	must(t, ix.Close())
}

func TestFailedWritesAreErrorsAndAreTriedAgain(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, kind := range []vfs.OpKind{vfs.OpCreate, vfs.OpTruncate, vfs.OpMkdirAll, vfs.OpWrite, vfs.OpRead} {
		for nth := 1; nth < 40; nth++ {
			count := 0
			ix := open(t, vfs.NewFaulty(vfs.NewMem(vfs.MemOptions{}), func(op vfs.Op) error {
				if op.Kind != kind || op.Len == headerSize && kind == vfs.OpRead {
					return nil
				}
				if count++; count < nth || count > nth+2 {
					return nil
				}
				if kind == vfs.OpWrite {
					return &vfs.ShortWrite{Bytes: int(op.Len) / 2, Err: boom}
				}
				return boom
			}), "/index", 10, 20)
			for i := range 60 {
				for ix.Put([]byte("t"), fmt.Appendf(nil, "k%d", i%3), record.Offset(100*i), t0+int64(i)) != nil {
				}
				if i%4 == 0 {
					_ = ix.Flush(false)
				}
			}
			for ix.Flush(true) != nil {
			}
			for k := range 3 {
				find(t, ix, 60, 3, k)
			}
			must(t, ix.Close())
		}
	}
}

func TestFailedSyncIsFinal(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, kind := range []vfs.OpKind{vfs.OpDatasync, vfs.OpSyncDir} {
		ix := open(t, vfs.NewFaulty(vfs.NewMem(vfs.MemOptions{}), vfs.FailNth(kind, 1, boom)), "/index", 10, 20)
		put(t, ix, 0, 3, 1)
		for range 2 {
			if err := ix.Flush(true); !errors.Is(err, boom) {
				t.Fatalf("%v", err)
			}
		}
		must(t, ix.Flush(false))
		must(t, ix.Close())
	}
}

func TestPutAllocatesNothing(t *testing.T) {
	ix := open(t, vfs.OS(), t.TempDir(), 100_000, 10_000_000)
	topic, key := []byte("topic"), []byte("0123456789abcdef")
	off := record.Offset(0)
	step := func() {
		for range 1000 {
			off++
			key[0], key[1], key[2] = byte(off&127), byte(off>>7&127), byte(off>>14&127)
			if ix.Put(topic, key, off, t0) != nil {
				t.Fatal("put")
			}
		}
	}
	for range 300 {
		step()
	}
	// A merge needs two closures; there is one in 65 calls.
	if n := testing.AllocsPerRun(100, step); n > 0 {
		t.Fatalf("%v allocations", n)
	}
	must(t, ix.Close())
}
