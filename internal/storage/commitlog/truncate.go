package commitlog

import (
	"fmt"

	"github.com/cometmq/cometmq/internal/record"
)

// Boundary returns the last place at or before off where the log can end: behind a record, or at the begin of a file. ms is the
// store time of the record there or, when there is none, of one near it, 0 when none is known. ErrGone: off is before the log.
//
// It may be called before Recover, when the end of the log is not known.
func (l *Log) Boundary(off record.Offset) (at record.Offset, ms int64, err error) {
	if off < l.Min() {
		return 0, 0, fmt.Errorf("%w: the log begins at %d, not before %d", ErrGone, l.Min(), off)
	}
	f := l.set.Find(int64(off))
	if f == nil {
		return off, 0, nil // behind all files: nothing is cut
	}
	sc := &Scanner{l: l, rd: l.set.Reader()}
	defer sc.Close()
	// Nearly always a record begins there. A record says where it is, so nothing else looks like one.
	if _, what, aerr := sc.at(int64(off), f.End(), true); aerr != nil {
		return 0, 0, aerr
	} else if what == foundRecord {
		return off, sc.Msg.StoreTime, nil
	}
	pos := max(f.Base(), l.set.Min())
	at = record.Offset(pos)
	ms, _ = l.FirstRecord(f)
	for pos < int64(off) {
		n, what, err := sc.at(pos, f.End(), false)
		switch {
		case err != nil:
			return 0, 0, err
		case what == foundBlank, what == foundRecord && pos+int64(n) > int64(off):
			return at, ms, nil
		case what == foundRecord:
			ms = sc.Msg.StoreTime
			pos += int64(n)
			at = record.Offset(pos)
		default: // a hole
			if pos, err = sc.search(pos+1, int64(off)); err != nil {
				return 0, 0, err
			}
			if pos < 0 {
				return at, ms, nil
			}
		}
	}
	return at, ms, nil
}

// Truncate erases the log from at on, durably. at must be a Boundary. Recover must follow. removed: there was something.
func (l *Log) Truncate(at record.Offset) (removed bool, err error) {
	data, err := l.set.NextData(int64(at))
	if err != nil {
		return false, fmt.Errorf("look behind the new end of the log: %w", err)
	}
	if data >= l.set.End() {
		return false, nil
	}
	return true, l.erase(int64(at))
}
