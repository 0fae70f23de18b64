package storage

import (
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// extEntry is an entry of consumequeue_ext as Java writes it, with a bit map of 27 bytes.
func extEntry(code, storeMs int64) []byte {
	const bits = 27
	b := binary.BigEndian.AppendUint16(nil, extSize+bits)
	b = binary.BigEndian.AppendUint64(b, uint64(code))
	b = binary.BigEndian.AppendUint64(b, uint64(storeMs))
	return append(binary.BigEndian.AppendUint16(b, bits), make([]byte, bits)...)
}

// TestExtendedQueueEntries gives some units of a queue the addresses of extended entries, as Java does: in two files, missing,
// and damaged ones. A tag filter must find the same messages as without.
func TestExtendedQueueEntries(t *testing.T) {
	t.Parallel()
	fsys := vfs.NewMem(vfs.MemOptions{})
	o := options(t)
	s := open(t, fsys, o)
	for i := range 10 {
		put(t, s, "T", 0, "b", fmt.Sprintf("tag%d", i%2))
	}
	settle(t, s)
	must(t, s.Close())

	hash := func(i int) int64 {
		return record.Props(record.AppendProp(nil, "TAGS", fmt.Sprintf("tag%d", i%2))).Indexed().TagsCode()
	}
	const fileSize = 1 << 10
	dir := filepath.Join(o.Dir, extDir, "T", "0")
	must(t, fsys.MkdirAll(dir))
	file := func(base int64, parts ...[]byte) {
		f, err := fsys.Create(filepath.Join(dir, fmt.Sprintf("%020d", base)))
		must(t, err)
		b := make([]byte, fileSize)
		at := 0
		for _, p := range parts {
			at += copy(b[at:], p)
		}
		_, err = f.WriteAt(b, 0)
		must(t, err)
		must(t, f.Close())
	}
	one := int64(len(extEntry(0, 1)))
	lying := extEntry(hash(1), 1) // of message 3 and 2: a wrong size of the bit map
	binary.BigEndian.PutUint16(lying[18:], 5)
	file(0, extEntry(hash(0), 1), extEntry(hash(1), 1), lying, extEntry(math.MinInt64, 1), extEntry(hash(0), 0))
	file(fileSize, extEntry(hash(5), 1))
	addr := map[int]int64{0: 0, 1: one, 2: 2 * one, 3: 3 * one, 4: 4 * one, 5: fileSize, 6: fileSize + one, 7: 5 * fileSize, 8: fileSize - 3}
	cq, err := fsys.Open(filepath.Join(o.Dir, "consumequeue", "T", "0", fmt.Sprintf("%020d", 0)))
	must(t, err)
	for i, at := range addr {
		_, err = cq.WriteAt(binary.BigEndian.AppendUint64(nil, uint64(at+math.MinInt64)), int64(i)*20+12)
		must(t, err)
	}
	must(t, cq.Close())

	s = open(t, fsys, o)
	q := s.Queue("T", 0)
	for _, want := range []int{0, 1} {
		code := hash(want)
		res := s.Read(q, &Read{Match: func(c int64) bool { return c == code }}, nil)
		if res.Count != 5 || res.Next != 10 {
			t.Errorf("tag%d: %d messages", want, res.Count)
		}
		if res := s.Read(q, &Read{Match: func(c int64) bool { return c == code }, MaxCount: 2}, nil); res.Count != 2 {
			t.Errorf("tag%d: %d messages", want, res.Count)
		}
	}
	if res := s.Read(q, &Read{}, nil); res.Count != 10 {
		t.Errorf("%d messages", res.Count)
	}
	dst := make([]Entry, 10)
	if n, _, err := s.Entries(q, 0, dst); n != 10 || err != nil {
		t.Fatal(n, err)
	}
	for i := range dst {
		if dst[i].Tags != hash(i) {
			t.Errorf("entry %d has the tag field %d", i, dst[i].Tags)
		}
	}
	must(t, s.DeleteTopic("T"))
	if _, err := fsys.Stat(filepath.Join(o.Dir, extDir, "T")); err == nil {
		t.Error("the extended entries of a deleted topic are still there")
	}
	must(t, s.Close())
}
