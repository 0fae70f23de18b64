package consumequeue

import (
	"encoding/binary"
	"fmt"

	"github.com/cometmq/cometmq/internal/record"
)

// A tail begins with room for tailMin units and grows fourfold up to tailMax bytes.
const (
	tailMin = 4
	tailMax = 4096 / UnitSize * UnitSize
)

// Append adds the unit of the record at off as index idx. Only one goroutine appends to a queue. An index that is
// there already is ignored; a gap is filled with blank units. An error means that the unit is not added, or that it
// is and writing it (or older ones) failed and will be tried again by the next flush.
func (q *Queue) Append(idx record.Index, off record.Offset, size int32, tags int64) error {
	q.mu.Lock()
	if idx != q.next || !q.listed || !q.opened || len(q.tail) == cap(q.tail) || size <= 0 || off < 0 {
		q.mu.Unlock()
		return q.appendSlow(idx, off, size, tags)
	}
	q.pushLocked(off, size, tags)
	q.mu.Unlock()
	if s := q.topic.set; s.dirty.Add(UnitSize) > s.o.MaxDirty {
		return s.Flush(false)
	}
	return nil
}

func (q *Queue) pushLocked(off record.Offset, size int32, tags int64) {
	if q.min == q.next {
		q.minOff = off
	}
	n := len(q.tail)
	q.tail = q.tail[:n+UnitSize]
	putUnit(q.tail[n:], off, size, tags)
	q.next++
	q.lastOff, q.lastSize = off, size
}

func (q *Queue) appendSlow(idx record.Index, off record.Offset, size int32, tags int64) error {
	if size <= 0 || off < 0 || idx < 0 || idx > maxIndex {
		return fmt.Errorf("queue %s/%d: illegal unit: index %d, position %d, size %d", q.topic.name, q.id, idx, off, size)
	}
	q.mu.Lock()
	if err := q.openLocked(); err != nil {
		q.mu.Unlock()
		return err
	}
	if idx < q.next && q.guessed {
		if err := q.startOverLocked(); err != nil {
			q.mu.Unlock()
			return err
		}
	}
	if idx < q.next {
		q.mu.Unlock()
		return nil
	}
	if idx > q.next {
		q.mu.Unlock()
		if err := q.fillTo(idx); err != nil {
			return err
		}
		q.mu.Lock()
	}
	if err := q.makeRoomLocked(); err != nil {
		q.mu.Unlock()
		return err
	}
	q.pushLocked(off, size, tags)
	q.guessed = false
	list := !q.listed
	q.listed = true
	q.mu.Unlock()

	s := q.topic.set
	if list {
		s.activeMu.Lock()
		s.active = append(s.active, q)
		s.activeMu.Unlock()
	}
	if s.dirty.Add(UnitSize) > s.o.MaxDirty {
		return s.Flush(false)
	}
	return nil
}

// startOverLocked removes the files of a queue that has no unit, only blank ones. It holds the lock across that I/O:
// it happens once after a power cut.
func (q *Queue) startOverLocked() error {
	s := q.topic.set
	bases, err := s.listFiles(q)
	for i := 0; err == nil && i < len(bases); i++ {
		err = s.removeFile(q, bases[i])
	}
	if err != nil {
		return err
	}
	s.syncAll()
	q.guessed, q.firstBase = false, -1
	q.next, q.min, q.written, q.tailBase = 0, 0, 0, 0
	return nil
}

// makeRoomLocked makes place for one unit in the tail. It lets the lock go while it writes.
func (q *Queue) makeRoomLocked() error {
	if len(q.tail) < cap(q.tail) {
		return nil
	}
	if q.written < q.next && cap(q.tail) < tailMax {
		grown := make([]byte, len(q.tail), min(max(tailMin*UnitSize, 4*cap(q.tail)), tailMax))
		copy(grown, q.tail)
		q.tail = grown
		return nil
	}
	if q.written < q.next {
		if err := q.writeTailLocked(); err != nil {
			return err
		}
		if q.deleted.Load() {
			return ErrDeleted
		}
	}
	if q.inflight > 0 || cap(q.tail) == 0 {
		// A flush still reads the old array: leave it alone.
		q.tail = make([]byte, 0, max(tailMin*UnitSize, cap(q.tail)))
	}
	q.tail, q.tailBase = q.tail[:0], q.next
	return nil
}

// writeTailLocked writes the units that are in no file yet. It lets the lock go meanwhile; two of these at once write
// the same bytes to the same place.
func (q *Queue) writeTailLocked() error {
	from, to := q.written, q.next
	b := q.tail[(from-q.tailBase)*UnitSize : (to-q.tailBase)*UnitSize]
	q.inflight++
	q.mu.Unlock()
	err := q.write(from, b, false)
	q.mu.Lock()
	q.inflight--
	if err == nil && q.written < to && !q.deleted.Load() {
		q.topic.set.dirty.Add(-int64(to-q.written) * UnitSize)
		q.written = to
	}
	return err
}

// writeOrDropTail writes the tail, or gives its memory back when nothing was added since the last call. It reports
// whether there still is one.
func (q *Queue) writeOrDropTail() (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.deleted.Load() {
		q.listed = false
		return false, nil
	}
	if q.written < q.next {
		err := q.writeTailLocked()
		if q.deleted.Load() {
			err = nil
		}
		return true, err
	}
	q.tail, q.tailBase, q.listed = nil, q.next, false
	return false, nil
}

// write puts whole units into the files, beginning at index from. A file is made when its first unit is written, or
// always with create.
func (q *Queue) write(from record.Index, b []byte, create bool) error {
	s := q.topic.set
	for pos := int64(from) * UnitSize; len(b) > 0; {
		in := pos % s.o.FileSize
		n := min(int64(len(b)), s.o.FileSize-in)
		h, err := s.use(q, pos-in, create || in == 0)
		if err != nil {
			return err
		}
		_, err = h.file.WriteAt(b[:n], in)
		s.release(h)
		if err != nil {
			return fmt.Errorf("write queue file %s: %w", s.path(q, pos-in), err)
		}
		s.noteWrite(q, pos-in, false)
		pos += n
		b = b[n:]
	}
	return nil
}

// fillTo makes idx the next index. The space before it is filled with blank units: the rest of the file that is in
// use, if there is one, and the file of idx from its begin. Whole files between the two are not made.
//
// Differs from Java: it fills only in front of the first unit of a queue; in a later gap it appends at the wrong place.
func (q *Queue) fillTo(idx record.Index) error {
	s := q.topic.set
	q.mu.Lock()
	var err error
	if q.written < q.next {
		err = q.writeTailLocked()
	}
	from, empty, inFile := q.next, q.min == q.next, q.firstBase >= 0 && q.next%s.perFile != 0
	q.mu.Unlock()
	if err != nil {
		return err
	}
	target := idx - idx%s.perFile // first index of the file of idx
	if inFile {
		end := min(idx, from-from%s.perFile+s.perFile)
		if err = q.writeBlanks(from, end, false); err != nil {
			return err
		}
	}
	if !inFile || target > from {
		if err = q.writeBlanks(max(target, 0), idx, true); err != nil {
			return err
		}
	}
	if !empty {
		s.blanks.Add(int64(idx - from))
		s.o.Log.Error("gap in a consume queue, filled with blank units",
			"topic", q.topic.name, "queue", q.id, "index", from, "units", idx-from)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.deleted.Load() {
		return ErrDeleted
	}
	q.next, q.written, q.tailBase = idx, idx, idx
	if q.inflight > 0 {
		q.tail = nil
	}
	q.tail = q.tail[:0]
	if empty {
		q.min = idx
	}
	return nil
}

// writeBlanks fills [from, to) with blank units.
func (q *Queue) writeBlanks(from, to record.Index, create bool) error {
	const many = 3200
	b := make([]byte, min(to-from, many)*UnitSize)
	for i := 0; i < len(b); i += UnitSize {
		binary.BigEndian.PutUint32(b[i+8:], blankSize)
	}
	for from < to {
		n := min(to-from, record.Index(len(b)/UnitSize))
		if err := q.write(from, b[:n*UnitSize], create); err != nil {
			return err
		}
		from += n
	}
	return nil
}
