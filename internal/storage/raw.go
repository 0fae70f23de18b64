package storage

import (
	"fmt"
	"strings"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/commitlog"
)

// RawReader reads bytes of the log; see Store.RawReader.
type RawReader = commitlog.RawReader

// What AppendRaw may answer.
var (
	// ErrGap says that raw bytes do not follow the end of the log.
	ErrGap = commitlog.ErrGap
	// ErrUnsound says that raw bytes are no records.
	ErrUnsound = commitlog.ErrUnsound
)

// RawReader returns a reader of the log as bytes, for one goroutine. Close it.
func (s *Store) RawReader() RawReader { return s.log.NewRawReader() }

// Watch returns a channel that has something in it after more has become visible, until stop is called.
func (s *Store) Watch() (moved <-chan struct{}, stop func()) { return s.log.Watch() }

// Visible returns the end of what may be sent to slaves, and read unless SetReadable says less: with SYNC_FLUSH only what is on disk, so that no slave
// holds what this store may lose.
func (s *Store) Visible() record.Offset { return s.visible() }

// SegmentSize returns the size of a log file.
func (s *Store) SegmentSize() int64 { return s.log.FileSize() }

// Unused reports whether the log has never held anything, so that it may begin anywhere.
func (s *Store) Unused() bool { return s.log.Appended() == s.log.Min() }

// AppendRaw stores bytes of another store's log, which begin at off there, at the same place of this one, and dispatches them
// as messages that were sent here. It returns how many bytes it took: whole records and whole ends of files only, the rest is
// to be offered again with what follows. It verifies them; the records before the first bad one are stored, and the error says
// what is wrong with that one. ErrGap: off is not the end of the log. One goroutine at a time.
//
// Where a batch is stored this way no message may be appended otherwise: the indexes are those of the other store.
func (s *Store) AppendRaw(off record.Offset, p []byte, holes bool) (int, error) {
	n, err := s.log.AppendRaw(off, p, holes, legal)
	if n > 0 && !s.o.FlushSync {
		s.follow()
	}
	if err != nil {
		return n, fmt.Errorf("append what another log holds: %w", err)
	}
	return n, nil
}

// LastRecord returns the last record of the log, nil when there is none. It need not be dispatched yet.
func (s *Store) LastRecord() (record.Offset, []byte, error) {
	return s.LastRecordBefore(s.log.Appended())
}

// LastRecordBefore returns the last record that ends at or before end, nil when there is none.
func (s *Store) LastRecordBefore(end record.Offset) (record.Offset, []byte, error) {
	end = min(end, s.log.Appended())
	begin := func(off record.Offset) record.Offset { // of the file that holds the byte before off
		return max(off-1-(off-1)%record.Offset(s.log.FileSize()), s.log.Min())
	}
	from := s.position().last
	if from < s.log.Min() || from >= end {
		from = begin(end)
	}
	last := s.log.LastRecord(from, end)
	for last < 0 && from > s.log.Min() { // only the end of a file, or a damaged one
		from = begin(from)
		last = s.log.LastRecord(from, end)
	}
	if last < 0 {
		return 0, nil, nil
	}
	rec, err := s.log.ReadAt(last, nil)
	return last, rec, err
}

// maxRawIndex bounds the index that a record from elsewhere may claim: no queue gets that long.
const maxRawIndex = 1 << 42

// legal refuses records that cannot be dispatched: they would turn the store read-only.
func legal(m *record.Message) error {
	name := string(m.Topic)
	switch {
	case name == "" || len(name) > 255 || name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("illegal topic name %q", name)
	case m.QueueID < 0:
		return fmt.Errorf("illegal queue number %d", m.QueueID)
	case m.Index < 0 || m.Index > maxRawIndex:
		return fmt.Errorf("illegal queue index %d", m.Index)
	}
	return nil
}
