package keyindex

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// javaStore is what Java finds in a store directory that it made.
type javaStore struct {
	Records []struct {
		Topic     string
		Offset    record.Offset
		StoreTime int64
		Keys      string
		UniqKey   string
	}
	Queries []struct {
		Topic, Key       string
		Offsets          []record.Offset
		LastUpdateTime   int64
		LastUpdateOffset record.Offset
	}
	IndexSlots, IndexCapacity int32
}

func forEachJavaStore(t *testing.T, fn func(t *testing.T, version, dir string, j javaStore)) {
	t.Helper()
	names, err := filepath.Glob("../testdata/java/*/*.json")
	must(t, err)
	if len(names) < 3 {
		t.Fatalf("golden files: %v", names)
	}
	for _, name := range names {
		dir := strings.TrimSuffix(name, ".json")
		version := filepath.Base(filepath.Dir(dir))
		t.Run(version+"/"+filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(name)
			must(t, err)
			var j javaStore
			must(t, json.Unmarshal(b, &j))
			fn(t, version, filepath.Join(dir, "index"), j)
		})
	}
}

func (j javaStore) check(t *testing.T, ix *Index) {
	t.Helper()
	for _, q := range j.Queries {
		got := ix.Query(q.Topic, q.Key, 32, 0, math.MaxInt64)
		slices.Sort(got)
		if !slices.Equal(got, q.Offsets) {
			t.Errorf("%s#%s: %v, want %v", q.Topic, q.Key, got, q.Offsets)
		}
		if ms, off := ix.LastUpdate(); len(q.Offsets) > 0 && (ms != q.LastUpdateTime || off != q.LastUpdateOffset) {
			t.Errorf("last update %d %d, want %d %d", ms, off, q.LastUpdateTime, q.LastUpdateOffset)
		}
	}
}

func (j javaStore) put(t *testing.T, ix *Index, from record.Offset) {
	t.Helper()
	for _, r := range j.Records {
		if r.Offset < from {
			continue
		}
		for _, key := range append([]string{r.UniqKey}, strings.Split(r.Keys, " ")...) {
			if key != "" {
				must(t, ix.Put([]byte(r.Topic), []byte(key), r.Offset, r.StoreTime))
			}
		}
	}
}

func TestJavasStoresAreQueried(t *testing.T) {
	t.Parallel()
	forEachJavaStore(t, func(t *testing.T, _, java string, j javaStore) {
		t.Helper()
		dir := t.TempDir()
		must(t, os.CopyFS(dir, os.DirFS(java)))
		ix := open(t, vfs.OS(), dir, j.IndexSlots, j.IndexCapacity)
		j.check(t, ix)
		must(t, ix.Close())
		ix = open(t, vfs.OS(), dir, j.IndexSlots, j.IndexCapacity)
		must(t, ix.Recover(math.MaxInt64))
		j.check(t, ix)
		// Half of it again, as after a kill. (The keys for tags that 5.5.0 adds are not put: the times are another's.)
		half := j.Records[len(j.Records)/2].Offset
		must(t, ix.Recover(half))
		j.put(t, ix, half)
		for _, q := range j.Queries {
			got := ix.Query(q.Topic, q.Key, 32, 0, math.MaxInt64)
			slices.Sort(got)
			if !slices.Equal(got, q.Offsets) {
				t.Errorf("put again: %s#%s: %v, want %v", q.Topic, q.Key, got, q.Offsets)
			}
		}
		must(t, ix.Close())
	})
}

// Up to 5.3.3 the keys are those that the JSON files list, so the files can be made again.
func TestStoresAreIndexedAsJavaDoes(t *testing.T) {
	t.Parallel()
	forEachJavaStore(t, func(t *testing.T, version, java string, j javaStore) {
		t.Helper()
		if version != "5.3.3" {
			return
		}
		names, err := filepath.Glob(java + "/*")
		must(t, err)
		made := 0
		dir := t.TempDir()
		ix, err := Open(vfs.OS(), dir, Options{Slots: j.IndexSlots, Capacity: j.IndexCapacity, Now: func() time.Time {
			base := filepath.Base(names[min(made, len(names)-1)])
			made++
			at, perr := time.ParseInLocation("20060102150405.000", base[:14]+"."+base[14:], time.UTC)
			must(t, perr)
			return at
		}})
		must(t, err)
		j.put(t, ix, 0)
		j.check(t, ix)
		must(t, ix.Close())
		if made != len(names) {
			t.Errorf("%d files, want %d", made, len(names))
		}
		for _, name := range names {
			want, err := os.ReadFile(name)
			must(t, err)
			got, err := os.ReadFile(filepath.Join(dir, filepath.Base(name)))
			must(t, err)
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs:\n got %x\nwant %x", name, got, want)
			}
		}
	})
}
