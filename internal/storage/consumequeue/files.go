package consumequeue

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/cometmq/cometmq/internal/vfs"
)

// fileKey names a file: base is the logical byte position of its first unit.
type fileKey struct {
	q    *Queue
	base int64
}

// handle is an open file in the cache. It is closed when it left the cache and nobody uses it.
type handle struct {
	key        fileKey
	file       vfs.File
	refs       int
	gone       bool // no longer in the cache
	prev, next *handle
}

// handles is the cache of open files, least recently used first out.
type handles struct {
	mu    sync.Mutex // guards all below
	max   int
	byKey map[fileKey]*handle
	root  handle // ring: root.next is the most recently used
}

func (c *handles) init(n int) {
	c.max = n
	c.byKey = map[fileKey]*handle{}
	c.root.prev, c.root.next = &c.root, &c.root
}

func (c *handles) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byKey)
}

func (h *handle) unlink() { h.prev.next, h.next.prev = h.next, h.prev }

func (c *handles) pushFrontLocked(h *handle) {
	h.prev, h.next = &c.root, c.root.next
	h.prev.next, h.next.prev = h, h
}

// get returns the open file of key, which the caller releases, or nil.
func (c *handles) get(key fileKey) *handle {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.byKey[key]
	if h == nil {
		return nil
	}
	h.refs++
	if c.root.next != h {
		h.unlink()
		c.pushFrontLocked(h)
	}
	return h
}

// add puts f into the cache. What it returns second is to be closed: an old file, or f when key had one already.
func (c *handles) add(key fileKey, f vfs.File) (*handle, vfs.File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.byKey[key]; h != nil {
		h.refs++
		return h, f
	}
	h := &handle{key: key, file: f, refs: 1}
	c.byKey[key] = h
	c.pushFrontLocked(h)
	if len(c.byKey) <= c.max {
		return h, nil
	}
	for old := c.root.prev; old != h; old = old.prev {
		if old.refs == 0 {
			c.removeLocked(old)
			return h, old.file
		}
	}
	return h, nil
}

func (c *handles) removeLocked(h *handle) {
	h.unlink()
	h.gone = true
	delete(c.byKey, h.key)
}

// release ends a use. The file it returns, if any, is to be closed.
func (c *handles) release(h *handle) vfs.File {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.refs--
	if h.refs > 0 {
		return nil
	}
	if !h.gone && len(c.byKey) > c.max {
		c.removeLocked(h) // all others were in use when it came
	}
	if h.gone {
		return h.file
	}
	return nil
}

// drop takes a file out of the cache. The file it returns, if any, is to be closed.
func (c *handles) drop(key fileKey) vfs.File {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.byKey[key]
	if h == nil {
		return nil
	}
	c.removeLocked(h)
	if h.refs == 0 {
		return h.file
	}
	return nil
}

func (c *handles) dropTopic(t *topic) []vfs.File {
	return c.dropIf(func(k fileKey) bool { return k.q.topic == t })
}

func (c *handles) dropAll() []vfs.File { return c.dropIf(func(fileKey) bool { return true }) }

func (c *handles) dropIf(match func(fileKey) bool) []vfs.File {
	c.mu.Lock()
	defer c.mu.Unlock()
	var idle []vfs.File
	for key, h := range c.byKey {
		if match(key) {
			c.removeLocked(h)
			if h.refs == 0 {
				idle = append(idle, h.file)
			}
		}
	}
	return idle
}

func (k *kind) queueDir(name string, id int32) string {
	return filepath.Join(k.dir, name, strconv.Itoa(int(id)))
}

func (s *Set) path(q *Queue, base int64) string {
	return filepath.Join(q.kind.queueDir(q.topic.name, q.id), fileName(base))
}

// fileName is FILE20: 20 decimal digits.
func fileName(base int64) string {
	var b [20]byte
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + base%10)
		base /= 10
	}
	return string(b[:])
}

func parseFileName(name string) (int64, bool) {
	if len(name) != 20 {
		return 0, false
	}
	for i := range len(name) {
		if name[i] < '0' || name[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(name, 10, 64)
	return n, err == nil
}

// use returns the open file that begins at base. With create it is made when it is not there.
func (s *Set) use(q *Queue, base int64, create bool) (*handle, error) {
	key := fileKey{q, base}
	if h := s.files.get(key); h != nil {
		return h, nil
	}
	f, err := s.fs.Open(s.path(q, base))
	if create && errors.Is(err, fs.ErrNotExist) {
		f, err = s.create(q, base)
	}
	if err != nil {
		return nil, fmt.Errorf("open queue file %s: %w", s.path(q, base), err)
	}
	if q.deleted.Load() {
		// The file may belong to a new topic of the same name.
		s.closeFile(f)
		return nil, ErrDeleted
	}
	h, old := s.files.add(key, f)
	if old != nil {
		s.closeFile(old)
	}
	return h, nil
}

func (s *Set) release(h *handle) {
	if f := s.files.release(h); f != nil {
		s.closeFile(f)
	}
}

// create makes a file at its full length. The dispatcher and the flusher may both come here for the same file.
func (s *Set) create(q *Queue, base int64) (vfs.File, error) {
	s.createMu.Lock()
	defer s.createMu.Unlock()
	if q.deleted.Load() {
		return nil, ErrDeleted
	}
	name := s.path(q, base)
	f, err := s.fs.Open(name)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	f, err = s.fs.Create(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.fs.MkdirAll(filepath.Dir(name)); err == nil {
			f, err = s.fs.Create(name)
		}
	}
	if err != nil {
		return nil, err
	}
	if err = f.Truncate(q.kind.fileSize); err != nil {
		s.closeFile(f)
		return nil, errors.Join(err, s.fs.Remove(name))
	}
	s.noteWrite(q, base, true)
	q.noteFile(base)
	return f, nil
}
