package vfs

import (
	"errors"
	"io"
	"io/fs"
	"sync/atomic"
	"time"
)

// OpKind is a kind of operation on an FS or File.
type OpKind uint8

// The operations that a rule can make fail.
const (
	OpOpen OpKind = iota
	OpCreate
	OpRename // Name is the old name
	OpLink   // Name is the old name
	OpRemove
	OpRemoveAll
	OpMkdirAll
	OpReadDir
	OpStat
	OpSyncDir
	OpSyncFS
	OpLock
	OpUsage
	OpChtimes
	OpRead
	OpWrite // WriteAt and Writev
	OpTruncate
	OpAllocate
	OpDatasync
	OpSync
	OpClose
	opKinds
)

var opNames = [opKinds]string{
	"open", "create", "rename", "link", "remove", "removeall", "mkdirall", "readdir", "stat", "syncdir", "syncfs", "lock",
	"usage", "chtimes", "read", "write", "truncate", "allocate", "datasync", "sync", "close",
}

// String returns the operation's name.
func (k OpKind) String() string { return opNames[k] }

// Op is one operation that is about to happen.
type Op struct {
	Kind OpKind
	Name string
	Off  int64 // of a read or write
	Len  int64 // bytes to read or write; the size for Truncate and Allocate
	N    int   // this is the N-th operation of its kind, from 1
}

// ShortWrite is what a rule returns to let a write put down its first Bytes bytes and then fail with Err.
type ShortWrite struct {
	Bytes int
	Err   error
}

// Error returns the text of Err.
func (s *ShortWrite) Error() string { return "short write: " + s.Err.Error() }

// Unwrap returns Err.
func (s *ShortWrite) Unwrap() error { return s.Err }

// NewFaulty returns an FS that asks rule before each operation. When rule returns an error the operation is not done
// (but see ShortWrite) and fails with it, wrapped in a *fs.PathError. rule is called from many goroutines, outside of
// any lock: it may block to make an operation slow.
func NewFaulty(inner FS, rule func(op Op) error) FS {
	return &faultyFS{inner: inner, rule: rule}
}

// FailNth returns a rule that fails the n-th operation of a kind (n = 0: all of them).
func FailNth(kind OpKind, n int, err error) func(Op) error {
	return func(op Op) error {
		if op.Kind == kind && (n == 0 || op.N == n) {
			return err
		}
		return nil
	}
}

// Slow returns a rule that makes each operation of a kind take d longer. sleep is time.Sleep in a test with a fake
// clock.
func Slow(kind OpKind, d time.Duration, sleep func(time.Duration)) func(Op) error {
	return func(op Op) error {
		if op.Kind == kind {
			sleep(d)
		}
		return nil
	}
}

// Rules returns a rule that asks several, until one gives an error.
func Rules(rules ...func(Op) error) func(Op) error {
	return func(op Op) error {
		for _, r := range rules {
			if err := r(op); err != nil {
				return err
			}
		}
		return nil
	}
}

type faultyFS struct {
	inner FS
	rule  func(Op) error
	seen  [opKinds]atomic.Int64
}

func (f *faultyFS) ask(op Op) error {
	op.N = int(f.seen[op.Kind].Add(1))
	if err := f.rule(op); err != nil {
		return &fs.PathError{Op: op.Kind.String(), Path: op.Name, Err: err}
	}
	return nil
}

func (f *faultyFS) do(kind OpKind, name string, fn func() error) error {
	if err := f.ask(Op{Kind: kind, Name: name}); err != nil {
		return err
	}
	return fn()
}

func (f *faultyFS) open(kind OpKind, name string, fn func(string) (File, error)) (File, error) {
	if err := f.ask(Op{Kind: kind, Name: name}); err != nil {
		return nil, err
	}
	file, err := fn(name)
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f}, nil
}

func (f *faultyFS) Open(name string) (File, error)   { return f.open(OpOpen, name, f.inner.Open) }
func (f *faultyFS) Create(name string) (File, error) { return f.open(OpCreate, name, f.inner.Create) }

// CreatePrivate is Create of a file for its owner alone.
func (f *faultyFS) CreatePrivate(name string) (File, error) {
	return f.open(OpCreate, name, func(name string) (File, error) { return CreatePrivate(f.inner, name) })
}

func (f *faultyFS) Rename(a, b string) error {
	return f.do(OpRename, a, func() error { return f.inner.Rename(a, b) })
}

func (f *faultyFS) Link(a, b string) error {
	return f.do(OpLink, a, func() error { return f.inner.Link(a, b) })
}

func (f *faultyFS) Remove(name string) error {
	return f.do(OpRemove, name, func() error { return f.inner.Remove(name) })
}

func (f *faultyFS) RemoveAll(name string) error {
	return f.do(OpRemoveAll, name, func() error { return f.inner.RemoveAll(name) })
}

func (f *faultyFS) MkdirAll(name string) error {
	return f.do(OpMkdirAll, name, func() error { return f.inner.MkdirAll(name) })
}

func (f *faultyFS) SyncDir(name string) error {
	return f.do(OpSyncDir, name, func() error { return f.inner.SyncDir(name) })
}

func (f *faultyFS) SyncFS(path string) error {
	return f.do(OpSyncFS, path, func() error { return f.inner.SyncFS(path) })
}

func (f *faultyFS) Chtimes(name string, mtime time.Time) error {
	return f.do(OpChtimes, name, func() error { return f.inner.Chtimes(name, mtime) })
}

func (f *faultyFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.ask(Op{Kind: OpReadDir, Name: name}); err != nil {
		return nil, err
	}
	return f.inner.ReadDir(name)
}

func (f *faultyFS) Stat(name string) (fs.FileInfo, error) {
	if err := f.ask(Op{Kind: OpStat, Name: name}); err != nil {
		return nil, err
	}
	return f.inner.Stat(name)
}

func (f *faultyFS) Lock(name string) (io.Closer, error) {
	if err := f.ask(Op{Kind: OpLock, Name: name}); err != nil {
		return nil, err
	}
	return f.inner.Lock(name)
}

func (f *faultyFS) Usage(path string) (Usage, error) {
	if err := f.ask(Op{Kind: OpUsage, Name: path}); err != nil {
		return Usage{}, err
	}
	return f.inner.Usage(path)
}

func (f *faultyFS) BootID() string { return f.inner.BootID() }

type faultyFile struct {
	inner File
	fs    *faultyFS
}

func (f *faultyFile) Name() string { return f.inner.Name() }

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.ask(Op{Kind: OpRead, Name: f.Name(), Off: off, Len: int64(len(p))}); err != nil {
		return 0, err
	}
	return f.inner.ReadAt(p, off)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.ask(Op{Kind: OpWrite, Name: f.Name(), Off: off, Len: int64(len(p))}); err != nil {
		return f.short([][]byte{p}, off, err)
	}
	return f.inner.WriteAt(p, off)
}

func (f *faultyFile) Writev(bufs [][]byte, off int64) (int, error) {
	var total int64
	for _, b := range bufs {
		total += int64(len(b))
	}
	if err := f.fs.ask(Op{Kind: OpWrite, Name: f.Name(), Off: off, Len: total}); err != nil {
		return f.short(bufs, off, err)
	}
	return f.inner.Writev(bufs, off)
}

// short writes what the rule still allows.
func (f *faultyFile) short(bufs [][]byte, off int64, cause error) (int, error) {
	var s *ShortWrite
	if !errors.As(cause, &s) {
		return 0, cause
	}
	left, total := s.Bytes, 0
	for _, b := range bufs {
		n := min(left, len(b))
		n, err := f.inner.WriteAt(b[:n], off+int64(total))
		left, total = left-n, total+n
		if err != nil {
			return total, err
		}
	}
	return total, cause
}

func (f *faultyFile) Size() (int64, error) { return f.inner.Size() }

func (f *faultyFile) Truncate(size int64) error {
	if err := f.fs.ask(Op{Kind: OpTruncate, Name: f.Name(), Len: size}); err != nil {
		return err
	}
	return f.inner.Truncate(size)
}

func (f *faultyFile) Allocate(size int64) error {
	if err := f.fs.ask(Op{Kind: OpAllocate, Name: f.Name(), Len: size}); err != nil {
		return err
	}
	return f.inner.Allocate(size)
}

func (f *faultyFile) Datasync() error { return f.fs.do(OpDatasync, f.Name(), f.inner.Datasync) }
func (f *faultyFile) Sync() error     { return f.fs.do(OpSync, f.Name(), f.inner.Sync) }

func (f *faultyFile) NextData(off int64) (int64, error) { return f.inner.NextData(off) }

// Close always closes; the rule can only make it report an error.
func (f *faultyFile) Close() error {
	err := f.fs.ask(Op{Kind: OpClose, Name: f.Name()})
	return errors.Join(err, f.inner.Close())
}
