package consumequeue

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// One dispatcher, readers, a flusher, a cleaner and somebody who deletes topics: readers see each unit whole and in
// order, whatever the others do.
func TestReadersSeeAllUnitsWhileOthersWork(t *testing.T) {
	t.Parallel()
	const queues, units = 6, 3000
	s := NewSet(vfs.NewMem(vfs.MemOptions{}), "/cq", Options{FileSize: 20 * UnitSize, MaxOpenFiles: 2, MaxDirty: 100 * UnitSize})
	var wg sync.WaitGroup
	var logMin atomic.Int64
	var steps []chan struct{}
	run := func(fn func() error) {
		step := make(chan struct{}, 1)
		steps = append(steps, step)
		wg.Go(func() {
			for range step {
				if err := fn(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	n := 0
	run(func() error { n++; return s.Flush(n%8 == 0) })
	run(func() error { _, err := s.Clean(record.Offset(logMin.Load())); return err })
	run(func() error { s.Stats(); return s.Each(func(q *Queue) bool { q.LastOffset(); return true }) })
	run(func() error {
		q := s.Queue("deleted", 0)
		for i := range record.Index(100) {
			if err := q.Append(i, 1<<40+record.Offset(i), 1, 0); err != nil && !errors.Is(err, ErrDeleted) {
				return err
			}
		}
		return s.Delete("deleted")
	})
	for id := range int32(queues) {
		wg.Go(func() {
			q := s.Queue("t", id)
			us := make([]Unit, 1+int(id)*7)
			for at := record.Index(0); at < units; {
				n, err := q.Read(at, us)
				if hole, ok := errors.AsType[*HoleError](err); ok { // the cleaner was here
					at = hole.Next
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				for i, u := range us[:n] {
					if want := unitOf(id, at+record.Index(i)); u != want {
						t.Errorf("queue %d unit %d: %+v, want %+v", id, at+record.Index(i), u, want)
						return
					}
				}
				at = max(at+record.Index(n), min(q.Min(), units))
				if n == 0 {
					runtime.Gosched() // six who spin would hold both processors of a small machine
				}
			}
		})
	}
	wg.Go(func() {
		for i := range record.Index(units) {
			for id := range int32(queues) {
				u := unitOf(id, i)
				if err := s.Queue("t", id).Append(i, u.Offset, u.Size, u.Tags); err != nil {
					t.Error(err)
				}
			}
			logMin.Store(int64(unitOf(0, i/2).Offset))
			for _, step := range steps {
				select {
				case step <- struct{}{}:
				default:
				}
			}
		}
		for _, step := range steps {
			close(step)
		}
	})
	wg.Wait()
	must(t, s.Flush(true))
	for id := range int32(queues) {
		if q := s.Queue("t", id); q.Next() != units || q.Min() > units/2+1 {
			t.Errorf("queue %d has [%d, %d)", id, q.Min(), q.Next())
		}
	}
	if st := s.Stats(); st.Dirty != 0 || st.OpenFiles > 2 || st.Blanks != 0 {
		t.Errorf("%+v", st)
	}
	must(t, s.Close())
}

func unitOf(id int32, i record.Index) Unit {
	return Unit{Offset: record.Offset(i)*1000 + record.Offset(id), Size: id + 1, Tags: int64(i) << id, Index: i, Count: 1}
}
