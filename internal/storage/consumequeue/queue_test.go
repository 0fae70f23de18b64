package consumequeue

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const smallFile = 10 * UnitSize

func newSet(tb testing.TB, dir string) *Set {
	tb.Helper()
	return NewSet(vfs.OS(), dir, Options{FileSize: smallFile, MaxOpenFiles: 3})
}

// fill appends units [from, to): the record of unit i is at 100*i and 50 long, its tag is 7*i.
func fill(tb testing.TB, q *Queue, from, to record.Index) {
	tb.Helper()
	for i := from; i < to; i++ {
		if err := q.Append(i, record.Offset(100*i), 50, int64(7*i)); err != nil {
			tb.Fatal(err)
		}
	}
}

// check reads units [from, to) in pieces of several sizes.
func check(tb testing.TB, q *Queue, from, to record.Index) {
	tb.Helper()
	for _, piece := range []int{1, 3, 64} {
		us := make([]Unit, piece)
		for at := from; at < to; {
			n, err := q.Read(at, us[:min(piece, int(to-at))])
			if err != nil || n == 0 {
				tb.Fatalf("read at %d: %d units, error %v", at, n, err)
			}
			for i, u := range us[:n] {
				idx := at + record.Index(i)
				if want := (Unit{Offset: record.Offset(100 * idx), Size: 50, Tags: int64(7 * idx), Index: idx, Count: 1}); u != want {
					tb.Fatalf("unit %d = %+v, want %+v", idx, u, want)
				}
			}
			at += record.Index(n)
		}
	}
}

func state(tb testing.TB, q *Queue, minIndex, next record.Index) {
	tb.Helper()
	if err := q.Open(); err != nil {
		tb.Fatal(err)
	}
	if q.Min() != minIndex || q.Next() != next {
		tb.Fatalf("queue has [%d, %d), want [%d, %d)", q.Min(), q.Next(), minIndex, next)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func files(tb testing.TB, dir string) []string {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	must(tb, err)
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	return names
}

func TestUnitsAreReadFromMemoryAndFiles(t *testing.T) {
	t.Parallel()
	s := newSet(t, t.TempDir())
	q := s.Queue("t", 0)
	state(t, q, 0, 0)
	for i := range record.Index(60) {
		fill(t, q, i*20, i*20+20)
		state(t, q, 0, i*20+20)
		check(t, q, 0, i*20+20)
		if i%7 == 0 {
			must(t, s.Flush(i%2 == 0))
			check(t, q, 0, i*20+20)
		}
	}
	if end := q.LastOffset(); end != 1199*100+50 {
		t.Fatalf("last offset %d", end)
	}
	if n, err := q.Read(1200, make([]Unit, 1)); n != 0 || err != nil {
		t.Fatalf("read past the end: %d, %v", n, err)
	}
	if n, err := q.Read(-1, make([]Unit, 1)); n != 0 || err != nil {
		t.Fatalf("read before the begin: %d, %v", n, err)
	}
	must(t, s.Close())
}

func TestQueueIsFoundAgainAfterReopen(t *testing.T) {
	t.Parallel()
	for _, n := range []record.Index{1, 9, 10, 11, 25, 30, 205} {
		dir := t.TempDir()
		s := newSet(t, dir)
		fill(t, s.Queue("t", 3), 0, n)
		must(t, s.Close())
		for _, name := range files(t, filepath.Join(dir, "t", "3")) {
			st, err := os.Stat(filepath.Join(dir, "t", "3", name))
			must(t, err)
			if st.Size() != smallFile {
				t.Fatalf("%s has %d bytes", name, st.Size())
			}
		}
		s = newSet(t, dir)
		q, ok := s.Lookup("t", 3)
		if !ok {
			t.Fatal("queue is not found")
		}
		state(t, q, 0, n)
		check(t, q, 0, n)
		fill(t, q, n, n+7)
		check(t, q, 0, n+7)
		if _, ok := s.Lookup("t", 4); ok {
			t.Fatal("there is no queue 4")
		}
		must(t, s.Close())
	}
}

func TestAppendTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSet(t, dir)
	q := s.Queue("t", 0)
	fill(t, q, 0, 25)
	must(t, q.Append(24, 9999, 1, 1))
	must(t, q.Append(0, 9999, 1, 1))
	state(t, q, 0, 25)
	must(t, s.Close())
	s = newSet(t, dir)
	q = s.Queue("t", 0)
	fill(t, q, 0, 30)
	check(t, q, 0, 30)
	must(t, s.Close())
}

func TestIllegalUnitsAndNamesAreErrors(t *testing.T) {
	t.Parallel()
	s := newSet(t, t.TempDir())
	q := s.Queue("t", 0)
	for i, err := range []error{
		q.Append(0, -1, 1, 0), q.Append(0, 0, 0, 0), q.Append(-1, 0, 1, 0), q.Append(record.Index(s.simple.maxSlot())+1, 0, 1, 0),
		s.Queue("a/b", 0).Append(0, 0, 1, 0), s.Queue("..", 0).Append(0, 0, 1, 0), s.Queue("t", -1).Append(0, 0, 1, 0),
		s.Queue("", 0).Open(), s.Delete("../x"),
	} {
		if err == nil {
			t.Errorf("case %d: no error", i)
		}
	}
	must(t, s.Close())
}

// Golden vectors G4 and G5 of the storage specification, made by Java 5.3.3.
func TestUnitsHaveJavasBytes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSet(t, dir)
	q := s.Queue("TopicTest", 0)
	must(t, q.Append(0, 0, 0xa8, 2598919))
	must(t, q.Append(1, 0x299, 0x115, 2598920))
	must(t, s.Queue("SCHEDULE_TOPIC_XXXX", 2).Append(0, 0x1c2, 0xd7, 0x000001a203b30149))
	must(t, s.Close())
	for name, want := range map[string]string{
		"TopicTest/0":           "0000000000000000000000a8000000000027a807" + "000000000000029900000115000000000027a808",
		"SCHEDULE_TOPIC_XXXX/2": "00000000000001c2000000d7000001a203b30149",
	} {
		b, err := os.ReadFile(filepath.Join(dir, name, "00000000000000000000"))
		must(t, err)
		units, err := hex.DecodeString(want)
		must(t, err)
		if !bytes.Equal(b, append(units, make([]byte, smallFile-len(units))...)) {
			t.Errorf("%s: %x", name, b)
		}
	}
}

func TestFirstUnitAboveZeroIsPrecededByBlanks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSet(t, dir)
	q := s.Queue("t", 0)
	fill(t, q, 1234, 1235)
	state(t, q, 1234, 1235)
	check(t, q, 1234, 1235)
	must(t, s.Close())
	if names := files(t, filepath.Join(dir, "t", "0")); len(names) != 1 || names[0] != "00000000000000024600" {
		t.Fatalf("files %v", names)
	}
	b, err := os.ReadFile(filepath.Join(dir, "t", "0", "00000000000000024600"))
	must(t, err)
	for i := range 4 {
		if u := s.simple.decode(b[i*UnitSize:], slot(i)); !u.Blank() {
			t.Fatalf("unit %d is %+v", i, u)
		}
	}
	if binary.BigEndian.Uint64(b[4*UnitSize:]) != 123400 {
		t.Fatal("the unit is not in its place")
	}
	s = newSet(t, dir)
	q = s.Queue("t", 0)
	state(t, q, 1234, 1235)
	fill(t, q, 1235, 1300)
	check(t, q, 1234, 1300)
	if s.Stats().Blanks != 0 {
		t.Fatal("blanks at the begin are no gap")
	}
	must(t, s.Close())
}

func TestGapIsFilledWithBlanks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSet(t, dir)
	q := s.Queue("t", 0)
	fill(t, q, 0, 5)
	fill(t, q, 8, 12)   // inside a file
	fill(t, q, 17, 18)  // to the middle of a file
	fill(t, q, 55, 100) // over whole files
	for range 2 {
		state(t, q, 0, 100)
		check(t, q, 0, 5)
		check(t, q, 8, 12)
		check(t, q, 17, 18)
		check(t, q, 55, 100)
		us := make([]Unit, 3)
		if n, err := q.Read(5, us); n != 3 || err != nil || !us[0].Blank() || !us[2].Blank() {
			t.Fatalf("%d %v %v", n, err, us)
		}
		var hole *HoleError
		if _, err := q.Read(20, us); !errors.As(err, &hole) || hole.Next != 50 {
			t.Fatalf("read in a missing file: %v", err)
		}
		must(t, s.Close())
		s = newSet(t, dir)
		q = s.Queue("t", 0)
	}
	must(t, s.Close())
}

func TestDeletedTopicIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSet(t, dir)
	for id := range int32(4) {
		fill(t, s.Queue("t", id), 0, 15)
	}
	must(t, s.Flush(true))
	old := s.Queue("t", 0)
	fill(t, old, 15, 20)
	must(t, s.Delete("t"))
	if err := old.Append(20, 1, 1, 1); !errors.Is(err, ErrDeleted) {
		t.Fatalf("append to a deleted queue: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "t")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("directory is still there")
	}
	if _, ok := s.Lookup("t", 0); ok {
		t.Fatal("deleted queue is found")
	}
	q := s.Queue("t", 0)
	state(t, q, 0, 0)
	fill(t, q, 0, 3)
	check(t, q, 0, 3)
	must(t, s.Flush(true))
	if d := s.Stats().Dirty; d != 0 {
		t.Fatalf("%d dirty bytes", d)
	}
	must(t, s.Close())
}

func TestEachFindsQueuesInMemoryAndOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSet(t, dir)
	fill(t, s.Queue("%RETRY%g", 0), 0, 1)
	fill(t, s.Queue("b", 1), 0, 1)
	must(t, s.Close())
	must(t, os.MkdirAll(filepath.Join(dir, "b", "x1"), 0o755))
	must(t, os.MkdirAll(filepath.Join(dir, "b", "01"), 0o755))
	s = newSet(t, dir)
	fill(t, s.Queue("a", 7), 0, 1)
	s.Queue("b", 0) // a handle alone is no queue
	state(t, s.Queue("b", 2), 0, 0)
	var got []string
	must(t, s.Each(func(q *Queue) bool {
		got = append(got, filepath.Join(q.Topic(), strconv.Itoa(int(q.ID()))))
		return true
	}))
	if len(got) != 3 || got[0] != "%RETRY%g/0" || got[1] != "a/7" || got[2] != "b/1" {
		t.Fatalf("queues %v", got)
	}
	must(t, s.Close())
}

func TestCleanRemovesWholeFilesBelowTheLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSet(t, dir)
	fill(t, s.Queue("t", 0), 0, 45)
	fill(t, s.Queue("t", 1), 0, 5)
	fill(t, s.Queue("t", 2), 0, 40)
	must(t, s.Close())
	s = newSet(t, dir)
	q0, q1 := s.Queue("t", 0), s.Queue("t", 1)
	state(t, q0, 0, 45)
	state(t, q1, 0, 5)
	n, err := s.Clean(2500)
	must(t, err)
	if n != 4 || len(files(t, filepath.Join(dir, "t", "0"))) != 3 {
		t.Fatalf("%d files removed", n)
	}
	state(t, q0, 25, 45)
	check(t, q0, 25, 45)
	state(t, q1, 5, 5) // an empty queue keeps its offset
	state(t, s.Queue("t", 2), 25, 40)
	if _, err = s.Clean(4400); err != nil {
		t.Fatal(err)
	}
	state(t, q0, 44, 45)
	if _, err = s.Clean(1 << 40); err != nil {
		t.Fatal(err)
	}
	state(t, q0, 45, 45)
	fill(t, q0, 45, 75)
	fill(t, q1, 5, 25)
	state(t, q0, 45, 75)
	state(t, q1, 5, 25)
	check(t, q0, 45, 75)
	must(t, s.Close())

	s = newSet(t, dir)
	s.SetLogMin(4500)
	state(t, s.Queue("t", 0), 45, 75)
	state(t, s.Queue("t", 2), 40, 40)
	must(t, s.Close())
}

func TestUnitsAboveTheTrustMarkAreDropped(t *testing.T) {
	t.Parallel()
	for _, trust := range []record.Offset{0, 100, 900, 1000, 1050, 2400, 2500, 9000} {
		dir := t.TempDir()
		s := newSet(t, dir)
		fill(t, s.Queue("t", 0), 0, 25)
		fill(t, s.Queue("t", 1), 1003, 1010)
		must(t, s.Close())
		s = newSet(t, dir)
		s.SetTrust(trust)
		must(t, s.OpenAll())
		q := s.Queue("t", 0)
		n := min(record.Index(trust+99)/100, 25)
		state(t, q, 0, n)
		check(t, q, 0, n)
		if q1 := s.Queue("t", 1); trust < 100000 {
			state(t, q1, q1.Next(), q1.Next())
			fill(t, q1, 1005, 1008)
			state(t, q1, 1005, 1008)
		}
		fill(t, q, n, 22)
		must(t, s.Close())
		s = newSet(t, dir)
		state(t, s.Queue("t", 0), 0, max(n, 22))
		state(t, s.Queue("t", 1), 1005, 1008)
		must(t, s.Close())
	}
}

func TestBlanksBeforeDroppedUnitsKeepTheIndex(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSet(t, dir)
	fill(t, s.Queue("t", 0), 1003, 1010)
	fill(t, s.Queue("t", 1), 1000, 1010)
	must(t, s.Close())
	s = newSet(t, dir)
	s.SetTrust(500)
	state(t, s.Queue("t", 0), 1003, 1003)
	state(t, s.Queue("t", 1), 1000, 1000)
	if names := files(t, filepath.Join(dir, "t", "1")); len(names) != 0 {
		t.Fatalf("a file without units is left: %v", names)
	}
	must(t, s.Close())
}

func TestEmptyLastFileIsRemovedAndWrongLengthRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSet(t, dir)
	fill(t, s.Queue("t", 0), 0, 10)
	must(t, s.Close())
	must(t, os.WriteFile(filepath.Join(dir, "t", "0", fileName(smallFile)), nil, 0o644))
	s = newSet(t, dir)
	state(t, s.Queue("t", 0), 0, 10)
	must(t, s.Close())
	must(t, os.WriteFile(filepath.Join(dir, "t", "0", fileName(smallFile)), make([]byte, smallFile), 0o644))
	s = newSet(t, dir)
	state(t, s.Queue("t", 0), 0, 10)
	must(t, s.Close())
	if names := files(t, filepath.Join(dir, "t", "0")); len(names) != 1 {
		t.Fatalf("files %v", names)
	}
	s = NewSet(vfs.OS(), dir, Options{FileSize: 2 * smallFile})
	q, ok := s.Lookup("t", 0)
	if !ok || q.Open() == nil || q.Append(10, 1000, 50, 0) == nil {
		t.Fatal("a file of another length was taken")
	}
	must(t, s.Close())
}

func TestDamagedUnitIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSet(t, dir)
	fill(t, s.Queue("t", 0), 0, 25)
	must(t, s.Close())
	f, err := os.OpenFile(filepath.Join(dir, "t", "0", fileName(0)), os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt(make([]byte, UnitSize), 3*UnitSize)
	must(t, errors.Join(err, f.Close()))
	s = newSet(t, dir)
	q := s.Queue("t", 0)
	state(t, q, 0, 25)
	check(t, q, 0, 3)
	us := make([]Unit, 5)
	if n, err := q.Read(1, us); n != 2 || err != nil {
		t.Fatalf("%d units, %v", n, err)
	}
	var corrupt *CorruptError
	if _, err := q.Read(3, us); !errors.As(err, &corrupt) || corrupt.Index != 3 {
		t.Fatalf("error %v", err)
	}
	check(t, q, 4, 25)
	must(t, s.Close())
}

// A power cut may leave blank units where the units around them are lost: they must not pass for the queue's end.
func TestBlanksAboveTheTrustMarkAreNotBelieved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSet(t, dir)
	q := s.Queue("t", 0)
	fill(t, q, 0, 16)
	fill(t, q, 18, 19)
	must(t, s.Close())
	for base, lost := range map[int64][2]int{0: {5, 10}, smallFile: {0, 6}} {
		name := filepath.Join(dir, "t", "0", fileName(base))
		b, err := os.ReadFile(name)
		must(t, err)
		clear(b[lost[0]*UnitSize : lost[1]*UnitSize])
		must(t, os.WriteFile(name, b, 0o644))
	}
	s = newSet(t, dir)
	s.SetTrust(500)
	q = s.Queue("t", 0)
	state(t, q, 0, 5)
	fill(t, q, 5, 30)
	check(t, q, 0, 30)
	must(t, s.Close())
}
