package meta

import (
	"context"
	"log/slog"
	"time"
)

// kick wakes the two loops of a table when there is work, so that an idle broker does not tick.
type kick struct{ flushes, folds chan struct{} }

func newKick() kick { return kick{make(chan struct{}, 1), make(chan struct{}, 1)} }

func (k kick) flush() { poke(k.flushes) }
func (k kick) fold()  { poke(k.folds) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// loop calls work, delay after each wake-up. A failure is logged and tried again after retry. It returns when ctx ends.
type loop struct {
	wake  chan struct{}
	delay time.Duration
	// spare stretches delay so that work takes less than one part in that many of the time; 0 does not.
	spare int
	retry time.Duration
	work  func() error
	log   *slog.Logger
	what  string
}

// foldSpare keeps the time that goes into writing large tables below 5 %.
const foldSpare = 20

func (l *loop) run(ctx context.Context) {
	var took time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		if !wait(ctx, max(l.delay, took*time.Duration(l.spare))) {
			return
		}
		start := time.Now()
		err := l.work()
		took = time.Since(start)
		if err != nil {
			l.log.Error("a table is not written, trying again", "file", l.what, "err", err)
			if !wait(ctx, l.retry) {
				return
			}
			poke(l.wake)
		}
	}
}

// wait returns false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
