package amqpapi

import (
	"slices"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// pollTime is how long the broker is asked to wait for a message at a time.
const pollTime = time.Minute

// pollAgain is when it is asked again when it takes no more who wait.
const pollAgain = time.Second

// feedKey names what links share.
type feedKey struct{ topic, group string }

// feed is the messages that a group has not consumed, for all links of this door that share them. It waits at the broker once, however
// many links wait for it: the broker wakes one of those who wait there, and so a message must not wake a link that is gone.
//
// Invariant: while links are hungry, either the feed is parked at the broker, or a timer will park it, or one link that was hungry has been
// told to look and will say so with wait or leave.
type feed struct {
	s    *Server
	key  feedKey
	refs int // guarded by Server.mu

	mu     sync.Mutex // guards what follows
	hungry []*outgoing
	parked bool // at the broker, or with a timer
	vain   int  // how often in a row the broker said that there is something, and nobody found it
	w      mq.Waiter
}

// maxVain is after how many times a link does not look at once any more: what is there may be for somebody else.
const maxVain = 3

// feed returns the feed of a topic and a group, to be released.
func (s *Server) feed(topic, group string) *feed {
	k := feedKey{topic, group}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.feeds[k]
	if f == nil {
		f = &feed{s: s, key: k}
		f.w.Wake = f.woken
		s.feeds[k] = f
	}
	f.refs++
	return f
}

// release ends the use of f by one link. The feed stays while it is parked, so that a link that comes soon does not park a second time.
func (f *feed) release(o *outgoing) {
	f.mu.Lock()
	f.hungry = slices.DeleteFunc(f.hungry, func(x *outgoing) bool { return x == o })
	f.mu.Unlock()
	f.next() // it may have been o that was told to look
	f.s.drop(f, 1)
}

// drop forgets f when nobody needs it any more.
func (s *Server) drop(f *feed, refs int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.refs -= refs
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refs == 0 && !f.parked && s.feeds[f.key] == f {
		delete(s.feeds, f.key)
	}
}

// wait says that o has found nothing and wants to be told when there may be something.
func (f *feed) wait(o *outgoing) {
	f.mu.Lock()
	if !slices.Contains(f.hungry, o) {
		f.hungry = append(f.hungry, o)
	}
	park := !f.parked
	f.parked = true
	f.mu.Unlock()
	if park {
		f.park()
	}
}

// park waits at the broker. f.parked is set.
func (f *feed) park() {
	r := f.request(1)
	r.PollTime, r.BornTime = pollTime.Milliseconds(), f.s.o.Now().UnixMilli()
	st := f.s.o.Service.ParkPop(r, &f.w)
	if st == mq.PopParked {
		return
	}
	f.mu.Lock()
	f.vain++
	soon := st == mq.PopAgain && f.vain <= maxVain
	f.mu.Unlock()
	if soon {
		f.woken(&f.w)
		return
	}
	time.AfterFunc(pollAgain, func() { f.woken(&f.w) })
}

// found says that a link has found something: there may be more for others.
func (f *feed) found() {
	f.mu.Lock()
	f.vain = 0
	f.mu.Unlock()
	f.next()
}

func (f *feed) request(n int32) *mq.PopRequest {
	return &mq.PopRequest{Group: f.key.group, Topic: f.key.topic, QueueID: -1, MaxMessages: n, Invisible: invisible.Milliseconds()}
}

// woken is called by the broker.
func (f *feed) woken(*mq.Waiter) {
	f.mu.Lock()
	f.parked = false
	f.mu.Unlock()
	f.next()
	f.s.drop(f, 0)
}

// next tells the link that has waited longest to look.
func (f *feed) next() {
	f.mu.Lock()
	var o *outgoing
	if len(f.hungry) > 0 {
		o = f.hungry[0]
		f.hungry = slices.Delete(f.hungry, 0, 1)
	}
	f.mu.Unlock()
	if o != nil {
		o.look()
	}
}
