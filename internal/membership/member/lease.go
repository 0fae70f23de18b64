package member

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// lease is the right to acknowledge. Two things keep it: the leader's word that this broker is master, and the leader's having
// taken a heartbeat. It ends a fixed time after the older of the two was sent.
//
// Times are nanoseconds since the lease was made, by the monotonic clock: a jump of the wall clock changes nothing. A machine
// that sleeps as a whole may stop that clock; a process that is stopped does not.
type lease struct {
	span time.Duration
	born time.Time
	word atomic.Int64 // when the question was sent that was answered last; 0: none
	beat atomic.Int64 // when the heartbeat was sent that was taken last; 0: none
}

func newLease(span time.Duration) lease { return lease{span: span, born: time.Now()} }

// since is never 0.
func (l *lease) since(t time.Time) int64 { return max(int64(t.Sub(l.born)), 1) }

// end returns when the lease ends; 0 when there is none.
func (l *lease) end() int64 {
	w, b := l.word.Load(), l.beat.Load()
	if w == 0 || b == 0 {
		return 0
	}
	return min(w, b) + int64(l.span)
}

func (l *lease) held(now time.Time) bool { return int64(now.Sub(l.born)) < l.end() }

// left returns how long the lease holds, at most 0 when it does not.
func (l *lease) left() time.Duration { return time.Duration(l.end() - int64(time.Since(l.born))) }

func (l *lease) confirm(sent time.Time)   { raise(&l.word, l.since(sent)) }
func (l *lease) heartbeat(sent time.Time) { raise(&l.beat, l.since(sent)) }

// revoke ends the lease; the next word begins a new one.
func (l *lease) revoke() { l.word.Store(0) }

func raise(a *atomic.Int64, v int64) {
	for old := a.Load(); old < v; old = a.Load() {
		if a.CompareAndSwap(old, v) {
			return
		}
	}
}

// guard fences a master whose lease has ended. The engine asks Held before it acknowledges, so that nothing depends on when this
// goroutine runs.
func (m *Member) guard(ctx context.Context) {
	tick := max(m.o.Expire/50, time.Millisecond)
	for wait(ctx, max(tick, m.lease.left()), nil) {
		m.mu.Lock()
		lapsed := m.done.Master() && !m.fenced && !m.Held()
		m.fenced = m.fenced || lapsed
		epoch := m.done.Epoch
		m.mu.Unlock()
		if lapsed {
			m.fence(fmt.Sprintf("no leader of the controllers has confirmed this master in epoch %d for %v", epoch, m.o.Expire))
		}
	}
}

func (m *Member) fence(reason string) {
	m.o.Log.Error("this master accepts nothing any more, until the controllers confirm it", "reason", reason)
	m.o.Engine.Fence(reason)
}
