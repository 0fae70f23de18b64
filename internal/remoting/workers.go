package remoting

import "sync"

// workers is a bounded set of goroutines, started on demand, that end when there is nothing to do.
type workers struct {
	most int
	wg   sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	queue   []func()
	head    int // queue[:head] has been taken
	running int
	closed  bool
}

// run has f run by a worker, now or when one is free. It reports false, and drops f, after close.
func (w *workers) run(f func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return false
	case w.running < w.most:
		w.running++
		w.wg.Add(1)
		go w.loop(f)
	default:
		w.queue = append(w.queue, f)
	}
	return true
}

func (w *workers) loop(f func()) {
	defer w.wg.Done()
	for f != nil {
		f()
		f = w.next()
	}
}

func (w *workers) next() func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head == len(w.queue) {
		w.queue, w.head = w.queue[:0], 0
		if cap(w.queue) > 1024 {
			w.queue = nil
		}
		w.running--
		return nil
	}
	f := w.queue[w.head]
	w.queue[w.head] = nil
	w.head++
	if w.head >= 512 && w.head*2 >= len(w.queue) {
		w.queue = w.queue[:copy(w.queue, w.queue[w.head:])]
		w.head = 0
	}
	return f
}

// close refuses further work, finishes what is queued and waits for all workers.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.wg.Wait()
}
