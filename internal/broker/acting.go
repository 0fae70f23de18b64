package broker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/mq"
)

// acting runs what a master does by itself: delivering what is due, asking producers, moving what was popped and not
// acknowledged. One broker of a set may do that at a time: usually the master; where slaves may act as the master
// (enableSlaveActingMaster) the one with the smallest id that is there.
type acting struct {
	parts []part // run while it acts
	idle  []func(ctx context.Context) error

	on atomic.Bool

	mu      sync.Mutex    // guards the fields below
	changed chan struct{} // closed when on changes
	rests   chan struct{} // closed while no part runs
}

func (a *acting) init(on bool) {
	a.on.Store(on)
	a.changed, a.rests = make(chan struct{}), make(chan struct{})
	close(a.rests)
}

// set changes on and returns a channel that is closed when no part runs.
func (a *acting) set(on bool) (changed bool, rests <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if changed = a.on.Swap(on) != on; changed {
		close(a.changed)
		a.changed = make(chan struct{})
	}
	return changed, a.rests
}

// run runs the parts whenever it is on, and idle otherwise, until ctx ends.
func (a *acting) run(ctx context.Context) error {
	for ctx.Err() == nil {
		a.mu.Lock()
		on, changed := a.on.Load(), a.changed
		if on {
			a.rests = make(chan struct{})
		}
		rests := a.rests
		a.mu.Unlock()
		run := a.idle
		if on {
			run = make([]func(context.Context) error, 0, len(a.parts))
			for _, p := range a.parts {
				run = append(run, p.Run)
			}
		}
		err := runUntil(ctx, changed, run)
		if on {
			close(rests)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// runUntil runs all of list until ctx ends or stop is closed, and returns when they have ended.
func runUntil(ctx context.Context, stop <-chan struct{}, list []func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i, f := range list {
		wg.Go(func() { errs[i] = f(ctx) })
	}
	select {
	case <-ctx.Done():
	case <-stop:
	}
	cancel()
	wg.Wait()
	return errors.Join(errs...)
}

// Act begins or ends what a master does by itself. It returns when that has ended, or ctx. A master that may have been replaced by
// a slave (Options.Acting) calls it when it has learned what the slave did.
func (b *Broker) Act(ctx context.Context, on bool) error {
	if on && !b.Acts() && b.follower != nil {
		b.follower.suspend()
		b.meta.Offsets.Act()
		b.meta.Delays.Act()
	}
	changed, rests := b.acting.set(on)
	if changed && b.o.Slave {
		if on {
			b.o.Log.Warn("this slave acts as the master of its set now")
			if b.o.Escape == nil {
				b.o.Log.Warn("enableRemoteEscape is false: delayed messages, timers and transactions wait for the master")
			}
		} else {
			b.o.Log.Info("this slave does not act as the master of its set any more")
		}
	}
	if on {
		return nil
	}
	select {
	case <-rests:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Acts reports whether this broker does what only one broker of a set may do.
func (b *Broker) Acts() bool { return b.acting.on.Load() }

// Resume takes over what a slave did that acted as the master while this one was away: positions of consumers, of delay levels and
// of timers. Nothing goes back by it. Call it before Act.
//
// Differs from Java: there the newer table wins as a whole, so that a position which this broker had and its slave had not yet
// heard of goes back.
func (b *Broker) Resume(offsets, delays []byte, timer *mq.TimerProgress) error {
	err := b.meta.Offsets.Resume(offsets, func(topic string, queue int32) (mq.Index, bool) {
		q, ok := b.store.Lookup(topic, queue)
		if !ok {
			return 0, false
		}
		_, end, err := q.Bounds()
		return end, err == nil
	})
	if len(delays) > 0 {
		err = errors.Join(err, b.meta.Delays.Resume(delays))
	}
	if b.timer != nil && timer != nil {
		b.timer.Heard(timerProgress(timer))
	}
	return err
}
