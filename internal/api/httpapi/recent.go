package httpapi

import (
	"context"
	"sync"
	"time"
)

// recent keeps large answers for a moment: the pages of one list, and several browsers, need the same one. Who gets it must not change it.
type recent[T any] struct {
	mu      sync.Mutex // guards answers
	answers map[string]*recentAnswer[T]
}

// recentAnswer is being asked for until done is closed.
type recentAnswer[T any] struct {
	done chan struct{}
	v    T
	err  error
}

// get returns the answer of key, or asks for it. One asks, the others wait; when the one fails they ask themselves, since it may have
// been nothing but a browser that left.
func (r *recent[T]) get(ctx context.Context, key string, valid time.Duration, ask func(ctx context.Context) (T, error)) (T, error) {
	r.mu.Lock()
	e := r.answers[key]
	if e != nil {
		r.mu.Unlock()
		select {
		case <-e.done:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
		if e.err != nil {
			return ask(ctx)
		}
		return e.v, nil
	}
	e = &recentAnswer[T]{done: make(chan struct{})}
	if r.answers == nil {
		r.answers = map[string]*recentAnswer[T]{}
	}
	r.answers[key] = e
	r.mu.Unlock()
	e.v, e.err = ask(ctx)
	close(e.done)
	if e.err != nil {
		r.forget(key)
	} else {
		time.AfterFunc(valid, func() { r.forget(key) })
	}
	return e.v, e.err
}

func (r *recent[T]) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.answers, key)
}
