package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"
)

// File is an open file. All methods may be used from several goroutines.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Writev writes bufs one after the other at off, with one system call where there is one. It writes all or
	// returns an error with the number of bytes written. The slices are not kept.
	Writev(bufs [][]byte, off int64) (int, error)
	Size() (int64, error)
	// Truncate sets the size. A larger size makes a hole that reads as zero.
	Truncate(size int64) error
	// Allocate makes sure that the file has at least size bytes with disk blocks behind them, so that writing
	// there cannot fail for want of space. Bytes that exist are unchanged and the file never shrinks. File systems
	// that cannot reserve space get a file of that size with holes.
	Allocate(size int64) error
	// Datasync makes contents and size durable (fdatasync).
	Datasync() error
	// Sync makes contents, size and times durable (fsync).
	Sync() error
	// NextData returns the first offset at or after off that may hold data instead of a hole, the file's size when
	// there is none.
	NextData(off int64) (int64, error)
	Close() error
	// Name returns the name that the file was opened by.
	Name() string
}

// FS is a file system.
type FS interface {
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Create opens a file for reading and writing and makes it empty.
	Create(name string) (File, error)
	// Rename moves a file or directory and replaces a file that is there.
	Rename(oldName, newName string) error
	// Link gives a file a second name, which must be free.
	Link(oldName, newName string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// RemoveAll removes name and everything below; it is no error when there is nothing.
	RemoveAll(name string) error
	MkdirAll(name string) error
	// ReadDir lists a directory sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// SyncFS makes everything on the file system that holds path durable (syncfs).
	SyncFS(path string) error
	// Lock takes an exclusive lock on the file name, which is made when it is not there, until the result is
	// closed or the process ends. When somebody has it, in this process or another, the error is a *LockedError.
	// The lock excludes Java's FileChannel.tryLock. The file must not be opened in another way meanwhile.
	Lock(name string) (io.Closer, error)
	Usage(path string) (Usage, error)
	// BootID tells apart the runs of the operating system: as long as it is equal, what was written is there even
	// though it was not synced. "" = unknown.
	BootID() string
	Chtimes(name string, mtime time.Time) error
}

// Usage is the space of a file system in bytes.
type Usage struct {
	Total uint64
	Free  uint64 // unused blocks
	Avail uint64 // what this process may still use
}

// ErrLocked is what a *LockedError is (errors.Is).
var ErrLocked = errors.New("locked")

// LockedError says that somebody else holds a lock.
type LockedError struct {
	Name string
	PID  int // the holder's process id, 0 when unknown
}

// Error names the file and the holder.
func (e *LockedError) Error() string {
	if e.PID > 0 {
		return fmt.Sprintf("%s is locked by process %d", e.Name, e.PID)
	}
	return e.Name + " is locked by another process or store"
}

// Is reports whether target is ErrLocked.
func (*LockedError) Is(target error) bool { return target == ErrLocked }

// IsNoSpace reports whether err means that the disk or the user's quota is full.
func IsNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// ReadFile returns the contents of a file.
func ReadFile(fsys FS, name string) (data []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			data, err = nil, cerr
		}
	}()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	data = make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data[:n], nil
}

// WriteFileAtomic replaces the contents of name: after a crash there is the old or the new file, whole. When it
// returns nil the new one is durable. With keepBak the previous contents stay as name.bak.
//
// Differs from Java: ConfigManager renames X to X.bak and then writes X, so that X is missing or cut after a crash in
// between. Here X is there at every moment (storage spec 9.1).
func WriteFileAtomic(fsys FS, name string, data []byte, keepBak bool) error {
	tmp := name + ".tmp"
	if err := writeSynced(fsys, tmp, data); err != nil {
		return fmt.Errorf("write %s: %w", tmp, err)
	}
	if keepBak {
		if err := keepPrevious(fsys, name); err != nil {
			return fmt.Errorf("keep the previous %s: %w", name, err)
		}
	}
	return putInPlace(fsys, tmp, name)
}

// putInPlace makes the file tmp the file name, durably.
func putInPlace(fsys FS, tmp, name string) error {
	if err := fsys.Rename(tmp, name); err != nil {
		return fmt.Errorf("replace %s: %w", name, err)
	}
	if err := fsys.SyncDir(filepath.Dir(name)); err != nil {
		return fmt.Errorf("make the new %s durable: %w", name, err)
	}
	return nil
}

func writeSynced(fsys FS, name string, data []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	return fill(f, data)
}

// fill writes data to an empty file, makes it durable and closes it.
func fill(f File, data []byte) (err error) {
	if len(data) > 0 {
		_, err = f.WriteAt(data, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// keepPrevious makes name.bak the file that is now name.
func keepPrevious(fsys FS, name string) error {
	bak := name + ".bak"
	if _, err := fsys.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := fsys.Remove(bak); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := fsys.Link(name, bak); err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fsys.Rename(name, bak) // no hard links here: the name is free for a moment, readers take the .bak
}

// privater is an FS that knows who may read a file.
type privater interface {
	CreatePrivate(name string) (File, error)
}

// CreatePrivate is FS.Create for a file that only its owner may read and write (mode 0600), where the file system knows such a thing.
func CreatePrivate(fsys FS, name string) (File, error) {
	if p, ok := fsys.(privater); ok {
		return p.CreatePrivate(name)
	}
	return fsys.Create(name)
}

// WritePrivateAtomic is WriteFileAtomic for a file that only its owner may read and write.
func WritePrivateAtomic(fsys FS, name string, data []byte) error {
	tmp := name + ".tmp"
	f, err := CreatePrivate(fsys, tmp)
	if err == nil {
		err = fill(f, data)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", tmp, err)
	}
	return putInPlace(fsys, tmp, name)
}
