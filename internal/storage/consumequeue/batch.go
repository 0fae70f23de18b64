package consumequeue

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cometmq/cometmq/internal/record"
)

// batchState is what a batch queue knows besides the places of its units. The queue's lock guards it.
type batchState struct {
	min, next record.Index // of the first message, and after the last one
	// A reader mostly goes on where it was: the unit of index wanted is at place found.
	wanted record.Index
	found  slot
}

// ErrInUse says that a topic has simple queues, which cannot become batch queues.
var ErrInUse = errors.New("the topic has simple queues")

// key is the operator's name of the file size.
func (k *kind) key() string {
	if k.batch {
		return "mapperFileSizeBatchConsumeQueue"
	}
	return "mappedFileSizeConsumeQueue"
}

// mayHave reports whether there is a folder, or one cannot tell.
func (s *Set) mayHave(dir string) bool {
	st, err := s.fs.Stat(dir)
	return !errors.Is(err, fs.ErrNotExist) && (err != nil || st.IsDir())
}

// kindOf tells how the queues of a topic are kept: batch queues are those of a topic with a folder among them.
func (s *Set) kindOf(name string) (*kind, error) {
	if err := checkName(name); err != nil {
		return s.simple, err
	}
	st, err := s.fs.Stat(filepath.Join(s.batch.dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.simple, nil
	case err != nil:
		return s.simple, fmt.Errorf("look for batch queues of topic %s: %w", name, err)
	case st.IsDir():
		return s.batch, nil
	}
	return s.simple, nil
}

// MakeBatch makes the queues of a topic batch queues, which outlives a power cut. The error is ErrInUse when it has simple
// ones. Old handles of the topic answer ErrDeleted from then on, unless its queues are batch queues already.
func (s *Set) MakeBatch(name string) error {
	k, err := s.kindOf(name)
	if err != nil || k.batch {
		return err
	}
	ids, err := s.queueIDs(name, s.simple)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, found := s.Lookup(name, id); found {
			return fmt.Errorf("topic %s: %w", name, ErrInUse)
		}
	}
	s.deleteMu.Lock()
	defer s.deleteMu.Unlock()
	s.createMu.Lock()
	defer s.createMu.Unlock()
	s.forget(name)
	if err := s.fs.MkdirAll(filepath.Join(s.batch.dir, name)); err != nil {
		return fmt.Errorf("make batch queues of topic %s: %w", name, err)
	}
	for _, dir := range []string{s.batch.dir, filepath.Dir(s.batch.dir)} {
		if err := s.fs.SyncDir(dir); err != nil {
			return fmt.Errorf("make batch queues of topic %s: %w", name, err)
		}
	}
	return nil
}

// gapLocked notes that the messages before index idx are missing. Their places are simply not there.
func (q *Queue) gapLocked(idx record.Index) {
	if q.min == q.next {
		return
	}
	q.topic.set.blanks.Add(int64(idx - q.batch.next))
	q.topic.set.o.Log.Error("gap in a batch queue",
		"topic", q.topic.name, "queue", q.id, "index", q.batch.next, "messages", idx-q.batch.next)
}

// readBatch is Read of a batch queue.
func (q *Queue) readBatch(from record.Index, dst []Unit) (int, error) {
	q.mu.Lock()
	err := q.openLocked()
	lo, hi, b := q.min, q.next, q.batch
	q.mu.Unlock()
	if err != nil || lo == hi || from < b.min || from >= b.next {
		return 0, err
	}
	at := b.found
	if from != b.wanted || at < lo || at >= hi {
		at, _, err = search(q.read, lo, hi, func(u *Unit) bool { return u.Next() > from })
		if err != nil {
			return 0, err
		}
	}
	n, err := q.read(at, dst)
	if n > 0 {
		q.mu.Lock()
		q.batch.wanted, q.batch.found = dst[n-1].Next(), at+slot(n)
		q.mu.Unlock()
	}
	var hole *HoleError
	var corrupt *CorruptError
	switch {
	case errors.As(err, &hole):
		hole.Next = b.next
		if behind, u, ferr := firstUnit(q.read, hole.next, hi); ferr == nil && behind < hi {
			hole.Next = u.Index
		}
	case errors.As(err, &corrupt):
		corrupt.Index = from
	}
	return n, err
}
