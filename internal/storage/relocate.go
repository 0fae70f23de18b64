package storage

import (
	"sync"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/consumequeue"
)

// Bounds of a search for a message whose queue entry is damaged.
const (
	neighbors   = 16        // entries that are looked at on each side
	maxSearch   = 256 << 20 // bytes of the log
	maxFindings = 4096      // that are remembered
)

// relocated remembers where messages with damaged queue entries are, so that each is searched for once.
type relocated struct {
	mu    sync.Mutex // guards found
	found map[entry]consumequeue.Unit
}

type entry struct {
	cq  *consumequeue.Queue
	idx record.Index
}

// relocate finds the message of index idx in the log although the queue entry bad is damaged. The log says of each record
// which queue and index it has, so it must be between the records of the entries beside it. It returns false when it is not
// there: then the record itself is damaged, or the entry was left out long ago.
func (s *Store) relocate(rd *reader, q *Queue, cq *consumequeue.Queue, bad consumequeue.Unit, idx record.Index) (consumequeue.Unit, bool) {
	if !q.own || cq.Batch() {
		return bad, false // the index is not in the record
	}
	key := entry{cq, idx}
	s.relocated.mu.Lock()
	u, known := s.relocated.found[key]
	s.relocated.mu.Unlock()
	if !known {
		u = bad
		u.Index, u.Count = idx, 1
		u.Offset, u.Size = s.search(rd, q, cq, idx, bad)
		if u.Offset == bad.Offset && u.Size == bad.Size {
			u.Size = 0 // the entry is right
		}
		s.relocated.mu.Lock()
		if s.relocated.found == nil || len(s.relocated.found) >= maxFindings {
			s.relocated.found = map[entry]consumequeue.Unit{}
		}
		s.relocated.found[key] = u
		s.relocated.mu.Unlock()
		if u.Size > 0 {
			s.o.Log.Warn("damaged queue entry, its message was found in the log", "topic", q.topic, "queue", q.id, "index", idx, "offset", u.Offset)
		}
	}
	return u, u.Size > 0
}

// search returns the place of a record, size 0 when it is not found.
//
// With nothing sound below it in the queue, a record of its index may be of a topic of the same name that was deleted. It is
// believed only if the entry is what is damaged, not the record that the entry speaks of, and nothing else is between.
func (s *Store) search(rd *reader, q *Queue, cq *consumequeue.Queue, idx record.Index, bad consumequeue.Unit) (record.Offset, int32) {
	from, to := s.log.Min(), s.log.Appended()
	below, bounded := false, false
	for i := idx - 1; i >= max(cq.Min(), idx-neighbors); i-- {
		if u, ok := s.sound(rd, q, cq, i); ok {
			from, below, bounded = max(from, u.End()), true, true
			break
		}
	}
	for i := idx + 1; i < min(cq.Next(), idx+1+neighbors); i++ {
		if u, ok := s.sound(rd, q, cq, i); ok {
			to, bounded = min(to, u.Offset), true
			break
		}
	}
	if !bounded || int64(to-from) > maxSearch || !below && rd.whole(bad) {
		return 0, 0
	}
	sc := s.log.Scan(from)
	defer sc.Close()
	var at record.Offset
	var size int32
	for holes := 0; ; {
		more := sc.Next(to)
		if !below && (sc.Holes > holes || more && sc.Damaged) {
			at, size, holes = 0, 0, sc.Holes
		}
		if !more {
			return at, size
		}
		if m := &sc.Msg; !sc.Damaged && m.Index == idx && m.QueueID == q.id && string(m.Topic) == q.topic {
			at, size = sc.Offset, int32(sc.Size)
		}
	}
}

// sound returns the entry of an index whose record says that it is of this index and queue.
func (s *Store) sound(rd *reader, q *Queue, cq *consumequeue.Queue, idx record.Index) (consumequeue.Unit, bool) {
	var one [1]consumequeue.Unit
	if n, err := cq.Read(idx, one[:]); n != 1 || err != nil || one[0].Index != idx || one[0].Blank() {
		return one[0], false
	}
	rec, _, err := rd.log.Record(one[0].Offset, int(one[0].Size))
	if err != nil {
		return one[0], false
	}
	if _, err := record.Decode(rec, &rd.msg, false); err != nil {
		return one[0], false
	}
	m := &rd.msg
	return one[0], m.Index == idx && m.QueueID == q.id && string(m.Topic) == q.topic
}

// whole reports whether u speaks of a place where a record of its size stands, whatever queue that says it is of.
func (rd *reader) whole(u consumequeue.Unit) bool {
	rec, _, err := rd.log.Record(u.Offset, int(u.Size))
	if err != nil {
		return false
	}
	n, err := record.Decode(rec, &rd.msg, false)
	return err == nil && n == int(u.Size)
}
