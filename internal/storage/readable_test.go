package storage

import (
	"math/rand/v2"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestReadersSeeUpToTheLimit(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem(vfs.MemOptions{})
	s := open(t, disk, options(t))
	stop := run(t, s)
	put(t, s, "T", 0, "one")
	_, second := put(t, s, "T", 0, "two")
	s.SetReadable(second)
	for i := range 3 {
		if idx, _ := put(t, s, "T", 0, "more"); idx != record.Index(2+i) {
			t.Fatalf("index %d", idx)
		}
	}
	_, last := put(t, s, "T", 0, "last")
	s.CatchUp()
	if got := s.Queue("T", 0).Max(); got != 2 {
		t.Fatalf("the queue ends at %d: what was seen stays, what is new is hidden", got)
	}
	if s.Visible() != s.Appended() {
		t.Fatal("slaves do not get what is hidden from readers")
	}
	s.SetReadable(last)
	s.CatchUp()
	if got := s.Queue("T", 0).Max(); got != 5 {
		t.Fatalf("the queue ends at %d", got)
	}
	stop()
	must(t, s.Close())
	s = open(t, disk, options(t))
	if got := s.Queue("T", 0).Max(); got != 6 {
		t.Fatalf("after a restart the queue ends at %d", got)
	}
	if idx, _ := put(t, s, "T", 0, "next"); idx != 6 {
		t.Fatalf("index %d", idx)
	}
	must(t, s.Close())
}

func TestNobodyIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := open(t, vfs.NewMem(vfs.MemOptions{}), options(t))
	stop := run(t, s)
	put(t, s, "T", 0, "one")
	end := s.Appended()
	waits := func(done func(Status)) bool {
		return s.AwaitDurable(&Await{End: end, Replicas: 1, Done: done})
	}
	got := make(chan Status, 1)
	if !waits(func(st Status) { got <- st }) {
		t.Fatal("no copy, and nobody waits")
	}
	s.SetAlone(true)
	if waits(nil) {
		t.Fatal("waits for nobody")
	}
	if len(got) > 0 {
		t.Fatal("who waited before is released by the mark only")
	}
	s.SetAlone(false)
	s.SetReplicated(end)
	if st := <-got; st != Durable || waits(nil) {
		t.Fatalf("status %v", st)
	}
	stop()
	must(t, s.Close())
}

func TestLastRecordBefore(t *testing.T) {
	t.Parallel()
	s := open(t, vfs.NewMem(vfs.MemOptions{}), options(t))
	rng := rand.New(rand.NewPCG(4, 4))
	fill(t, s, rng, 40)
	var places []record.Offset
	for off := record.Offset(0); off < s.Appended(); {
		end, ok := s.log.RecordEnd(off)
		if !ok { // the end of a file
			off += record.Offset(s.SegmentSize()) - off%record.Offset(s.SegmentSize())
			continue
		}
		places = append(places, off)
		off = end
	}
	for i, at := range places {
		end, _ := s.log.RecordEnd(at)
		want := []record.Offset{at, at}
		if i > 0 {
			want[1] = places[i-1]
		}
		for k, upTo := range []record.Offset{end, end - 1} {
			off, rec, err := s.LastRecordBefore(upTo)
			must(t, err)
			if k == 1 && i == 0 {
				if rec != nil {
					t.Fatalf("a record at %d before the first", off)
				}
				continue
			}
			if off != want[k] || rec == nil {
				t.Fatalf("before %d: %d, want %d", upTo, off, want[k])
			}
		}
	}
	must(t, s.Close())
}

func TestWhole(t *testing.T) {
	t.Parallel()
	for _, sync := range []bool{false, true} {
		o := options(t)
		o.FlushSync = sync
		disk := vfs.NewMem(vfs.MemOptions{})
		check := func(what string, want bool) *Store {
			s := open(t, disk, o)
			if s.Whole() != want {
				t.Errorf("sync %v, %s: %v", sync, what, s.Whole())
			}
			put(t, s, "T", 0, "one")
			return s
		}
		must(t, check("new", true).Close())
		s := check("closed", true)
		must(t, s.dispatchAll())
		disk = disk.CrashClone(rand.New(rand.NewPCG(1, 1)), vfs.ProcessKill)
		s = check("killed", true)
		must(t, s.Flush())
		disk = disk.CrashClone(rand.New(rand.NewPCG(1, 1)), vfs.PowerCut)
		must(t, check("power cut", sync).Close())
		must(t, check("closed", true).Close())
	}
}
