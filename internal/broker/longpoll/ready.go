package longpoll

import "sync"

// readyQueue hands woken waiters to the workers. Entries are linked by next, so a burst allocates nothing.
type readyQueue struct {
	mu          sync.Mutex
	more        sync.Cond
	first, last *entry
	closed      bool
	after       func(l *fifoList) // of a Fifo: called after the callback of a woken one
	idle        int               // workers that wait and were not signalled yet
}

func (q *readyQueue) init() { q.more.L = &q.mu }

// chain is a list of entries that were taken out of the table.
type chain struct {
	first, last *entry
	n           int
}

func (c *chain) add(e *entry) {
	if c.last == nil {
		c.first = e
	} else {
		c.last.next = e
	}
	c.last = e
	c.n++
}

// push adds a chain.
func (q *readyQueue) push(c chain) {
	if c.n == 0 {
		return
	}
	q.mu.Lock()
	if q.last == nil {
		q.first = c.first
	} else {
		q.last.next = c.first
	}
	q.last = c.last
	// One worker for a small burst: a wake-up costs more than a callback. The others help when it is long.
	wake := 0
	if q.idle > 0 {
		wake = min(q.idle, 1+c.n/16)
	}
	q.idle -= wake
	for range wake {
		q.more.Signal()
	}
	q.mu.Unlock()
}

// work runs callbacks until the queue is closed and empty.
func (q *readyQueue) work() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		for q.first == nil {
			if q.closed {
				return
			}
			q.idle++
			q.more.Wait()
		}
		e := q.first
		q.first = e.next
		if q.first == nil {
			q.last = nil
		}
		w, turn := e.w, e.woken
		e.next, e.w, e.woken = nil, nil, nil // before Wake: the callback may park w again, and w is not ours after it
		q.mu.Unlock()
		w.Wake(w)
		if turn != nil {
			q.after(turn)
		}
		q.mu.Lock()
	}
}

func (q *readyQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.more.Broadcast()
	q.mu.Unlock()
}
