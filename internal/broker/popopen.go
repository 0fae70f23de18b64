package broker

import (
	"fmt"
	"time"

	"github.com/cometmq/cometmq/internal/broker/longpoll"
	"github.com/cometmq/cometmq/internal/broker/pop"
)

const (
	// popInPlace is how often a message is handed out from where it is before it goes to the retry topic. Messages that fail
	// again and again would pin the position of their group, and keep it from being deleted in time.
	popInPlace = 3

	// popLeast is the shortest time that is worth waiting.
	popLeast = 50 * time.Millisecond
)

// openPops makes the parts of consumers that pop.
func (b *Broker) openPops() error {
	b.popWaits = longpoll.NewFifo(longpoll.FifoOptions{PerList: b.o.PopPolling, Most: b.o.PopPollingMost})
	o := pop.Options{
		FS: b.o.FS, Dir: b.o.Dir, Positions: b.meta.Offsets, MaxInflight: b.o.PopInflight, SpillAfter: popInPlace, Sync: b.o.PopAckSync,
		Wake: b.popWake, Spill: b.popSpill, Feed: b.feed, Now: b.o.Now, Log: b.o.Log,
	}
	if b.o.PopToRetryTopic {
		o.SpillAfter = 0
	}
	var err error
	if b.pops, err = pop.Open(o); err != nil {
		return fmt.Errorf("open what is popped: %w", err)
	}
	b.debts = newDebts(b)
	b.parts = append(b.parts, running(b.popWaits.Run))
	if b.o.Slave {
		b.follower = newTableFollower(b)
		b.parts = append(b.parts, running(b.follower.run), running(b.follower.announce))
	}
	switch {
	case b.leaves(): // it takes no pops
		b.parts = append(b.parts, resting{b.pops})
	case !b.o.Slave:
		b.acting.parts = append(b.acting.parts, b.pops, running(b.debts.run), running(b.cleanStatics))
	default:
		b.acting.parts = append(b.acting.parts, b.pops)
	}
	return nil
}
