package vfs

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// iovMax is the kernel's limit of buffers in one call (IOV_MAX).
const iovMax = 1024

// Writev writes with pwritev(2).
func (f *osFile) Writev(bufs [][]byte, off int64) (int, error) {
	if len(bufs) < 2 {
		return f.writeEach(bufs, off)
	}
	total := 0
	for len(bufs) > 0 {
		batch := bufs[:min(len(bufs), iovMax)]
		n, err := f.pwritev(batch, off)
		if err != nil {
			return total, err
		}
		total += n
		off += int64(n)
		for len(batch) > 0 && n >= len(batch[0]) {
			n -= len(batch[0])
			batch, bufs = batch[1:], bufs[1:]
		}
		if len(batch) == 0 {
			continue
		}
		// A short write (signal, nearly full disk): finish the buffer that was cut, then go on.
		m, err := f.f.WriteAt(batch[0][n:], off)
		total += m
		off += int64(m)
		if err != nil {
			return total, err
		}
		bufs = bufs[1:]
	}
	return total, nil
}

// vector is one call of pwritev. Calls are kept, because what a descriptor is lent to must be a function, and making one
// for each write would be most of what the log allocates.
type vector struct {
	bufs [][]byte
	off  int64
	n    int
	err  error
	run  func(fd uintptr)
}

var vectors = sync.Pool{New: func() any {
	v := new(vector)
	v.run = func(fd uintptr) {
		for {
			if v.n, v.err = unix.Pwritev(int(fd), v.bufs, v.off); !errors.Is(v.err, unix.EINTR) {
				return
			}
		}
	}
	return v
}}

func (f *osFile) pwritev(bufs [][]byte, off int64) (int, error) {
	v := vectors.Get().(*vector)
	v.bufs, v.off = bufs, off
	err := f.rc.Control(v.run)
	if err == nil {
		err = v.err
	}
	if err != nil {
		err = &os.PathError{Op: "pwritev", Path: f.f.Name(), Err: err}
	}
	n := v.n
	v.bufs, v.n, v.err = nil, 0, nil
	vectors.Put(v)
	return n, err
}

// Allocate reserves blocks with fallocate(2); file systems without it get a sparse file.
func (f *osFile) Allocate(size int64) error {
	if size <= 0 {
		return nil
	}
	err := f.call("fallocate", func(fd int) error { return unix.Fallocate(fd, 0, 0, size) })
	if err == nil || !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if have, err := f.Size(); err != nil || have >= size {
		return err
	}
	return f.f.Truncate(size)
}

// Datasync is fdatasync(2).
func (f *osFile) Datasync() error { return f.call("fdatasync", unix.Fdatasync) }

// NextData is lseek(2) with SEEK_DATA.
func (f *osFile) NextData(off int64) (int64, error) {
	at := off
	err := f.call("seek", func(fd int) (err error) {
		at, err = unix.Seek(fd, off, unix.SEEK_DATA)
		return err
	})
	switch {
	case errors.Is(err, unix.ENXIO):
		return f.Size()
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return off, nil // not supported: all of it may be data
	}
	return at, err
}

// Searching switches the file to a search for the end of its data from off on, or back. In preallocated space NextData
// takes pages of zeros that are in memory for data, and reading them brings more of them: read-ahead goes on from
// marks that earlier reads have left. So clean pages are forgotten first (what is not written yet stays) and nothing
// is read ahead.
func (f *osFile) Searching(off int64, on bool) error {
	if !on {
		return f.call("fadvise", func(fd int) error { return unix.Fadvise(fd, 0, 0, unix.FADV_NORMAL) })
	}
	return f.call("fadvise", func(fd int) error {
		if err := unix.Fadvise(fd, off, 0, unix.FADV_DONTNEED); err != nil {
			return err
		}
		return unix.Fadvise(fd, 0, 0, unix.FADV_RANDOM)
	})
}

func osSyncFS(path string) (err error) {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: path, Err: err}
	}
	return nil
}

func osBootID() string {
	f, err := os.Open("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, 128))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// setLock prefers a lock that belongs to the open file: unlike a classic one it excludes other openers in this process
// too and survives the closing of other descriptors. It conflicts with classic locks, hence with Java's.
func setLock(f *os.File) error {
	fl := unix.Flock_t{Type: unix.F_WRLCK, Start: 0, Len: 1}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &fl)
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	fl = unix.Flock_t{Type: unix.F_WRLCK, Start: 0, Len: 1}
	return unix.FcntlFlock(f.Fd(), unix.F_SETLK, &fl)
}
