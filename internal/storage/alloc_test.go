package storage

import (
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// The send and the pull path allocate nothing per message once buffers have grown.
func TestAppendDispatchAndReadAllocateNothing(t *testing.T) {
	o := options(t)
	o.Dir = t.TempDir()
	o.SegmentSize = 256 << 20
	o.QueueFileSize = 0
	s := open(t, vfs.OS(), o)
	const queues = 8
	var b Batch
	m := message("T", "0123456789", "tag")
	step := func() {
		b.Reset()
		for i := range 64 {
			if _, err := b.Add(s.Queue("T", int32(i%queues)), m); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Append(&b); err != nil {
			t.Fatal(err)
		}
		if err := s.dispatchAll(); err != nil {
			t.Fatal(err)
		}
	}
	for range 300 {
		step()
	}
	if n := testing.AllocsPerRun(500, step); n >= 1 {
		t.Errorf("append and dispatch of 64 messages: %v allocations", n)
	}
	q := s.Queue("T", 0)
	dst := make([]byte, 0, 64<<10)
	at := record.Index(0)
	r := Read{Match: func(int64) bool { return true }, Props: func(record.Props) bool { return true }}
	read := func() {
		r.From = at
		res := s.Read(q, &r, dst[:0])
		if at = res.Next; at >= q.Max() {
			at = 0
		}
	}
	for range 50 {
		read()
	}
	if n := testing.AllocsPerRun(500, read); n >= 1 {
		t.Errorf("read of 32 messages: %v allocations", n)
	}
	must(t, s.Close())
}
