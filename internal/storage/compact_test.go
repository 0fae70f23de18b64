package storage

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// putKeyed appends a message with a key.
func putKeyed(tb testing.TB, s *Store, topic, key, body string) {
	tb.Helper()
	m := message(topic, body)
	m.Props = record.AppendProp(nil, "KEYS", key)
	var b Batch
	_, err := b.Add(s.Queue(topic, 0), m)
	must(tb, err)
	must(tb, s.Append(&b))
}

func TestAMessageTooLargeToBeCompactedIsLeftOut(t *testing.T) {
	o := options(t)
	o.CompactFileSize, o.CompactQueueSize = 2000, 460
	s := open(t, vfs.NewMem(vfs.MemOptions{}), o)
	must(t, s.KeepCompacted("C", 1))
	putKeyed(t, s, "C", "a", "1")
	putKeyed(t, s, "C", "b", strings.Repeat("x", 3000))
	putKeyed(t, s, "C", "c", "3")
	settle(t, s)
	must(t, s.copyCompacted(true))
	res := s.Read(s.Queue("C", 0), &Read{}, nil)
	equal(t, bodies(t, res), []string{"1", "3"})
	must(t, s.Close())
}

// TestALogFileStaysUntilItIsCopied: with no room for the compaction log, files of the log go only if all that is in them was copied before.
func TestALogFileStaysUntilItIsCopied(t *testing.T) {
	full := false
	disk := vfs.NewFaulty(vfs.NewMem(vfs.MemOptions{}), func(op vfs.Op) error {
		if full && op.Kind == vfs.OpCreate && strings.Contains(op.Name, "compactionLog") {
			return syscall.ENOSPC
		}
		return nil
	})
	o := options(t)
	o.CompactFileSize, o.CompactQueueSize = 2300, 460
	s := open(t, disk, o)
	must(t, s.KeepCompacted("C", 1))
	fill := func() {
		for i := range 60 {
			putKeyed(t, s, "C", fmt.Sprint("k", i), strings.Repeat("x", 400))
		}
		settle(t, s)
	}
	fill()
	must(t, s.copyCompacted(false))
	full = true
	fill()
	before := len(s.log.Files())
	must(t, s.deleteOld(time.Now(), true)) // one file, the disk is not that full
	err := s.deleteOld(time.Now(), true)
	if err == nil || !strings.Contains(err.Error(), "before deleting") {
		t.Errorf("the log is deleted although there is no room for the copy: %v", err)
	}
	if gone := before - len(s.log.Files()); gone != 1 {
		t.Errorf("%d files of %d are gone, all that is in one was copied", gone, before)
	}
	full = false
	must(t, s.deleteOld(time.Now(), true))
	n := 0
	for at := record.Index(0); at < 120; {
		res := s.Read(s.Queue("C", 0), &Read{From: at, MaxCount: 32}, nil)
		if res.Next <= at {
			t.Fatalf("read at %d: %+v", at, res)
		}
		at = res.Next
		n += res.Count
	}
	if n != 120 {
		t.Errorf("%d messages of 120 are there", n)
	}
	must(t, s.Close())
}
