package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/broker/meta"
)

// part is something in the broker that works by itself: it delivers what is due, asks about what is undecided, gives out
// again what was not acknowledged.
type part interface {
	// Run works until ctx ends and returns when its goroutines did. What it holds in memory only is written down then.
	Run(ctx context.Context) error
	// Close releases what Open acquired. Run has returned, or was never called.
	Close() error
}

// openParts makes the parts. Each of them finds in the store and the tables what it had left there. Those that do what only one
// broker of a set may do are run by b.acting.
func (b *Broker) openParts() error {
	b.acting.init(b.refuse == nil && !b.o.Acting)
	if err := b.openOwnQueues(); err != nil {
		return err
	}
	b.openTransactions()
	return errors.Join(b.openDelays(), b.openTimer(), b.openPops(), b.openLites())
}

// openOwnQueues opens the queues whose positions the parts keep. One that cannot be opened looks empty: its part would begin
// at 0 and do again all that it has done. The operator hears of it and starts the broker again.
func (b *Broker) openOwnQueues() error {
	own := make([]place, 0, 3+len(b.o.DelayLevels))
	own = append(own, place{delay.TimerTopic, 0}, place{meta.TopicHalf, 0}, place{meta.TopicOpHalf, 0})
	for i := range b.o.DelayLevels {
		own = append(own, place{delay.Topic, int32(i)})
	}
	for _, p := range own {
		if _, _, err := b.store.Queue(p.topic, p.queue).Bounds(); err != nil {
			return fmt.Errorf("where the broker is in its own topics cannot be told: %w", err)
		}
	}
	return nil
}

func (b *Broker) runParts(ctx context.Context) error {
	errs := make([]error, len(b.parts)+1)
	var wg sync.WaitGroup
	for i, p := range b.parts {
		wg.Go(func() { errs[i] = p.Run(ctx) })
	}
	wg.Go(func() { errs[len(b.parts)] = b.acting.run(ctx) })
	wg.Wait()
	return errors.Join(errs...)
}

func (b *Broker) closeParts() error {
	var err error
	for _, p := range append(b.parts, b.acting.parts...) {
		err = errors.Join(err, p.Close())
	}
	return err
}

// resting is a part that does nothing by itself.
type resting struct{ part }

func (resting) Run(context.Context) error { return nil }

// running is a part that has nothing to close.
type running func(ctx context.Context) error

func (r running) Run(ctx context.Context) error { return r(ctx) }
func (r running) Close() error                  { return nil }
