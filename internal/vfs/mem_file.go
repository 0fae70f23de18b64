package vfs

import (
	"io"
	"io/fs"
	"maps"
	"slices"
	"syscall"
	"time"
)

const (
	pageSize   = 4096
	sectorSize = 512
)

// inode is a file or directory, with its current and its durable state. All fields are guarded by Mem.mu.
//
// A page that is in both maps is one slice, shared and never written to; a page in dirty belongs to the current state
// alone (nil there = dropped by a truncation).
type inode struct {
	dir   bool
	mtime time.Time
	links int // names in the current tree
	open  int // handles

	names    map[string]*inode // dir
	durNames map[string]*inode

	pages     map[int64][]byte // file: current contents, without holes
	dur       map[int64][]byte
	dirty     map[int64]bool
	size      int64
	durSize   int64
	allocated int64 // pages reserved from the start of the file
	uncharged bool  // its pages are no longer counted in Mem.used
}

func newDir(now time.Time) *inode {
	return &inode{dir: true, mtime: now, names: map[string]*inode{}, durNames: map[string]*inode{}}
}

func newFile(now time.Time) *inode {
	return &inode{mtime: now, pages: map[int64][]byte{}, dur: map[int64][]byte{}, dirty: map[int64]bool{}}
}

func (n *inode) sortedNames() []string { return slices.Sorted(maps.Keys(n.names)) }

// charged counts the pages that the file occupies.
func (n *inode) charged() int64 {
	total := n.allocated
	for p := range n.pages {
		if p >= n.allocated {
			total++
		}
	}
	return total
}

func (n *inode) sync() {
	for p := range n.dirty {
		if b, ok := n.pages[p]; ok {
			n.dur[p] = b
		} else {
			delete(n.dur, p)
		}
	}
	clear(n.dirty)
	n.durSize = n.size
}

// syncAll makes a whole tree durable.
func (n *inode) syncAll() {
	if !n.dir {
		n.sync()
		return
	}
	for _, c := range n.names {
		c.syncAll()
	}
}

func (n *inode) info(name string) fs.FileInfo {
	return memInfo{name: name, size: n.size, mtime: n.mtime, dir: n.dir}
}

// truncateLocked sets the size and drops what is beyond.
func (m *Mem) truncateLocked(n *inode, size int64) {
	if size < n.size {
		before := n.charged()
		first := (size + pageSize - 1) / pageSize
		for p := range n.pages {
			if p >= first {
				delete(n.pages, p)
				n.dirty[p] = true
			}
		}
		n.allocated = min(n.allocated, first)
		if in := size % pageSize; in != 0 {
			if _, ok := n.pages[size/pageSize]; ok {
				clear(n.writable(size / pageSize)[in:])
			}
		}
		if !n.uncharged {
			m.used += n.charged() - before
		}
	}
	n.size = size
	n.mtime = m.now()
}

// writable returns page p of the current state for writing.
func (n *inode) writable(p int64) []byte {
	b, ok := n.pages[p]
	if ok && n.dirty[p] {
		return b
	}
	nb := make([]byte, pageSize)
	copy(nb, b)
	n.pages[p] = nb
	n.dirty[p] = true
	return nb
}

// memFile is a handle.
type memFile struct {
	m      *Mem
	n      *inode
	name   string
	closed bool // guarded by m.mu
}

func (f *memFile) Name() string { return f.name }

// enter locks the file system; the caller unlocks when the error is nil.
func (f *memFile) enter(op string) error {
	f.m.mu.Lock()
	if f.closed {
		f.m.mu.Unlock()
		return pathErr(op, f.name, fs.ErrClosed)
	}
	return nil
}

func (f *memFile) Close() error {
	if err := f.enter("close"); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	f.closed = true
	if f.n.open--; f.n.open == 0 && f.n.links == 0 && !f.n.uncharged {
		f.m.used -= f.n.charged()
		f.n.uncharged = true
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.enter("read"); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	if off < 0 {
		return 0, pathErr("read", f.name, syscall.EINVAL)
	}
	if len(p) == 0 {
		return 0, nil
	}
	want := len(p)
	if left := f.n.size - off; int64(want) > left {
		p = p[:max(0, left)]
	}
	for done := 0; done < len(p); {
		pos := off + int64(done)
		page, in := f.n.pages[pos/pageSize], int(pos%pageSize)
		n := min(pageSize-in, len(p)-done)
		if page == nil {
			clear(p[done : done+n])
		} else {
			copy(p[done:done+n], page[in:])
		}
		done += n
	}
	if len(p) < want {
		return len(p), io.EOF
	}
	return want, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.enter("write"); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	if off < 0 {
		return 0, pathErr("write", f.name, syscall.EINVAL)
	}
	return f.writeLocked(p, off)
}

func (f *memFile) Writev(bufs [][]byte, off int64) (int, error) {
	if err := f.enter("write"); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	total := 0
	for _, b := range bufs {
		n, err := f.writeLocked(b, off+int64(total))
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (f *memFile) writeLocked(p []byte, off int64) (int, error) {
	n, done := f.n, 0
	for done < len(p) {
		pos := off + int64(done)
		pg, in := pos/pageSize, int(pos%pageSize)
		if _, have := n.pages[pg]; !have && pg >= n.allocated {
			if (f.m.used+1)*pageSize > f.m.capacity {
				break
			}
			f.m.used++
		}
		done += copy(n.writable(pg)[in:], p[done:])
	}
	if done > 0 {
		n.size = max(n.size, off+int64(done))
		n.mtime = f.m.now()
	}
	if done < len(p) {
		return done, pathErr("write", f.name, syscall.ENOSPC)
	}
	return done, nil
}

func (f *memFile) Size() (int64, error) {
	if err := f.enter("stat"); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	return f.n.size, nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.enter("truncate"); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	if size < 0 {
		return pathErr("truncate", f.name, syscall.EINVAL)
	}
	f.m.truncateLocked(f.n, size)
	return nil
}

func (f *memFile) Allocate(size int64) error {
	if err := f.enter("fallocate"); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	n := f.n
	want := (size + pageSize - 1) / pageSize
	if want > n.allocated {
		more := want - n.allocated
		for p := range n.pages {
			if p >= n.allocated && p < want {
				more--
			}
		}
		if (f.m.used+more)*pageSize > f.m.capacity {
			return pathErr("fallocate", f.name, syscall.ENOSPC)
		}
		f.m.used += more
		n.allocated = want
	}
	n.size = max(n.size, size)
	return nil
}

// Datasync makes the contents durable. The name is not: that takes SyncDir.
func (f *memFile) Datasync() error { return f.Sync() }

func (f *memFile) Sync() error {
	if err := f.enter("sync"); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	f.n.sync()
	return nil
}

func (f *memFile) NextData(off int64) (int64, error) {
	if err := f.enter("seek"); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	next := f.n.size
	for p := range f.n.pages {
		if end := (p + 1) * pageSize; end > off {
			next = min(next, max(off, p*pageSize))
		}
	}
	return next, nil
}

// memInfo is a file's description.
type memInfo struct {
	name  string
	size  int64
	mtime time.Time
	dir   bool
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) ModTime() time.Time { return i.mtime }
func (i memInfo) IsDir() bool        { return i.dir }
func (i memInfo) Sys() any           { return nil }

func (i memInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
