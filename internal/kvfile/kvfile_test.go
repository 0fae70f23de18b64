package kvfile_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/kvfile"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bucket = []byte("b")

func put(f *kvfile.File, k, v string) error {
	return f.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucket)
		if err != nil {
			return err
		}
		return b.Put([]byte(k), []byte(v))
	})
}

func get(f *kvfile.File, k string) (v string, err error) {
	err = f.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(bucket); b != nil {
			v = string(b.Get([]byte(k)))
		}
		return nil
	})
	return v, err
}

func TestFileIsMadeByTheFirstChange(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sub", "x.db")
	f := kvfile.New(kvfile.Options{FS: vfs.OS(), Path: path})
	if v, err := get(f, "k"); v != "" || err != nil {
		t.Fatalf("read %q, %v of no file", v, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("reading made the file: %v", err)
	}
	if err := put(f, "k", "v"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := put(f, "k", "w"); !errors.Is(err, kvfile.ErrClosed) {
		t.Errorf("change of a closed file: %v", err)
	}
	f = kvfile.New(kvfile.Options{FS: vfs.OS(), Path: path})
	defer f.Close()
	if v, err := get(f, "k"); v != "v" || err != nil {
		t.Fatalf("read %q, %v after reopening", v, err)
	}
}

// TestDamagedFilesAreMovedAside damages each page of a file in turn, and cuts it: whatever happens, a new file can be written in the end.
func TestDamagedFilesAreMovedAside(t *testing.T) {
	t.Parallel()
	made := filepath.Join(t.TempDir(), "made.db")
	f := kvfile.New(kvfile.Options{FS: vfs.OS(), Path: made, NoSync: true})
	for i := range 40 {
		if err := put(f, strings.Repeat("k", i+1), strings.Repeat("v", 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	damages := map[string][]byte{
		"garbage": []byte(strings.Repeat("garbage", 5000)),
		"cut":     good[:3*page],
		"tiny":    good[:100],
		"empty":   nil,
	}
	for at := 0; at < len(good); at += page {
		bad := bytes.Clone(good)
		for i := at; i < min(at+page, len(bad)); i++ {
			bad[i] = byte(i*7 + 3)
		}
		damages["page "+string(rune('A'+at/page%26))+strings.Repeat("'", at/page/26)] = bad
	}
	set := 0
	for name, data := range damages {
		dir := t.TempDir()
		path := filepath.Join(dir, "x.db")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var lines bytes.Buffer
		f := kvfile.New(kvfile.Options{FS: vfs.OS(), Path: path, NoSync: true, Log: slog.New(slog.NewTextHandler(&lines, nil))})
		_ = f.View(func(tx *bbolt.Tx) error { // damage is an error or not noticed
			if b := tx.Bucket(bucket); b != nil {
				return b.ForEach(func(_, _ []byte) error { return nil })
			}
			return nil
		})
		err := put(f, "new", "value")
		if errors.Is(err, kvfile.ErrDamaged) {
			err = put(f, "new", "value")
		}
		if err != nil {
			t.Errorf("%s: change: %v", name, err)
		}
		if v, err := get(f, "new"); v != "value" || err != nil {
			t.Errorf("%s: read %q, %v", name, v, err)
		}
		if err := f.Close(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
		moved, _ := filepath.Glob(path + ".damaged-*")
		if len(moved) > 0 {
			set++
			if !strings.Contains(lines.String(), "moved aside") {
				t.Errorf("%s: moved aside without a line: %s", name, lines.String())
			}
		}
	}
	if set < 5 {
		t.Errorf("only %d of %d damaged files were noticed", set, len(damages))
	}
}

func TestFileOfAnotherProcessIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	first := kvfile.New(kvfile.Options{FS: vfs.OS(), Path: path})
	defer first.Close()
	if err := put(first, "k", "v"); err != nil {
		t.Fatal(err)
	}
	second := kvfile.New(kvfile.Options{FS: vfs.OS(), Path: path})
	defer second.Close()
	if err := put(second, "k", "w"); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("second user: %v", err)
	}
	if v, err := get(first, "k"); v != "v" || err != nil {
		t.Errorf("read %q, %v", v, err)
	}
}

func TestCheckDecidesWhatIsDamaged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	f := kvfile.New(kvfile.Options{FS: vfs.OS(), Path: path})
	if err := put(f, "k", "v"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	bad := errors.New("no such table")
	f = kvfile.New(kvfile.Options{FS: vfs.OS(), Path: path, Check: func(tx *bbolt.Tx) error {
		if tx.Bucket([]byte("other")) == nil && tx.Bucket(bucket) != nil {
			return bad
		}
		return nil
	}})
	defer f.Close()
	if _, err := get(f, "k"); !errors.Is(err, bad) || !errors.Is(err, kvfile.ErrDamaged) {
		t.Fatalf("read: %v", err)
	}
	if v, err := get(f, "k"); v != "" || err != nil {
		t.Fatalf("read %q, %v of the new file", v, err)
	}
}
