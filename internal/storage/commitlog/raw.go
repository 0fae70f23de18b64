package commitlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/segment"
)

// The log as bytes: what a master sends and a slave stores. Both logs have the same bytes at the same offsets, the marker at
// the end of a file and the unused rest behind it included.

// RawReader reads the log without regard to records. It is for one goroutine and must be closed.
type RawReader struct {
	l  *Log
	rd segment.Reader
}

// NewRawReader returns a reader of the bytes of l.
func (l *Log) NewRawReader() RawReader { return RawReader{l: l, rd: l.set.Reader()} }

// View returns bytes from off on, at least one and up to where end, the file or the block of the cache ends, without
// copying. They are valid until the next call. end must not be behind the readable end. ErrGone: off is outside the log.
func (r *RawReader) View(off, end record.Offset) ([]byte, error) {
	f := r.l.set.Find(int64(off))
	if f == nil || off >= end {
		return nil, ErrGone
	}
	return r.rd.Head(int64(off), int(min(int64(end), f.End())-int64(off)))
}

// Close lets go of memory. The reader can be used again.
func (r *RawReader) Close() { r.rd.Close() }

// LastRecord returns the start of the last sound record that follows from without a gap and ends before end, -1 when there is
// none. from must be the start of a record or of a file.
func (l *Log) LastRecord(from, end record.Offset) record.Offset {
	sc := &Scanner{l: l, rd: l.set.Reader(), limit: int64(end)}
	defer sc.Close()
	last := record.Offset(-1)
	for pos := int64(from); pos < int64(end); {
		f := l.set.Find(pos)
		if f == nil {
			break
		}
		n, what, err := sc.at(pos, f.End(), true)
		if err == nil && what == foundBlank {
			pos = f.End()
			continue
		}
		if err != nil || what != foundRecord {
			break
		}
		last = record.Offset(pos)
		pos += int64(n)
	}
	return last
}

// watchers are told when the readable or the durable end has moved.
type watchers struct {
	n    atomic.Int32
	mu   sync.Mutex // guards list
	list map[chan struct{}]struct{}
}

// Watch returns a channel that has something in it after the readable or the durable end has moved, until stop is called.
func (l *Log) Watch() (moved <-chan struct{}, stop func()) {
	w, c := &l.watchers, make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.list == nil {
		w.list = map[chan struct{}]struct{}{}
	}
	w.list[c] = struct{}{}
	w.n.Store(int32(len(w.list)))
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.list, c)
		w.n.Store(int32(len(w.list)))
	}
}

func (w *watchers) tell() {
	if w.n.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.list {
		poke(c)
	}
}

// ErrGap says that raw bytes do not follow the end of the log.
var ErrGap = errors.New("bytes do not follow the end of the log")

// ErrUnsound says that raw bytes are no records. It may be so in the other log, behind a power cut or on a failing disk.
var ErrUnsound = errors.New("no sound record")

// AppendRaw stores bytes of another log, which begin at off there, at the same place of this one. It takes whole records and
// whole ends of files only and returns how many bytes that were: the end of the log is never inside a record. All of them are
// verified before one is stored; an error means that nothing was. legal may refuse a record.
//
// off must be the end of the log (else ErrGap), or the begin of a file when the log has never held anything. holes: bytes that
// are no records (ErrUnsound) are taken too, up to the next sound record or the end of the file.
func (l *Log) AppendRaw(off record.Offset, p []byte, holes bool, legal func(*record.Message) error) (int, error) {
	if e := l.failed.Load(); e != nil {
		return 0, e
	}
	if e := l.noRoom(); e != nil {
		return 0, e
	}
	n, ms, err := l.checkRaw(int64(off), p, legal)
	if holes && errors.Is(err, ErrUnsound) {
		n, err = n+l.hole(int64(off)+int64(n), p[n:]), nil
	}
	if n == 0 {
		return 0, err
	}
	// What is sound before bad bytes is stored: the sender may be asked for the rest again.
	if serr := l.Exclusive(func() error { return l.placeRaw(int64(off), p[:n], ms) }); serr != nil {
		return 0, serr
	}
	return n, err
}

// checkRaw returns how many of the bytes are whole and sound, with the newest store time in them.
func (l *Log) checkRaw(off int64, p []byte, legal func(*record.Message) error) (n int, ms int64, err error) {
	size := l.set.FileSize()
	var m record.Message
	for n < len(p) {
		at, rest := off+int64(n), p[n:]
		left := size - at%size
		if left < blankLen {
			// No marker fits, so nothing was put there.
			if int64(len(rest)) < left {
				return n, ms, nil
			}
			n += int(left)
			continue
		}
		if len(rest) < blankLen {
			return n, ms, nil
		}
		length, magic := int64(binary.BigEndian.Uint32(rest)), binary.BigEndian.Uint32(rest[4:])
		switch {
		case magic == record.MagicBlank && length == left:
			if int64(len(rest)) < length {
				return n, ms, nil
			}
		case magic != record.MagicV1 && magic != record.MagicV2, length < minRecord, length > left:
			return n, ms, fmt.Errorf("%w at log offset %d: size %d, magic %#08x, %d bytes left in the file", ErrUnsound, at, length, magic, left)
		case int64(len(rest)) < length:
			return n, ms, nil
		default:
			rec := rest[:length]
			if err := checkOne(rec, at, &m, legal); err != nil {
				return n, ms, fmt.Errorf("at log offset %d: %w", at, err)
			}
			ms = m.StoreTime
		}
		n += int(length)
	}
	return n, ms, nil
}

func checkOne(rec []byte, at int64, m *record.Message, legal func(*record.Message) error) error {
	n, err := record.Decode(rec, m, true)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnsound, err)
	case n != len(rec):
		return fmt.Errorf("%w: its parts are %d bytes, it says %d", ErrUnsound, n, len(rec))
	case int64(m.Offset) != at:
		return fmt.Errorf("%w: it says that it is at %d", ErrUnsound, m.Offset)
	case errors.Is(record.VerifyCRC(rec), record.ErrCRC):
		return fmt.Errorf("%w: %w", ErrUnsound, record.ErrCRC)
	case legal == nil:
		return nil
	}
	return legal(m)
}

// hole returns how many bytes of p, which is at off and begins with no sound record, are before the next one: of one file.
// It may be less than there will be when more of the log is known.
func (l *Log) hole(off int64, p []byte) int {
	size := l.set.FileSize()
	left := size - off%size
	if int64(len(p)) > left {
		p = p[:left]
	}
	var m record.Message
	for i := 5; ; i++ {
		k := bytes.Index(p[min(i, len(p)):], magicPrefix)
		if k < 0 {
			break
		}
		i += k
		at := i - 4
		if len(p)-at < blankLen {
			return at
		}
		length := int64(binary.BigEndian.Uint32(p[at:]))
		if magic := binary.BigEndian.Uint32(p[at+4:]); magic != record.MagicV1 && magic != record.MagicV2 || length < minRecord || length > left-int64(at) {
			continue
		}
		if int64(len(p)-at) < length || checkOne(p[at:int64(at)+length], off+int64(at), &m, nil) == nil {
			return at // a record, or perhaps one
		}
	}
	if int64(len(p)) == left {
		return len(p)
	}
	return max(len(p)-blankLen, 0) // the next one may have begun
}

// placeRaw puts p, whose records have been verified, at off. Only the leader calls it.
func (l *Log) placeRaw(off int64, p []byte, ms int64) error {
	w := &l.w
	if w.err != nil {
		return w.err
	}
	if off != w.pos {
		if err := l.startAt(off); err != nil {
			return err
		}
	}
	for len(p) > 0 {
		if w.pos == w.end {
			if err := l.roll(); err != nil {
				return err
			}
		}
		n := min(int64(len(p)), w.end-w.pos)
		if err := l.put(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	l.lastMs = max(l.lastMs, ms)
	return l.flushWriter()
}

// startAt lets an empty log begin at off.
func (l *Log) startAt(off int64) error {
	w := &l.w
	if w.pos != l.set.Min() || w.pos != w.written {
		return fmt.Errorf("%w: it ends at %d, they begin at %d", ErrGap, w.pos, off)
	}
	if off%l.set.FileSize() != 0 {
		return fmt.Errorf("%w: the log is empty and they begin at %d, where no file of %d bytes begins: does %s differ?", ErrGap, off, l.set.FileSize(), l.o.Key)
	}
	// Nobody has ever read or written in the files there are, if any: they were made in advance.
	w.reset(l.set)
	if err := l.set.RemoveFrom(0); err != nil {
		return l.fail(err)
	}
	l.set.Forget(0)
	f, err := l.set.Grow(off)
	if err != nil {
		return l.fail(err)
	}
	l.o.Log.Info("the log begins at the place where the master's newest file begins", "file", f.Path(), "offset", off)
	w.pos, w.written, w.end = off, off, f.End()
	l.flushed.Store(off)
	l.appended.Store(off)
	return nil
}
