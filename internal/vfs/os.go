package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// OS returns the file system of the operating system.
func OS() FS { return &osFS{held: map[string]bool{}} }

// osFS is stateless but for the locks it holds.
type osFS struct {
	mu   sync.Mutex
	held map[string]bool // guarded by mu: absolute names of locks held through this value
}

func (o *osFS) Open(name string) (File, error) { return o.open(name, os.O_RDWR) }
func (o *osFS) Create(name string) (File, error) {
	return o.open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

// CreatePrivate makes an empty file of mode 0600, also where there was one of another mode.
func (o *osFS) CreatePrivate(name string) (File, error) {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return o.openMode(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

func (o *osFS) open(name string, flag int) (File, error) { return o.openMode(name, flag, 0o644) }

func (o *osFS) openMode(name string, flag int, mode os.FileMode) (File, error) {
	if o.holds(name) {
		// Closing any descriptor of the file would silently drop a classic fcntl lock.
		return nil, &fs.PathError{Op: "open", Path: name, Err: &LockedError{Name: name, PID: os.Getpid()}}
	}
	f, err := os.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	rc, err := f.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &osFile{f: f, rc: rc}, nil
}

func (*osFS) Rename(oldName, newName string) error       { return os.Rename(oldName, newName) }
func (*osFS) Link(oldName, newName string) error         { return os.Link(oldName, newName) }
func (*osFS) Remove(name string) error                   { return os.Remove(name) }
func (*osFS) RemoveAll(name string) error                { return os.RemoveAll(name) }
func (*osFS) MkdirAll(name string) error                 { return os.MkdirAll(name, 0o755) }
func (*osFS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (*osFS) Stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }
func (*osFS) SyncDir(name string) error                  { return osSyncDir(name) }
func (*osFS) SyncFS(path string) error                   { return osSyncFS(path) }
func (*osFS) Usage(path string) (Usage, error)           { return osUsage(path) }
func (*osFS) BootID() string                             { return osBootID() }

func (*osFS) Chtimes(name string, mtime time.Time) error { return os.Chtimes(name, time.Time{}, mtime) }

func (o *osFS) holds(name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.held) > 0 && o.held[absolute(name)]
}

func absolute(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return filepath.Clean(name)
}

func (o *osFS) Lock(name string) (io.Closer, error) {
	key := absolute(name)
	o.mu.Lock()
	taken := o.held[key]
	if !taken {
		o.held[key] = true
	}
	o.mu.Unlock()
	if taken {
		return nil, &LockedError{Name: name, PID: os.Getpid()}
	}
	l, err := lockFile(name)
	if err != nil {
		o.unhold(key)
		return nil, err
	}
	return &osLock{fs: o, key: key, f: l}, nil
}

func (o *osFS) unhold(key string) {
	o.mu.Lock()
	delete(o.held, key)
	o.mu.Unlock()
}

type osLock struct {
	fs   *osFS
	key  string
	f    *os.File
	once sync.Once
	err  error
}

// Close leaves exactly what Java leaves, the four bytes of lockText, and gives the lock back.
func (l *osLock) Close() error {
	l.once.Do(func() {
		l.err = errors.Join(l.f.Truncate(int64(len(lockText))), l.f.Close())
		l.fs.unhold(l.key)
	})
	return l.err
}

// osFile is an open file. rc keeps the descriptor alive during a system call, so that a Close by another goroutine
// cannot make the call hit a descriptor that was given to someone else.
type osFile struct {
	f  *os.File
	rc syscall.RawConn
}

func (f *osFile) Name() string                             { return f.f.Name() }
func (f *osFile) ReadAt(p []byte, off int64) (int, error)  { return f.f.ReadAt(p, off) }
func (f *osFile) WriteAt(p []byte, off int64) (int, error) { return f.f.WriteAt(p, off) }
func (f *osFile) Truncate(size int64) error                { return f.f.Truncate(size) }
func (f *osFile) Sync() error                              { return f.f.Sync() }
func (f *osFile) Close() error                             { return f.f.Close() }

func (f *osFile) Size() (int64, error) {
	fi, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

// call runs fn with the descriptor and gives its error the usual form.
func (f *osFile) call(op string, fn func(fd int) error) error {
	var err error
	if cerr := f.rc.Control(func(fd uintptr) {
		for {
			if err = fn(int(fd)); !errors.Is(err, syscall.EINTR) {
				return
			}
		}
	}); cerr != nil {
		return &fs.PathError{Op: op, Path: f.f.Name(), Err: cerr}
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: f.f.Name(), Err: err}
	}
	return nil
}

// writeEach is Writev without the system call.
func (f *osFile) writeEach(bufs [][]byte, off int64) (int, error) {
	total := 0
	for _, b := range bufs {
		n, err := f.f.WriteAt(b, off+int64(total))
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
