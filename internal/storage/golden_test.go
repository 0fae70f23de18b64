package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// javaStore is what Java found in a store of its own (testdata/java/README.md).
type javaStore struct {
	MinOffset, MaxOffset record.Offset
	SegmentSize          int64
	QueueFileSize        int64
	IndexSlots           int
	IndexCapacity        int
	Records              []struct {
		Size            int
		Topic           string
		QueueID         int32
		Index           record.Index
		Offset          record.Offset
		StoreTime       int64
		TagsCode        int64
		Keys, UniqueKey string
	}
	Queues map[string]struct {
		Min, Max record.Index
		ByTime   []struct {
			Time         int64
			Lower, Upper record.Index
		}
	}
	Queries []struct {
		Topic, Key     string
		Offsets        []record.Offset
		LastUpdateTime int64
	}
}

// eachJavaStore runs f for each store that Java made.
func eachJavaStore(t *testing.T, f func(t *testing.T, disk *vfs.Mem, o Options, want *javaStore)) {
	t.Helper()
	lists, err := filepath.Glob("testdata/java/*/*.json")
	must(t, err)
	for _, list := range lists {
		dir := strings.TrimSuffix(list, ".json")
		if st, err := os.Stat(filepath.Join(dir, "commitlog")); err != nil || !st.IsDir() {
			continue
		}
		t.Run(filepath.ToSlash(strings.TrimPrefix(dir, "testdata/java/")), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(list)
			must(t, err)
			var want javaStore
			must(t, json.Unmarshal(data, &want))
			o := options(t)
			o.SegmentSize, o.QueueFileSize, o.IndexEnabled = want.SegmentSize, want.QueueFileSize, true
			o.IndexTags = strings.Contains(dir, "5.5.0")
			o.IndexSlots, o.IndexCapacity = want.IndexSlots, want.IndexCapacity
			o.TagsCode = func(topic []byte, queue int32, _ record.Props, storeMs int64) (int64, bool) {
				return storeMs + 10_000, string(topic) == "SCHEDULE_TOPIC_XXXX" && queue == 2
			}
			disk := vfs.NewMem(vfs.MemOptions{})
			copyTree(t, disk, dir, o.Dir)
			f(t, disk, o, &want)
		})
	}
}

func copyTree(t *testing.T, fsys vfs.FS, from, to string) {
	t.Helper()
	must(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return fsys.MkdirAll(name)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		h, err := fsys.Create(name)
		if err != nil {
			return err
		}
		if _, err := h.WriteAt(data, 0); err != nil {
			return err
		}
		return h.Close()
	}))
}

func checkJava(t *testing.T, s *Store, want *javaStore) {
	t.Helper()
	if s.MinOffset() != want.MinOffset || s.Appended() != want.MaxOffset {
		t.Errorf("log is %d..%d, want %d..%d", s.MinOffset(), s.Appended(), want.MinOffset, want.MaxOffset)
	}
	for _, r := range want.Records {
		p, err := s.ReadAt(r.Offset, nil)
		must(t, err)
		var m record.Message
		_, err = record.Decode(p, &m, true)
		must(t, err)
		if len(p) != r.Size || string(m.Topic) != r.Topic || m.QueueID != r.QueueID || m.Index != r.Index || m.StoreTime != r.StoreTime {
			t.Errorf("at %d: %d bytes of %s", r.Offset, len(p), m.String())
		}
		res := s.Read(s.Queue(r.Topic, r.QueueID), &Read{From: r.Index, MaxCount: 1, Match: func(code int64) bool { return code == r.TagsCode }}, nil)
		if res.Status != Found || !bytes.Equal(res.Records, p) {
			t.Errorf("%s/%d index %d: status %d, %d bytes", r.Topic, r.QueueID, r.Index, res.Status, len(res.Records))
		}
	}
	for name, w := range want.Queues {
		topic, id := splitQueue(t, name)
		q := s.Queue(topic, id)
		if q.Min() != w.Min || q.Max() != w.Max {
			t.Errorf("%s is %d..%d, want %d..%d", name, q.Min(), q.Max(), w.Min, w.Max)
		}
		for _, b := range w.ByTime {
			if lower, upper := s.IndexAtTime(q, b.Time, false), s.IndexAtTime(q, b.Time, true); lower != b.Lower || upper != b.Upper {
				t.Errorf("%s at %d: %d and %d, want %d and %d", name, b.Time, lower, upper, b.Lower, b.Upper)
			}
		}
	}
	for _, w := range want.Queries {
		hits, err := s.QueryKeys(w.Topic, w.Key, 32, 0, 1<<60)
		must(t, err)
		got, wanted := slices.Sorted(slices.Values(hits.Offsets)), slices.Sorted(slices.Values(w.Offsets))
		if !slices.Equal(got, wanted) {
			t.Errorf("key %s of %s: %v, want %v", w.Key, w.Topic, got, wanted)
		}
	}
}

func splitQueue(t *testing.T, name string) (string, int32) {
	t.Helper()
	i := strings.LastIndexByte(name, '/')
	id, err := strconv.Atoi(name[i+1:])
	must(t, err)
	return name[:i], int32(id)
}

func TestJavaStoreIsRead(t *testing.T) {
	t.Parallel()
	eachJavaStore(t, func(t *testing.T, disk *vfs.Mem, o Options, want *javaStore) {
		t.Helper()
		s := open(t, disk, o)
		checkJava(t, s, want)
		idx, _ := put(t, s, "TopicA", 0, "ours")
		if w := want.Queues["TopicA/0"].Max; idx != w {
			t.Errorf("next index %d, want %d", idx, w)
		}
		settle(t, s)
		must(t, s.Close())
		// A second time, by our own marks.
		s = open(t, disk, o)
		if got := all(t, s, "TopicA", 0); got[len(got)-1] != "ours" {
			t.Error("our message is gone")
		}
		must(t, s.Close())
	})
}

// Queues and index that we build from Java's log are Java's, byte for byte.
func TestQueuesAndIndexAreBuiltAsJavaBuildsThem(t *testing.T) {
	t.Parallel()
	eachJavaStore(t, func(t *testing.T, disk *vfs.Mem, o Options, want *javaStore) {
		t.Helper()
		theirs := tree(t, disk, filepath.Join(o.Dir, "consumequeue"))
		index := tree(t, disk, filepath.Join(o.Dir, "index"))
		must(t, disk.RemoveAll(filepath.Join(o.Dir, "consumequeue")))
		must(t, disk.RemoveAll(filepath.Join(o.Dir, "index")))
		s := open(t, disk, o)
		checkJava(t, s, want)
		must(t, s.Close())
		ours := tree(t, disk, filepath.Join(o.Dir, "consumequeue"))
		for name, data := range theirs {
			if !bytes.Equal(ours[name], data) {
				t.Errorf("queue file %s differs", name)
			}
		}
		if len(ours) != len(theirs) {
			t.Errorf("%d queue files, want %d", len(ours), len(theirs))
		}
		sorted := func(m map[string][]byte) (out [][]byte) {
			for _, data := range m {
				out = append(out, data)
			}
			slices.SortFunc(out, func(a, b []byte) int { return bytes.Compare(a[16:24], b[16:24]) })
			return out
		}
		a, b := sorted(tree(t, disk, filepath.Join(o.Dir, "index"))), sorted(index)
		if len(a) != len(b) {
			t.Fatalf("%d index files, want %d", len(a), len(b))
		}
		for i := range a {
			if !bytes.Equal(a[i], b[i]) {
				t.Errorf("index file %d differs", i)
			}
		}
	})
}

// tree returns all files below dir.
func tree(t *testing.T, fsys vfs.FS, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	var walk func(dir, name string)
	walk = func(dir, name string) {
		list, err := fsys.ReadDir(dir)
		must(t, err)
		for _, e := range list {
			path, below := filepath.Join(dir, e.Name()), fmt.Sprintf("%s/%s", name, e.Name())
			if e.IsDir() {
				walk(path, below)
				continue
			}
			data, err := vfs.ReadFile(fsys, path)
			must(t, err)
			out[below] = data
		}
	}
	walk(dir, "")
	return out
}
