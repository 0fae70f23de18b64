package tablefeed

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// question is one that waits.
type question struct {
	Question
	done  func(body []byte)
	timer *time.Timer // answers it in any case
}

// follower is what is known of a slave.
type follower struct {
	stream            uint64
	received, applied uint64
	seen              time.Time
	late              uint64 // it has kept somebody waiting for too long, and is not waited for until it has this position
}

// state is a full state that is being fetched.
type state struct {
	id   uint64
	next uint64 // where the stream goes on behind it
	end  int64
	b    []byte
	made time.Time
}

var (
	errClosed = errors.New("the broker changes its role or stops")
	errMany   = errors.New("too many followers")
)

// Serve answers the question in body: done is called once, perhaps much later and without locks; or not at all when an error
// is returned.
func (f *Feed) Serve(body []byte, done func(body []byte)) error {
	q := &question{done: done}
	if err := q.Decode(body); err != nil {
		return err
	}
	q.Wait = min(q.Wait, longest)
	now := time.Now()
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return errClosed
	}
	if err := f.noteLocked(&q.Question, now); err != nil {
		f.mu.Unlock()
		return err
	}
	fresh := q.Stream == f.id && q.Received == f.end && q.State == 0
	switch {
	case q.Tell:
		a := Answer{Stream: f.id, Next: f.end}
		f.mu.Unlock()
		done(a.appendHead(nil))
	case q.Stream != f.id, q.State != 0, q.Received < f.hot, fresh && q.Wait <= 0, !fresh && now.Sub(f.woken) >= merge:
		f.woken = now
		f.mu.Unlock()
		f.answer(q)
	default:
		old := f.parkLocked(q, !fresh)
		f.mu.Unlock()
		if old != nil {
			old.nothing()
		}
	}
	return nil
}

// nothing answers q: there is nothing new.
func (q *question) nothing() {
	q.timer.Stop()
	a := Answer{Stream: q.Stream, Next: q.Received}
	q.done(a.appendHead(nil))
}

// noteLocked notes what a follower says about itself.
func (f *Feed) noteLocked(q *Question, now time.Time) error {
	w := f.followers[q.Follower]
	if w == nil {
		for id, old := range f.followers {
			if now.Sub(old.seen) > leave {
				delete(f.followers, id)
			}
		}
		if len(f.followers) >= maxFollowers {
			return errMany
		}
		w = &follower{}
		f.followers[q.Follower] = w
	}
	if f.id == 0 {
		f.renewLocked()
		f.o.Log.Info("tables are followed")
		time.AfterFunc(leave, f.retire)
	}
	if w.stream == q.Stream { // two questions of a follower may overtake each other
		w.received, w.applied = max(w.received, q.Received), max(w.applied, q.Applied)
	} else {
		w.stream, w.received, w.applied = q.Stream, q.Received, q.Applied
	}
	w.seen = now
	if w.received >= w.late {
		w.late = 0
	}
	if f.moved != nil {
		close(f.moved)
		f.moved = nil
	}
	return nil
}

// retire ends the stream when nobody has asked for long.
func (f *Feed) retire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.id == 0 {
		return
	}
	now := time.Now()
	for id, w := range f.followers {
		if now.Sub(w.seen) > leave {
			delete(f.followers, id)
		}
	}
	f.states = slices.DeleteFunc(f.states, func(s *state) bool { return now.Sub(s.made) > keepState })
	if len(f.followers) > 0 {
		time.AfterFunc(leave, f.retire)
		return
	}
	f.stopLocked()
	f.o.Log.Info("tables are not followed any more")
}

// parkLocked lets q wait. more: there is something for it already, but it is too early to say so. It returns a question of the same
// follower that waited until now: one of each waits at a time.
func (f *Feed) parkLocked(q *question, more bool) (old *question) {
	if i := slices.IndexFunc(f.waiting, func(w *question) bool { return w.Follower == q.Follower }); i >= 0 {
		old = f.waiting[i]
		f.waiting = slices.Delete(f.waiting, i, i+1)
	}
	f.waiting = append(f.waiting, q)
	q.timer = time.AfterFunc(q.Wait, func() { f.expire(q) })
	if more {
		f.wakeLocked(false)
	}
	return old
}

func (f *Feed) expire(q *question) {
	f.mu.Lock()
	i := slices.Index(f.waiting, q)
	if i >= 0 {
		f.waiting = slices.Delete(f.waiting, i, i+1)
	}
	f.mu.Unlock()
	if i >= 0 {
		f.answer(q)
	}
}

// wakeLocked sees to it that those who wait are answered: at once, or when the last answers are long enough ago.
func (f *Feed) wakeLocked(urgent bool) {
	if f.armed && !urgent {
		return
	}
	wait := time.Duration(0)
	if !urgent {
		wait = max(merge-time.Since(f.woken), 0)
	}
	f.armed = true
	if f.wake == nil {
		f.wake = time.AfterFunc(wait, f.fire)
		return
	}
	f.wake.Reset(wait)
}

// fire answers all that wait.
func (f *Feed) fire() {
	f.mu.Lock()
	list := f.waiting
	f.waiting, f.armed, f.woken = nil, false, time.Now()
	f.mu.Unlock()
	for _, q := range list {
		q.timer.Stop()
		f.answer(q)
	}
}

// answer answers q with what there is.
func (f *Feed) answer(q *question) {
	if q.Stream != 0 {
		f.mu.Lock()
		if q.Stream == f.id && q.State == 0 {
			if parts, next, ok := f.sinceLocked(q.Received); ok {
				a := Answer{Stream: f.id, Next: next}
				f.mu.Unlock()
				a.End = f.o.End() // after the entries
				size := answerHead
				for _, p := range parts {
					size += len(p)
				}
				if len(parts) > 0 {
					a.Kind = KindEntries
				}
				b := a.appendHead(make([]byte, 0, size))
				for _, p := range parts {
					b = append(b, p...)
				}
				q.done(b)
				return
			}
		}
		f.mu.Unlock()
	}
	f.answerState(q)
}

// answerState answers q with a part of the full state.
func (f *Feed) answerState(q *question) {
	f.making <- struct{}{} // one at a time; the second of two followers gets the state of the first
	s, stream := f.current(q.State)
	if s == nil {
		f.mu.Lock()
		stream = f.id
		s = &state{id: rand.Uint64() | 1, next: f.end, made: time.Now()}
		f.mu.Unlock()
		s.b = f.o.State()
		s.end = f.o.End() // after the state
		f.mu.Lock()
		if f.id == stream {
			if f.states = append(f.states, s); len(f.states) > maxStates {
				f.states = slices.Delete(f.states, 0, 1)
			}
		}
		f.mu.Unlock()
	}
	<-f.making
	at := q.StateHave
	if q.State != s.id || at > uint64(len(s.b)) {
		at = 0
	}
	part := s.b[at:min(uint64(len(s.b)), at+answerBytes)]
	a := Answer{Kind: KindState, Stream: stream, Next: s.next, End: s.end, State: s.id, Total: uint64(len(s.b)), At: at}
	q.done(append(a.appendHead(make([]byte, 0, stateHead+len(part))), part...))
}

// current returns the full state with a number, or with 0 one that was just made, if there is one.
func (f *Feed) current(id uint64) (s *state, stream uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range slices.Backward(f.states) {
		if s.next >= f.start && (s.id == id || id == 0 && time.Since(s.made) < time.Second) {
			return s, f.id
		}
	}
	return nil, 0
}

// Await waits until all followers that are in step have received, or with applied: applied, what was added before, at most for
// a while. It is for changes whose effects may reach a slave by its log before they reach it by this stream.
func (f *Feed) Await(applied bool, most time.Duration) {
	if !f.On() {
		return
	}
	f.mu.Lock()
	want := f.end
	if f.id == 0 || f.closed || !f.behindLocked(want, applied) {
		f.mu.Unlock()
		return
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	for f.id != 0 && !f.closed && f.behindLocked(want, applied) {
		if f.moved == nil {
			f.moved = make(chan struct{})
		}
		moved := f.moved
		f.mu.Unlock()
		late := false
		select {
		case <-moved:
		case <-timer.C:
			late = true
		}
		f.mu.Lock()
		if late {
			f.lateLocked(want, applied)
			break
		}
	}
	f.mu.Unlock()
}

// behindLocked reports whether a follower that is waited for has not got to a position.
func (f *Feed) behindLocked(pos uint64, applied bool) bool {
	for _, w := range f.followers {
		if f.awaitedLocked(w) && w.at(applied) < pos {
			return true
		}
	}
	return false
}

func (f *Feed) awaitedLocked(w *follower) bool {
	return w.late == 0 && w.stream == f.id && time.Since(w.seen) < longest+5*time.Second
}

func (w *follower) at(applied bool) uint64 {
	if applied {
		return w.applied
	}
	return w.received
}

func (f *Feed) lateLocked(pos uint64, applied bool) {
	for id, w := range f.followers {
		if f.awaitedLocked(w) && w.at(applied) < pos {
			w.late = pos
			f.o.Log.Warn("a slave's tables are behind: changes do not wait for it until it has caught up", "follower", id)
		}
	}
}

// Followers returns how many slaves follow.
func (f *Feed) Followers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, w := range f.followers {
		if time.Since(w.seen) < leave {
			n++
		}
	}
	return n
}

// Close answers all questions that wait with nothing. Nothing is served after it.
func (f *Feed) Close() {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return
	}
	f.closed = true
	list := f.waiting
	f.waiting = nil
	if f.wake != nil {
		f.wake.Stop()
	}
	f.stopLocked()
	if f.moved != nil {
		close(f.moved)
		f.moved = nil
	}
	f.mu.Unlock()
	for _, q := range list {
		q.nothing()
	}
}
