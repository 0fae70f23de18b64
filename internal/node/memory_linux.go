package node

import (
	"math"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// physicalMemory returns the bytes of memory of the machine, 0 when the kernel does not say.
func physicalMemory() int64 {
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err != nil {
		return 0
	}
	// The fields' types differ between architectures.
	total, unit := uint64(s.Totalram), uint64(max(s.Unit, 1)) //nolint:unconvert // see above
	if total > math.MaxInt64/unit {
		return 0
	}
	return int64(total * unit)
}

// resident returns how many bytes of this process are in RAM.
func resident() (bytes int64, ok bool) {
	data, err := os.ReadFile("/proc/self/statm") // pages: all, resident, ...
	fields := strings.Fields(string(data))
	if err != nil || len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err == nil
}
