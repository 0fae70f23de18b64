//go:build !linux

package node

// physicalMemory is not known on this system.
func physicalMemory() int64 { return 0 }

// resident is not known on this system.
func resident() (bytes int64, ok bool) { return 0, false }
