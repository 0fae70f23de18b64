package storage

import (
	"sync"
	"sync/atomic"
)

// The three that can find the disk full. Each takes back only what it has said itself.
const (
	crowdRatio    = iota // the cleaner: too much of the disk is used
	crowdDispatch        // the dispatcher: no room for queue or index
	crowdKeep            // the keeper: no room when units that waited were written
	crowdCauses
)

// crowd collects why new messages are refused for want of room. The log is told of the first reason that stands.
type crowd struct {
	any atomic.Bool // a reason stands: lets the dispatcher pass without the mutex

	mu  sync.Mutex // guards why
	why [crowdCauses]error
}

// set notes that cause has met a full disk (err), or does not any more (nil).
func (c *crowd) set(s *Store, cause int, err error) {
	if err == nil && !c.any.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.why[cause] = err
	var first error
	for _, e := range c.why {
		if first == nil {
			first = e
		}
	}
	c.any.Store(first != nil)
	s.log.SetCrowded(first)
}
