//go:build !linux

package cli

// releaseText does nothing on this system.
func releaseText() {}
