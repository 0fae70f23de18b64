package consumequeue

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
)

// maxSyncedAlone is how many files are synced one by one; for more, one sync of the whole file system is cheaper.
const maxSyncedAlone = 64

// unsyncedFile is a file that was written since the last sync.
type unsyncedFile struct {
	key     fileKey
	created bool
}

// Flush writes all units that wait in memory to their files. With sync it also waits until everything that was
// appended before the call is on disk. After a sync that failed each later one fails too: the kernel may have dropped
// the pages, so nothing can be promised any more.
func (s *Set) Flush(sync bool) error {
	s.flushMu.Lock()
	defer s.flushMu.Unlock()
	if err := s.writeTails(); err != nil {
		return err
	}
	if sync {
		return s.syncFiles()
	}
	return nil
}

// Waiting returns how many queues have units in memory only.
func (s *Set) Waiting() int {
	s.activeMu.Lock()
	defer s.activeMu.Unlock()
	return len(s.active)
}

func (s *Set) writeTails() error {
	s.activeMu.Lock()
	list := s.active
	s.active, s.spare = s.spare, nil
	s.activeMu.Unlock()

	keep := list[:0]
	var failed error
	for _, q := range list {
		if failed != nil {
			keep = append(keep, q)
			continue
		}
		busy, err := q.writeOrDropTail()
		if busy {
			keep = append(keep, q)
		}
		failed = err
	}
	clear(list[len(keep):])
	if cap(keep) > 1024 && len(keep) < cap(keep)/8 {
		keep = slices.Clip(slices.Clone(keep))
	}

	s.activeMu.Lock()
	keep = append(keep, s.active...)
	clear(s.active)
	s.active, s.spare = keep, s.active[:0]
	s.activeMu.Unlock()
	return failed
}

// noteWrite remembers a file for the next sync. It is called before the write is published in the queue, so that a
// sync which sees the unit as written also syncs the file.
func (s *Set) noteWrite(q *Queue, base int64, created bool) {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	if s.overflow {
		return
	}
	for i := len(s.unsynced) - 1; i >= 0; i-- {
		if u := &s.unsynced[i]; u.key.q == q && u.key.base == base {
			u.created = u.created || created
			return
		}
	}
	if len(s.unsynced) == maxSyncedAlone {
		s.syncAllLocked()
		return
	}
	s.unsynced = append(s.unsynced, unsyncedFile{fileKey{q, base}, created})
}

// syncAll makes the next sync one of the whole file system.
func (s *Set) syncAll() {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	s.syncAllLocked()
}

func (s *Set) syncAllLocked() {
	s.overflow = true
	clear(s.unsynced)
	s.unsynced = s.unsynced[:0]
}

func (s *Set) syncFiles() error {
	s.syncMu.Lock()
	list, all, failed := s.unsynced, s.overflow, s.failed
	s.unsynced, s.overflow = nil, false
	s.syncMu.Unlock()
	if failed != nil {
		return failed
	}
	var err error
	if all {
		err = errors.Join(s.syncBelow(s.simple.dir), s.syncBelow(s.batch.dir))
	} else {
		err = s.syncEach(list)
	}
	if err != nil {
		s.syncMu.Lock()
		s.failed = err
		s.syncMu.Unlock()
	}
	return err
}

// syncBelow syncs the file system that dir is on.
func (s *Set) syncBelow(dir string) error {
	if err := s.fs.SyncFS(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sync file system of %s: %w", dir, err)
	}
	return nil // it is not there when nothing was ever written
}

func (s *Set) syncEach(list []unsyncedFile) error {
	var dirs []string
	for _, u := range list {
		h, err := s.use(u.key.q, u.key.base, false)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrDeleted) {
			continue
		}
		if err != nil {
			return err
		}
		err = h.file.Datasync()
		s.release(h)
		if err != nil {
			return fmt.Errorf("sync queue file %s: %w", s.path(u.key.q, u.key.base), err)
		}
		if u.created {
			k := u.key.q.kind
			dir := k.queueDir(u.key.q.topic.name, u.key.q.id)
			dirs = append(dirs, dir, filepath.Dir(dir), k.dir, filepath.Dir(k.dir))
		}
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		if err := s.fs.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sync directory %s: %w", dir, err)
		}
	}
	return nil
}
