package segment

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

const size = 8192

func newSet(tb testing.TB, fsys vfs.FS) *Set {
	tb.Helper()
	s, err := Open(fsys, "/log", Options{Size: size, Key: "mappedFileSizeCommitLog", CacheBytes: 20 * size})
	must(tb, err)
	return s
}

// appendTo writes p at off as the commit log does: through the tail blocks.
func appendTo(tb testing.TB, s *Set, off int64, p []byte) int64 {
	tb.Helper()
	for len(p) > 0 {
		if off == s.End() {
			_, err := s.Grow(0)
			must(tb, err)
		}
		b, err := s.Tail(off)
		must(tb, err)
		n := copy(b.Data()[off-b.Base():], p)
		must(tb, s.Write([][]byte{p[:n]}, off))
		s.Unpin(b)
		off += int64(n)
		p = p[n:]
	}
	return off
}

func random(n int) []byte {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rng.Uint32()) | 1
	}
	return p
}

func TestBytesAreReadFromMemoryAndFiles(t *testing.T) {
	t.Parallel()
	fsys := vfs.NewMem(vfs.MemOptions{})
	s := newSet(t, fsys)
	data := random(60 * size) // more than the cache holds
	for off := 0; off < len(data); {
		n := min(1+off%3000, len(data)-off)
		appendTo(t, s, int64(off), data[off:off+n])
		off += n
	}
	check := func(s *Set) {
		t.Helper()
		r := s.Reader()
		defer r.Close()
		rng := rand.New(rand.NewPCG(2, 2))
		for range 2000 {
			off := rng.IntN(len(data))
			n := rng.IntN(min(2*size, len(data)-off))
			p, err := r.View(int64(off), n)
			must(t, err)
			if !bytes.Equal(p, data[off:off+n]) {
				t.Fatalf("%d bytes at %d differ", n, off)
			}
			small := make([]byte, min(n, size-off%size))
			must(t, s.ReadSmall(small, int64(off)))
			if !bytes.Equal(small, data[off:off+len(small)]) {
				t.Fatalf("%d bytes at %d differ in a probe", n, off)
			}
		}
	}
	check(s)
	r := s.Reader()
	if _, err := r.View(int64(len(data)-100), 100); err != nil || r.Disk() {
		t.Fatalf("the tail came from the disk: %v", err)
	}
	if _, err := r.View(0, 100); err != nil || !r.Disk() {
		t.Fatalf("the begin did not come from the disk: %v", err)
	}
	r.Close()
	must(t, s.Close(int64(len(data))))
	s = newSet(t, fsys)
	if s.End() != int64(len(data)) {
		t.Fatalf("end %d", s.End())
	}
	check(s)
	must(t, s.Close(s.End()))
}

func TestReadersSurviveDeletion(t *testing.T) {
	t.Parallel()
	s := newSet(t, vfs.NewMem(vfs.MemOptions{}))
	data := random(30 * size)
	var end, begin atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 3 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(3, uint64(i)))
			r := s.Reader()
			defer r.Close()
			for {
				select {
				case <-stop:
					return
				default:
				}
				lo, hi := begin.Load(), end.Load()
				if hi-lo < 10 {
					continue
				}
				off := lo + rng.Int64N(hi-lo-1)
				n := 1 + rng.IntN(int(min(hi-off, 3000)))
				p, err := r.View(off, n)
				if errors.Is(err, ErrGone) && off < begin.Load() {
					continue
				}
				if err != nil || !bytes.Equal(p, data[off:off+int64(n)]) {
					t.Errorf("%d bytes at %d: %v", n, off, err)
					return
				}
			}
		})
	}
	for off := int64(0); off < int64(len(data)); {
		n := min(777, int64(len(data))-off)
		off = appendTo(t, s, off, data[off:off+n])
		end.Store(off)
		if len(s.Files()) > 6 {
			begin.Store(s.Files()[1].Base())
			_, err := s.RemoveFirst()
			must(t, err)
		}
	}
	close(stop)
	wg.Wait()
	must(t, s.Close(end.Load()))
}

func TestFilesMadeInAdvanceAreRemovedAtClose(t *testing.T) {
	t.Parallel()
	fsys := vfs.NewMem(vfs.MemOptions{})
	s := newSet(t, fsys)
	appendTo(t, s, 0, random(100))
	for range 2 {
		_, err := s.Grow(0)
		must(t, err)
	}
	must(t, s.Close(100))
	list, err := fsys.ReadDir("/log")
	must(t, err)
	if len(list) != 1 || list[0].Name() != Name(0) {
		t.Fatalf("left: %v", list)
	}
}

func TestFailedGrowthLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []vfs.OpKind{vfs.OpCreate, vfs.OpAllocate, vfs.OpSync, vfs.OpRename, vfs.OpSyncDir} {
		disk := vfs.NewMem(vfs.MemOptions{})
		var broken atomic.Bool
		fsys := vfs.NewFaulty(disk, func(op vfs.Op) error {
			if broken.Load() && op.Kind == kind {
				return syscall.EIO
			}
			return nil
		})
		s := newSet(t, fsys)
		appendTo(t, s, 0, random(100))
		broken.Store(true)
		if _, err := s.Grow(0); !errors.Is(err, syscall.EIO) {
			t.Errorf("%v: %v", kind, err)
		}
		broken.Store(false)
		if s.End() != size {
			t.Errorf("%v: end %d", kind, s.End())
		}
		_, err := s.Grow(0)
		must(t, err)
		must(t, s.Close(100))
		s = newSet(t, disk)
		must(t, s.Close(100))
	}
}

func TestSearchForData(t *testing.T) {
	t.Parallel()
	s := newSet(t, vfs.NewMem(vfs.MemOptions{}))
	for range 3 {
		_, err := s.Grow(0)
		must(t, err)
	}
	next := func(off, want int64) {
		t.Helper()
		if at, err := s.NextData(off); err != nil || at != want {
			t.Fatalf("data after %d: %d, %v, want %d", off, at, err, want)
		}
	}
	next(0, 3*size)
	must(t, s.Write([][]byte{{0, 0, 7}}, size+100))
	must(t, s.Write([][]byte{{1}, {2}}, 2*size+5000))
	next(0, size+102)
	next(size+102, size+102)
	next(size+103, 2*size+5000)
	must(t, s.Zero(size, 2*size))
	next(0, 2*size+5000)
	must(t, s.RemoveFrom(2*size))
	next(0, 2*size)
	must(t, s.Close(0))
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	t.Parallel()
	fsys := vfs.NewMem(vfs.MemOptions{})
	must(t, fsys.MkdirAll("/log/sub"))
	for _, name := range []string{"lost+found.txt", "123", "-0000000000000000001", "0000000000000000000x"} {
		f, err := fsys.Create("/log/" + name)
		must(t, err)
		must(t, f.Close())
	}
	s := newSet(t, fsys)
	if len(s.Files()) != 0 {
		t.Fatal("foreign files taken")
	}
	must(t, s.Close(0))
	list, err := fsys.ReadDir("/log")
	must(t, err)
	if len(list) != 5 {
		t.Fatalf("left: %v", list)
	}
}
