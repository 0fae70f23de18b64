package commitlog

import (
	"context"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/record"
)

// Status is how an Await ended.
type Status uint8

// Statuses of an Await.
const (
	Durable Status = iota
	FlushTimeout
	SlaveTimeout
)

// Await asks to be told when the log up to End is safe. It belongs to the log until Done is called.
type Await struct {
	End      record.Offset
	Flush    bool // wait for the disk
	Replicas int  // > 0: wait for the replicated mark
	Deadline time.Time
	// ReplicaDeadline, if set, counts instead of Deadline once only replicas are waited for.
	ReplicaDeadline time.Time
	// Done is called once, from any goroutine and under no lock. It must not block.
	Done func(Status)

	prev, next *Await
	list       *awaits
}

// awaits is a list ordered by End.
type awaits struct{ head Await }

// waits holds who waits for which mark.
type waits struct {
	l *Log

	mu       sync.Mutex // guards what follows
	flush    awaits
	replica  awaits
	armed    bool // the deadline goroutine will look by itself
	gone     bool // nobody will be called later: no waiting any more
	deadline chan struct{}
}

// expiry is how exactly deadlines are kept.
const expiry = 50 * time.Millisecond

func (w *waits) init(l *Log) {
	w.l = l
	w.deadline = make(chan struct{}, 1)
	for _, a := range []*awaits{&w.flush, &w.replica} {
		a.head.next, a.head.prev = &a.head, &a.head
	}
}

// insert keeps the order; nearly always w goes to the end.
func (a *awaits) insert(w *Await) {
	p := a.head.prev
	for p != &a.head && p.End > w.End {
		p = p.prev
	}
	w.prev, w.next, w.list = p, p.next, a
	p.next.prev, p.next = w, w
}

// forReplicas makes the deadline that of the second wait. The deadline goroutine looks again at the first one at the latest.
func (w *Await) forReplicas() {
	if !w.ReplicaDeadline.IsZero() {
		w.Deadline = w.ReplicaDeadline
	}
}

func (w *Await) unlink() {
	w.prev.next, w.next.prev = w.next, w.prev
	w.prev, w.next, w.list = nil, nil, nil
}

// AwaitDurable returns false when what a asks for is so already; Done is not called then. Else Done will be called.
func (l *Log) AwaitDurable(a *Await) bool {
	w := &l.waits
	w.mu.Lock()
	if !w.needsLocked(a) {
		w.mu.Unlock()
		return false
	}
	flush := a.list == &w.flush
	if w.gone {
		a.unlink()
		w.mu.Unlock()
		if flush {
			a.Done(FlushTimeout)
		} else {
			a.Done(SlaveTimeout)
		}
		return true
	}
	wake := !w.armed && !a.Deadline.IsZero()
	w.armed = w.armed || wake
	w.mu.Unlock()
	if wake {
		poke(w.deadline)
	}
	if flush {
		poke(l.wake)
	}
	return true
}

// needsLocked puts a on the list that it must wait on and reports whether there is one.
func (w *waits) needsLocked(a *Await) bool {
	switch {
	case a.Flush && w.l.Flushed() < a.End:
		w.flush.insert(a)
	case a.Replicas > 0 && w.l.unreplicated(a.End):
		a.forReplicas()
		w.replica.insert(a)
	default:
		return false
	}
	return true
}

// unreplicated reports whether replicas are to be waited for that do not have the log before end.
func (l *Log) unreplicated(end record.Offset) bool { return l.Replicated() < end && !l.alone.Load() }

// fire calls those whose marks have passed.
func (w *waits) fire() {
	var ready Await // list of those that are done, in order
	last := &ready
	w.mu.Lock()
	for a := w.flush.head.next; a != &w.flush.head && a.End <= w.l.Flushed(); a = w.flush.head.next {
		a.unlink()
		if a.Replicas > 0 && w.l.unreplicated(a.End) {
			a.forReplicas()
			w.replica.insert(a)
			continue
		}
		last.next, last = a, a
	}
	for a := w.replica.head.next; a != &w.replica.head && a.End <= w.l.Replicated(); a = w.replica.head.next {
		a.unlink()
		last.next, last = a, a
	}
	w.mu.Unlock()
	for a := ready.next; a != nil; {
		next := a.next
		a.next = nil
		a.Done(Durable)
		a = next
	}
}

// expire calls those whose deadline has passed. It returns when to look again, zero when nobody waits.
func (w *waits) expire(now time.Time, all bool) (next time.Time) {
	type lateOne struct {
		a *Await
		s Status
	}
	var late []lateOne
	w.mu.Lock()
	for _, l := range []*awaits{&w.flush, &w.replica} {
		s := FlushTimeout
		if l == &w.replica {
			s = SlaveTimeout
		}
		for a := l.head.next; a != &l.head; {
			following := a.next
			if all || (!a.Deadline.IsZero() && !a.Deadline.After(now)) {
				a.unlink()
				late = append(late, lateOne{a, s})
			} else if !a.Deadline.IsZero() && (next.IsZero() || a.Deadline.Before(next)) {
				next = a.Deadline
			}
			a = following
		}
	}
	w.armed = !next.IsZero()
	w.mu.Unlock()
	for _, x := range late {
		x.a.Done(x.s)
	}
	return next
}

// giveUp ends all waiting, now and in future: nothing will become durable any more.
func (w *waits) giveUp() {
	w.mu.Lock()
	w.gone = true
	w.mu.Unlock()
	w.expire(time.Time{}, true)
}

// runDeadlines keeps deadlines until ctx ends.
func (w *waits) runDeadlines(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.deadline:
		case <-timer.C:
		}
		if next := w.expire(time.Now(), false); !next.IsZero() {
			timer.Reset(max(time.Until(next), expiry))
		}
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
