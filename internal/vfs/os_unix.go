//go:build unix

package vfs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// lockText is what Java writes into its lock file. The holder's process id follows while the lock is held.
const lockText = "lock"

func osSyncDir(name string) (err error) {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Sync()
}

func osUsage(path string) (Usage, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Usage{}, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	bs := uint64(st.Bsize)
	return Usage{Total: st.Blocks * bs, Free: st.Bfree * bs, Avail: uint64(st.Bavail) * bs}, nil //nolint:unconvert // signed on FreeBSD
}

// lockFile opens and locks byte [0,1) of name, as Java's FileChannel.tryLock(0, 1, false) does.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err = setLock(f); err != nil {
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			err = &LockedError{Name: name, PID: holder(f)}
		} else {
			err = &os.PathError{Op: "lock", Path: name, Err: err}
		}
		_ = f.Close()
		return nil, err
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(lockText+"\n"+strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// holder finds out whose lock it is: the kernel knows it for classic locks, for ours it is in the file.
func holder(f *os.File) int {
	fl := unix.Flock_t{Type: unix.F_WRLCK, Start: 0, Len: 1}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &fl); err == nil && fl.Type != unix.F_UNLCK && fl.Pid > 0 {
		return int(fl.Pid)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 64))
	if err != nil {
		return 0
	}
	rest, ok := bytes.CutPrefix(b, []byte(lockText))
	if !ok {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(rest)))
	if err != nil {
		return 0
	}
	return pid
}
