//go:build unix && !linux

package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

func setLock(f *os.File) error {
	fl := unix.Flock_t{Type: unix.F_WRLCK, Start: 0, Len: 1}
	return unix.FcntlFlock(f.Fd(), unix.F_SETLK, &fl)
}
