package commitlog

import (
	"encoding/binary"
	"errors"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/segment"
)

// Reader reads single records. It is for one goroutine and must be closed. It keeps a block pinned between calls.
type Reader struct {
	l  *Log
	rd segment.Reader
}

// NewReader returns a reader of l, by value so that it can live in a pooled struct.
func (l *Log) NewReader() Reader { return Reader{l: l, rd: l.set.Reader()} }

// Close lets go of memory. The reader can be used again.
func (r *Reader) Close() {
	r.rd.Close()
	r.rd.Shrink(keepScratch)
}

// Disk reports whether bytes came from a file, not from the appender's memory, since the last call.
func (r *Reader) Disk() bool { return r.rd.Disk() }

// Record returns the size bytes at off, valid until the next call, and whether they came from a file. It returns
// ErrGone for a place outside the log and a *CorruptError when there is no sound record of that size. Checksums of
// records that come from a file are verified.
func (r *Reader) Record(off record.Offset, size int) (rec []byte, disk bool, err error) {
	l := r.l
	f := l.set.Find(int64(off))
	if f == nil || off >= l.Appended() {
		return nil, false, ErrGone
	}
	if size < minRecord || int64(off)+int64(size) > min(l.appended.Load(), f.End()) {
		return nil, false, l.corrupt(f, off, errCannotBe)
	}
	if size > keepScratch {
		// Do not take that much memory on a queue entry's word.
		var head [8]byte
		if rerr := l.set.ReadSmall(head[:], int64(off)); rerr != nil {
			return nil, false, rerr
		}
		if int64(binary.BigEndian.Uint32(head[:])) != int64(size) {
			return nil, false, l.corrupt(f, off, errCannotBe)
		}
	}
	rec, err = r.rd.View(int64(off), size)
	disk = r.rd.Disk()
	if err != nil {
		return nil, disk, err
	}
	if err = check(rec, off); err != nil {
		return r.mended(f, off, size, disk, err)
	}
	if disk {
		err = record.Verify(rec)
		if err == nil && errors.Is(record.VerifyCRC(rec), record.ErrCRC) {
			err = record.ErrCRC
		}
		if err != nil {
			return r.mended(f, off, size, disk, err)
		}
	}
	return rec, disk, nil
}

// mended returns what a damaged record was repaired with, if its memory could not be.
func (r *Reader) mended(f *segment.File, off record.Offset, size int, disk bool, why error) ([]byte, bool, error) {
	if rec := r.l.mended.get(off, size); rec != nil {
		return rec, disk, nil
	}
	return nil, disk, r.l.corrupt(f, off, why)
}

func (l *Log) corrupt(f *segment.File, off record.Offset, err error) error {
	return &CorruptError{File: f.Path(), At: int64(off) - f.Base(), Offset: off, Err: err}
}

// ReadAt appends the record at off to dst, whatever its size is.
func (l *Log) ReadAt(off record.Offset, dst []byte) ([]byte, error) {
	f := l.set.Find(int64(off))
	if f == nil || off < 0 || int64(off)+minRecord > l.appended.Load() {
		return dst, ErrGone
	}
	var head [8]byte
	if err := l.set.ReadSmall(head[:], int64(off)); err != nil {
		return dst, err
	}
	size := int64(binary.BigEndian.Uint32(head[:]))
	if size > f.End()-int64(off) {
		return dst, l.corrupt(f, off, errCannotBe)
	}
	r := l.NewReader()
	defer r.Close()
	rec, _, err := r.Record(off, int(size))
	if err != nil {
		return dst, err
	}
	return append(dst, rec...), nil
}

// StoreTime returns the store time of the record at off in ms.
func (l *Log) StoreTime(off record.Offset) (int64, error) {
	f := l.set.Find(int64(off))
	if f == nil || off < 0 || int64(off)+minRecord > l.appended.Load() {
		return 0, ErrGone
	}
	var head [76]byte
	if err := l.set.ReadSmall(head[:], int64(off)); err != nil {
		return 0, err
	}
	magic := binary.BigEndian.Uint32(head[4:])
	if magic != record.MagicV1 && magic != record.MagicV2 || binary.BigEndian.Uint64(head[28:]) != uint64(off) {
		return 0, l.corrupt(f, off, errCannotBe)
	}
	at := 56
	if int32(binary.BigEndian.Uint32(head[36:]))&record.SysFlagBornV6 != 0 {
		at += 12
	}
	return int64(binary.BigEndian.Uint64(head[at:])), nil
}
