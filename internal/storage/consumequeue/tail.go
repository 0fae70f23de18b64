package consumequeue

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cometmq/cometmq/internal/record"
)

// A tail begins with room for tailMin units and grows fourfold up to what fits bufferSize bytes.
const (
	tailMin    = 4
	bufferSize = 4096
)

// Append adds the unit of the record at off as index idx. Only one goroutine appends to a queue. An index that is
// there already is ignored; a gap is filled with blank units. An error means that the unit is not added, or that it
// is and writing it (or older ones) failed and will be tried again by the next flush.
func (q *Queue) Append(idx record.Index, off record.Offset, size int32, tags int64) error {
	return q.append(&Unit{Offset: off, Size: size, Count: 1, Tags: tags, Index: idx}, 0)
}

// AppendBatch is Append for a record of count messages that was stored at ms. A simple queue takes it for one message.
func (q *Queue) AppendBatch(idx record.Index, count int32, off record.Offset, size int32, tags, ms int64) error {
	if !q.kind.batch {
		count = 1
	}
	return q.append(&Unit{Offset: off, Size: size, Count: count, Tags: tags, Index: idx}, ms)
}

func (q *Queue) append(u *Unit, ms int64) error {
	q.mu.Lock()
	if u.Index != q.nextLocked() || !q.listed || !q.opened || len(q.tail) == cap(q.tail) || !u.valid() {
		q.mu.Unlock()
		return q.appendSlow(u, ms)
	}
	q.pushLocked(u, ms)
	q.mu.Unlock()
	if s := q.topic.set; s.dirty.Add(q.kind.unit) > s.o.MaxDirty {
		return s.Flush(false)
	}
	return nil
}

func (q *Queue) pushLocked(u *Unit, ms int64) {
	if q.min == q.next {
		q.minOff, q.batch.min = u.Offset, u.Index
	}
	n := len(q.tail)
	q.tail = q.tail[:n+int(q.kind.unit)]
	q.kind.put(q.tail[n:], u, ms)
	q.next++
	q.batch.next = u.Next()
	q.lastOff, q.lastSize = u.Offset, u.Size
}

func (q *Queue) appendSlow(u *Unit, ms int64) error {
	if !u.valid() || u.Index > record.Index(q.kind.maxSlot()) || u.Count > math.MaxInt16 {
		return fmt.Errorf("%w %s/%d: illegal unit: index %d, position %d, size %d, %d messages",
			ErrIllegal, q.topic.name, q.id, u.Index, u.Offset, u.Size, u.Count)
	}
	idx := u.Index
	q.mu.Lock()
	if err := q.openLocked(); err != nil {
		q.mu.Unlock()
		return err
	}
	if idx < q.nextLocked() && q.guessed {
		if err := q.startOverLocked(); err != nil {
			q.mu.Unlock()
			return err
		}
	}
	next := q.nextLocked()
	if idx < next {
		q.mu.Unlock()
		return nil
	}
	if idx > next && q.kind.batch {
		q.gapLocked(idx)
	} else if idx > next {
		q.mu.Unlock()
		if err := q.fillTo(slot(idx)); err != nil {
			return err
		}
		q.mu.Lock()
	}
	if err := q.makeRoomLocked(); err != nil {
		q.mu.Unlock()
		return err
	}
	q.pushLocked(u, ms)
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
	if s.dirty.Add(q.kind.unit) > s.o.MaxDirty {
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
	if q.written < q.next && cap(q.tail) < q.kind.block {
		grown := make([]byte, len(q.tail), min(max(tailMin*int(q.kind.unit), 4*cap(q.tail)), q.kind.block))
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
		q.tail = make([]byte, 0, max(tailMin*int(q.kind.unit), cap(q.tail)))
	}
	q.tail, q.tailBase = q.tail[:0], q.next
	return nil
}

// writeTailLocked writes the units that are in no file yet. It lets the lock go meanwhile; two of these at once write
// the same bytes to the same place.
func (q *Queue) writeTailLocked() error {
	from, to := q.written, q.next
	b := q.tail[int64(from-q.tailBase)*q.kind.unit : int64(to-q.tailBase)*q.kind.unit]
	q.inflight++
	q.mu.Unlock()
	err := q.write(from, b, false)
	q.mu.Lock()
	q.inflight--
	if err == nil && q.written < to && !q.deleted.Load() {
		q.topic.set.dirty.Add(-int64(to-q.written) * q.kind.unit)
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
func (q *Queue) write(from slot, b []byte, create bool) error {
	s := q.topic.set
	for pos := int64(from) * q.kind.unit; len(b) > 0; {
		in := pos % q.kind.fileSize
		n := min(int64(len(b)), q.kind.fileSize-in)
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
func (q *Queue) fillTo(idx slot) error {
	s := q.topic.set
	q.mu.Lock()
	var err error
	if q.written < q.next {
		err = q.writeTailLocked()
	}
	from, empty, inFile := q.next, q.min == q.next, q.firstBase >= 0 && q.next%q.kind.perFile != 0
	q.mu.Unlock()
	if err != nil {
		return err
	}
	target := idx - idx%q.kind.perFile // first index of the file of idx
	if inFile {
		end := min(idx, from-from%q.kind.perFile+q.kind.perFile)
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
func (q *Queue) writeBlanks(from, to slot, create bool) error {
	const many = 3200
	b := make([]byte, int64(min(to-from, many))*q.kind.unit)
	for i := 0; i < len(b); i += int(q.kind.unit) {
		binary.BigEndian.PutUint32(b[i+8:], blankSize)
	}
	for from < to {
		n := min(to-from, slot(len(b)/int(q.kind.unit)))
		if err := q.write(from, b[:int64(n)*q.kind.unit], create); err != nil {
			return err
		}
		from += n
	}
	return nil
}
