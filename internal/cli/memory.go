package cli

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// limitMemory tells the runtime to stay below so many bytes, as GOMEMLIMIT does.
func limitMemory(bytes int64) { debug.SetMemoryLimit(bytes) }

// limitFiles say what the container may use: cgroups version 2, and 1.
var limitFiles = []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}

// unlimited: version 1 has a huge number where there is no limit.
const unlimited = 1 << 50

// containerMemory is the limit in bytes, 0 when there is none.
func containerMemory() int64 {
	for _, name := range limitFiles {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil && n > 0 && n < unlimited {
			return n
		}
		return 0
	}
	return 0
}
