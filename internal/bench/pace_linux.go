package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// pace waits for about 50 us. A ticker of the runtime wakes an idle process by whole milliseconds, which would be counted as
// the broker's.
type pace struct{}

func newPace() pace { return pace{} }

func (pace) wait() {
	t := unix.NsecToTimespec((50 * time.Microsecond).Nanoseconds())
	_ = unix.Nanosleep(&t, nil) // interrupted: earlier is as good
}

func (pace) stop() {}
