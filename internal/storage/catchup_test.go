package storage

import (
	"testing"

	"github.com/cometmq/cometmq/internal/vfs"
)

// TestCatchUpShowsWhatWasAppended has no dispatcher running: only CatchUp can make the messages visible.
func TestCatchUpShowsWhatWasAppended(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.FlushSync = true // visible is what is on disk
	s := open(t, vfs.NewMem(vfs.MemOptions{}), o)
	for _, body := range numbered(20) {
		put(t, s, "T", 0, body)
	}
	must(t, s.log.Flush())
	if q := s.Queue("T", 0); q.Max() != 0 {
		t.Fatalf("the queue ends at %d before anybody has looked", q.Max())
	}
	s.CatchUp()
	if q := s.Queue("T", 0); q.Max() != 20 {
		t.Errorf("the queue ends at %d, want 20", q.Max())
	}
	must(t, s.Close())
}
