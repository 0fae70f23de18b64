package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

const lockText = "lock"

// osSyncDir does nothing: directories cannot be flushed here.
func osSyncDir(string) error { return nil }

func osUsage(path string) (Usage, error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return Usage{}, err
	}
	var u Usage
	if err := windows.GetDiskFreeSpaceEx(p, &u.Avail, &u.Total, &u.Free); err != nil {
		return Usage{}, &os.PathError{Op: "usage", Path: path, Err: err}
	}
	return u, nil
}

func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err = windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{})
	if err == nil {
		return f, nil
	}
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		err = &LockedError{Name: name}
	}
	return nil, errors.Join(err, f.Close())
}
