package compaction

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"sort"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// UnitSize is the length of a unit.
const UnitSize = 46

// Unit says where a message is.
type Unit struct {
	Pos   int64 // in the compaction log
	Size  int32
	Tags  int64
	Time  int64 // when it was stored, ms
	Index record.Index
}

func (u *Unit) appendTo(dst []byte) []byte {
	be := binary.BigEndian
	dst = be.AppendUint64(dst, uint64(u.Pos))
	dst = be.AppendUint32(dst, uint32(u.Size))
	dst = be.AppendUint64(dst, uint64(u.Tags))
	dst = be.AppendUint64(dst, uint64(u.Time))
	dst = be.AppendUint64(dst, uint64(u.Index))
	dst = be.AppendUint16(dst, 1)
	return append(be.AppendUint32(dst, math.MaxUint32), 0, 0, 0, 0)
}

// endUnit is what follows the last unit of a full file.
func endUnit() []byte {
	b := make([]byte, UnitSize)
	binary.BigEndian.PutUint64(b, math.MaxUint64)
	binary.BigEndian.PutUint32(b[38:], math.MaxUint32)
	return b
}

// decode reads the unit at the start of b. False: there is none.
func (u *Unit) decode(b []byte) bool {
	be := binary.BigEndian
	_ = b[UnitSize-1]
	u.Pos, u.Size = int64(be.Uint64(b)), int32(be.Uint32(b[8:]))
	u.Tags, u.Time, u.Index = int64(be.Uint64(b[12:])), int64(be.Uint64(b[20:])), record.Index(be.Uint64(b[28:]))
	return u.Pos >= 0 && u.Size >= record.MinSize && u.Index >= 0 && int16(be.Uint16(b[36:])) > 0
}

// file is a file of records and the one with its units.
type file struct {
	base    int64
	log, cq vfs.File
	refs    atomic.Int32 // one for the log, one for each who reads

	first atomic.Int64 // index of the first message
	last  atomic.Int64 // of the last one
	units atomic.Int64 // how many there are; what is behind is not to be read
	end   int64        // the writer's: bytes of records
}

func (f *file) release() error {
	if f.refs.Add(-1) > 0 {
		return nil
	}
	return errors.Join(f.log.Close(), f.cq.Close())
}

// read fills dst with units from number at on and returns how many.
func (f *file) read(at int64, dst []Unit, buf []byte) (int, error) {
	n := int(min(int64(len(dst)), int64(len(buf)/UnitSize), f.units.Load()-at))
	if n <= 0 {
		return 0, nil
	}
	buf = buf[:n*UnitSize]
	if _, err := f.cq.ReadAt(buf, at*UnitSize); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read %s: %w", f.cq.Name(), err)
	}
	for i := range dst[:n] {
		if u := &dst[i]; !u.decode(buf[i*UnitSize:]) || u.Pos < f.base {
			return i, fmt.Errorf("%s: unit %d is damaged", f.cq.Name(), at+int64(i))
		}
	}
	return n, nil
}

// find returns the number of the first unit of a message at from or behind.
func (f *file) find(from record.Index) (int64, error) {
	var failed error
	var b [UnitSize]byte
	var u [1]Unit
	n := sort.Search(int(f.units.Load()), func(i int) bool {
		if failed != nil {
			return true
		}
		_, failed = f.read(int64(i), u[:], b[:])
		return failed == nil && u[0].Index >= from
	})
	return int64(n), failed
}

// record appends the record of u to dst. It is verified.
func (f *file) record(u *Unit, dst []byte) ([]byte, error) {
	at := len(dst)
	dst = append(dst, make([]byte, u.Size)...)
	rec := dst[at:]
	if _, err := f.log.ReadAt(rec, u.Pos-f.base); err != nil && !errors.Is(err, io.EOF) {
		return dst[:at], fmt.Errorf("read %s: %w", f.log.Name(), err)
	}
	if err := check(rec, u); err != nil {
		return dst[:at], fmt.Errorf("%s at %d: %w", f.log.Name(), u.Pos-f.base, err)
	}
	return dst, nil
}

var errOther = errors.New("no sound record of this message")

// check verifies the record of u.
func check(rec []byte, u *Unit) error {
	var m record.Message
	n, err := record.Decode(rec, &m, true)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errOther, err)
	case n != len(rec), m.Index != u.Index:
		return errOther
	}
	return nil
}

func name(base int64) string { return fmt.Sprintf("%020d", base) }

// create makes the pair of files at base, in sub folders of the directories when sub is not empty.
func (l *Log) create(base int64, sub string) (*file, error) {
	logDir, cqDir := filepath.Join(l.logDir, sub), filepath.Join(l.cqDir, sub)
	f := &file{base: base}
	f.refs.Store(1)
	f.first.Store(-1)
	f.last.Store(-1)
	for _, p := range []struct {
		dir  string
		size int64
		f    *vfs.File
	}{{logDir, l.o.FileSize, &f.log}, {cqDir, l.o.QueueFileSize, &f.cq}} {
		err := l.makeDir(p.dir)
		if err == nil {
			*p.f, err = l.o.FS.Create(filepath.Join(p.dir, name(base)))
		}
		if err == nil {
			err = errors.Join((*p.f).Truncate(p.size), l.o.FS.SyncDir(p.dir))
		}
		if err != nil {
			if f.log != nil {
				err = errors.Join(err, f.log.Close(), l.o.FS.Remove(filepath.Join(logDir, name(base))))
			}
			if f.cq != nil {
				err = errors.Join(err, f.cq.Close(), l.o.FS.Remove(filepath.Join(cqDir, name(base))))
			}
			return nil, fmt.Errorf("make file of the compaction log: %w", err)
		}
	}
	return f, nil
}

// makeDir makes a directory below that of all compaction logs, durable with those above it.
func (l *Log) makeDir(dir string) error {
	if _, err := l.o.FS.Stat(dir); err == nil {
		return nil
	}
	if err := l.o.FS.MkdirAll(dir); err != nil {
		return err
	}
	for top := filepath.Dir(l.o.Dir); dir != top && len(dir) > len(top); {
		dir = filepath.Dir(dir)
		if err := l.o.FS.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// writer appends records to files, one after the other. It is for one goroutine.
type writer struct {
	l     *Log
	sub   string
	f     *file // the last one, nil: none yet
	recs  []byte
	units []byte
	n     int64
	first record.Index
	last  record.Index
	fresh func(f *file) // is told of a new file
}

// ErrTooLarge says that a message does not fit into a file. As in Java it is left out.
var ErrTooLarge = errors.New("the message is too large to be compacted")

// add takes a record, whose place is changed. What was added before may be written.
func (w *writer) add(rec []byte, u Unit) error {
	need := int64(len(rec)) + record.EndOfFileSize
	if need > w.l.o.FileSize {
		return fmt.Errorf("%w: %d bytes, compactionMappedFileSize is %d", ErrTooLarge, len(rec), w.l.o.FileSize)
	}
	if w.f == nil || w.f.end+int64(len(w.recs))+need > w.l.o.FileSize || (w.f.units.Load()+w.n+2)*UnitSize > w.l.o.QueueFileSize {
		if err := w.roll(); err != nil {
			return err
		}
	}
	at := len(w.recs)
	u.Pos, u.Size = w.f.base+w.f.end+int64(at), int32(len(rec))
	w.recs = append(w.recs, rec...)
	binary.BigEndian.PutUint64(w.recs[at+atOffset:], uint64(u.Pos))
	w.units = u.appendTo(w.units)
	if w.n == 0 {
		w.first = u.Index
	}
	w.last = u.Index
	w.n++
	return nil
}

// atOffset is where a record says at which place of its log it is.
const atOffset = 28

// write puts down what was added.
func (w *writer) write() error {
	if w.n == 0 {
		return nil
	}
	f := w.f
	if _, err := f.log.WriteAt(w.recs, f.end); err != nil {
		return fmt.Errorf("write %s: %w", f.log.Name(), err)
	}
	if _, err := f.cq.WriteAt(w.units, f.units.Load()*UnitSize); err != nil {
		return fmt.Errorf("write %s: %w", f.cq.Name(), err)
	}
	f.end += int64(len(w.recs))
	if f.units.Load() == 0 {
		f.first.Store(int64(w.first))
	}
	f.last.Store(int64(w.last))
	f.units.Add(w.n)
	w.drop()
	return nil
}

// drop forgets what was added and not written.
func (w *writer) drop() { w.recs, w.units, w.n = w.recs[:0], w.units[:0], 0 }

// seal ends the last file.
func (w *writer) seal() error {
	if w.f == nil {
		return nil
	}
	if err := w.write(); err != nil {
		return err
	}
	f := w.f
	var err error
	if left := w.l.o.FileSize - f.end; left >= record.EndOfFileSize {
		var b [record.EndOfFileSize]byte
		binary.BigEndian.PutUint32(b[:], uint32(left))
		binary.BigEndian.PutUint32(b[4:], record.MagicBlank)
		_, err = f.log.WriteAt(b[:], f.end)
	}
	if at := f.units.Load() * UnitSize; err == nil && at+UnitSize <= w.l.o.QueueFileSize {
		_, err = f.cq.WriteAt(endUnit(), at)
	}
	if err = errors.Join(err, f.sync()); err != nil {
		return fmt.Errorf("end of %s: %w", f.log.Name(), err)
	}
	return nil
}

func (f *file) sync() error { return errors.Join(f.log.Datasync(), f.cq.Datasync()) }

func (w *writer) roll() error {
	base := int64(0)
	if w.f != nil {
		if err := w.seal(); err != nil {
			return err
		}
		base = w.f.base + w.l.o.FileSize
	}
	f, err := w.l.create(base, w.sub)
	if err != nil {
		return err
	}
	w.f = f
	w.fresh(f)
	return nil
}
