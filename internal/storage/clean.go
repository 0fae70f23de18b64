package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// deleteBatch is how many log files one round of cleaning deletes (deleteFileBatchMax).
const deleteBatch = 10

// parseHours reads Java's deleteWhen: hours of the day, separated by ";".
func parseHours(text string) ([]int, error) {
	var hours []int
	for part := range strings.SplitSeq(text, ";") {
		h, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || h < 0 || h > 23 {
			return nil, fmt.Errorf("%q is not an hour from 00 to 23", part)
		}
		hours = append(hours, h)
	}
	return hours, nil
}

// runClean deletes old log files and watches the disk until ctx ends.
func (s *Store) runClean(ctx context.Context) error {
	tick := time.NewTicker(s.o.CleanInterval)
	defer tick.Stop()
	for due := false; ; {
		if err := s.cleanIf(s.o.Now(), due); err != nil {
			s.o.Log.Warn("cleaning", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			due = false
		case due = <-s.cleanNow:
		}
	}
}

// CleanSoon has a round of cleaning done now. With old, log files that are old enough go whatever the hour is (Java
// executeDeleteFilesManually). It does not wait; while a round is asked for already it does nothing.
func (s *Store) CleanSoon(old bool) {
	select {
	case s.cleanNow <- old:
	default:
	}
}

// used returns how full the disk of path is in percent, as Java counts: root's reserve is neither used nor usable.
func used(fsys vfs.FS, path string) (int, error) {
	u, err := fsys.Usage(path)
	if err != nil {
		return 0, fmt.Errorf("space of %s: %w", path, err)
	}
	taken := u.Total - u.Free
	if all := taken + u.Avail; all > 0 {
		return int((taken*100 + all - 1) / all), nil
	}
	return 0, nil
}

// clean does one round. It may be called from one goroutine at a time.
func (s *Store) clean(now time.Time) error { return s.cleanIf(now, false) }

// cleanIf is clean; due says that it is time to delete what is old enough.
func (s *Store) cleanIf(now time.Time, due bool) error {
	full, err := s.used()
	if err != nil {
		return err
	}
	force := !s.tuned.Load().KeepForced && full > s.tuned.Load().ForceClean
	hour, err := s.CleanHour(now)
	if err != nil {
		return err
	}
	due = due || hour || full > s.tuned.Load().DiskMaxUsed
	var failed error
	if due || force {
		failed = s.deleteOld(now, force)
		if left, err := s.used(); err == nil {
			full = left
		}
	}
	s.crowded(full)
	return errors.Join(failed, s.cleanQueues())
}

// CleanHour reports whether a time is in one of the hours in which old things are deleted (deleteWhen).
func (s *Store) CleanHour(now time.Time) (bool, error) {
	hours, err := parseHours(s.tuned.Load().DeleteWhen)
	return slices.Contains(hours, now.Hour()), err
}

// used is the percentage of the fuller one of the disks of log and queues.
func (s *Store) used() (int, error) {
	full, err := used(s.fs, s.o.CommitLogDir)
	if err != nil {
		return 0, err
	}
	if q, qerr := used(s.fs, s.o.Dir); qerr == nil {
		full = max(full, q)
	}
	return full, nil
}

// crowded refuses messages when the disk is nearly full and takes them again when it is not.
func (s *Store) crowded(full int) {
	var why error
	if full > s.tuned.Load().Warning {
		why = fmt.Errorf("%d %% of the disk of %s is used, diskSpaceWarningLevelRatio = %d", full, s.o.Dir, s.tuned.Load().Warning)
	}
	s.crowd.set(s, crowdRatio, why)
}

// deleteOld deletes log files that are old enough, or any when the disk is short, the oldest first, never the last.
func (s *Store) deleteOld(now time.Time, force bool) error {
	for range deleteBatch {
		files := s.log.Files()
		if len(files) < 2 || files[0].End() > s.dispatched.Load() {
			return nil
		}
		if !force {
			mtime, err := s.log.ModTime(files[0])
			if err != nil {
				return err
			}
			if mtime.Add(s.tuned.Load().ReservedTime).After(now) {
				return nil
			}
		}
		if files[0].End() > s.thoroughs.Load() {
			// Queues know their indexes from their units. Those of the file must be on disk before it goes: a power cut
			// would take them, nothing could bring them back, and their indexes would be given to other messages.
			if err := s.thorough(); err != nil {
				return fmt.Errorf("before deleting %s: %w", files[0].Path(), err)
			}
			if files[0].End() > s.thoroughs.Load() {
				return nil
			}
		}
		if len(s.compactor.all()) > 0 {
			// The copy may have no room. Then what was copied earlier may go, nothing else.
			if err := s.copyCompacted(true); err != nil && !s.copiedTo(record.Offset(files[0].End())) {
				return fmt.Errorf("before deleting %s: %w", files[0].Path(), err)
			}
		}
		f, err := s.log.DeleteFirst()
		if errors.Is(err, ErrGone) {
			return nil
		}
		if err != nil {
			return err
		}
		s.o.Log.Info("old log file deleted", "file", f.Path(), "forced", force)
		if force { // no more than the disk needs
			if full, err := s.used(); err != nil || full <= s.tuned.Load().ForceClean {
				return err
			}
		}
	}
	return nil
}

// cleanQueues follows the begin of the log with queues and index.
func (s *Store) cleanQueues() error {
	begin := s.log.Min()
	if begin == s.cleaned {
		return nil
	}
	s.cqs.SetLogMin(begin)
	if _, err := s.cqs.Clean(begin); err != nil {
		return fmt.Errorf("clean queues: %w", err)
	}
	if s.keys != nil {
		if _, err := s.keys.Clean(begin); err != nil {
			return fmt.Errorf("clean key index: %w", err)
		}
	}
	s.cleaned = begin
	return nil
}
