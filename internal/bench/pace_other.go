//go:build !linux

package bench

import "time"

// pace waits for about 50 us, or as long as the runtime's timers are coarse.
type pace struct{ t *time.Ticker }

func newPace() pace { return pace{time.NewTicker(50 * time.Microsecond)} }

func (p pace) wait() { <-p.t.C }

func (p pace) stop() { p.t.Stop() }
