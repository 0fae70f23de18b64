package commitlog

import (
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestSeekTime(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	l, err := Open(vfs.NewMem(vfs.MemOptions{}), "/log", Options{SegmentSize: 4 << 20, Now: func() time.Time { return now }})
	must(t, err)
	defer func() { must(t, l.Close()) }()
	if got := l.SeekTime(5); got != 0 {
		t.Errorf("an empty log: %d", got)
	}
	must(t, l.Recover(Recovery{CRC: true}, nil))
	var seq Seq
	first := map[int64]record.Offset{}
	var b Batch
	for i := range 6000 { // three files
		now = time.UnixMilli(1_000_000 + int64(i/3)*10)
		b.Reset()
		_, err := b.Add(&seq, message(strings.Repeat("x", 2000)))
		must(t, err)
		must(t, l.Append(&b))
		_, off, ms := b.Result(0)
		if _, ok := first[ms]; !ok {
			first[ms] = off
		}
	}
	for ms, off := range first {
		at := l.SeekTime(ms)
		if at > off || off-at > 2*seekStep {
			t.Fatalf("time %d: %d, the first record is at %d", ms, at, off)
		}
		seen := false
		l.Peek(at, l.Appended(), 1<<30, func(m *record.Message) bool {
			seen = m.Offset == off
			return !seen && m.Offset < off
		})
		if !seen {
			t.Fatalf("time %d: what follows %d does not lead to %d", ms, at, off)
		}
	}
	if at := l.SeekTime(now.UnixMilli() + 1); at > l.Appended() || l.Appended()-at > 2*seekStep {
		t.Errorf("a time behind the end: %d of %d", at, l.Appended())
	}
	if at := l.SeekTime(0); at != 0 {
		t.Errorf("a time before everything: %d", at)
	}
}

// TestAReaderFromBeforeTheFirstAppendSeesIt keeps the end of the log in a reader while the cache drops it.
func TestAReaderFromBeforeTheFirstAppendSeesIt(t *testing.T) {
	fsys := vfs.NewMem(vfs.MemOptions{})
	l := newLog(t, fsys, 64<<20)
	var seq Seq
	var b Batch
	for range 3000 { // more than the cache holds
		b.Reset()
		_, err := b.Add(&seq, message(strings.Repeat("x", 10_000)))
		must(t, err)
		must(t, l.Append(&b))
	}
	_, last, _ := b.Result(0)
	size := b.RecordSize(0)
	must(t, l.Close())
	l = newLog(t, fsys, 64<<20)
	defer func() { must(t, l.Close()) }()
	rd := l.NewReader()
	defer rd.Close()
	_, _, err := rd.Record(last, size)
	must(t, err)
	l.Peek(0, l.Appended(), 1<<30, func(*record.Message) bool { return true })
	for range 3 {
		b.Reset()
		_, err = b.Add(&seq, message("new"))
		must(t, err)
		must(t, l.Append(&b))
		_, off, _ := b.Result(0)
		if _, _, err = rd.Record(off, b.RecordSize(0)); err != nil {
			t.Fatal(err)
		}
	}
}
