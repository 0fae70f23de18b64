package consumequeue

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/record"
)

// Queue is the handle of one queue. It looks at its files on first use.
//
// Units [min, next) can be read. Those in [tailBase, next) are in tail, those below written are in the files; the two
// ranges overlap after a flush, until the tail is used up or given back.
type Queue struct {
	mu       sync.Mutex // guards all below but topic, kind and id
	next     slot
	min      slot
	tail     []byte
	lastOff  record.Offset // of the last unit that is not blank
	lastSize int32
	opened   bool
	listed   bool  // in Set.active
	guessed  bool  // next comes from files without one trusted unit: a lower index may still be appended
	inflight uint8 // writes under way that read tail's array
	deleted  atomic.Bool

	tailBase  slot
	written   slot
	minOff    record.Offset // of the unit at min, if min < next
	firstBase int64         // logical byte position of the first file, -1 when there is none
	kind      *kind
	topic     *topic
	batch     batchState
	id        int32
}

// HoleError says that the file of a unit is not there. Next is the first index after it that has a file, or the end
// of the queue.
type HoleError struct {
	Path string
	Next record.Index
	next slot
}

func (e *HoleError) Error() string {
	return fmt.Sprintf("queue file %s is missing, next index is %d", e.Path, e.Next)
}

// CorruptError says that there is no valid unit where one must be.
type CorruptError struct {
	Path  string
	Index record.Index
	Unit  Unit
	at    slot
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("queue file %s: no valid unit at index %d (position %d, size %d)",
		e.Path, e.Index, e.Unit.Offset, e.Unit.Size)
}

// Topic is the name of the topic.
func (q *Queue) Topic() string { return q.topic.name }

// ID is the number of the queue in its topic.
func (q *Queue) ID() int32 { return q.id }

// Open looks at the files if that was not done yet. Next, Min and LastOffset of a queue that cannot be opened are 0,
// so whoever assigns indexes calls Open first.
func (q *Queue) Open() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.openLocked()
}

// Next is the index after the last unit.
func (q *Queue) Next() record.Index {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.openLocked() != nil {
		return 0
	}
	return q.nextLocked()
}

// nextLocked is the index after the last message of an open queue.
func (q *Queue) nextLocked() record.Index {
	if q.kind.batch {
		return q.batch.next
	}
	return record.Index(q.next)
}

// Batch reports whether a unit of the queue stands for several messages.
func (q *Queue) Batch() bool { return q.kind.batch }

// Min is the first index that can be read; Next of an empty queue.
func (q *Queue) Min() record.Index {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.openLocked() != nil:
		return 0
	case q.min == q.next:
		return q.nextLocked()
	case q.kind.batch:
		return q.batch.min
	}
	return record.Index(q.min)
}

// LastOffset is the end of the record of the last unit, 0 when there is none.
func (q *Queue) LastOffset() record.Offset {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.openLocked() != nil {
		return 0
	}
	return q.lastOff + record.Offset(q.lastSize)
}

func (q *Queue) exists() (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.openLocked(); err != nil {
		return false, err
	}
	return q.firstBase >= 0 || q.next > 0, nil
}

// inUse reports whether the queue is known to exist, without looking at the disk.
func (q *Queue) inUse() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.opened && (q.firstBase >= 0 || q.next > 0)
}

// noteFile remembers that there is a file at base.
func (q *Queue) noteFile(base int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.firstBase < 0 || base < q.firstBase {
		q.firstBase = base
	}
}

func (q *Queue) markDeleted() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.topic.set.dirty.Add(-int64(q.next-q.written) * q.kind.unit)
	q.opened = false
	q.deleted.Store(true)
	q.tail, q.next, q.min, q.tailBase, q.written = nil, 0, 0, 0, 0
	q.lastOff, q.lastSize, q.firstBase, q.guessed, q.batch = 0, 0, -1, false, batchState{}
}

// Read copies units into dst, beginning with the one that holds index from or, when none does, with the one after it. It
// returns 0 outside [Min, Next). A unit that cannot be had ends the read; when it is the first one, the error is a
// *HoleError or *CorruptError and tells how to go on.
func (q *Queue) Read(from record.Index, dst []Unit) (int, error) {
	if q.kind.batch {
		return q.readBatch(from, dst)
	}
	return q.read(slot(from), dst)
}

// read is Read by place.
func (q *Queue) read(from slot, dst []Unit) (int, error) {
	n := 0
	for n < len(dst) {
		at := from + slot(n)
		q.mu.Lock()
		if err := q.openLocked(); err != nil {
			q.mu.Unlock()
			return n, err
		}
		if at < q.min || at >= q.next {
			q.mu.Unlock()
			return n, nil
		}
		if at >= q.tailBase {
			n += q.kind.decodeAll(dst[n:], q.tail[int64(at-q.tailBase)*q.kind.unit:], at)
			q.mu.Unlock()
			return n, nil
		}
		inFiles := q.tailBase
		want := min(inFiles-at, slot(len(dst)-n))
		q.mu.Unlock()
		m, err := q.readFile(at, dst[n:n+int(want)])
		n += m
		if err != nil {
			if hole, ok := errors.AsType[*HoleError](err); ok {
				hole.next = min(hole.next, inFiles)
				hole.Next = record.Index(hole.next)
			}
			if n > 0 {
				err = nil
			}
			return n, err
		}
	}
	return n, nil
}

// readFile fills dst with units that are in the files, as far as one file and one read buffer go.
func (q *Queue) readFile(at slot, dst []Unit) (int, error) {
	s := q.topic.set
	pos := int64(at) * q.kind.unit
	base := pos - pos%q.kind.fileSize
	h, err := s.use(q, base, false)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, q.hole(base)
	}
	if err != nil {
		return 0, err
	}
	defer s.release(h)
	buf := s.buffers.Get().(*readBuffer)
	defer s.buffers.Put(buf)
	b := buf[:min(int64(len(dst))*q.kind.unit, base+q.kind.fileSize-pos, int64(q.kind.block))]
	if _, err = h.file.ReadAt(b, pos-base); err != nil {
		return 0, fmt.Errorf("read queue file %s: %w", s.path(q, base), err)
	}
	n := q.kind.decodeAll(dst, b, at)
	for i, u := range dst[:n] {
		if !u.valid() {
			bad := at + slot(i)
			return i, &CorruptError{Path: s.path(q, base), Index: record.Index(bad), Unit: u, at: bad}
		}
	}
	return n, nil
}

// hole describes the missing file at base.
func (q *Queue) hole(base int64) error {
	s := q.topic.set
	bases, err := s.listFiles(q)
	if err != nil {
		return err
	}
	e := &HoleError{Path: s.path(q, base), Next: math.MaxInt64, next: math.MaxInt64}
	if i, _ := slices.BinarySearch(bases, base+1); i < len(bases) {
		e.next = slot(bases[i] / q.kind.unit)
		e.Next = record.Index(e.next)
	}
	return e
}
