//go:build !linux

package vfs

import "os"

// Writev writes one buffer after the other.
func (f *osFile) Writev(bufs [][]byte, off int64) (int, error) { return f.writeEach(bufs, off) }

// Allocate extends the file; whether blocks are reserved is up to the system.
func (f *osFile) Allocate(size int64) error {
	if have, err := f.Size(); err != nil || have >= size {
		return err
	}
	return f.f.Truncate(size)
}

// Datasync is Sync here.
func (f *osFile) Datasync() error { return f.f.Sync() }

// NextData does not know about holes here.
func (f *osFile) NextData(off int64) (int64, error) {
	size, err := f.Size()
	return min(off, size), err
}

// osSyncFS reports that there is no such call: the caller syncs its files one by one.
func osSyncFS(path string) error {
	return &os.PathError{Op: "syncfs", Path: path, Err: os.ErrInvalid}
}

func osBootID() string { return "" }
