package storage

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// A log file must not go before the queue units of its records are on disk: the queue would forget its index.
func TestIndexesAreNotUsedAgainAfterRetentionAndAPowerCut(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		clock := time.Date(2026, 1, 1, 4, 30, 0, 0, time.Local)
		disk := vfs.NewMem(vfs.MemOptions{Now: func() time.Time { return clock }})
		o := options(t)
		o.Now = func() time.Time { return clock }
		s := open(t, disk, o)
		for range 10 {
			put(t, s, "quiet", 0, "old")
		}
		for _, body := range numbered(200) {
			put(t, s, "T", 0, body)
		}
		must(t, s.Flush())
		clock = clock.Add(96 * time.Hour)
		must(t, s.clean(clock))
		if s.MinOffset() == 0 {
			t.Fatal("nothing was deleted")
		}
		s = open(t, disk.CrashClone(rand.New(rand.NewPCG(seed, 1)), vfs.PowerCut), o)
		if idx, _ := put(t, s, "quiet", 0, "new"); idx != 10 {
			t.Fatalf("seed %d: the new message got index %d, want 10", seed, idx)
		}
		if idx, _ := put(t, s, "T", 0, "new"); idx < record.Index(200) {
			t.Fatalf("seed %d: the new message got index %d, want 200", seed, idx)
		}
		must(t, s.Close())
	}
}

// A process may be killed between making a file and making its name durable. The next one uses the file, so it must see
// to the name.
func TestNamesThatAKilledProcessLeftBecomeDurable(t *testing.T) {
	t.Parallel()
	for nth := range 12 {
		var killed *vfs.Mem
		disk := vfs.NewMem(vfs.MemOptions{})
		n := 0
		o := options(t)
		s, err := Open(vfs.NewFaulty(disk, func(op vfs.Op) error {
			if op.Kind != vfs.OpSyncDir && op.Kind != vfs.OpSyncFS {
				return nil
			}
			if n++; n == nth+1 {
				killed = disk.CrashClone(nil, vfs.ProcessKill)
			}
			return nil
		}), o)
		must(t, err)
		put(t, s, "T", 0, "first")
		if killed == nil {
			must(t, s.Close())
			continue
		}
		s = open(t, killed, o)
		next, _ := put(t, s, "T", 0, "second")
		must(t, s.Flush())
		for seed := range uint64(20) {
			s = open(t, killed.CrashClone(rand.New(rand.NewPCG(seed, 1)), vfs.PowerCut), o)
			if q := s.Queue("T", 0); q.Max() != next+1 {
				t.Fatalf("sync %d, seed %d: %d messages, want %d", nth+1, seed, q.Max(), next+1)
			}
		}
	}
}

// Opening a store without a mark of ours drops queue units, to build them again. A kill before they are written must not
// leave the queues without them.
func TestKillAfterOpeningAStoreOfJavas(t *testing.T) {
	t.Parallel()
	o := options(t)
	disk, want, _, _ := filled(t, o, 300)
	must(t, disk.Remove(o.Dir+"/cometmq/dispatch"))
	clock := time.Unix(1_000_000_000, 0) // long before the checkpoint: the clock was set back
	o.Now = func() time.Time { return clock }
	for range 3 {
		s := open(t, disk, o)
		equal(t, all(t, s, "T", 0), want)
		body := strings.Repeat("long", 1000)
		for range 10 { // into new log files
			put(t, s, "T", 0, body)
			want = append(want, body)
		}
		clock = clock.Add(time.Hour)
		disk = kill(disk)
	}
	s := open(t, disk, o)
	equal(t, all(t, s, "T", 0), want)
	must(t, s.Close())
}
