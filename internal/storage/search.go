package storage

import (
	"errors"
	"math"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/consumequeue"
)

// StoreTimeAt returns the store time of a message in ms.
func (s *Store) StoreTimeAt(q *Queue, idx record.Index) (int64, bool) {
	var u [1]consumequeue.Unit
	n, err := q.queue().Read(idx, u[:])
	if err != nil || n == 0 || u[0].Blank() {
		return 0, false
	}
	ms, err := s.log.StoreTime(u[0].Offset)
	return ms, err == nil
}

// IndexAtTime returns the first message stored at ms or later, or with upper the last one stored at ms or before; the
// result is clamped to the queue as Java does. Messages whose time cannot be read count as older.
func (s *Store) IndexAtTime(q *Queue, ms int64, upper bool) record.Index {
	cq := q.queue()
	first, end := cq.Min(), cq.Next()
	lo, hi := first, end
	for lo < hi {
		mid := lo + (hi-lo)/2
		t, ok := s.StoreTimeAt(q, mid)
		if !ok || t < ms || upper && t == ms {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if !upper {
		return lo
	}
	lo = max(lo-1, first)
	var u [1]consumequeue.Unit
	if n, err := cq.Read(lo, u[:]); err == nil && n == 1 && u[0].Index < lo {
		return u[0].Index // as Java: the first message of the batch
	}
	return lo
}

// KeyHits is what QueryKeys found.
type KeyHits struct {
	Offsets    []record.Offset
	LastTime   int64 // store time of the newest message in the index, ms
	LastOffset record.Offset
}

// ErrNoIndex says that the key index is switched off.
var ErrNoIndex = errors.New("the message index is not enabled")

// QueryKeys finds up to limit messages of a topic by key, newest first, stored between begin and end (ms). Hash
// collisions are in the result.
func (s *Store) QueryKeys(topic, key string, limit int, begin, end int64) (KeyHits, error) {
	if s.keys == nil {
		return KeyHits{}, ErrNoIndex
	}
	hits := KeyHits{Offsets: s.keys.Query(topic, key, limit, begin, end)}
	hits.LastTime, hits.LastOffset = s.keys.LastUpdate()
	return hits, nil
}

// SeekTime returns a place of the log, for Peek, before which nothing was stored at ms or later.
func (s *Store) SeekTime(ms int64) record.Offset { return s.log.SeekTime(ms) }

// Peek calls f for the records from off on, the start of one, until it returns false or something unsound or the end comes. m is valid
// during the call. It changes and reports nothing.
func (s *Store) Peek(off record.Offset, f func(m *record.Message) bool) {
	s.log.Peek(off, s.log.Appended(), math.MaxInt, f)
}
