package longpoll

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

func nothing() bool { return false }

// crowd parks waiters that note the order in which they are woken.
type crowd struct {
	mu    sync.Mutex
	woken []int
	block chan struct{} // a woken one works until it is closed
}

func (c *crowd) waiter(n int, group string, queue int32, match func(int64) bool) *mq.Waiter {
	return &mq.Waiter{
		Topic: "T", Group: group, QueueID: queue, Match: match, Deadline: time.Now().Add(time.Minute),
		Wake: func(*mq.Waiter) {
			c.mu.Lock()
			c.woken = append(c.woken, n)
			block := c.block
			c.mu.Unlock()
			if block != nil {
				<-block
			}
		},
	}
}

func (c *crowd) take() []int {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.woken = nil }()
	return slices.Clone(c.woken)
}

func runFifo(t *testing.T, o FifoOptions, f func(p *Fifo)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := NewFifo(o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		f(p)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestFifoWakesOneOfEachGroupInOrder(t *testing.T) {
	t.Parallel()
	runFifo(t, FifoOptions{}, func(p *Fifo) {
		var c crowd
		for n := range 3 {
			p.Park(c.waiter(n, "g", AnyQueue, nil), nothing)
		}
		p.Park(c.waiter(10, "other", AnyQueue, nil), nothing)
		p.Park(c.waiter(20, "g", 2, nil), nothing)
		p.Park(c.waiter(30, "g", 5, nil), nothing)
		p.Arrived("T", 2, 0, nil)
		if got := c.take(); !slices.Equal(slices.Sorted(slices.Values(got)), []int{0, 10, 20}) {
			t.Errorf("woken %v", got)
		}
		p.Arrived("T", 3, 0, nil)
		if got := c.take(); !slices.Equal(got, []int{1}) {
			t.Errorf("woken %v", got)
		}
		p.Arrived("U", 2, 0, nil)
		if got := c.take(); len(got) != 0 || p.Parked() != 2 || p.Waiting("T", "g", 5) != 1 {
			t.Errorf("woken %v, %d wait", got, p.Parked())
		}
	})
}

// What arrives while the one that was woken works wakes nobody else, and is not forgotten.
func TestFifoDoesNotWakeACrowd(t *testing.T) {
	t.Parallel()
	runFifo(t, FifoOptions{}, func(p *Fifo) {
		c := crowd{block: make(chan struct{})}
		for n := range 3 {
			p.Park(c.waiter(n, "g", AnyQueue, nil), nothing)
		}
		for range 100 {
			p.Arrived("T", 0, 0, nil)
		}
		if got := c.take(); !slices.Equal(got, []int{0}) {
			t.Errorf("woken %v", got)
		}
		close(c.block)
		if got := c.take(); !slices.Equal(got, []int{1}) {
			t.Errorf("then woken %v", got)
		}
	})
}

func TestFifoFiltersLimitsAliasesAndDeadlines(t *testing.T) {
	t.Parallel()
	runFifo(t, FifoOptions{PerList: 2, Most: 3}, func(p *Fifo) {
		var c crowd
		one := func(code int64) bool { return code == 1 }
		if st := p.Park(c.waiter(0, "g", AnyQueue, one), nothing); st != mq.PopParked {
			t.Fatal(st)
		}
		p.Park(c.waiter(1, "g", AnyQueue, nil), nothing)
		if st := p.Park(c.waiter(2, "g", AnyQueue, nil), nothing); st != mq.PopFull {
			t.Errorf("third of a list: %d", st)
		}
		p.Park(c.waiter(3, "h", AnyQueue, nil), nothing)
		if st := p.Park(c.waiter(4, "i", AnyQueue, nil), nothing); st != mq.PopFull {
			t.Errorf("fourth of all: %d", st)
		}
		p.Arrived("T", 0, 7, nil)
		if got := c.take(); !slices.Equal(slices.Sorted(slices.Values(got)), []int{1, 3}) {
			t.Errorf("woken %v", got)
		}
		if st := p.Park(c.waiter(5, "h", AnyQueue, nil), func() bool { return true }); st != mq.PopAgain || p.Parked() != 1 {
			t.Errorf("something is there already: %d, %d wait", st, p.Parked())
		}
		p.Park(c.waiter(6, "h", 4, nil), nothing)
		p.Alias("%RETRY%h_T", "h", "T")
		p.Arrived("%RETRY%h_T", 0, 0, nil)
		if got := c.take(); !slices.Equal(got, []int{6}) {
			t.Errorf("woken by an alias %v", got)
		}
		time.Sleep(time.Minute)
		if got := c.take(); !slices.Equal(got, []int{0}) {
			t.Errorf("woken at the deadline %v", got)
		}
	})
}
