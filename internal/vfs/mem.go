package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// MemOptions configure a Mem. The zero value works.
type MemOptions struct {
	// Capacity is the disk's size in bytes, 0 = 1 TiB. Beyond it writes and Allocate fail with ENOSPC.
	Capacity int64
	// Now gives modification times; nil = time.Now.
	Now func() time.Time
}

// Mem is a file system in memory that knows, besides what is there, what a power cut would leave (see CrashClone).
// Contents are kept as 4 KiB pages; holes and allocated but unwritten space cost no memory.
type Mem struct {
	now func() time.Time

	mu       sync.Mutex // guards everything below and the inodes
	capacity int64
	used     int64 // pages charged
	root     *inode
	// pending are the changes of names that no SyncDir has made durable yet, oldest first.
	pending []dirOp
	locks   map[string]bool
	bootID  string
	crashes int
}

// NewMem returns an empty file system.
func NewMem(o MemOptions) *Mem {
	if o.Capacity <= 0 {
		o.Capacity = 1 << 40
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	root := newDir(o.Now())
	return &Mem{now: o.Now, capacity: o.Capacity, root: root, locks: map[string]bool{}, bootID: memBootID(1)}
}

func memBootID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// SetCapacity changes the disk's size: a disk fills up, or space comes back.
func (m *Mem) SetCapacity(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = n
}

// dirOp is one atomic change of names.
type dirOp struct{ sets []dirSet }

// dirSet makes name in dir mean node, or nothing when node is nil.
type dirSet struct {
	dir  *inode
	name string
	node *inode
}

func (op dirOp) touches(dirs map[*inode]bool) bool {
	return slices.ContainsFunc(op.sets, func(s dirSet) bool { return dirs[s.dir] })
}

// apply does the change to the durable names.
func (op dirOp) apply() {
	for _, s := range op.sets {
		if s.node == nil {
			delete(s.dir.durNames, s.name)
		} else {
			s.dir.durNames[s.name] = s.node
		}
	}
}

// changeLocked does op to the current names and remembers that it is not durable.
func (m *Mem) changeLocked(sets ...dirSet) {
	now := m.now()
	for _, s := range sets {
		if old := s.dir.names[s.name]; old != nil && old != s.node {
			m.unlinkLocked(old)
		}
		if s.node == nil {
			delete(s.dir.names, s.name)
		} else {
			if s.dir.names[s.name] != s.node {
				s.node.links++
			}
			s.dir.names[s.name] = s.node
		}
		s.dir.mtime = now
	}
	m.pending = append(m.pending, dirOp{sets})
}

func (m *Mem) unlinkLocked(n *inode) {
	if n.links--; n.links == 0 && n.open == 0 && !n.dir {
		m.used -= n.charged()
		n.uncharged = true
	}
}

func clean(name string) []string {
	name = path.Clean("/" + strings.ReplaceAll(name, "\\", "/"))
	if name == "/" {
		return nil
	}
	return strings.Split(name[1:], "/")
}

func pathErr(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// findLocked returns the inode of a path, nil when there is none.
func (m *Mem) findLocked(parts []string) (*inode, error) {
	n := m.root
	for _, p := range parts {
		if !n.dir {
			return nil, syscall.ENOTDIR
		}
		if n = n.names[p]; n == nil {
			return nil, syscall.ENOENT
		}
	}
	return n, nil
}

// parentLocked returns the directory of a path and the last part of it.
func (m *Mem) parentLocked(name string) (*inode, string, error) {
	parts := clean(name)
	if len(parts) == 0 {
		return nil, "", syscall.EINVAL
	}
	dir, err := m.findLocked(parts[:len(parts)-1])
	if err != nil {
		return nil, "", err
	}
	if !dir.dir {
		return nil, "", syscall.ENOTDIR
	}
	return dir, parts[len(parts)-1], nil
}

// Open opens an existing file.
func (m *Mem) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked(clean(name))
	if err == nil && n.dir {
		err = syscall.EISDIR
	}
	if err == nil && m.locks[lockKey(name)] {
		err = &LockedError{Name: name}
	}
	if err != nil {
		return nil, pathErr("open", name, err)
	}
	n.open++
	return &memFile{m: m, n: n, name: name}, nil
}

// Create opens a file and makes it empty.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[lockKey(name)] {
		return nil, pathErr("create", name, &LockedError{Name: name})
	}
	return m.createLocked(name)
}

func (m *Mem) createLocked(name string) (File, error) {
	dir, base, err := m.parentLocked(name)
	if err != nil {
		return nil, pathErr("create", name, err)
	}
	n := dir.names[base]
	switch {
	case n == nil:
		n = newFile(m.now())
		m.changeLocked(dirSet{dir, base, n})
	case n.dir:
		return nil, pathErr("create", name, syscall.EISDIR)
	default:
		m.truncateLocked(n, 0)
	}
	n.open++
	return &memFile{m: m, n: n, name: name}, nil
}

// Rename moves a file or directory.
func (m *Mem) Rename(oldName, newName string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.renameLocked(oldName, newName); err != nil {
		return &os.LinkError{Op: "rename", Old: oldName, New: newName, Err: err}
	}
	return nil
}

func (m *Mem) renameLocked(oldName, newName string) error {
	from, a, err := m.parentLocked(oldName)
	if err != nil {
		return err
	}
	to, b, err := m.parentLocked(newName)
	if err != nil {
		return err
	}
	n, over := from.names[a], to.names[b]
	switch {
	case n == nil:
		return syscall.ENOENT
	case n == over: // the same file: nothing happens, as POSIX has it
		return nil
	case over != nil && over.dir && !n.dir:
		return syscall.EISDIR
	case over != nil && over.dir && len(over.names) > 0:
		return syscall.ENOTEMPTY
	case over != nil && !over.dir && n.dir:
		return syscall.ENOTDIR
	case n.dir && slices.Equal(clean(oldName), clean(newName)[:min(len(clean(oldName)), len(clean(newName)))]):
		return syscall.EINVAL // into itself
	}
	m.changeLocked(dirSet{to, b, n}, dirSet{from, a, nil})
	return nil
}

// Link gives a file a second name.
func (m *Mem) Link(oldName, newName string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := func() error {
		n, err := m.findLocked(clean(oldName))
		if err != nil {
			return err
		}
		dir, base, err := m.parentLocked(newName)
		switch {
		case err != nil:
			return err
		case n.dir:
			return syscall.EPERM
		case dir.names[base] != nil:
			return syscall.EEXIST
		}
		m.changeLocked(dirSet{dir, base, n})
		return nil
	}()
	if err != nil {
		return &os.LinkError{Op: "link", Old: oldName, New: newName, Err: err}
	}
	return nil
}

// Remove removes a file or an empty directory.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked(name)
	if err != nil {
		return pathErr("remove", name, err)
	}
	n := dir.names[base]
	switch {
	case n == nil:
		return pathErr("remove", name, syscall.ENOENT)
	case n.dir && len(n.names) > 0:
		return pathErr("remove", name, syscall.ENOTEMPTY)
	}
	m.changeLocked(dirSet{dir, base, nil})
	return nil
}

// RemoveAll removes name and everything below.
func (m *Mem) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked(name)
	if err != nil || dir.names[base] == nil {
		if err == syscall.EINVAL { //nolint:errorlint // our own value, not wrapped
			return pathErr("remove", name, err)
		}
		return nil
	}
	m.removeAllLocked(dir, base)
	return nil
}

func (m *Mem) removeAllLocked(dir *inode, base string) {
	n := dir.names[base]
	for _, name := range n.sortedNames() {
		m.removeAllLocked(n, name)
	}
	m.changeLocked(dirSet{dir, base, nil})
}

// MkdirAll makes a directory and those above it.
func (m *Mem) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.root
	for _, p := range clean(name) {
		next := n.names[p]
		if next == nil {
			next = newDir(m.now())
			m.changeLocked(dirSet{n, p, next})
		}
		if !next.dir {
			return pathErr("mkdir", name, syscall.ENOTDIR)
		}
		n = next
	}
	return nil
}

// ReadDir lists a directory.
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked(clean(name))
	if err == nil && !n.dir {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathErr("readdir", name, err)
	}
	list := make([]fs.DirEntry, 0, len(n.names))
	for _, base := range n.sortedNames() {
		list = append(list, fs.FileInfoToDirEntry(n.names[base].info(base)))
	}
	return list, nil
}

// Stat describes a file.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked(clean(name))
	if err != nil {
		return nil, pathErr("stat", name, err)
	}
	return n.info(path.Base(path.Clean("/" + name))), nil
}

// SyncDir makes the names in a directory durable. A rename between two directories becomes durable as a whole, with
// everything that went before it in either.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked(clean(name))
	if err == nil && !n.dir {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return pathErr("sync", name, err)
	}
	dirs := map[*inode]bool{n: true}
	wanted := make([]bool, len(m.pending))
	for i, op := range slices.Backward(m.pending) {
		if op.touches(dirs) {
			wanted[i] = true
			for _, s := range op.sets {
				dirs[s.dir] = true
			}
		}
	}
	kept := m.pending[:0]
	for i, op := range m.pending {
		if wanted[i] {
			op.apply()
		} else {
			kept = append(kept, op)
		}
	}
	clear(m.pending[len(kept):])
	m.pending = kept
	return nil
}

// SyncFS makes everything durable.
func (m *Mem) SyncFS(string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, op := range m.pending {
		op.apply()
	}
	m.pending = nil
	m.root.syncAll()
	return nil
}

// Lock takes an exclusive lock.
func (m *Mem) Lock(name string) (io.Closer, error) {
	key := lockKey(name)
	m.mu.Lock()
	taken := m.locks[key]
	m.locks[key] = true
	m.mu.Unlock()
	if taken {
		return nil, &LockedError{Name: name}
	}
	l := &memLock{m, key}
	if err := m.writeLockText(name); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (m *Mem) writeLockText(name string) error {
	m.mu.Lock()
	f, err := m.createLocked(name)
	m.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte("lock"), 0)
	return errors.Join(err, f.Close())
}

// lockKey is the same for all spellings of a name.
func lockKey(name string) string { return strings.Join(clean(name), "/") }

type memLock struct {
	m   *Mem
	key string
}

func (l *memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	delete(l.m.locks, l.key)
	return nil
}

// Usage returns the space of the simulated disk.
func (m *Mem) Usage(string) (Usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	free := uint64(max(0, m.capacity-m.used*pageSize))
	return Usage{Total: uint64(m.capacity), Free: free, Avail: free}, nil
}

// BootID changes with each simulated power cut.
func (m *Mem) BootID() string { return m.bootID }

// Chtimes sets the modification time.
func (m *Mem) Chtimes(name string, mtime time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked(clean(name))
	if err != nil {
		return pathErr("chtimes", name, err)
	}
	n.mtime = mtime
	return nil
}
