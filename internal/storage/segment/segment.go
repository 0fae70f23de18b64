package segment

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/vfs"
)

// BlockSize is the size of a cache block unless the files are smaller.
const BlockSize = 256 << 10

// ErrGone says that the position belongs to a file that has been deleted or does not exist yet.
var ErrGone = errors.New("no segment holds this position")

// Options configures a Set.
type Options struct {
	Size       int64  // bytes of a file
	Key        string // the operator's name for Size, for errors
	CacheBytes int64
	Log        *slog.Logger
}

// Set is the files of one sequence. One appender changes its end, one cleaner removes from its front, any number of
// readers look at it; Grow, RemoveFirst and RemoveFrom lock each other out.
type Set struct {
	fs    vfs.FS
	dir   string
	o     Options
	cache *cache
	files atomic.Pointer[[]*File] // by position; replaced, never changed

	mu sync.Mutex // held while files changes
}

// Open loads the files of dir, which is made when it is missing.
func Open(fsys vfs.FS, dir string, o Options) (*Set, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Set{fs: fsys, dir: dir, o: o, cache: newCache(int(min(BlockSize, o.Size)), o.CacheBytes)}
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	files, err := s.load()
	if err == nil {
		// A process that was killed may have made the last file and not its name durable.
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		for _, f := range files {
			err = errors.Join(err, f.release())
		}
		return nil, err
	}
	s.files.Store(&files)
	return s, nil
}

func (s *Set) load() (files []*File, err error) {
	list, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", s.dir, err)
	}
	names := make([]string, 0, len(list))
	for _, e := range list {
		if e.IsDir() {
			continue
		}
		if _, ok := parseName(e.Name()); !ok {
			s.o.Log.Warn("file in the log directory ignored", "file", filepath.Join(s.dir, e.Name()))
			continue
		}
		names = append(names, e.Name())
	}
	slices.SortFunc(names, strings.Compare)
	for i, name := range names {
		f, err := s.loadFile(name, i == len(names)-1)
		if err != nil {
			return files, err
		}
		if f == nil {
			continue
		}
		files = append(files, f)
		if n := len(files); n > 1 && files[n-2].End() != f.base {
			return files, fmt.Errorf("%s: the file before it is missing (%s): restore it, or move the files from here on away",
				f.path, Name(files[n-2].End()))
		}
	}
	return files, nil
}

// loadFile opens one file; nil without an error: it was an unfinished one at the end and has been removed.
func (s *Set) loadFile(name string, last bool) (*File, error) {
	path := filepath.Join(s.dir, name)
	base, _ := parseName(name)
	f, err := s.fs.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("size of %s: %w", path, err), f.Close())
	}
	switch {
	case size == s.o.Size && base%s.o.Size != 0:
		return nil, errors.Join(fmt.Errorf("%s: its name is not a multiple of %s = %d", path, s.o.Key, s.o.Size), f.Close())
	case size == s.o.Size:
		return newFile(s.dir, base, size, f), nil
	case last && s.unused(f, size):
		// A crash between creation and preallocation; Java leaves such files too.
		s.o.Log.Warn("unfinished segment without data removed", "file", path, "size", size)
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("close %s: %w", path, err)
		}
		if err := s.fs.Remove(path); err != nil {
			return nil, fmt.Errorf("remove unfinished segment: %w", err)
		}
		return nil, nil
	}
	return nil, errors.Join(fmt.Errorf("%s is %d bytes long but %s = %d: a store keeps the size it was made with, set %s = %d",
		path, size, s.o.Key, s.o.Size, s.o.Key, size), f.Close())
}

// unused reports whether a file of the wrong length holds nothing but zeros.
func (s *Set) unused(f vfs.File, size int64) bool {
	if size == 0 {
		return true
	}
	at, err := nextNonZero(f, 0, size)
	return err == nil && at >= size
}

// Dir returns the directory of the set.
func (s *Set) Dir() string { return s.dir }

// FileSize returns the size of each file.
func (s *Set) FileSize() int64 { return s.o.Size }

// BatchBlocks is how many blocks the appender may fill before it must write them.
func (s *Set) BatchBlocks() int { return min(s.cache.hotMax/2, 8) }

// Files returns the files, oldest first. The slice must not be changed.
func (s *Set) Files() []*File { return *s.files.Load() }

// Min returns the first position, 0 for an empty set.
func (s *Set) Min() int64 {
	if fl := s.Files(); len(fl) > 0 {
		return fl[0].base
	}
	return 0
}

// End returns the position after the last file, 0 for an empty set.
func (s *Set) End() int64 {
	if fl := s.Files(); len(fl) > 0 {
		return fl[len(fl)-1].End()
	}
	return 0
}

// Find returns the file that holds off, nil when there is none.
func (s *Set) Find(off int64) *File {
	fl := s.Files()
	if len(fl) == 0 || off < fl[0].base {
		return nil
	}
	if i := (off - fl[0].base) / s.o.Size; i < int64(len(fl)) {
		return fl[i]
	}
	return nil
}

// blockRange returns the borders of the block that holds off.
func (s *Set) blockRange(off int64) (base int64, n int) {
	file := off - off%s.o.Size
	base = file + (off-file)/int64(s.cache.size)*int64(s.cache.size)
	return base, int(min(int64(s.cache.size), file+s.o.Size-base))
}

// block returns the block that holds off, pinned and filled.
func (s *Set) block(off int64) (*Block, error) {
	base, n := s.blockRange(off)
	b, fresh := s.cache.get(base, n)
	switch {
	case fresh:
		b.err = s.fill(b)
		b.loaded.Store(true)
		b.load.Unlock()
	case !b.loaded.Load():
		if err := b.wait(); err != nil {
			s.cache.release(b)
			return nil, err
		}
	}
	if err := b.err; err != nil {
		s.cache.forget(b)
		s.cache.release(b)
		return nil, err
	}
	return b, nil
}

func (s *Set) fill(b *Block) error {
	f := s.Find(b.base)
	if f == nil || !f.acquire() {
		return ErrGone
	}
	n, err := f.f.ReadAt(b.data, b.base-f.base)
	clear(b.data[n:])
	if cerr := f.release(); err == nil {
		err = cerr
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s at %d: %w", f.path, b.base-f.base, err)
	}
	return nil
}

// ReadSmall reads len(p) bytes at off, from memory if they are there, else from the file without filling the cache: for
// single probes.
func (s *Set) ReadSmall(p []byte, off int64) error {
	base, _ := s.blockRange(off)
	if b := s.cache.find(base); b != nil {
		ok := b.loaded.Load() && b.err == nil && off+int64(len(p)) <= b.End()
		if ok {
			copy(p, b.data[off-base:])
		}
		s.cache.release(b)
		if ok {
			return nil
		}
	}
	return s.readFile(p, off)
}

func (s *Set) readFile(p []byte, off int64) error {
	f := s.Find(off)
	if f == nil || off+int64(len(p)) > f.End() || !f.acquire() {
		return ErrGone
	}
	_, err := f.f.ReadAt(p, off-f.base)
	if cerr := f.release(); err == nil {
		err = cerr
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s at %d: %w", f.path, off-f.base, err)
	}
	return nil
}

// Tail returns the hot block that holds off, pinned, for the appender. What is before off in it is there.
func (s *Set) Tail(off int64) (*Block, error) {
	base, n := s.blockRange(off)
	if off > base {
		// Fill it first: the bytes before off are in the file.
		b, err := s.block(off)
		if err != nil {
			return nil, err
		}
		defer s.cache.release(b)
	}
	return s.cache.addHot(base, n), nil
}

// Unpin gives back a block of Tail.
func (s *Set) Unpin(b *Block) { s.cache.release(b) }

// Write writes bufs at off. They must not cross the end of the file.
func (s *Set) Write(bufs [][]byte, off int64) error {
	f := s.Find(off)
	if f == nil {
		return ErrGone
	}
	var err error
	if len(bufs) == 1 {
		_, err = f.f.WriteAt(bufs[0], off-f.base)
	} else {
		_, err = f.f.Writev(bufs, off-f.base)
	}
	if err != nil {
		return fmt.Errorf("write %s at %d: %w", f.path, off-f.base, err)
	}
	return nil
}

// Sync makes what was written in [from, to) durable.
func (s *Set) Sync(from, to int64) error {
	for _, f := range s.Files() {
		if f.End() <= from || f.base >= to || !f.acquire() {
			continue
		}
		err := f.f.Datasync()
		if cerr := f.release(); err == nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("sync %s: %w", f.path, err)
		}
	}
	return nil
}

// ModTime returns when f was last written.
func (s *Set) ModTime(f *File) (time.Time, error) {
	st, err := s.fs.Stat(f.path)
	if err != nil {
		return time.Time{}, fmt.Errorf("stat segment: %w", err)
	}
	return st.ModTime(), nil
}

// Trim gives the memory of the cache back, but for the newest block. Everything must have been written.
func (s *Set) Trim() { s.cache.trim() }

// Close closes all files and removes those that start at end or later, which were made in advance.
func (s *Set) Close(end int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if len(s.Files()) > 1 {
		err = s.removeFromLocked(max(end, s.Min()+1))
	}
	if s.fs.Remove(filepath.Join(s.dir, workDir)) != nil {
		s.o.Log.Debug("work folder kept", "dir", s.dir) // there is none or it has something in it
	}
	for _, f := range s.Files() {
		if cerr := f.release(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("close %s: %w", f.path, cerr))
		}
	}
	s.files.Store(&[]*File{})
	s.cache.trim()
	return err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
