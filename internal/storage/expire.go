package storage

import (
	"fmt"

	"github.com/cometmq/cometmq/internal/storage/consumequeue"
)

// Expire raises the first index of a queue above the messages that were stored before a time (ms), and returns how many these were. The
// log keeps them, and a start brings them back until the next call. A message whose time cannot be read does not count as old: nothing
// goes that is not known to be older.
func (s *Store) Expire(q *Queue, before int64) (gone int64, err error) {
	cq := q.queue()
	if err := cq.Open(); err != nil {
		return 0, fmt.Errorf("open queue %s/%d: %w", q.topic, q.id, err)
	}
	first, end := cq.Min(), cq.Next()
	if first >= end {
		return 0, nil
	}
	if t, ok := s.StoreTimeAt(q, first); ok && t >= before {
		return 0, nil
	}
	lo, hi := first, end
	for lo < hi {
		mid := lo + (hi-lo)/2
		if t, ok := s.StoreTimeAt(q, mid); ok && t < before {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == first {
		return 0, nil
	}
	var last [1]consumequeue.Unit
	if n, err := cq.Read(lo-1, last[:]); err != nil || n == 0 || last[0].Blank() {
		return 0, err
	}
	// By the offset behind it, not by the end of the queue: more may have come meanwhile.
	if err := cq.SetMinByOffset(last[0].Offset + 1); err != nil {
		return 0, fmt.Errorf("expire queue %s/%d: %w", q.topic, q.id, err)
	}
	return int64(cq.Min() - first), nil
}
