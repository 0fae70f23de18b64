package storage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// rawBytes reads the log of s from off on as a sender does.
func rawBytes(tb testing.TB, s *Store, off record.Offset) []byte {
	tb.Helper()
	r := s.RawReader()
	defer r.Close()
	var out []byte
	for end := s.Visible(); off < end; {
		p, err := r.View(off, end)
		must(tb, err)
		out = append(out, p...)
		off += record.Offset(len(p))
	}
	return out
}

// fill appends messages of many sizes, so that files end at many places.
func fill(tb testing.TB, s *Store, rng *rand.Rand, n int) {
	tb.Helper()
	for i := range n {
		put(tb, s, fmt.Sprintf("T%d", rng.IntN(3)), rng.Int32N(3), strings.Repeat("x", rng.IntN(4000))+fmt.Sprint(i), "tag")
	}
}

func sameFiles(tb testing.TB, a, b vfs.FS, upTo record.Offset, size int64) {
	tb.Helper()
	for base := int64(0); base < int64(upTo); base += size {
		name := filepath.Join("/store/commitlog", fmt.Sprintf("%020d", base))
		x, err := vfs.ReadFile(a, name)
		must(tb, err)
		y, err := vfs.ReadFile(b, name)
		must(tb, err)
		n := min(size, int64(upTo)-base)
		if !bytes.Equal(x[:n], y[:n]) {
			tb.Fatalf("%s differs", name)
		}
	}
}

func TestRawCopyIsTheSameLog(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		from, to := vfs.NewMem(vfs.MemOptions{}), vfs.NewMem(vfs.MemOptions{})
		o := options(t)
		a, b := open(t, from, o), open(t, to, o)
		fill(t, a, rng, 100)
		all := rawBytes(t, a, 0)
		done := 0
		for got := 0; got < len(all); { // as a network cuts it
			got = min(len(all), got+1+rng.IntN(20_000))
			n, err := b.AppendRaw(record.Offset(done), all[done:got], false)
			must(t, err)
			if done += n; b.Appended() != record.Offset(done) {
				t.Fatalf("the log ends at %d, %d bytes were taken", b.Appended(), done)
			}
			if rng.IntN(20) == 0 {
				must(t, b.dispatchAll())
				b = open(t, to.CrashClone(nil, vfs.ProcessKill), o)
				to = b.fs.(*vfs.Mem)
			}
		}
		if b.Appended() != a.Appended() {
			t.Fatalf("seed %d: the copy ends at %d, the original at %d", seed, b.Appended(), a.Appended())
		}
		sameFiles(t, from, to, a.Appended(), o.SegmentSize)
		must(t, a.dispatchAll())
		must(t, b.dispatchAll())
		must(t, a.Queues(func(q *Queue) bool {
			c, ok := b.Lookup(q.Topic(), q.ID())
			if !ok || c.Max() != q.Max() || c.Min() != q.Min() {
				t.Errorf("seed %d: queue %s/%d differs", seed, q.Topic(), q.ID())
				return false
			}
			return true
		}))
		must(t, a.Close())
		must(t, b.Close())
	}
}

func TestRawCopyMayBeginAtAFile(t *testing.T) {
	t.Parallel()
	from, to := vfs.NewMem(vfs.MemOptions{}), vfs.NewMem(vfs.MemOptions{})
	o := options(t)
	a, b := open(t, from, o), open(t, to, o)
	fill(t, a, rand.New(rand.NewPCG(1, 1)), 100)
	begin := a.Appended() - a.Appended()%record.Offset(o.SegmentSize)
	if _, err := b.AppendRaw(begin+1, rawBytes(t, a, begin)[1:], false); err == nil {
		t.Fatal("a log that begins inside a file was taken")
	}
	n, err := b.AppendRaw(begin, rawBytes(t, a, begin), false)
	must(t, err)
	if b.Appended() != begin+record.Offset(n) || b.MinOffset() != begin || b.Appended() != a.Appended() {
		t.Fatalf("the copy is %d to %d", b.MinOffset(), b.Appended())
	}
	must(t, b.dispatchAll())
	must(t, b.Close())
	b = open(t, to, o)
	if b.MinOffset() != begin || b.Appended() != a.Appended() {
		t.Fatalf("after reopening the copy is %d to %d", b.MinOffset(), b.Appended())
	}
	if _, err := b.AppendRaw(begin, rawBytes(t, a, begin), false); !errors.Is(err, ErrGap) {
		t.Fatalf("bytes from elsewhere: %v", err)
	}
	must(t, b.Close())
	must(t, a.Close())
}

func TestRawBytesAreVerified(t *testing.T) {
	t.Parallel()
	from := vfs.NewMem(vfs.MemOptions{})
	o := options(t)
	a := open(t, from, o)
	put(t, a, "T", 0, "first message")
	end := a.Appended()
	put(t, a, "T", 0, "second message")
	all := rawBytes(t, a, 0)
	must(t, a.Close())
	for name, bad := range map[string]func(p []byte){
		"size":   func(p []byte) { p[0] = 0x70 },
		"magic":  func(p []byte) { p[4]++ },
		"offset": func(p []byte) { p[35]++ },
		"body":   func(p []byte) { p[len(p)-20]++ },
		"queue":  func(p []byte) { p[12] = 0x80 },
		"index":  func(p []byte) { p[20] = 0x70 },
		"blank":  func(p []byte) { copy(p[:8], record.EndOfFile(nil, 100)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, vfs.NewMem(vfs.MemOptions{}), o)
			p := bytes.Clone(all)
			bad(p[end:])
			n, err := b.AppendRaw(0, p, false)
			if err == nil || n != int(end) || b.Appended() != end {
				t.Fatalf("took %d bytes, the log ends at %d: %v", n, b.Appended(), err)
			}
			must(t, b.Writable())
			if n, err = b.AppendRaw(end, all[end:], false); err != nil || n != len(all)-int(end) {
				t.Fatalf("the sound bytes: %d, %v", n, err)
			}
			must(t, b.Close())
		})
	}
}

// A log with a damaged place and a lost marker at the end of a file is copied as it is, once the caller insists.
func TestRawCopyOfDamage(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 5))
		from := vfs.NewMem(vfs.MemOptions{})
		o := options(t)
		a := open(t, from, o)
		fill(t, a, rng, 60)
		all := rawBytes(t, a, 0)
		must(t, a.Close())
		for range 6 {
			at := rng.IntN(len(all) - 200)
			clear(all[at : at+1+rng.IntN(3000)%(len(all)-at)])
		}
		b := open(t, vfs.NewMem(vfs.MemOptions{}), o)
		done, refused := 0, 0
		for got := 0; got < len(all); {
			got = min(len(all), got+1+rng.IntN(9000))
			n, err := b.AppendRaw(record.Offset(done), all[done:got], false)
			done += n
			for err != nil {
				if !errors.Is(err, ErrUnsound) {
					t.Fatal(err)
				}
				refused++
				n, err = b.AppendRaw(record.Offset(done), all[done:got], true)
				must(t, err)
				if done += n; n == 0 {
					break
				}
				n, err = b.AppendRaw(record.Offset(done), all[done:got], false)
				done += n
			}
		}
		if refused == 0 || len(all)-done > 8000 || !bytes.Equal(rawBytes(t, b, 0), all[:done]) {
			t.Fatalf("seed %d: %d of %d bytes, refused %d times", seed, done, len(all), refused)
		}
		must(t, b.dispatchAll())
		must(t, b.Writable())
		must(t, b.Close())
	}
}

func FuzzAppendRaw(f *testing.F) {
	o := options(f)
	a := open(f, vfs.NewMem(vfs.MemOptions{}), o)
	fill(f, a, rand.New(rand.NewPCG(1, 1)), 12)
	f.Add(rawBytes(f, a, 0), 100)
	must(f, a.Close())
	f.Fuzz(func(t *testing.T, p []byte, cut int) {
		b := open(t, vfs.NewMem(vfs.MemOptions{}), o)
		cut = max(0, min(cut, len(p)))
		n, err := b.AppendRaw(0, p[:cut], cut%2 == 0)
		if err == nil {
			_, _ = b.AppendRaw(record.Offset(n), p[n:], cut%2 == 0)
		}
		if int(b.Appended()) > len(p) {
			t.Fatalf("%d bytes stored of %d", b.Appended(), len(p))
		}
		must(t, b.dispatchAll())
		must(t, b.Writable())
		must(t, b.Close())
	})
}
