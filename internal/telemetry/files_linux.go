package telemetry

import (
	"syscall"

	"github.com/cometmq/cometmq/internal/vfs"
)

// files counts the open file descriptors of the process.
func files() (open, most int64, ok bool) {
	names, err := vfs.OS().ReadDir("/proc/self/fd")
	var limit syscall.Rlimit
	if err != nil || syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0, 0, false
	}
	return int64(len(names)) - 1, int64(min(limit.Cur, 1<<62)), true // without the one that looks
}
