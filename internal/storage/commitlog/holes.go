package commitlog

import (
	"slices"
	"sync"

	"github.com/cometmq/cometmq/internal/record"
)

// Hole is a place in the log that holds no sound record although sound ones follow.
type Hole struct {
	File     string
	At       int64 // in the file
	From, To record.Offset
	Why      string
}

// maxHoles is how many holes are kept for reports; more are only counted.
const maxHoles = 1000

type holes struct {
	mu    sync.Mutex // guards what follows
	list  []Hole
	count int64
	fresh func(Hole)
}

func (h *holes) add(x Hole) {
	h.mu.Lock()
	for _, o := range h.list {
		if o.From == x.From {
			h.mu.Unlock()
			return
		}
	}
	h.count++
	if len(h.list) < maxHoles {
		h.list = append(h.list, x)
	}
	fresh := h.fresh
	h.mu.Unlock()
	if fresh != nil {
		fresh(x)
	}
}

// Holes returns the holes found so far (the first maxHoles) and their number.
func (l *Log) Holes() ([]Hole, int64) {
	l.holes.mu.Lock()
	defer l.holes.mu.Unlock()
	return slices.Clone(l.holes.list), l.holes.count
}

// Holed reports whether a hole was found.
func (l *Log) Holed() bool {
	l.holes.mu.Lock()
	defer l.holes.mu.Unlock()
	return l.holes.count > 0
}
