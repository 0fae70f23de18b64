package vfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"testing"

	"github.com/cometmq/cometmq/internal/vfs"
)

func rng(seed int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 1)) }

func exists(fsys vfs.FS, name string) bool {
	_, err := fsys.Stat(name)
	return err == nil
}

func TestPowerCutKeepsWhatWasSynced(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem(vfs.MemOptions{})
	ok(t, m.MkdirAll("/a/b"))
	ok(t, m.SyncDir("/"))
	ok(t, m.SyncDir("/a"))
	f, err := m.Create("/a/b/f")
	ok(t, err)
	ok(t, f.Allocate(1<<20))
	want := bytes.Repeat([]byte("x"), 10000)
	_, err = f.WriteAt(want, 100)
	ok(t, err)
	ok(t, f.Datasync())
	ok(t, m.SyncDir("/a/b"))
	_, err = f.WriteAt(bytes.Repeat([]byte("y"), 50000), 10100)
	ok(t, err)
	for seed := range 50 {
		c := m.CrashClone(rng(seed), vfs.PowerCut)
		if c.BootID() == m.BootID() {
			t.Fatal("boot id did not change")
		}
		b, err := vfs.ReadFile(c, "/a/b/f")
		ok(t, err)
		if len(b) != 1<<20 || !bytes.Equal(b[100:10100], want) {
			t.Fatalf("seed %d: synced bytes were lost", seed)
		}
		for i, v := range b[10100:] {
			if v != 0 && (v != 'y' || i >= 50000) {
				t.Fatalf("seed %d: byte %d is %q", seed, i, v)
			}
		}
	}
	ok(t, f.Close())
}

func TestPowerCutLosesAndTearsWhatWasNotSynced(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem(vfs.MemOptions{})
	f, err := m.Create("f")
	ok(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte("o"), 3*4096), 0)
	ok(t, err)
	ok(t, m.SyncFS("/"))
	_, err = f.WriteAt(bytes.Repeat([]byte("n"), 6*4096), 0)
	ok(t, err)
	seen := map[string]bool{}
	for seed := range 200 {
		c := m.CrashClone(rng(seed), vfs.PowerCut)
		b, err := vfs.ReadFile(c, "f")
		ok(t, err)
		if len(b) < 3*4096 || len(b) > 6*4096 {
			t.Fatalf("seed %d: size %d", seed, len(b))
		}
		seen[fmt.Sprintf("size %v", len(b) == 6*4096)] = true
		for p := range 3 {
			page := b[p*4096 : (p+1)*4096]
			switch n := bytes.Count(page, []byte("n")); {
			case n+bytes.Count(page, []byte("o")) != 4096:
				t.Fatalf("seed %d: page %d holds bytes from nowhere", seed, p)
			case n == 0:
				seen["lost"] = true
			case n == 4096:
				seen["kept"] = true
			case n%512 == 0:
				seen["torn"] = true
			default:
				t.Fatalf("seed %d: a sector is torn", seed)
			}
		}
	}
	for _, w := range []string{"lost", "kept", "torn", "size true", "size false"} {
		if !seen[w] {
			t.Errorf("never seen: %s", w)
		}
	}
	if got := read(t, m, "f"); got != string(bytes.Repeat([]byte("n"), 6*4096)) {
		t.Error("the original changed")
	}
	ok(t, f.Close())
}

func TestPowerCutDropsUnsyncedNames(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem(vfs.MemOptions{})
	write(t, m, "old", "old")
	write(t, m, "gone", "gone")
	ok(t, m.SyncFS("/"))
	write(t, m, "new", "new")
	f, err := m.Open("new")
	ok(t, err)
	ok(t, f.Sync()) // makes the contents durable, not the name
	ok(t, f.Close())
	ok(t, m.Rename("old", "renamed"))
	ok(t, m.Remove("gone"))
	seen := map[string]bool{}
	for seed := range 100 {
		c := m.CrashClone(rng(seed), vfs.PowerCut)
		if exists(c, "old") == exists(c, "renamed") {
			t.Fatalf("seed %d: rename was not atomic", seed)
		}
		for _, n := range []string{"new", "old", "gone"} {
			seen[fmt.Sprint(n, exists(c, n))] = true
		}
		if exists(c, "new") && read(t, c, "new") != "new" {
			t.Fatalf("seed %d: synced contents lost", seed)
		}
	}
	if len(seen) != 6 {
		t.Errorf("outcomes seen: %v", seen)
	}
	ok(t, m.SyncDir("/"))
	for seed := range 20 {
		c := m.CrashClone(rng(seed), vfs.PowerCut)
		if !exists(c, "new") || exists(c, "old") || exists(c, "gone") {
			t.Fatalf("seed %d: SyncDir did not make the names durable", seed)
		}
	}
}

func TestWriteFileAtomicIsAtomicOnPowerCut(t *testing.T) {
	t.Parallel()
	var m *vfs.Mem
	crash := func(t *testing.T, when string) {
		t.Helper()
		for seed := range 10 {
			c := m.CrashClone(rng(seed), vfs.PowerCut)
			b, err := vfs.ReadFile(c, "d/f")
			if err != nil || string(b) != "old contents" && string(b) != "new contents" {
				t.Fatalf("power cut before %s, seed %d: %q, %v", when, seed, b, err)
			}
		}
	}
	m = vfs.NewMem(vfs.MemOptions{})
	ok(t, m.MkdirAll("d"))
	ok(t, m.SyncFS("/"))
	ok(t, vfs.WriteFileAtomic(m, "d/f", []byte("older"), true))
	ok(t, vfs.WriteFileAtomic(m, "d/f", []byte("old contents"), true))
	fsys := vfs.NewFaulty(m, func(op vfs.Op) error { crash(t, op.Kind.String()); return nil })
	ok(t, vfs.WriteFileAtomic(fsys, "d/f", []byte("new contents"), true))
	if c := m.CrashClone(rng(1), vfs.PowerCut); read(t, c, "d/f") != "new contents" || read(t, c, "d/f.bak") != "old contents" {
		t.Error("not durable after it returned")
	}
}

func TestProcessKillKeepsEverythingAndItsDurability(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem(vfs.MemOptions{})
	write(t, m, "synced", "s")
	ok(t, m.SyncFS("/"))
	write(t, m, "loose", "l")
	write(t, m, "synced", "S")
	l, err := m.Lock("lock")
	ok(t, err)
	k := m.CrashClone(rng(1), vfs.ProcessKill)
	if k.BootID() != m.BootID() || read(t, k, "loose") != "l" || read(t, k, "synced") != "S" {
		t.Fatal("a killed process lost data")
	}
	l2, err := k.Lock("lock")
	ok(t, err)
	ok(t, l2.Close())
	ok(t, l.Close())
	lost := false
	for seed := range 50 { // a power cut after the kill still loses what is not synced
		c := k.CrashClone(rng(seed), vfs.PowerCut)
		lost = lost || !exists(c, "loose")
		if got := read(t, c, "synced"); got != "s" && got != "S" && got != "" {
			t.Fatalf("synced file holds %q", got)
		}
	}
	if !lost {
		t.Error("the clone forgot that the file is not durable")
	}
	if read(t, m, "loose") != "l" {
		t.Error("the original changed")
	}
}

func TestCrashCloneDependsOnTheSeedOnly(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem(vfs.MemOptions{})
	for i := range 20 {
		write(t, m, fmt.Sprintf("f%d", i), string(bytes.Repeat([]byte{byte(i)}, 9000)))
	}
	dump := func(m *vfs.Mem) (s string) {
		list, err := m.ReadDir("/")
		ok(t, err)
		for _, e := range list {
			s += e.Name() + read(t, m, e.Name())
		}
		return s
	}
	first, second := m.CrashClone(rng(7), vfs.PowerCut), m.CrashClone(rng(7), vfs.PowerCut)
	if dump(first) != dump(second) {
		t.Error("two clones differ")
	}
}

func TestMemFillsUp(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem(vfs.MemOptions{Capacity: 10 * 4096})
	f, err := m.Create("f")
	ok(t, err)
	if err = f.Allocate(11 * 4096); !vfs.IsNoSpace(err) {
		t.Errorf("allocate too much: %v", err)
	}
	ok(t, f.Allocate(9*4096))
	n, err := f.WriteAt(make([]byte, 3*4096), 8*4096)
	if n != 2*4096 || !vfs.IsNoSpace(err) {
		t.Errorf("write over the end of the disk: %d, %v", n, err)
	}
	ok(t, f.Truncate(4096))
	u, err := m.Usage("/")
	ok(t, err)
	if u.Free != 9*4096 {
		t.Errorf("free %d", u.Free)
	}
	ok(t, m.Remove("f"))
	ok(t, f.Close())
	if u, _ = m.Usage("/"); u.Free != 10*4096 {
		t.Errorf("free after remove %d", u.Free)
	}
	m.SetCapacity(4096)
	g, err := m.Create("g")
	ok(t, err)
	if _, err := g.WriteAt(make([]byte, 4097), 0); !vfs.IsNoSpace(err) {
		t.Errorf("smaller disk: %v", err)
	}
	ok(t, g.Close())
}

func TestSparseGigabyteCostsNothing(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem(vfs.MemOptions{})
	f, err := m.Create("f")
	ok(t, err)
	if got := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			ok(t, f.Allocate(1<<30))
		}
	}).AllocedBytesPerOp(); got > 1<<16 {
		t.Errorf("allocating 1 GiB took %d bytes", got)
	}
	ok(t, f.Close())
}

func TestTruncationMayOrMayNotSurvive(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem(vfs.MemOptions{})
	write(t, m, "f", string(bytes.Repeat([]byte("o"), 5*4096)))
	ok(t, m.SyncFS("/"))
	f, err := m.Open("f")
	ok(t, err)
	ok(t, f.Truncate(4096+10))
	sizes := map[int]bool{}
	for seed := range 50 {
		b, err := vfs.ReadFile(m.CrashClone(rng(seed), vfs.PowerCut), "f")
		ok(t, err)
		sizes[len(b)] = true
	}
	if len(sizes) != 2 || !sizes[4096+10] || !sizes[5*4096] {
		t.Errorf("sizes after a power cut: %v", sizes)
	}
	ok(t, f.Sync())
	if fi, err := m.CrashClone(rng(1), vfs.PowerCut).Stat("f"); err != nil || fi.Size() != 4096+10 {
		t.Errorf("synced truncation was lost: %v", err)
	}
	ok(t, f.Close())
}

func TestMemRefusesNonsense(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem(vfs.MemOptions{})
	if _, err := m.Create("no/such/dir"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("create without directory: %v", err)
	}
	ok(t, m.MkdirAll("d/e"))
	if err := m.Rename("d", "d/e/f"); err == nil {
		t.Error("moved a directory into itself")
	}
	if _, err := m.Open("d"); err == nil {
		t.Error("opened a directory as a file")
	}
	write(t, m, "f", "x")
	if err := m.MkdirAll("f/g"); err == nil {
		t.Error("made a directory below a file")
	}
}
