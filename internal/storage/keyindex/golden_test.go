package keyindex

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// goldenPut is put i of testdata/java/IndexGolden.java.
func goldenPut(i int) (topic, key string, off record.Offset, ms int64) {
	key = fmt.Sprintf("key-%d", i*7919%101)
	if i%10 == 0 {
		key = fmt.Sprintf("日本\U0001F600%d", i)
	}
	return fmt.Sprintf("Topic%d", i%3), key, record.Offset(i * 333), t0 + int64(i)*1777 - int64(i%7)*1000
}

const goldenPuts = 120

// The files are equal to Java's byte for byte, however the puts are cut into batches.
func TestFilesHaveJavasBytes(t *testing.T) {
	t.Parallel()
	for _, every := range []int{1, 2, 7, 33, 1000} {
		dir := t.TempDir()
		ix, err := Open(vfs.OS(), dir, Options{Slots: 10, Capacity: 50, Now: func() time.Time {
			return time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
		}})
		must(t, err)
		for i := range goldenPuts {
			topic, key, off, ms := goldenPut(i)
			must(t, ix.Put([]byte(topic), []byte(key), off, ms))
			if i%every == 0 {
				must(t, ix.Flush(false))
			}
		}
		must(t, ix.Close())
		names, err := filepath.Glob("testdata/java/5.5.0/*")
		must(t, err)
		if len(names) != 3 {
			t.Fatalf("golden files %v", names)
		}
		for _, name := range names {
			want, err := os.ReadFile(name)
			must(t, err)
			got, err := os.ReadFile(filepath.Join(dir, filepath.Base(name)))
			must(t, err)
			if !bytes.Equal(got, want) {
				t.Errorf("flush every %d: %s differs:\n got %x\nwant %x", every, name, got, want)
			}
		}
	}
}

func TestJavasFilesAreRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS("testdata/java/5.5.0")))
	ix := open(t, vfs.OS(), dir, 10, 50)
	for range 2 {
		for i := range goldenPuts {
			topic, key, off, ms := goldenPut(i)
			if got := ix.Query(topic, key, 64, ms, ms); !slices.Contains(got, off) {
				t.Fatalf("put %d (%s, %s) is not found at its time: %v", i, topic, key, got)
			}
			if got := ix.Query(topic, key, 64, 0, math.MaxInt64); !slices.Contains(got, off) {
				t.Fatalf("put %d (%s, %s) is not found: %v", i, topic, key, got)
			}
			must(t, ix.Put([]byte(topic), []byte(key), off, ms)) // ignored: it is there
		}
		must(t, ix.Close())
		ix = open(t, vfs.OS(), dir, 10, 50)
		must(t, ix.Recover(math.MaxInt64)) // changes nothing
	}
	must(t, ix.Close())
	names, err := filepath.Glob("testdata/java/5.5.0/*")
	must(t, err)
	for _, name := range names {
		want, err := os.ReadFile(name)
		must(t, err)
		got, err := os.ReadFile(filepath.Join(dir, filepath.Base(name)))
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("%s was changed:\n got %x\nwant %x", name, got, want)
		}
	}
}

// Golden vector G6 of the storage specification, made by Java 5.3.3: the header after 30 keys.
func TestHeaderLayout(t *testing.T) {
	t.Parallel()
	h := header{0x000001a203b2d958, 0x000001a203b2da63, 0, 0xe81, 10, 0x1f}
	b := h.append(nil)
	want := "000001a203b2d958000001a203b2da6300000000000000000000000000000e810000000a0000001f"
	if fmt.Sprintf("%x", b) != want || decodeHeader(b) != h {
		t.Fatalf("%x", b)
	}
}
