package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// A slave whose log goes on behind the place where it parts from its master's must lose that part before it goes on, and for ever:
// bytes that came back after a crash would be taken for messages of the master (issue 10666 of Java).
//
// Before anything is erased the file <root>/cometmq/cut says where. Each Open that finds it erases again what is behind that place, so
// that it makes no difference where a crash comes in between. It goes with CutDone, when the tables that know indexes of queues
// have been adapted too. Nothing is appended before that.
//
//	 0  8  "CQMCUT01"
//	 8  8  log offset
//	16  4  CRC-32 of the 16 bytes before
const (
	cutName  = "cut"
	cutMagic = "CQMCUT01"
	cutLen   = 20
)

func (s *Store) cutPath() string { return filepath.Join(s.o.Dir, ownDir, cutName) }

// truncate erases what Options.TruncateTo, or a cut that was not finished, wants to be erased, from the log. Queues and index are cut as
// after a crash: what is behind the end of the log is dropped from them when they are used. It returns what m, the last mark, says
// after that: nil when it must not be believed.
func (s *Store) truncate(m *mark) (*mark, error) {
	at, begun, err := s.loadCut()
	if err != nil {
		return nil, err
	}
	if s.o.TruncateTo != nil && (!begun || *s.o.TruncateTo < at) {
		at, begun = *s.o.TruncateTo, true
	}
	if !begun {
		return m, nil
	}
	if s.log.Empty() {
		s.cutAt = 0
		return m, s.CutDone()
	}
	to, ms, err := s.log.Boundary(at)
	if err != nil {
		return nil, fmt.Errorf("cut the log at %d: %w", at, err)
	}
	if to != at {
		s.o.Log.Warn("the place where the log is to be cut is inside of a record, that one goes too", "offset", at, "cut", to)
	}
	if err = s.saveCut(to); err != nil {
		return nil, err
	}
	removed, err := s.log.Truncate(to)
	if err != nil {
		return nil, fmt.Errorf("cut the log at %d: %w", to, err)
	}
	s.o.Log.Warn("the log ends here now", "offset", to, "erased", removed)
	s.cutAt, s.cutTime = to, ms
	return s.backMarks(m, to, ms)
}

// backMarks makes the mark m and Java's checkpoint say nothing about what has gone.
func (s *Store) backMarks(m *mark, to record.Offset, ms int64) (*mark, error) {
	cp := s.cp
	for i := range 3 { // store times
		cp.set(i, min(cp.at(i), ms))
	}
	for i := 3; i < 6; i++ { // log offsets
		cp.set(i, min(cp.at(i), int64(to)))
	}
	if cp.at(5) == int64(to) {
		cp.set(5, 0) // it is the begin of a record
	}
	if m != nil && m.synced && (s.cp == m.before || s.cp == m.with) {
		back := *m
		back.queues, back.log, back.last, back.before, back.with = min(m.queues, to), min(m.log, to), unclean, s.cp, cp
		if err := s.marks.write(&back, true); err != nil {
			return nil, err
		}
		m = &back
	} else {
		m = nil
	}
	if cp == s.cp {
		return m, nil
	}
	if err := saveCheckpoint(s.fs, s.o.Dir, cp); err != nil {
		return nil, err
	}
	s.cp = cp
	return m, nil
}

func (s *Store) loadCut() (at record.Offset, ok bool, err error) {
	b, err := vfs.ReadFile(s.fs, s.cutPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("read where the log is to be cut: %w", err)
	case len(b) < cutLen, string(b[:8]) != cutMagic, crc32.ChecksumIEEE(b[:16]) != binary.BigEndian.Uint32(b[16:]):
		return 0, false, nil // not finished, so nothing was erased
	}
	return record.Offset(binary.BigEndian.Uint64(b[8:])), true, nil
}

func (s *Store) saveCut(at record.Offset) error {
	b := binary.BigEndian.AppendUint64([]byte(cutMagic), uint64(at))
	if err := vfs.WriteFileAtomic(s.fs, s.cutPath(), binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b)), false); err != nil {
		return fmt.Errorf("note where the log is to be cut: %w", err)
	}
	return nil
}

// Cut returns where the log was cut when the store was opened, with the store time near that place (ms, 0 when unknown). ok = false:
// nowhere. Whoever keeps indexes of queues or offsets of the log must give up what is behind the ends, then call CutDone.
func (s *Store) Cut() (at record.Offset, ms int64, ok bool) { return s.cutAt, s.cutTime, s.cutAt >= 0 }

// CutDone says that nothing refers to what was cut any more. It must be called before anything is appended.
func (s *Store) CutDone() error {
	if s.cutAt < 0 || s.cutDone.Swap(true) {
		return nil
	}
	if err := s.fs.Remove(s.cutPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("finish the cut: %w", err)
	}
	if err := s.fs.SyncDir(filepath.Dir(s.cutPath())); err != nil {
		return fmt.Errorf("sync directory %s: %w", filepath.Dir(s.cutPath()), err)
	}
	return nil
}
