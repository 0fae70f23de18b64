package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
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

func newLog(tb testing.TB, fsys vfs.FS, size int64) *Log {
	tb.Helper()
	l, err := Open(fsys, "/log", Options{SegmentSize: size, Key: "mappedFileSizeCommitLog", CacheBytes: 1 << 20})
	must(tb, err)
	must(tb, l.Recover(Recovery{CRC: true}, nil))
	return l
}

func message(body string) *record.Message {
	host := netip.MustParseAddrPort("10.0.0.1:1234")
	return &record.Message{Topic: []byte("T"), Body: []byte(body), BornHost: host, StoreHost: host}
}

// list returns the bodies of all records and where they are.
func list(tb testing.TB, l *Log) (bodies []string, at []record.Offset) {
	tb.Helper()
	sc := l.Scan(l.Min())
	defer sc.Close()
	for sc.Next(l.Appended()) {
		bodies, at = append(bodies, string(sc.Msg.Body)), append(at, sc.Offset)
	}
	must(tb, sc.Err())
	return bodies, at
}

func TestEachBatchIsWholeAndInOrder(t *testing.T) {
	t.Parallel()
	l := newLog(t, vfs.NewMem(vfs.MemOptions{}), 4096)
	var seq Seq
	var wg sync.WaitGroup
	const writers, rounds = 4, 100
	for w := range writers {
		wg.Go(func() {
			var b Batch
			for n := range rounds {
				b.Reset()
				for i := range 3 {
					if _, err := b.Add(&seq, message(fmt.Sprintf("%d %d %d %s", w, n, i, strings.Repeat("x", n%200)))); err != nil {
						t.Error(err)
						return
					}
				}
				if err := l.Append(&b); err != nil {
					t.Error(err)
					return
				}
				first, _, _ := b.Result(0)
				for i := range 3 {
					if idx, _, _ := b.Result(i); idx != first+record.Index(i) {
						t.Errorf("index %d after %d", idx, first)
					}
				}
			}
		})
	}
	wg.Wait()
	bodies, _ := list(t, l)
	next := [writers]int{}
	for _, b := range bodies {
		var w, n, i int
		if _, err := fmt.Sscanf(b, "%d %d %d", &w, &n, &i); err != nil {
			t.Fatal(err)
		}
		if next[w] != 3*n+i {
			t.Fatalf("writer %d: %d %d after %d", w, n, i, next[w])
		}
		next[w]++
	}
	if seq.Next() != writers*rounds*3 || len(bodies) != writers*rounds*3 {
		t.Fatalf("%d records, next index %d", len(bodies), seq.Next())
	}
	must(t, l.Close())
}

func TestGroupsStayInOneFileAndFilesEndWithAMarker(t *testing.T) {
	t.Parallel()
	fsys := vfs.NewMem(vfs.MemOptions{})
	l := newLog(t, fsys, 4096)
	rng := rand.New(rand.NewPCG(1, 1))
	var seq Seq
	var b Batch
	for range 100 {
		b.Reset()
		b.BeginGroup()
		n := 1 + rng.IntN(6)
		for range n {
			_, err := b.Add(&seq, message(strings.Repeat("x", rng.IntN(400))))
			must(t, err)
		}
		b.EndGroup(true)
		must(t, l.Append(&b))
		_, first, _ := b.Result(0)
		_, last, _ := b.Result(n - 1)
		if first/4096 != (b.End()-1)/4096 || first/4096 != last/4096 {
			t.Fatalf("group is at %d..%d", first, b.End())
		}
	}
	bodies, at := list(t, l)
	if len(bodies) != int(seq.Next()) {
		t.Fatalf("%d records of %d", len(bodies), seq.Next())
	}
	for i := 1; i < len(at); i++ {
		if at[i]/4096 == at[i-1]/4096 {
			continue
		}
		end, ok := l.RecordEnd(at[i-1])
		if !ok {
			t.Fatal("no record")
		}
		var mark [8]byte
		must(t, l.set.ReadSmall(mark[:], int64(end)))
		if left := binary.BigEndian.Uint32(mark[:]); binary.BigEndian.Uint32(mark[4:]) != record.MagicBlank || int64(end)%4096+int64(left) != 4096 {
			t.Fatalf("marker at %d: %x", end, mark)
		}
	}
	b.Reset()
	b.BeginGroup()
	for range 5 {
		_, err := b.Add(&seq, message(strings.Repeat("x", 1000)))
		must(t, err)
	}
	b.EndGroup(true)
	if err := l.Append(&b); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("a group larger than a file: %v", err)
	}
	if b.EndGroup(false); b.Len() != 5 {
		t.Fatal("a closed group was taken out")
	}
	must(t, l.Close())
}

func TestRecordMayEndEightBytesBeforeTheFile(t *testing.T) {
	t.Parallel()
	for _, spare := range []int{7, 8, 9} {
		l := newLog(t, vfs.NewMem(vfs.MemOptions{}), 4096)
		var b Batch
		_, err := b.Add(nil, message(""))
		must(t, err)
		empty := b.Size()
		b.Reset()
		_, err = b.Add(nil, message(strings.Repeat("x", 4096-spare-empty)))
		must(t, err)
		err = l.Append(&b)
		if spare < 8 {
			if !errors.Is(err, ErrTooLarge) {
				t.Fatalf("spare %d: %v", spare, err)
			}
		} else {
			must(t, err)
			must(t, l.Append(&b))
			if _, off, _ := b.Result(0); off != 4096 {
				t.Fatalf("spare %d: next record at %d", spare, off)
			}
		}
		must(t, l.Close())
	}
}

func TestStoreTimeHidesSmallStepsOfTheClock(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_000)
	l, err := Open(vfs.NewMem(vfs.MemOptions{}), "/log", Options{SegmentSize: 4096, CacheBytes: 1 << 20, Now: func() time.Time { return now }})
	must(t, err)
	must(t, l.Recover(Recovery{}, nil))
	add := func(step time.Duration) int64 {
		t.Helper()
		now = now.Add(step)
		var b Batch
		_, err := b.Add(nil, message("x"))
		must(t, err)
		must(t, l.Append(&b))
		_, off, ms := b.Result(0)
		if at, err := l.StoreTime(off); err != nil || at != ms {
			t.Fatalf("store time %d, %v, want %d", at, err, ms)
		}
		return ms
	}
	first := add(0)
	if ms := add(-time.Second); ms != first {
		t.Errorf("a second back: %d after %d", ms, first)
	}
	if ms := add(-time.Hour); ms >= first {
		t.Errorf("an hour back: %d after %d", ms, first)
	}
	must(t, l.Close())
}

func TestPreparedRecordsTakeNoIndex(t *testing.T) {
	t.Parallel()
	l := newLog(t, vfs.NewMem(vfs.MemOptions{}), 4096)
	var seq Seq
	seq.Set(7)
	var b Batch
	for _, s := range []*Seq{&seq, nil, &seq} {
		_, err := b.Add(s, message("x"))
		must(t, err)
	}
	must(t, l.Append(&b))
	for i, want := range []record.Index{7, 0, 8} {
		if idx, _, _ := b.Result(i); idx != want {
			t.Errorf("record %d has index %d, want %d", i, idx, want)
		}
	}
	must(t, l.Close())
}

// FuzzRecover opens a log whose bytes are anything. It must end somewhere, and what is appended then must be there.
func FuzzRecover(f *testing.F) {
	m := message("body")
	m.Props = record.AppendProp(nil, "TAGS", "a")
	rec, err := m.AppendTo(nil)
	must(f, err)
	f.Add([]byte{}, uint16(0))
	f.Add(rec, uint16(0))
	two := append([]byte(nil), rec...)
	record.Patch(two, 1, record.Offset(len(rec)), 5)
	f.Add(slices.Concat(rec, two), uint16(60))
	f.Add(record.EndOfFile(nil, 4096), uint16(5000))
	f.Fuzz(func(t *testing.T, data []byte, written uint16) {
		fsys := vfs.NewMem(vfs.MemOptions{})
		must(t, fsys.MkdirAll("/log"))
		for base := 0; base < 8192; base += 4096 {
			h, err := fsys.Create(fmt.Sprintf("/log/%020d", base))
			must(t, err)
			must(t, h.Truncate(4096))
			if len(data) > base {
				_, err = h.WriteAt(data[base:min(len(data), base+4096)], 0)
				must(t, err)
			}
			must(t, h.Close())
		}
		l, err := Open(fsys, "/log", Options{SegmentSize: 4096, CacheBytes: 1 << 20})
		must(t, err)
		must(t, l.Recover(Recovery{CRC: true, Written: record.Offset(written)}, nil))
		var b Batch
		_, err = b.Add(nil, message("new"))
		must(t, err)
		must(t, l.Append(&b))
		_, off, _ := b.Result(0)
		p, err := l.ReadAt(off, nil)
		must(t, err)
		var m record.Message
		if _, err := record.Decode(p, &m, true); err != nil || string(m.Body) != "new" {
			t.Fatalf("%v %q", err, m.Body)
		}
		must(t, l.Close())
	})
}

// A damaged record is handed out with its own header, not with that of the next sound one.
func TestDamagedRecordKeepsItsHeader(t *testing.T) {
	t.Parallel()
	fsys := vfs.NewMem(vfs.MemOptions{})
	l := newLog(t, fsys, 4096)
	var b Batch
	var at []record.Offset
	for i := range 3 {
		m := message(fmt.Sprintf("body %d", i))
		m.Topic, m.QueueID = fmt.Appendf(nil, "topic%d", i), int32(i)
		b.Reset()
		_, err := b.Add(&Seq{next: int64(10 * i)}, m)
		must(t, err)
		must(t, l.Append(&b))
		_, off, _ := b.Result(0)
		at = append(at, off)
	}
	must(t, l.Close())
	f, err := fsys.Open("/log/00000000000000000000")
	must(t, err)
	_, err = f.WriteAt([]byte{'X'}, int64(at[1])+90) // in the body
	must(t, err)
	must(t, f.Close())
	l, err = Open(fsys, "/log", Options{SegmentSize: 4096, Key: "mappedFileSizeCommitLog", CacheBytes: 1 << 20})
	must(t, err)
	seen := 0
	must(t, l.Recover(Recovery{CRC: true}, func(sc *Scanner) error {
		if sc.Offset != at[seen] || sc.Damaged != (seen == 1) || string(sc.Msg.Topic) != fmt.Sprintf("topic%d", seen) ||
			sc.Msg.QueueID != int32(seen) || sc.Msg.Index != record.Index(10*seen) {
			t.Errorf("record %d: at %d, damaged %v, %s/%d index %d", seen, sc.Offset, sc.Damaged, sc.Msg.Topic, sc.Msg.QueueID, sc.Msg.Index)
		}
		seen++
		return nil
	}))
	if seen != 3 {
		t.Errorf("%d records", seen)
	}
	must(t, l.Close())
}

func TestTheFirstFileStaysWhenNothingIsLeftOfTheLog(t *testing.T) {
	t.Parallel()
	fsys := vfs.NewMem(vfs.MemOptions{})
	l := newLog(t, fsys, 4096)
	var b Batch
	_, err := b.Add(new(Seq), message("body"))
	must(t, err)
	must(t, l.Append(&b))
	must(t, l.Close())
	f, err := fsys.Open("/log/00000000000000000000")
	must(t, err)
	_, err = f.WriteAt([]byte("XXXX"), 4)
	must(t, err)
	must(t, f.Close())
	l = newLog(t, fsys, 4096)
	if l.Empty() || l.Appended() != 0 {
		t.Fatalf("empty %v, end %d", l.Empty(), l.Appended())
	}
	must(t, l.Append(&b))
	if bodies, _ := list(t, l); !slices.Equal(bodies, []string{"body"}) {
		t.Fatal(bodies)
	}
	must(t, l.Close())
}
