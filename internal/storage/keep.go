package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// thoroughBytes is how much log may be dispatched before queues and index are synced ahead of time.
const thoroughBytes = 1 << 30

// With more waiting queues than manyQueues each round writes as many files, often new ones. Rounds are then put off: what a
// restart has to dispatch again grows to lightBytes, what it has to after a power cut to spreadBytes.
const (
	manyQueues  = 4096
	lightBytes  = 2 << 30
	lightTicks  = 20
	spreadBytes = 8 << 30
	spreadTicks = 60
)

// trimAfter is after how many quiet ticks the memory of the block cache is given back.
const trimAfter = 60

// runKeep writes queues, index and marks until ctx ends.
func (s *Store) runKeep(ctx context.Context) error {
	tick := time.NewTicker(s.o.MarkInterval)
	defer tick.Stop()
	every := max(int(s.o.ThoroughInterval/s.o.MarkInterval), 1)
	since := s.position().upTo
	lit := since
	var rest time.Time // no light mark before
	var quiet int      // ticks without a new message
	var seen record.Offset
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if quiet++; s.log.Appended() != seen {
				quiet, seen = 0, s.log.Appended()
			}
			if quiet == trimAfter {
				if err := s.log.Trim(); err != nil {
					s.keepFailed(err)
				}
			}
		case <-s.keep:
			n--
		}
		if s.log.Failed() != nil {
			continue
		}
		var err error
		ran := false
		at, due, far := s.position().upTo, every, record.Offset(thoroughBytes)
		many := s.cqs.Waiting() > manyQueues
		if many {
			due, far = max(every, spreadTicks), spreadBytes
		}
		if n >= due || at-since >= far {
			n, since, lit, ran = 0, at, at, true
			err = s.thorough()
		} else if began := time.Now(); !began.Before(rest) && (!many || n%lightTicks == 0 || at-lit >= lightBytes) {
			lit, ran = at, true
			err = s.light()
			// With tens of thousands of queues a round is many small writes: spend a sixth of the time on it at most.
			rest = began.Add(6 * time.Since(began))
		}
		if err != nil {
			s.keepFailed(err)
		} else if ran {
			s.crowd.set(s, crowdKeep, nil)
		}
	}
}

func (s *Store) keepFailed(err error) {
	if vfs.IsNoSpace(err) {
		s.crowd.set(s, crowdKeep, err) // until a later round succeeds
		return
	}
	s.log.Fail(err)
}

// light writes what waits in memory and a mark, and syncs nothing.
func (s *Store) light() error {
	s.keeping <- struct{}{}
	defer func() { <-s.keeping }()
	at := s.position()
	if at.upTo == s.marked {
		return nil
	}
	if err := s.dropStale(); err != nil {
		return err
	}
	if err := s.cqs.Flush(false); err != nil {
		return fmt.Errorf("write queues: %w", err)
	}
	if s.keys != nil {
		s.keys.Advance(at.upTo)
		if err := s.keys.Flush(false); err != nil {
			return fmt.Errorf("write key index: %w", err)
		}
	}
	m := mark{queues: at.upTo, log: s.log.Flushed(), last: at.last, before: s.cp, with: s.cp}
	if err := s.marks.write(&m, false); err != nil {
		return err
	}
	s.marked = at.upTo
	return nil
}

// thorough makes the log, queues and index durable as far as they have been dispatched and writes a mark that outlives a
// power cut, and Java's checkpoint.
func (s *Store) thorough() error {
	s.keeping <- struct{}{}
	defer func() { <-s.keeping }()
	at := s.position()
	if int64(at.upTo) == s.thoroughs.Load() {
		return nil
	}
	if err := s.dropStale(); err != nil {
		return err
	}
	// The log first: a queue unit without its record would be worse than the reverse.
	if err := s.log.FlushTo(at.upTo); err != nil {
		return err
	}
	if err := s.cqs.Flush(true); err != nil {
		return fmt.Errorf("sync queues: %w", err)
	}
	indexed := int64(0)
	if s.keys != nil {
		s.keys.Advance(at.upTo)
		if err := s.keys.Flush(true); err != nil {
			return fmt.Errorf("sync key index: %w", err)
		}
		indexed = at.ms
	}
	cp := s.cp
	cp.reach(s.log.FlushedTime(), at.ms, indexed, at.last)
	m := mark{queues: at.upTo, log: s.log.Flushed(), last: at.last, before: s.cp, with: cp}
	if err := s.marks.write(&m, true); err != nil {
		return err
	}
	if err := saveCheckpoint(s.fs, s.o.Dir, cp); err != nil {
		return err
	}
	s.cp, s.marked = cp, at.upTo
	s.thoroughs.Store(int64(at.upTo))
	return nil
}

// dropStale makes sure that no queue file holds units from behind the end that recovery found, before a mark says that
// the queues are right.
func (s *Store) dropStale() error {
	if !s.stale {
		return nil
	}
	if err := s.cqs.OpenAll(); err != nil {
		return fmt.Errorf("open queues: %w", err)
	}
	s.stale = false
	return nil
}
