package consumequeue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// javaStore is what Java finds in a store directory that it made.
type javaStore struct {
	Records []struct {
		Topic    string
		QueueID  int32
		Index    record.Index
		Offset   record.Offset
		Size     int32
		TagsCode int64
	}
	Queues        map[string]struct{ Min, Max record.Index }
	QueueFileSize int64
}

// forEachJavaStore calls fn with each store that Java made.
func forEachJavaStore(t *testing.T, fn func(t *testing.T, dir string, j javaStore)) {
	t.Helper()
	names, err := filepath.Glob("../testdata/java/*/*.json")
	must(t, err)
	if len(names) < 3 {
		t.Fatalf("golden files: %v", names)
	}
	for _, name := range names {
		dir := name[:len(name)-len(".json")]
		t.Run(filepath.Base(filepath.Dir(dir))+"/"+filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(name)
			must(t, err)
			var j javaStore
			must(t, json.Unmarshal(b, &j))
			fn(t, filepath.Join(dir, "consumequeue"), j)
		})
	}
}

func (j javaStore) check(t *testing.T, s *Set) {
	t.Helper()
	for _, r := range j.Records {
		us := make([]Unit, 1)
		n, err := s.Queue(r.Topic, r.QueueID).Read(r.Index, us)
		if want := (Unit{Offset: r.Offset, Size: r.Size, Tags: r.TagsCode, Index: r.Index, Count: 1}); n != 1 || err != nil || us[0] != want {
			t.Errorf("%s/%d[%d] = %+v (%d, %v), want %+v", r.Topic, r.QueueID, r.Index, us[0], n, err, want)
		}
	}
	n := 0
	must(t, s.Each(func(q *Queue) bool {
		n++
		want, ok := j.Queues[fmt.Sprintf("%s/%d", q.Topic(), q.ID())]
		if !ok || q.Min() != want.Min || q.Next() != want.Max {
			t.Errorf("%s/%d has [%d, %d), want %+v", q.Topic(), q.ID(), q.Min(), q.Next(), want)
		}
		return true
	}))
	if n != len(j.Queues) {
		t.Errorf("%d queues, want %d", n, len(j.Queues))
	}
}

func TestJavasQueuesAreRead(t *testing.T) {
	t.Parallel()
	forEachJavaStore(t, func(t *testing.T, java string, j javaStore) {
		t.Helper()
		dir := t.TempDir()
		must(t, os.CopyFS(dir, os.DirFS(java)))
		s := NewSet(vfs.OS(), dir, Options{FileSize: j.QueueFileSize})
		j.check(t, s)
		must(t, s.Close())
		// Half of it again, as after a kill.
		s = NewSet(vfs.OS(), dir, Options{FileSize: j.QueueFileSize})
		trust := j.Records[len(j.Records)/2].Offset
		s.SetTrust(trust)
		for _, r := range j.Records {
			if r.Offset >= trust {
				must(t, s.Queue(r.Topic, r.QueueID).Append(r.Index, r.Offset, r.Size, r.TagsCode))
			}
		}
		j.check(t, s)
		must(t, s.Close())
		sameFiles(t, dir, java)
	})
}

func TestQueuesAreWrittenAsJavaDoes(t *testing.T) {
	t.Parallel()
	forEachJavaStore(t, func(t *testing.T, java string, j javaStore) {
		t.Helper()
		dir := t.TempDir()
		s := NewSet(vfs.OS(), dir, Options{FileSize: j.QueueFileSize})
		for i, r := range j.Records {
			must(t, s.Queue(r.Topic, r.QueueID).Append(r.Index, r.Offset, r.Size, r.TagsCode))
			if i%17 == 0 {
				must(t, s.Flush(false))
			}
		}
		j.check(t, s)
		must(t, s.Close())
		sameFiles(t, dir, java)
		sameFiles(t, java, dir)
	})
}

// sameFiles checks that each file below dir is in the other directory too and equal.
func sameFiles(t *testing.T, dir, other string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		a, errA := os.ReadFile(name)
		b, errB := os.ReadFile(filepath.Join(other, rel))
		if errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs in %s: %v", rel, other, errB)
		}
		return errors.Join(errA)
	}))
}
