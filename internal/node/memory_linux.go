package node

import (
	"math"

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
