package consumequeue

import (
	"errors"

	"github.com/cometmq/cometmq/internal/record"
)

// SetMinByOffset raises the first index to the first unit whose record is at or above logMin. An empty queue keeps its
// next index. Files are read only when the first index really moves.
func (q *Queue) SetMinByOffset(logMin record.Offset) error {
	q.mu.Lock()
	err := q.openLocked()
	lo, hi, done := q.minSearchLocked(logMin)
	q.mu.Unlock()
	if err != nil || done {
		return err
	}
	at, u, err := searchOffset(q.read, lo, hi, logMin)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.moveMinLocked(at, u)
	return nil
}

// findMinAbove is SetMinByOffset while the queue is being opened: all units are in the files.
func (q *Queue) findMinAbove(logMin record.Offset) error {
	lo, hi, done := q.minSearchLocked(logMin)
	if done {
		return nil
	}
	at, u, err := searchOffset(q.readFile, lo, hi, logMin)
	if err != nil {
		return err
	}
	q.moveMinLocked(at, u)
	return nil
}

// minSearchLocked returns the range in which the first unit at or above logMin is, unless the answer is known: then
// it has set the first index.
func (q *Queue) minSearchLocked(logMin record.Offset) (lo, hi slot, done bool) {
	if q.min == q.next || q.minOff >= logMin {
		return 0, 0, true
	}
	if q.lastOff < logMin {
		q.min = q.next
		return 0, 0, true
	}
	return q.min + 1, q.next, false
}

func (q *Queue) moveMinLocked(at slot, u Unit) {
	if at > q.min && at <= q.next {
		q.min, q.minOff, q.batch.min = at, u.Offset, u.Index
	}
}

type readFunc func(from slot, dst []Unit) (int, error)

// searchOffset finds the first unit in [lo, hi) whose record is at or above off.
func searchOffset(read readFunc, lo, hi slot, off record.Offset) (slot, Unit, error) {
	return search(read, lo, hi, func(u *Unit) bool { return u.Offset >= off })
}

// search finds the first unit in [lo, hi) that is far enough, as all behind it are; blank units do not count.
func search(read readFunc, lo, hi slot, far func(u *Unit) bool) (slot, Unit, error) {
	found, end := Unit{}, hi
	for lo < hi {
		mid := (lo + hi) / 2
		at, u, err := firstUnit(read, mid, hi)
		if err != nil {
			return 0, Unit{}, err
		}
		if at < hi && !far(&u) {
			lo = at + 1
			continue
		}
		if at < hi {
			found, end = u, at
		}
		hi = mid
	}
	return end, found, nil
}

// firstUnit returns the first unit in [at, end) that is not blank, and end when there is none. Missing files and
// damaged units are passed over.
func firstUnit(read readFunc, at, end slot) (slot, Unit, error) {
	var us [16]Unit
	for at < end {
		n, err := read(at, us[:min(slot(len(us)), end-at)])
		for i := range n {
			if !us[i].Blank() {
				return at + slot(i), us[i], nil
			}
		}
		at += slot(n)
		var hole *HoleError
		var corrupt *CorruptError
		switch {
		case errors.As(err, &hole):
			at = hole.next
		case errors.As(err, &corrupt):
			at = corrupt.at + 1
		case err != nil:
			return 0, Unit{}, err
		case n == 0:
			return end, Unit{}, nil // the queue was deleted or shortened meanwhile
		}
	}
	return end, Unit{}, nil
}

// Clean raises the first index of the queues to the begin of the log and removes the files below it; the last file of
// a queue stays. Queues with one file that nobody opened are left alone. It returns how many files it removed.
//
// What the log loses must be below what was synced. The file with the newest unit below logMin stays, so that a queue
// still knows its index when a power cut takes all units that came later.
func (s *Set) Clean(logMin record.Offset) (int, error) {
	s.SetLogMin(logMin)
	removed := 0
	err := s.walk(func(name string, id int32, k *kind) error {
		q := s.inMemory(name, id)
		if q == nil || !q.inUse() {
			bases, err := s.listFiles(&Queue{topic: &topic{set: s, name: name}, kind: k, id: id})
			if err != nil || len(bases) < 2 {
				return err
			}
			q = s.Queue(name, id)
		}
		n, err := q.clean(logMin)
		removed += n
		if errors.Is(err, ErrDeleted) {
			err = nil
		}
		return err
	})
	return removed, err
}

func (q *Queue) clean(logMin record.Offset) (int, error) {
	if err := q.SetMinByOffset(logMin); err != nil {
		return 0, err
	}
	s := q.topic.set
	q.mu.Lock()
	first := q.firstBase
	keep := int64((min(q.min, q.written)-1)/q.kind.perFile) * q.kind.fileSize
	q.mu.Unlock()
	if first < 0 || first >= keep {
		return 0, nil
	}
	bases, err := s.listFiles(q)
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, base := range bases {
		if base >= keep {
			break
		}
		if err := s.removeFile(q, base); err != nil {
			return removed, err
		}
		removed++
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.firstBase >= 0 {
		q.firstBase = keep
	}
	return removed, nil
}
