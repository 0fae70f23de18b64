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

// maxIndex is the last index whose byte position and file end fit 63 bits.
const maxIndex record.Index = math.MaxInt64/UnitSize - 1<<32

// Queue is the handle of one queue. It looks at its files on first use.
//
// Units [min, next) can be read. Those in [tailBase, next) are in tail, those below written are in the files; the two
// ranges overlap after a flush, until the tail is used up or given back.
type Queue struct {
	mu       sync.Mutex // guards all below but topic and id
	next     record.Index
	min      record.Index
	tail     []byte
	lastOff  record.Offset // of the last unit that is not blank
	lastSize int32
	opened   bool
	listed   bool  // in Set.active
	guessed  bool  // next comes from files without one trusted unit: a lower index may still be appended
	inflight uint8 // writes under way that read tail's array
	deleted  atomic.Bool

	tailBase  record.Index
	written   record.Index
	minOff    record.Offset // of the unit at min, if min < next
	firstBase int64         // logical byte position of the first file, -1 when there is none
	topic     *topic
	id        int32
}

// HoleError says that the file of a unit is not there. Next is the first index after it that has a file, or the end
// of the queue.
type HoleError struct {
	Path string
	Next record.Index
}

func (e *HoleError) Error() string {
	return fmt.Sprintf("queue file %s is missing, next index is %d", e.Path, e.Next)
}

// CorruptError says that there is no valid unit where one must be.
type CorruptError struct {
	Path  string
	Index record.Index
	Unit  Unit
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
	return q.next
}

// Min is the first index that can be read; Next of an empty queue.
func (q *Queue) Min() record.Index {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.openLocked() != nil {
		return 0
	}
	return q.min
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
	q.topic.set.dirty.Add(-int64(q.next-q.written) * UnitSize)
	q.opened = false
	q.deleted.Store(true)
	q.tail, q.next, q.min, q.tailBase, q.written = nil, 0, 0, 0, 0
	q.lastOff, q.lastSize, q.firstBase, q.guessed = 0, 0, -1, false
}

// Read copies units from index from on into dst. It returns 0 outside [Min, Next). A unit that cannot be had ends the
// read; when it is the first one, the error is a *HoleError or *CorruptError and tells how to go on.
func (q *Queue) Read(from record.Index, dst []Unit) (int, error) {
	n := 0
	for n < len(dst) {
		at := from + record.Index(n)
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
			n += decodeUnits(dst[n:], q.tail[(at-q.tailBase)*UnitSize:])
			q.mu.Unlock()
			return n, nil
		}
		inFiles := q.tailBase
		want := min(inFiles-at, record.Index(len(dst)-n))
		q.mu.Unlock()
		m, err := q.readFile(at, dst[n:n+int(want)])
		n += m
		if err != nil {
			if hole, ok := errors.AsType[*HoleError](err); ok {
				hole.Next = min(hole.Next, inFiles)
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
func (q *Queue) readFile(at record.Index, dst []Unit) (int, error) {
	s := q.topic.set
	pos := int64(at) * UnitSize
	base := pos - pos%s.o.FileSize
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
	b := buf[:min(int64(len(dst))*UnitSize, base+s.o.FileSize-pos, int64(len(buf)))]
	if _, err = h.file.ReadAt(b, pos-base); err != nil {
		return 0, fmt.Errorf("read queue file %s: %w", s.path(q, base), err)
	}
	n := decodeUnits(dst, b)
	for i, u := range dst[:n] {
		if !u.valid() {
			return i, &CorruptError{Path: s.path(q, base), Index: at + record.Index(i), Unit: u}
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
	e := &HoleError{Path: s.path(q, base), Next: math.MaxInt64}
	if i, _ := slices.BinarySearch(bases, base+1); i < len(bases) {
		e.Next = record.Index(bases[i] / UnitSize)
	}
	return e
}
