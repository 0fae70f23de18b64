package keyindex

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Queries find what was put before them, while puts, merges and new files go on.
func TestQueriesFindAllWhileOthersWork(t *testing.T) {
	t.Parallel()
	const keys, total = 50, 12_000
	ix, err := Open(vfs.NewMem(vfs.MemOptions{}), "/index", Options{Slots: 40, Capacity: 3000})
	must(t, err)
	var wg sync.WaitGroup
	var put atomic.Int64
	var done atomic.Bool
	wg.Go(func() {
		for n := 0; !done.Load(); n++ {
			if ix.Flush(n%5 == 0) != nil {
				t.Error("flush")
			}
			ix.SafeUpTo()
			ix.LastUpdate()
		}
	})
	for q := range 2 {
		wg.Go(func() {
			for k := q; !done.Load(); k = (k + 1) % keys {
				before := int(put.Load())
				got := ix.Query("t", fmt.Sprintf("k%d", k), math.MaxInt32, 0, math.MaxInt64)
				last := record.Offset(math.MaxInt64)
				seen := 0
				for _, off := range got {
					if off >= last || int(off)%keys != k {
						t.Errorf("key %d: %d after %d", k, off, last)
						return
					}
					last = off
					if int(off) < before {
						seen++
					}
				}
				if want := (before + keys - 1 - k) / keys; seen != want {
					t.Errorf("key %d: %d of %d records below %d found", k, seen, want, before)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for i := range total {
			if ix.Put([]byte("t"), fmt.Appendf(nil, "k%d", i%keys), record.Offset(i), t0+int64(i)) != nil {
				t.Error("put")
				break
			}
			put.Store(int64(i) + 1)
		}
		done.Store(true)
	})
	wg.Wait()
	n, err := ix.Clean(7000)
	must(t, err)
	if n != 2 {
		t.Errorf("%d files removed", n)
	}
	must(t, ix.Close())
}

// A sync of some milliseconds must not hold back the dispatcher, and with it everybody who waits for messages.
func TestPutDoesNotWaitForASync(t *testing.T) {
	t.Parallel()
	syncing, release := make(chan struct{}), make(chan struct{})
	disk := vfs.NewFaulty(vfs.NewMem(vfs.MemOptions{}), func(op vfs.Op) error {
		if op.Kind == vfs.OpDatasync && op.N == 1 {
			close(syncing)
			<-release
		}
		return nil
	})
	ix := open(t, disk, "/index", 1000, 1_000_000)
	put(t, ix, 0, 1, 50)
	flushed := make(chan error, 1)
	go func() { flushed <- ix.Flush(true) }()
	<-syncing
	var waited atomic.Bool
	late := time.AfterFunc(10*time.Second, func() {
		waited.Store(true)
		close(release)
	})
	put(t, ix, 1, 30_000, 50)
	find(t, ix, 30_000, 50, 7)
	if late.Stop() {
		close(release)
	}
	if waited.Load() {
		t.Error("it waits for the sync")
	}
	must(t, <-flushed)
	must(t, ix.Flush(true))
	find(t, ix, 30_000, 50, 7)
}
