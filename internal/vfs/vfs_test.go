package vfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/vfs"
)

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eachFS runs one test against the real file system and the one in memory: they must behave alike.
func eachFS(t *testing.T, test func(t *testing.T, fsys vfs.FS, dir string)) {
	t.Helper()
	t.Run("os", func(t *testing.T) { t.Parallel(); test(t, vfs.OS(), t.TempDir()) })
	t.Run("mem", func(t *testing.T) {
		t.Parallel()
		m := vfs.NewMem(vfs.MemOptions{})
		ok(t, m.MkdirAll("/d"))
		test(t, m, "/d")
	})
	t.Run("faulty", func(t *testing.T) {
		t.Parallel()
		m := vfs.NewFaulty(vfs.NewMem(vfs.MemOptions{}), func(vfs.Op) error { return nil })
		ok(t, m.MkdirAll("/d"))
		test(t, m, "/d")
	})
}

func write(t *testing.T, fsys vfs.FS, name, text string) {
	t.Helper()
	f, err := fsys.Create(name)
	ok(t, err)
	_, err = f.WriteAt([]byte(text), 0)
	ok(t, err)
	ok(t, f.Close())
}

func read(t *testing.T, fsys vfs.FS, name string) string {
	t.Helper()
	b, err := vfs.ReadFile(fsys, name)
	ok(t, err)
	return string(b)
}

func TestFileOperations(t *testing.T) {
	t.Parallel()
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		t.Helper()
		name := filepath.Join(dir, "f")
		if _, err := fsys.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("open of nothing: %v", err)
		}
		f, err := fsys.Create(name)
		ok(t, err)
		if f.Name() != name {
			t.Errorf("Name() = %q", f.Name())
		}
		big := bytes.Repeat([]byte("0123456789abcdef"), 700) // more than two pages
		bufs := [][]byte{[]byte("head"), nil, big, []byte("tail")}
		n, err := f.Writev(bufs, 5)
		ok(t, err)
		want := append(make([]byte, 5), bytes.Join(bufs, nil)...)
		if n != len(want)-5 {
			t.Errorf("Writev wrote %d", n)
		}
		got := make([]byte, len(want))
		_, err = f.ReadAt(got, 0)
		ok(t, err)
		if !bytes.Equal(got, want) {
			t.Error("read back something else")
		}
		n, err = f.ReadAt(make([]byte, 10), int64(len(want))-3)
		if n != 3 || !errors.Is(err, io.EOF) {
			t.Errorf("read over the end: %d, %v", n, err)
		}
		ok(t, f.Truncate(7))
		ok(t, f.Truncate(9000))
		got = make([]byte, 9000)
		_, err = f.ReadAt(got, 0)
		ok(t, err)
		if !bytes.Equal(got, append(append(make([]byte, 5), "he"...), make([]byte, 8993)...)) {
			t.Error("truncate and extend left old bytes")
		}
		ok(t, f.Datasync())
		ok(t, f.Sync())
		ok(t, f.Close())
		if _, err := f.ReadAt(got, 0); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("read after close: %v", err)
		}
	})
}

func TestWritevOfManyBuffers(t *testing.T) {
	t.Parallel()
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		t.Helper()
		f, err := fsys.Create(filepath.Join(dir, "f"))
		ok(t, err)
		var bufs [][]byte
		for i := range 2500 { // more than the kernel takes at once
			bufs = append(bufs, []byte{byte(i), byte(i >> 8), 7})
		}
		n, err := f.Writev(bufs, 0)
		ok(t, err)
		ok(t, f.Close())
		if n != 7500 || read(t, fsys, filepath.Join(dir, "f")) != string(bytes.Join(bufs, nil)) {
			t.Errorf("wrote %d bytes, or wrong ones", n)
		}
	})
}

func TestAllocateAndHoles(t *testing.T) {
	t.Parallel()
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		t.Helper()
		f, err := fsys.Create(filepath.Join(dir, "f"))
		ok(t, err)
		_, err = f.WriteAt([]byte("data"), 0)
		ok(t, err)
		ok(t, f.Allocate(1<<20))
		ok(t, f.Allocate(100)) // never shrinks
		size, err := f.Size()
		ok(t, err)
		if size != 1<<20 {
			t.Errorf("size %d", size)
		}
		b := make([]byte, 6)
		_, err = f.ReadAt(b, 0)
		ok(t, err)
		if string(b) != "data\x00\x00" {
			t.Errorf("read %q", b)
		}
		ok(t, f.Truncate(2<<20))
		at, err := f.NextData(0)
		ok(t, err)
		if at != 0 {
			t.Errorf("first data at %d", at)
		}
		at, err = f.NextData(1<<20 + 1<<19)
		ok(t, err)
		if at > 2<<20 || at < 1<<20+1<<19 {
			t.Errorf("next data in the hole: %d", at)
		}
		ok(t, f.Close())
	})
}

func TestNamesAndDirectories(t *testing.T) {
	t.Parallel()
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		t.Helper()
		a, b, sub := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "x", "y")
		write(t, fsys, a, "A")
		write(t, fsys, b, "B")
		if err := fsys.Link(a, b); !errors.Is(err, fs.ErrExist) {
			t.Errorf("link over a file: %v", err)
		}
		ok(t, fsys.Link(a, filepath.Join(dir, "c")))
		ok(t, fsys.Rename(b, a))
		if read(t, fsys, a) != "B" || read(t, fsys, filepath.Join(dir, "c")) != "A" {
			t.Error("rename or link gave the wrong file")
		}
		ok(t, fsys.MkdirAll(sub))
		ok(t, fsys.MkdirAll(sub))
		write(t, fsys, filepath.Join(sub, "f"), "F")
		if err := fsys.Remove(filepath.Join(dir, "x")); err == nil {
			t.Error("removed a directory that is not empty")
		}
		ok(t, fsys.Rename(filepath.Join(dir, "x"), filepath.Join(dir, "z")))
		if read(t, fsys, filepath.Join(dir, "z", "y", "f")) != "F" {
			t.Error("directory was not moved")
		}
		list, err := fsys.ReadDir(dir)
		ok(t, err)
		var names string
		for _, e := range list {
			names += e.Name()
			if e.IsDir() != (e.Name() == "z") {
				t.Errorf("%s: IsDir %v", e.Name(), e.IsDir())
			}
		}
		if names != "acz" {
			t.Errorf("listing %q", names)
		}
		when := time.UnixMilli(1_700_000_000_000)
		ok(t, fsys.Chtimes(a, when))
		fi, err := fsys.Stat(a)
		ok(t, err)
		if !fi.ModTime().Equal(when) || fi.Size() != 1 || fi.Name() != "a" {
			t.Errorf("stat: %v %d %s", fi.ModTime(), fi.Size(), fi.Name())
		}
		ok(t, fsys.SyncDir(dir))
		ok(t, fsys.SyncFS(dir))
		ok(t, fsys.RemoveAll(filepath.Join(dir, "z")))
		ok(t, fsys.RemoveAll(filepath.Join(dir, "z")))
		if _, err = fsys.Stat(filepath.Join(dir, "z")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stat after RemoveAll: %v", err)
		}
		u, err := fsys.Usage(dir)
		ok(t, err)
		if u.Total == 0 || u.Avail > u.Total {
			t.Errorf("usage %+v", u)
		}
	})
}

func TestRemovedFileLivesUntilClosed(t *testing.T) {
	t.Parallel()
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		t.Helper()
		name := filepath.Join(dir, "f")
		write(t, fsys, name, "still here")
		f, err := fsys.Open(name)
		ok(t, err)
		ok(t, fsys.Remove(name))
		b := make([]byte, 5)
		_, err = f.ReadAt(b, 0)
		ok(t, err)
		if string(b) != "still" {
			t.Errorf("read %q", b)
		}
		ok(t, f.Close())
	})
}

func TestLockExcludesAndIsGivenBack(t *testing.T) {
	t.Parallel()
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		t.Helper()
		name := filepath.Join(dir, "lock")
		l, err := fsys.Lock(name)
		ok(t, err)
		var locked *vfs.LockedError
		if _, err = fsys.Lock(name); !errors.Is(err, vfs.ErrLocked) || !errors.As(err, &locked) {
			t.Fatalf("second lock: %v", err)
		}
		if _, err = fsys.Open(name); !errors.Is(err, vfs.ErrLocked) {
			t.Errorf("open of a lock file: %v", err)
		}
		ok(t, l.Close())
		l, err = fsys.Lock(name)
		ok(t, err)
		ok(t, l.Close())
		if got := read(t, fsys, name); got != "lock" {
			t.Errorf("lock file holds %q", got)
		}
	})
}

func TestWriteFileAtomicReplacesAndKeepsThePrevious(t *testing.T) {
	t.Parallel()
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		t.Helper()
		name := filepath.Join(dir, "topics.json")
		for i, text := range []string{"one", "two", "", "four"} {
			ok(t, vfs.WriteFileAtomic(fsys, name, []byte(text), true))
			if got := read(t, fsys, name); got != text {
				t.Errorf("%d: holds %q", i, got)
			}
		}
		if got := read(t, fsys, name+".bak"); got != "" {
			t.Errorf("previous: %q", got)
		}
		ok(t, vfs.WriteFileAtomic(fsys, name, []byte("five"), false))
		if got := read(t, fsys, name+".bak"); got != "" {
			t.Errorf("previous was touched: %q", got)
		}
		if _, err := fsys.Stat(name + ".tmp"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("temporary file: %v", err)
		}
	})
}
