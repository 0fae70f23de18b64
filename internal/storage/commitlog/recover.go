package commitlog

import (
	"fmt"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/segment"
)

// Recovery says what is known about the log before its end is looked for.
type Recovery struct {
	From    record.Offset // start of a record: walk from here
	Durable record.Offset // the log before it was synced
	Written record.Offset // the log before it must be there: bad bytes there are damage, not a torn end
	CRC     bool          // verify bodies
	Copy    bool          // the log is a copy: the first bad place at or behind Written is the end, what followed comes again
}

// Recover finds the end of the log, calls each for all records from r.From on, cuts a torn tail and makes the log ready
// for Append. each may be nil.
func (l *Log) Recover(r Recovery, each func(*Scanner) error) error {
	l.holes.fresh = func(h Hole) {
		l.o.Log.Error("damaged place in the log, kept and stepped over", "file", h.File, "at", h.At, "from", h.From, "to", h.To, "err", h.Why)
	}
	from := max(int64(r.From), l.set.Min())
	limit := l.set.End()
	from = min(from, limit)
	sc := &Scanner{l: l, rd: l.set.Reader(), pos: from, crc: r.CRC, open: true, first: r.Copy, floor: min(int64(r.Written), limit)}
	defer sc.Close()
	var lastMs int64
	for sc.Next(record.Offset(limit)) {
		lastMs = max(lastMs, sc.Msg.StoreTime)
		if each != nil {
			if err := each(sc); err != nil {
				return err
			}
		}
	}
	if sc.err != nil {
		return fmt.Errorf("recover commit log at %d: %w", sc.pos, sc.err)
	}
	if err := l.cut(sc.pos); err != nil {
		return err
	}
	l.appended.Store(sc.pos)
	l.flushed.Store(min(max(int64(r.Durable), l.set.Min()), sc.pos))
	l.lastMs = lastMs
	l.stamped.Store(lastMs)
	l.w = writer{pos: sc.pos, written: sc.pos, end: sc.pos}
	f := l.set.Find(sc.pos)
	if f == nil {
		return nil
	}
	l.w.end = f.End()
	if sc.pos > f.Base() {
		// The block with the end is taken before anybody can read it: a reader that holds on to one which the cache has
		// dropped meanwhile would never see what is appended to its successor.
		return l.nextBlock()
	}
	return nil
}

// cut makes end the end of the files: what follows is erased, so that it can never look valid behind new records
// (storage spec T7).
func (l *Log) cut(end int64) error {
	data, err := l.set.NextData(end)
	if err != nil {
		return fmt.Errorf("look behind the end of the log: %w", err)
	}
	if data >= l.set.End() {
		return nil
	}
	l.o.Log.Warn("torn tail of the log cut", "offset", end, "first_byte", data)
	return l.erase(end)
}

// erase is cut, for a log that has data behind end.
func (l *Log) erase(end int64) error {
	f := l.set.Find(end)
	next := end
	if f != nil && (end > f.Base() || end == l.set.Min()) {
		// The first file stays even if nothing in it is sound: a log without a file looks like a disk that is not mounted.
		next = f.End()
	}
	if err := l.set.RemoveFrom(next); err != nil {
		return err
	}
	if next > end {
		if err := l.set.Zero(end, next); err != nil {
			return err
		}
	}
	if err := l.set.Sync(end, next+1); err != nil {
		return fmt.Errorf("make the cut durable: %w", err)
	}
	l.set.Forget(end)
	return nil
}

// FirstRecord returns offset and store time of the first record of file f. ok = false: it does not start with one.
func (l *Log) FirstRecord(f *segment.File) (ms int64, ok bool) {
	sc := &Scanner{l: l, rd: l.set.Reader()}
	defer sc.Close()
	_, what, err := sc.at(f.Base(), f.End(), false)
	if err != nil || what != foundRecord {
		return 0, false
	}
	return sc.Msg.StoreTime, true
}

// RecordEnd returns the end of the record at off; ok = false: there is none.
func (l *Log) RecordEnd(off record.Offset) (end record.Offset, ok bool) {
	f := l.set.Find(int64(off))
	if f == nil {
		return 0, false
	}
	sc := &Scanner{l: l, rd: l.set.Reader()}
	defer sc.Close()
	n, what, err := sc.at(int64(off), f.End(), false)
	if err != nil || what != foundRecord {
		return 0, false
	}
	return off + record.Offset(n), true
}

// Peek calls f for up to n sound records from off up to end, until it returns false or something unsound comes. It changes and
// reports nothing.
func (l *Log) Peek(off, end record.Offset, n int, f func(*record.Message) bool) {
	sc := &Scanner{l: l, rd: l.set.Reader()}
	defer sc.Close()
	for pos := int64(off); n > 0 && pos < int64(end); n-- {
		file := l.set.Find(pos)
		if file == nil {
			return
		}
		size, what, err := sc.at(pos, file.End(), true)
		switch {
		case err != nil:
			return
		case what == foundBlank:
			pos = file.End()
		case what != foundRecord || !f(&sc.Msg):
			return
		}
		pos += int64(size)
	}
}
