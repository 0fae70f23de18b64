package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/cometmq/cometmq/internal/vfs"
)

// workDir is the sub-folder for files in the making. Java skips folders when it loads a log; the dot sorts it before
// the digits, so that Java still recognises the last file.
const workDir = ".cometmq"

// Grow adds a preallocated file at the end and makes its name durable. base is used for the first file only. Behind a
// crash there is a prefix of the files that were made, each of full length.
func (s *Set) Grow(base int64) (*File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fl := s.Files()
	if len(fl) > 0 {
		base = fl[len(fl)-1].End()
	}
	work := filepath.Join(s.dir, workDir)
	if err := s.fs.MkdirAll(work); err != nil {
		return nil, fmt.Errorf("make %s: %w", work, err)
	}
	tmp := filepath.Join(work, "next")
	h, err := s.fs.Create(tmp)
	if err != nil {
		return nil, fmt.Errorf("make segment: %w", err)
	}
	f := newFile(s.dir, base, s.o.Size, h)
	if err := s.place(h, tmp, f.path); err != nil {
		return nil, errors.Join(err, h.Close(), ignoreMissing(s.fs.Remove(tmp)))
	}
	s.store(append(slices.Clip(fl), f))
	return f, nil
}

// place preallocates h and gives it its name.
func (s *Set) place(h vfs.File, tmp, path string) error {
	if err := h.Allocate(s.o.Size); err != nil {
		return fmt.Errorf("preallocate %d bytes for %s: %w", s.o.Size, path, err)
	}
	if err := h.Sync(); err != nil {
		return fmt.Errorf("sync new segment %s: %w", path, err)
	}
	if err := s.fs.Rename(tmp, path); err != nil {
		return fmt.Errorf("name new segment: %w", err)
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return errors.Join(fmt.Errorf("sync directory %s: %w", s.dir, err), s.fs.Remove(path))
	}
	return nil
}

func (s *Set) store(fl []*File) { s.files.Store(&fl) }

// RemoveFirst deletes the oldest file. The caller makes sure that it is not the last one. Readers that are in it finish;
// the space is free when the last of them did.
func (s *Set) RemoveFirst() (*File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fl := s.Files()
	if len(fl) == 0 {
		return nil, ErrGone
	}
	f := fl[0]
	// The one before must be gone for good: if a power cut brought it back alone, there would be a gap behind it.
	if err := s.fs.SyncDir(s.dir); err != nil {
		return nil, fmt.Errorf("sync directory %s: %w", s.dir, err)
	}
	if err := s.fs.Remove(f.path); err != nil {
		return nil, fmt.Errorf("delete segment: %w", err)
	}
	s.store(slices.Clone(fl[1:]))
	s.cache.dropRange(f.base, f.End())
	if err := f.release(); err != nil {
		return f, fmt.Errorf("close %s: %w", f.path, err)
	}
	return f, nil
}

// RemoveFrom deletes all files that start at off or later. For recovery: nothing else may use the set.
func (s *Set) RemoveFrom(off int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.removeFromLocked(off)
}

func (s *Set) removeFromLocked(off int64) error {
	fl := s.Files()
	for len(fl) > 0 && fl[len(fl)-1].base >= off {
		f := fl[len(fl)-1]
		if err := s.fs.Remove(f.path); err != nil {
			return fmt.Errorf("delete segment: %w", err)
		}
		// One by one: a power cut must not bring back a file without those before it.
		if err := s.fs.SyncDir(s.dir); err != nil {
			return fmt.Errorf("sync directory %s: %w", s.dir, err)
		}
		fl = slices.Clone(fl[:len(fl)-1])
		s.store(fl)
		s.cache.dropRange(f.base, f.End())
		if err := f.release(); err != nil {
			return fmt.Errorf("close %s: %w", f.path, err)
		}
	}
	return nil
}

// chunk is how much the searches below read at once.
const chunk = 256 << 10

// NextData returns the first position at or after off that may hold something else than zeros, End when there is none.
func (s *Set) NextData(off int64) (int64, error) {
	for _, f := range s.Files() {
		if f.End() <= off {
			continue
		}
		at, err := nextNonZero(f.f, max(off-f.base, 0), f.size)
		if err != nil {
			return 0, fmt.Errorf("search %s: %w", f.path, err)
		}
		if at < f.size {
			return f.base + at, nil
		}
	}
	return s.End(), nil
}

// nextNonZero returns the position of the first byte at or after off that is not zero, size when there is none.
func nextNonZero(f vfs.File, off, size int64) (int64, error) {
	// Without this a search through 1 GiB of preallocated zeros reads all of it.
	if r, ok := f.(interface {
		Searching(off int64, on bool) error
	}); ok && r.Searching(off, true) == nil {
		defer func() { _ = r.Searching(off, false) }()
	}
	buf := make([]byte, 64<<10)
	for off < size {
		at, err := f.NextData(off)
		if err != nil {
			return 0, err
		}
		if at >= size {
			return size, nil
		}
		off = max(off, at)
		// Up to a border of pages: a page that is read in part would count as data for the next look.
		p := buf[:min(int64(len(buf))-off%int64(len(buf)), size-off)]
		n, err := f.ReadAt(p, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if n == 0 {
			return size, nil
		}
		if i := firstNonZero(p[:n]); i < n {
			return off + int64(i), nil
		}
		off += int64(n)
	}
	return size, nil
}

func firstNonZero(p []byte) int {
	i := 0
	for ; len(p)-i >= 8 && binary.NativeEndian.Uint64(p[i:]) == 0; i += 8 {
	}
	for ; i < len(p) && p[i] == 0; i++ {
	}
	return i
}

// Zero overwrites [from, to) with zeros where something else is. It must lie in one file.
func (s *Set) Zero(from, to int64) error {
	f := s.Find(from)
	if f == nil || to > f.End() {
		return ErrGone
	}
	buf := make([]byte, chunk)
	zero := make([]byte, chunk)
	for from < to {
		at, err := nextNonZero(f.f, from-f.base, to-f.base)
		if err != nil {
			return fmt.Errorf("search %s: %w", f.path, err)
		}
		if from = f.base + at; from >= to {
			break
		}
		p := buf[:min(int64(len(buf)), to-from)]
		if _, err := f.f.WriteAt(zero[:len(p)], from-f.base); err != nil {
			return fmt.Errorf("erase %s at %d: %w", f.path, from-f.base, err)
		}
		from += int64(len(p))
	}
	return nil
}

// Forget drops what the cache holds from the block of off on. For recovery.
func (s *Set) Forget(off int64) {
	base, _ := s.blockRange(off)
	s.cache.dropRange(base, 1<<62)
}
