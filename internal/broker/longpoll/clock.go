package longpoll

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// clock is what a table of waiters needs besides its lists: it lets deadlines pass and has the callbacks run.
type clock struct {
	epoch  time.Time     // deadlines are kept as the time since then
	next   atomic.Int64  // the earliest deadline that the clock goroutine will wake up for
	rewind chan struct{} // a deadline before next was added
	ready  readyQueue
}

func (c *clock) init() {
	c.epoch, c.rewind = time.Now(), make(chan struct{}, 1)
	c.next.Store(math.MaxInt64)
	c.ready.init()
}

func (c *clock) now() int64 { return int64(time.Since(c.epoch)) }

// watch makes sure that the clock goroutine looks again at the deadline at the latest.
func (c *clock) watch(deadline int64) {
	if !c.lower(deadline) {
		return
	}
	select {
	case c.rewind <- struct{}{}:
	default:
	}
}

func (c *clock) lower(deadline int64) bool {
	for {
		cur := c.next.Load()
		if deadline >= cur {
			return false
		}
		if c.next.CompareAndSwap(cur, deadline) {
			return true
		}
	}
}

// run calls expire whenever a deadline has passed, and callbacks on so many workers, until ctx ends. expire wakes who is due and
// returns the earliest deadline that is left. Then end must wake everybody; run returns when the last callback did.
func (c *clock) run(ctx context.Context, workers int, expire func(now int64) int64, end func()) {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(c.ready.work)
	}
	c.tick(ctx, expire)
	end()
	c.ready.close()
	wg.Wait()
}

func (c *clock) tick(ctx context.Context, expire func(now int64) int64) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		// A deadline that is added from here on is either seen by expire or lowers next again.
		c.next.Store(math.MaxInt64)
		earliest := expire(c.now())
		c.lower(earliest)
		wait := time.Hour
		if earliest != math.MaxInt64 {
			wait = time.Duration(max(earliest-c.now(), 0))
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-c.rewind:
		case <-timer.C:
		}
	}
}
