package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

func kill(fsys *vfs.Mem) *vfs.Mem {
	return fsys.CrashClone(rand.New(rand.NewPCG(1, 1)), vfs.ProcessKill)
}

// change edits bytes of a file.
func change(tb testing.TB, fsys vfs.FS, name string, at int64, n int, f func([]byte)) {
	tb.Helper()
	h, err := fsys.Open(name)
	must(tb, err)
	p := make([]byte, n)
	_, err = h.ReadAt(p, at)
	must(tb, err)
	f(p)
	_, err = h.WriteAt(p, at)
	must(tb, err)
	must(tb, h.Sync())
	must(tb, h.Close())
}

func flip(bit int) func([]byte) { return func(p []byte) { p[bit/8] ^= 1 << (bit % 8) } }

// logFile returns the log file of an offset and the place in it.
func logFile(o Options, off record.Offset) (string, int64) {
	at := int64(off) % o.SegmentSize
	return filepath.Join(o.Dir, "commitlog", fmt.Sprintf("%020d", int64(off)-at)), at
}

// filled makes a store of n messages in queue T/0 and returns its disk after a kill, with the places of the messages.
func filled(tb testing.TB, o Options, n int) (fsys *vfs.Mem, want []string, at []record.Offset, end record.Offset) {
	tb.Helper()
	disk := vfs.NewMem(vfs.MemOptions{})
	s := open(tb, disk, o)
	want = numbered(n)
	for _, body := range want {
		_, off := put(tb, s, "T", 0, body, "tag")
		at = append(at, off)
	}
	settle(tb, s)
	must(tb, s.thorough())
	return kill(disk), want, at, s.Appended()
}

// forget removes our marks and Java's checkpoint, so that all of the log is walked.
func forget(tb testing.TB, fsys vfs.FS, o Options) {
	tb.Helper()
	for _, name := range []string{"cometmq/dispatch", "checkpoint"} {
		if err := fsys.Remove(filepath.Join(o.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			tb.Fatal(err)
		}
	}
}

func TestFlippedBitTruncatesNothing(t *testing.T) {
	t.Parallel()
	o := options(t)
	disk, want, at, end := filled(t, o, 120)
	rng := rand.New(rand.NewPCG(7, 7))
	for try := range 200 {
		victim := rng.IntN(len(want))
		next := end
		if victim+1 < len(at) {
			next = at[victim+1]
		}
		var head [4]byte
		name, pos := logFile(o, at[victim])
		change(t, disk, name, pos, 4, func(p []byte) { copy(head[:], p) })
		size := int(binary.BigEndian.Uint32(head[:]))
		bit := rng.IntN(size * 8)
		walk := try%2 == 0
		fsys := kill(disk)
		change(t, fsys, name, pos, size, flip(bit))
		if walk {
			forget(t, fsys, o)
		}
		s := open(t, fsys, o)
		if last := victim == len(want)-1; s.Appended() != end && (!last || !walk) {
			t.Fatalf("bit %d of message %d (%d..%d): the log ends at %d, not %d", bit, victim, at[victim], next, s.Appended(), end)
		}
		got := all(t, s, "T", 0)
		// The damaged record may be lost; nothing else, and nothing in the wrong place.
		rest := slices.Delete(slices.Clone(want), victim, victim+1)
		if len(got) == len(want) {
			equal(t, got, want) // a bit that no checksum covers and that does no harm
		} else {
			equal(t, got, rest)
			if last := victim == len(want)-1; !last || !walk {
				if c := s.Corruptions(); c.Count == 0 && c.Damaged == 0 && s.Stats().BlankUnits == 0 {
					t.Fatalf("bit %d of message %d: damage is not reported", bit, victim)
				}
			}
		}
		put(t, s, "T", 0, "new")
		settle(t, s)
		if got := all(t, s, "T", 0); got[len(got)-1] != "new" {
			t.Fatal("the new message is not there")
		}
		must(t, s.Close())
	}
}

func TestDamageInQueueFilesIsSteppedOver(t *testing.T) {
	t.Parallel()
	o := options(t)
	disk, want, _, _ := filled(t, o, 120)
	rng := rand.New(rand.NewPCG(8, 8))
	for range 100 {
		victim := rng.IntN(len(want))
		fsys := kill(disk)
		base := int64(victim) * 20 / o.QueueFileSize * o.QueueFileSize
		change(t, fsys, fmt.Sprintf("/store/consumequeue/T/0/%020d", base), int64(victim)*20-base, 20, flip(rng.IntN(160)))
		s := open(t, fsys, o)
		got := all(t, s, "T", 0)
		switch len(got) {
		case len(want):
			equal(t, got, want)
		case len(want) - 1:
			equal(t, got, slices.Delete(slices.Clone(want), victim, victim+1))
		default:
			t.Fatalf("unit %d damaged: %d of %d messages", victim, len(got), len(want))
		}
		idx, _ := put(t, s, "T", 0, "new")
		if int(idx) != len(want) {
			t.Fatalf("unit %d damaged: next index %d, want %d", victim, idx, len(want))
		}
		must(t, s.Close())
	}
}

func TestDamagedMarksAndCheckpointOnlyCostTime(t *testing.T) {
	t.Parallel()
	o := options(t)
	disk, want, _, _ := filled(t, o, 120)
	rng := rand.New(rand.NewPCG(9, 9))
	for i := range 100 {
		fsys := kill(disk)
		name, size := "cometmq/dispatch", 8192+markLen
		if i%2 == 0 {
			name, size = "checkpoint", 48
		}
		h, err := fsys.Open(filepath.Join(o.Dir, name))
		must(t, err)
		have, err := h.Size()
		must(t, err)
		must(t, h.Close())
		change(t, fsys, filepath.Join(o.Dir, name), 0, min(size, int(have)), flip(rng.IntN(min(size, int(have))*8)))
		s := open(t, fsys, o)
		equal(t, all(t, s, "T", 0), want)
		must(t, s.Close())
	}
}

func TestDamageInIndexFilesTouchesNoMessage(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.IndexEnabled = true
	disk := vfs.NewMem(vfs.MemOptions{})
	s := open(t, disk, o)
	want := numbered(120)
	for i, body := range want {
		var b Batch
		m := message("T", body)
		m.Props = record.AppendProp(nil, "KEYS", fmt.Sprintf("k%d", i))
		_, err := b.Add(s.Queue("T", 0), m)
		must(t, err)
		must(t, s.Append(&b))
	}
	settle(t, s)
	must(t, s.thorough())
	killed := kill(disk)
	must(t, s.Close())
	list, err := killed.ReadDir("/store/index")
	must(t, err)
	rng := rand.New(rand.NewPCG(11, 11))
	for i := range 100 {
		fsys := kill(killed)
		if i%2 == 0 {
			fsys = kill(disk) // closed in order
		}
		name := "/store/index/" + list[rng.IntN(len(list))].Name()
		bits := 1080 * 8
		if i%3 == 0 {
			bits = 40 * 8 // the header
		}
		change(t, fsys, name, 0, bits/8, flip(rng.IntN(bits)))
		s := open(t, fsys, o)
		equal(t, all(t, s, "T", 0), want)
		for k := range want {
			_, err := s.QueryKeys("T", fmt.Sprintf("k%d", k), 10, 0, 1<<60)
			must(t, err)
		}
		put(t, s, "T", 0, "new")
		must(t, s.Close())
	}
}

func TestTornTailIsCutAndErased(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		harm func(p []byte) // the last record and 200 bytes behind it
	}{
		{"torn", func(p []byte) { clear(p[len(p)-260:]) }},
		{"zeroed", func(p []byte) { clear(p) }},
		{"garbage", func(p []byte) {
			for i := range p {
				p[i] = byte(i*7 + 1)
			}
		}},
		{"garbage behind", func(p []byte) {
			for i := range p[len(p)-200:] {
				p[len(p)-200+i] = byte(i*7 + 1)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			disk := vfs.NewMem(vfs.MemOptions{})
			s := open(t, disk, o)
			want := numbered(20)
			for _, body := range want {
				put(t, s, "T", 0, body)
			}
			settle(t, s)
			must(t, s.thorough())
			_, off := put(t, s, "T", 0, strings.Repeat("last", 30))
			settle(t, s)
			end := s.Appended()
			disk = disk.CrashClone(rand.New(rand.NewPCG(1, 1)), vfs.ProcessKill)
			name, at := logFile(o, off)
			change(t, disk, name, at, int(end-off)+200, c.harm)
			s = open(t, disk, o)
			got := all(t, s, "T", 0)
			if c.name == "garbage behind" {
				want = append(want, strings.Repeat("last", 30))
				off = end
			}
			equal(t, got, want)
			if s.Appended() != off {
				t.Fatalf("the log ends at %d, want %d", s.Appended(), off)
			}
			h, err := disk.Open(name)
			must(t, err)
			rest := make([]byte, o.SegmentSize-int64(off)%o.SegmentSize)
			_, err = h.ReadAt(rest, int64(off)%o.SegmentSize)
			must(t, err)
			must(t, h.Close())
			if i := slices.IndexFunc(rest, func(b byte) bool { return b != 0 }); i >= 0 {
				t.Fatalf("byte %d behind the end is not erased", i)
			}
			must(t, s.Close())
		})
	}
}

// Storage spec T7: what was cut must not come back when a new record happens to end where an old one began.
func TestCutRecordsDoNotComeBack(t *testing.T) {
	t.Parallel()
	o := options(t)
	disk := vfs.NewMem(vfs.MemOptions{})
	s := open(t, disk, o)
	put(t, s, "T", 0, "first")
	settle(t, s)
	must(t, s.thorough())
	_, a := put(t, s, "T", 0, "aaaa")
	put(t, s, "T", 0, "bbbb")
	_, c := put(t, s, "T", 0, "cccc")
	end := s.Appended()
	disk = kill(disk)
	name, at := logFile(o, a)
	// Both a and what follows it are harmed now, and the second one's harm is healed when a is written again.
	change(t, disk, name, at, int(end-a), func(p []byte) { p[4]++; p[4+(c-a)/2]++; p[4+(c-a)]++ })
	s = open(t, disk, o)
	if s.Appended() != a {
		t.Fatalf("the log ends at %d, want %d", s.Appended(), a)
	}
	put(t, s, "T", 0, "AAAA")
	settle(t, s)
	s = open(t, kill(disk), o)
	equal(t, all(t, s, "T", 0), []string{"first", "AAAA"})
	must(t, s.Close())
}

func TestHalfMadeSegments(t *testing.T) {
	t.Parallel()
	o := options(t)
	for _, size := range []int64{0, 1, 4096, o.SegmentSize - 1} {
		disk, want, _, end := filled(t, o, 60)
		next := (int64(end)/o.SegmentSize + 1) * o.SegmentSize
		f, err := disk.Create(filepath.Join(o.Dir, "commitlog", fmt.Sprintf("%020d", next)))
		must(t, err)
		must(t, f.Truncate(size))
		must(t, f.Close())
		s := open(t, disk, o)
		equal(t, all(t, s, "T", 0), want)
		must(t, s.Close())
	}
	disk, _, _, _ := filled(t, o, 60)
	o.SegmentSize *= 2
	_, err := Open(disk, o)
	if err == nil || !strings.Contains(err.Error(), "mappedFileSizeCommitLog") || !strings.Contains(err.Error(), "16384") {
		t.Fatalf("wrong segment size: %v", err)
	}
}

func TestMissingLogFilesAreRefused(t *testing.T) {
	t.Parallel()
	o := options(t)
	disk, _, _, _ := filled(t, o, 200)
	name, _ := logFile(o, record.Offset(o.SegmentSize))
	must(t, disk.Remove(name))
	if _, err := Open(disk, o); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Fatalf("gap in the log: %v", err)
	}
	disk, _, _, _ = filled(t, o, 200)
	must(t, disk.RemoveAll(o.Dir+"/commitlog"))
	if _, err := Open(disk, o); err == nil || !strings.Contains(err.Error(), "consumequeue") {
		t.Fatalf("queues without a log: %v", err)
	}
}

func TestQueuesAreBuiltAgainWhenTheirFolderIsGone(t *testing.T) {
	t.Parallel()
	o := options(t)
	disk := vfs.NewMem(vfs.MemOptions{})
	s := open(t, disk, o)
	want := numbered(100)
	for _, body := range want {
		put(t, s, "T", 0, body)
	}
	must(t, s.Close())
	must(t, disk.RemoveAll("/store/consumequeue"))
	s = open(t, disk, o)
	equal(t, all(t, s, "T", 0), want)
	must(t, s.Close())
}

func TestForeignLayoutsAreRefused(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"consumequeue/CURRENT", "config/topics/CURRENT", "config/rdb/CURRENT", "kvStore/CURRENT", "newThing/000012.sst", "dledger-n0/x"} {
		fsys := vfs.NewMem(vfs.MemOptions{})
		name := "/store/" + path
		must(t, fsys.MkdirAll(filepath.Dir(name)))
		for _, name := range []string{name, filepath.Join(filepath.Dir(name), "CURRENT")} {
			f, err := fsys.Create(name)
			must(t, err)
			must(t, f.Close())
		}
		_, err := Open(fsys, options(t))
		var layout *LayoutError
		if !errors.As(err, &layout) || layout.Todo == "" {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := fsys.Stat("/store/abort"); err == nil {
			t.Errorf("%s: something was changed", path)
		}
	}
}

func TestFullDiskEndsByItself(t *testing.T) {
	t.Parallel()
	fillAndGoOn(t, time.Second)
	fillAndGoOn(t, -time.Hour) // the clock is set back while the disk is full
}

// fillAndGoOn fills the disk, and makes room while the clock makes a step.
func fillAndGoOn(t *testing.T, step time.Duration) {
	t.Helper()
	disk := vfs.NewMem(vfs.MemOptions{})
	now := time.Unix(1_800_000_000, 0)
	o := options(t)
	o.Now = func() time.Time { return now }
	s := open(t, disk, o)
	var want []string
	var b Batch
	add := func(body string) error {
		b.Reset()
		if _, err := b.Add(s.Queue("T", 0), message("T", body)); err != nil {
			return err
		}
		return s.Append(&b)
	}
	u, err := disk.Usage("/")
	must(t, err)
	disk.SetCapacity(int64(u.Total-u.Free) + 3*o.SegmentSize)
	var full *DiskFullError
	for i := 0; ; i++ {
		body := fmt.Sprintf("%d %s", i, strings.Repeat("x", 100))
		if err := add(body); err != nil {
			if !errors.As(err, &full) {
				t.Fatal(err)
			}
			break
		}
		want = append(want, body)
	}
	if len(want) < 100 {
		t.Fatalf("only %d messages", len(want))
	}
	if !errors.As(s.Writable(), &full) {
		t.Fatalf("writable: %v", s.Writable())
	}
	if err := add("no"); !errors.As(err, &full) {
		t.Fatal(err)
	}
	disk.SetCapacity(1 << 40)
	now = now.Add(step)
	must(t, add("again"))
	must(t, s.Writable())
	want = append(want, "again")
	settle(t, s)
	equal(t, all(t, s, "T", 0), want)
	must(t, s.Close())
	s = open(t, disk, o)
	equal(t, all(t, s, "T", 0), want)
	must(t, s.Close())
}

func TestNearlyFullDiskRefusesAndDeletes(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem(vfs.MemOptions{})
	o := options(t)
	s := open(t, disk, o)
	for _, body := range numbered(300) {
		put(t, s, "T", 0, body)
	}
	settle(t, s)
	must(t, s.thorough())
	files := len(s.log.Files())
	u, err := disk.Usage("/")
	must(t, err)
	disk.SetCapacity(int64(u.Total-u.Free) * 100 / 95)
	o = s.o
	o.KeepForced = true
	s.Retune(o) // cleanFileForciblyEnable = false: nothing may go before its age
	must(t, s.clean(time.Now()))
	var full *DiskFullError
	if err := s.Writable(); !errors.As(err, &full) {
		t.Fatalf("writable at 95 %%: %v", err)
	}
	if n := len(s.log.Files()); n != files {
		t.Fatalf("%d of %d files are left", n, files)
	}
	o.KeepForced = false
	s.Retune(o)
	must(t, s.clean(time.Now()))
	must(t, s.Writable()) // what was deleted was enough
	if n := len(s.log.Files()); n >= files || n < 2 {
		t.Fatalf("%d of %d files are left: want as many deleted as the disk needs", n, files)
	}
	q := s.Queue("T", 0)
	if q.Min() == 0 || q.Max() != 300 {
		t.Fatalf("queue is %d..%d", q.Min(), q.Max())
	}
	if res := s.Read(q, &Read{From: q.Min()}, nil); res.Status != Found {
		t.Fatalf("first message: %d", res.Status)
	}
	if res := s.Read(q, &Read{}, nil); res.Status != OffsetTooSmall || res.Next != q.Min() {
		t.Fatalf("deleted message: %d", res.Status)
	}
	must(t, s.Close())
	s = open(t, disk, o)
	if q := s.Queue("T", 0); q.Min() == 0 || q.Max() != 300 {
		t.Fatalf("queue is %d..%d after reopening", q.Min(), q.Max())
	}
	must(t, s.Close())
}

func TestOldFilesAreDeletedAtTheirHour(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 1, 1, 3, 30, 0, 0, time.Local)
	disk := vfs.NewMem(vfs.MemOptions{Now: func() time.Time { return clock }})
	o := options(t)
	o.Now = func() time.Time { return clock }
	s := open(t, disk, o)
	for i, body := range numbered(200) {
		if i == 100 {
			clock = clock.Add(48 * time.Hour)
		}
		put(t, s, "T", 0, body)
	}
	settle(t, s)
	must(t, s.thorough())
	files := len(s.log.Files())
	clock = clock.Add(25 * time.Hour) // 04:30, the first half is 73 h old
	clock = clock.Add(-time.Hour)     // 03:30
	must(t, s.clean(clock))
	if n := len(s.log.Files()); n != files {
		t.Fatalf("%d files at 03:30, were %d", n, files)
	}
	clock = clock.Add(time.Hour)
	must(t, s.clean(clock))
	must(t, s.clean(clock))
	if n := len(s.log.Files()); n >= files || n < 2 {
		t.Fatalf("%d files at 04:30, were %d", n, files)
	}
	if q := s.Queue("T", 0); q.Min() == 0 || q.Min() > 100 {
		t.Fatalf("queue begins at %d", q.Min())
	}
	must(t, s.Close())
}

func TestFailedSyncMakesTheStoreReadOnly(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	disk := vfs.NewMem(vfs.MemOptions{})
	fsys := vfs.NewFaulty(disk, func(op vfs.Op) error {
		if broken.Load() && op.Kind == vfs.OpDatasync && strings.Contains(op.Name, "commitlog") {
			return syscall.EIO
		}
		return nil
	})
	o := options(t)
	o.FlushSync = true
	s := open(t, fsys, o)
	stop := run(t, s)
	put(t, s, "T", 0, "good")
	must(t, s.Flush())
	broken.Store(true)
	_, off := put(t, s, "T", 0, "bad")
	done := make(chan Status, 1)
	if s.AwaitDurable(&Await{End: off + 1, Flush: true, Deadline: time.Now().Add(time.Minute), Done: func(st Status) { done <- st }}) {
		if st := <-done; st != FlushTimeout {
			t.Fatalf("status %d", st)
		}
	} else {
		t.Fatal("durable although sync fails")
	}
	broken.Store(false)
	var b Batch
	_, err := b.Add(s.Queue("T", 0), message("T", "refused"))
	must(t, err)
	var ro *ReadOnlyError
	if err := s.Append(&b); !errors.As(err, &ro) || !errors.Is(err, syscall.EIO) {
		t.Fatalf("append: %v", err)
	}
	for s.Queue("T", 0).Max() == 0 {
		time.Sleep(time.Millisecond)
	}
	equal(t, all(t, s, "T", 0), []string{"good"})
	stop()
	if err := s.Close(); !errors.As(err, &ro) {
		t.Fatalf("close: %v", err)
	}
	if _, err := disk.Stat("/store/abort"); err != nil {
		t.Fatal("abort is gone after a failure")
	}
	s = open(t, disk, o)
	equal(t, all(t, s, "T", 0), []string{"good", "bad"})
	must(t, s.Close())
}

func TestFailedWriteIsTakenBack(t *testing.T) {
	t.Parallel()
	for _, short := range []int{0, 50, 200} {
		for _, cause := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
			t.Run(fmt.Sprintf("%d/%v", short, cause), func(t *testing.T) {
				t.Parallel()
				var broken atomic.Bool
				disk := vfs.NewMem(vfs.MemOptions{})
				fsys := vfs.NewFaulty(disk, func(op vfs.Op) error {
					if broken.Load() && op.Kind == vfs.OpWrite && strings.Contains(op.Name, "commitlog") {
						return &vfs.ShortWrite{Bytes: short, Err: cause}
					}
					return nil
				})
				now := time.Unix(1_800_000_000, 0)
				o := options(t)
				o.Now = func() time.Time { return now }
				s := open(t, fsys, o)
				put(t, s, "T", 0, "one")
				broken.Store(true)
				var b Batch
				for range 3 {
					_, err := b.Add(s.Queue("T", 0), message("T", "fails"))
					must(t, err)
				}
				err := s.Append(&b)
				var ro *ReadOnlyError
				var full *DiskFullError
				if cause == syscall.EIO && !errors.As(err, &ro) || cause == syscall.ENOSPC && !errors.As(err, &full) {
					t.Fatalf("append: %v", err)
				}
				broken.Store(false)
				now = now.Add(time.Second)
				want := []string{"one"}
				if cause == syscall.ENOSPC {
					idx, _ := put(t, s, "T", 0, "two")
					if idx != 1 {
						t.Fatalf("index %d", idx)
					}
					want = append(want, "two")
				}
				settle(t, s)
				equal(t, all(t, s, "T", 0), want)
				s = open(t, kill(disk), o)
				got := all(t, s, "T", 0)
				equal(t, got[:len(want)], want)
				if cause == syscall.ENOSPC {
					equal(t, got, want)
				}
				must(t, s.Close())
			})
		}
	}
}

// FuzzMark decodes marks that are anything.
func FuzzMark(f *testing.F) {
	m := mark{gen: 3, queues: 100, log: 90, last: 50}
	f.Add(m.encode())
	f.Add([]byte(markMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m mark
		if m.decode(data) && !bytes.Equal(m.encode(), data[:markLen]) {
			t.Fatal("decoded and encoded again it differs")
		}
	})
}
