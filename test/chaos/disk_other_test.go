//go:build !linux

package chaos

import (
	"testing"
	"time"
)

type disk struct{ dir string }

func newDisk(t *testing.T, _ int) *disk {
	t.Helper()
	t.Skip("a file system of its own is made on Linux only")
	return nil
}

func (*disk) stall(time.Duration) {}
func (*disk) powerOff()           {}
func (*disk) powerOn()            {}
func (*disk) fill() func()        { return func() {} }
