package consumequeue

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// listFiles returns the positions of the files of q, ascending. Other names are ignored.
func (s *Set) listFiles(q *Queue) ([]int64, error) {
	dir := q.kind.queueDir(q.topic.name, q.id)
	entries, err := s.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list queue files of %s: %w", dir, err)
	}
	var bases []int64
	for _, e := range entries {
		if base, ok := parseFileName(e.Name()); ok && !e.IsDir() {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	return bases, nil
}

// openLocked looks at the files of the queue, once. It finds the end by binary search in the last file, drops what is
// above the trust mark, and finds the first index. The lock is held across the I/O: nobody can use the queue before.
func (q *Queue) openLocked() error {
	if q.opened {
		return nil
	}
	if q.deleted.Load() {
		return ErrDeleted
	}
	if q.topic.err != nil {
		return q.topic.err
	}
	if q.id < 0 {
		return fmt.Errorf("%w %s/%d: negative id", ErrIllegal, q.topic.name, q.id)
	}
	if err := q.load(); err != nil {
		return fmt.Errorf("open queue %s/%d: %w", q.topic.name, q.id, err)
	}
	q.opened = true
	return nil
}

func (q *Queue) load() error {
	s := q.topic.set
	bases, err := s.listFiles(q)
	if err != nil || len(bases) == 0 {
		return err
	}
	r := blockReader{q: q}
	defer r.close()
	start := slot(bases[0] / q.kind.unit)
	for len(bases) > 0 {
		last := bases[len(bases)-1]
		var n slot
		if n, err = q.loadLast(&r, last, len(bases) == 1); err != nil {
			return err
		}
		if n > 0 {
			start = slot(last/q.kind.unit) + n
			break
		}
		// Nothing to keep. Java does not start when the last file of a queue is empty.
		if err = s.removeFile(q, last); err != nil {
			return err
		}
		s.syncAll() // it must not come back with stale units after the next power cut
		bases = bases[:len(bases)-1]
	}
	if err = q.checkLengths(bases); err != nil {
		return err
	}
	// The indexes of a queue without units go on where its first file began, unless dispatching begins lower: after
	// a power cut the files before it may be lost.
	q.next, q.written, q.tailBase, q.min = start, start, start, start
	q.firstBase = -1
	if len(bases) > 0 {
		q.firstBase = bases[0]
	}
	if err = q.findLast(&r, bases); err != nil {
		return err
	}
	q.guessed = q.lastSize == 0 && s.trust != math.MaxInt64
	if q.firstBase > 0 && s.logMin.Load() == 0 {
		// Files go when the log before their records' end has gone.
		s.o.Log.Error("queue files are missing at the begin", "file", s.path(q, 0), "first", s.path(q, q.firstBase))
	}
	return q.findMin(&r, bases)
}

// loadLast returns how many units the last file has. A file without content is what a crash right after its creation
// leaves, a shorter one what a power cut may leave.
func (q *Queue) loadLast(r *blockReader, base int64, only bool) (slot, error) {
	s := q.topic.set
	size, err := q.fileSize(base)
	if err != nil {
		return 0, err
	}
	switch {
	case size == q.kind.fileSize:
	case size == 0:
		s.o.Log.Warn("removed an empty queue file", "file", s.path(q, base))
		return 0, nil
	case size < q.kind.fileSize && s.trust != math.MaxInt64:
		s.o.Log.Warn("queue file was cut short", "file", s.path(q, base), "size", size, "want", q.kind.fileSize)
		if err = q.lengthen(base); err != nil {
			return 0, err
		}
	default:
		return 0, q.wrongLength(base, size)
	}
	return q.trustedUnits(r, base, only)
}

// checkLengths makes sure that all files have their length. A file that is too short although another one follows was
// cut: what is missing of it is damage, unit by unit.
func (q *Queue) checkLengths(bases []int64) error {
	s := q.topic.set
	for i, base := range bases {
		size, err := q.fileSize(base)
		if err != nil {
			return err
		}
		switch {
		case size == q.kind.fileSize:
		case size < q.kind.fileSize && i+1 < len(bases) && bases[i+1] == base+q.kind.fileSize:
			s.o.Log.Error("queue file was cut short", "file", s.path(q, base), "size", size, "want", q.kind.fileSize)
			if err = q.lengthen(base); err != nil {
				return err
			}
		default:
			return q.wrongLength(base, size)
		}
	}
	return nil
}

// lengthen gives a file its full length; the new part is a hole.
func (q *Queue) lengthen(base int64) error {
	s := q.topic.set
	h, err := s.use(q, base, false)
	if err != nil {
		return err
	}
	defer s.release(h)
	if err = h.file.Truncate(q.kind.fileSize); err != nil {
		return fmt.Errorf("lengthen queue file %s: %w", h.file.Name(), err)
	}
	return nil
}

func (q *Queue) fileSize(base int64) (int64, error) {
	s := q.topic.set
	if base%q.kind.fileSize != 0 || slot(base/q.kind.unit) > q.kind.maxSlot() {
		return 0, fmt.Errorf("queue file %s does not begin at a multiple of %d: was %s changed",
			s.path(q, base), q.kind.fileSize, q.kind.key())
	}
	st, err := s.fs.Stat(s.path(q, base))
	if err != nil {
		return 0, fmt.Errorf("look at queue file %s: %w", s.path(q, base), err)
	}
	return st.Size(), nil
}

func (q *Queue) wrongLength(base, size int64) error {
	s := q.topic.set
	return fmt.Errorf("queue file %s has %d bytes, want %d: was %s changed",
		s.path(q, base), size, q.kind.fileSize, q.kind.key())
}

func (s *Set) removeFile(q *Queue, base int64) error {
	err := s.fs.Remove(s.path(q, base))
	if f := s.files.drop(fileKey{q, base}); f != nil {
		s.closeFile(f)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove queue file %s: %w", s.path(q, base), err)
	}
	return nil
}

// trustedUnits finds how many units at the begin of a file are to be kept, and makes sure that nothing follows them.
//
// Binary search is exact here even after a power cut: units of records below the trust mark were synced, so they are
// all there, and each unit after them is either lost or at or above the mark. It begins with a gallop from the first
// block, because most files are nearly empty and each look into a hole costs a page of the page cache.
func (q *Queue) trustedUnits(r *blockReader, base int64, only bool) (slot, error) {
	s := q.topic.set
	lo, hi := slot(0), q.kind.perFile
	probe := min(slot(q.kind.block)/slot(q.kind.unit), hi) - 1
	for lo < hi {
		ok, err := r.trusts(base, probe)
		if err != nil {
			return 0, err
		}
		if !ok {
			hi = probe
			break
		}
		lo = probe + 1
		probe = min(2*probe+1, hi-1)
	}
	for lo < hi {
		mid := (lo + hi) / 2
		ok, err := r.trusts(base, mid)
		if err != nil {
			return 0, err
		}
		if ok {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for blank := only && lo == 0; blank && lo < q.kind.perFile; {
		// The queue began behind these, and still does when all that it had is dropped.
		u, err := r.unit(base, lo)
		if err != nil {
			return 0, err
		}
		if blank = u.Blank(); blank {
			lo++
		}
	}
	if lo == q.kind.perFile {
		return lo, nil
	}
	if s.trust == math.MaxInt64 && lo > 0 {
		if u, err := r.unit(base, lo); err != nil || u.empty() {
			return lo, err
		}
	}
	return q.checkRest(r, base, lo)
}

// trusts reports whether u is to be kept; before is the unit before it in the file, pos its place. A blank unit says
// nothing about itself: a power cut may have left it without the units around it. When a unit lies in two sectors, a
// power cut may have left only the second part, with a position that seems low.
func (q *Queue) trusts(before, u Unit, pos int64) bool {
	const sector = 512
	if !u.valid() || u.Blank() || u.Offset >= q.topic.set.trust {
		return false
	}
	whole := pos/sector == (pos+q.kind.unit-1)/sector
	return whole || before.valid() && before.Offset < u.Offset
}

// checkRest looks at what follows the first units of a file. Units that are to be trusted are kept. What is between
// them and the first ones is blank, or the disk has damaged it: then reading it is an error. Everything behind the
// last trusted unit is overwritten.
func (q *Queue) checkRest(r *blockReader, base int64, units slot) (slot, error) {
	s := q.topic.set
	h, err := s.use(q, base, false)
	if err != nil {
		return 0, err
	}
	defer s.release(h)
	f := h.file
	keep, from := units, int64(units)*q.kind.unit
	dirty, bad, damaged, chunk := false, false, false, int64(4<<10)
	var b []byte
	var before Unit
	for pos := from; pos < q.kind.fileSize; {
		var data int64
		if data, err = f.NextData(pos); err != nil {
			return 0, fmt.Errorf("find the data of queue file %s: %w", f.Name(), err)
		}
		if data > pos {
			pos, chunk, before, bad = data-data%q.kind.unit, 4<<10, Unit{}, true
			if pos >= q.kind.fileSize {
				break
			}
		}
		// Whole units up to the end of a page, so that few pages of holes are read.
		n := ((pos/chunk+1)*chunk - pos + q.kind.unit - 1) / q.kind.unit * q.kind.unit
		n = min(n, q.kind.fileSize-pos)
		b = slices.Grow(b[:0], int(n))[:n]
		if _, err = f.ReadAt(b, pos); err != nil {
			return 0, fmt.Errorf("read queue file %s: %w", f.Name(), err)
		}
		for i := 0; i < len(b); i += int(q.kind.unit) {
			place := b[i : i+int(q.kind.unit)]
			u := q.kind.decode(place, slot((base+pos+int64(i))/q.kind.unit))
			dirty = dirty || !zero(place)
			if q.trusts(before, u, pos+int64(i)) {
				keep = slot((pos+int64(i))/q.kind.unit) + 1
				damaged = damaged || bad
			}
			bad = bad || !u.valid()
			before = u
		}
		pos += n
		chunk = min(2*chunk, 64<<10)
	}
	if damaged {
		s.o.Log.Error("damaged units in a queue file", "file", f.Name(), "index", slot(base/q.kind.unit)+units)
	}
	if !dirty || keep == q.kind.perFile {
		return keep, nil
	}
	if err = zeroFrom(f, int64(keep)*q.kind.unit); err != nil {
		return 0, fmt.Errorf("erase the end of queue file %s: %w", f.Name(), err)
	}
	r.forget()
	s.noteWrite(q, base, false)
	return keep, nil
}

// zero reports whether b holds nothing.
func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// zeroFrom overwrites the data of f from pos on.
func zeroFrom(f vfs.File, pos int64) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	zero := make([]byte, 64<<10)
	for pos < size {
		if pos, err = f.NextData(pos); err != nil || pos >= size {
			return err
		}
		// Up to a multiple of 64 KiB, so that holes after it stay holes.
		n := min(int64(len(zero))-pos%int64(len(zero)), size-pos)
		if _, err = f.WriteAt(zero[:n], pos); err != nil {
			return err
		}
		pos += n
	}
	return nil
}

// findLast sets lastOff and lastSize from the last unit that is not blank.
func (q *Queue) findLast(r *blockReader, bases []int64) error {
	end := q.next
	for _, base := range slices.Backward(bases) {
		first := slot(base / q.kind.unit)
		for i := min(end-first, q.kind.perFile) - 1; i >= 0; i-- {
			u, err := r.unit(base, i)
			if err != nil {
				return err
			}
			if u.valid() && !u.Blank() {
				q.lastOff, q.lastSize, q.batch.next = u.Offset, u.Size, u.Next()
				return nil
			}
		}
	}
	return nil
}

// findMin sets the first index: after the blank units at the begin, and not below the begin of the log.
func (q *Queue) findMin(r *blockReader, bases []int64) error {
	for _, base := range bases {
		first := slot(base / q.kind.unit)
		for i := range min(q.next-first, q.kind.perFile) {
			u, err := r.unit(base, i)
			if err != nil {
				return err
			}
			if u.valid() && !u.Blank() {
				q.min, q.minOff, q.batch.min = first+i, u.Offset, u.Index
				return q.findMinAbove(record.Offset(q.topic.set.logMin.Load()))
			}
		}
	}
	return nil
}

// blockReader reads single units while a queue is opened. It keeps the last block, so that opening a queue of a few
// units reads its file once.
type blockReader struct {
	q    *Queue
	buf  *readBuffer
	base int64
	at   slot // first unit of the block in its file
	n    slot // units in the block
}

func (r *blockReader) close() {
	if r.buf != nil {
		r.q.topic.set.buffers.Put(r.buf)
	}
}

func (r *blockReader) forget() { r.n = 0 }

// perBlock is how many units are read at once.
func (r *blockReader) perBlock() slot { return slot(r.q.kind.block) / slot(r.q.kind.unit) }

// unit returns unit i of the file at base.
func (r *blockReader) unit(base int64, i slot) (Unit, error) {
	if base != r.base || i < r.at || i >= r.at+r.n {
		if err := r.read(base, i-i%r.perBlock()); err != nil {
			return Unit{}, err
		}
	}
	k := r.q.kind
	return k.decode(r.buf[int64(i-r.at)*k.unit:], slot(base/k.unit)+i), nil
}

// trusts reports whether unit i is to be kept. A blank one is as good as the first one behind it that is not.
func (r *blockReader) trusts(base int64, i slot) (bool, error) {
	u, err := r.unit(base, i)
	for err == nil && u.Blank() && i+1 < r.q.kind.perFile {
		i++
		u, err = r.unit(base, i)
	}
	if err != nil || i == 0 || !u.valid() {
		return err == nil && r.q.trusts(Unit{}, u, 0), err
	}
	before, err := r.unit(base, i-1)
	return err == nil && r.q.trusts(before, u, int64(i)*r.q.kind.unit), err
}

func (r *blockReader) read(base int64, at slot) error {
	s := r.q.topic.set
	if r.buf == nil {
		r.buf = s.buffers.Get().(*readBuffer)
	}
	r.n = 0
	h, err := s.use(r.q, base, false)
	if err != nil {
		return err
	}
	defer s.release(h)
	k := r.q.kind
	n := min(r.perBlock(), k.perFile-at)
	if _, err = h.file.ReadAt(r.buf[:int64(n)*k.unit], int64(at)*k.unit); err != nil {
		return fmt.Errorf("read queue file %s: %w", h.file.Name(), err)
	}
	r.base, r.at, r.n = base, at, n
	return nil
}
