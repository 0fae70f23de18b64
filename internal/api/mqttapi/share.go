package mqttapi

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi/message"
	"github.com/cometmq/cometmq/internal/api/mqttapi/state"
	"github.com/cometmq/cometmq/internal/api/mqttapi/topic"
	"github.com/cometmq/cometmq/internal/mq"
)

// share is a shared subscription: sessions that take the messages of one filter together, each message by one of them. It has a cursor
// for each queue, which is the share's and no session's. One goroutine reads for all, and gives a message to the next member that can take
// it; what nobody can take stays in the log.
//
// A message of QoS 0 is done when it is sent, one of QoS 1 when it is acknowledged: until then it is out, and when the member's
// connection is lost it is given to another one. One of QoS 2 is done when the member's session has it on disk: it is finished with that
// member and nobody else (MQTT 5.0, 4.8.2).
type share struct {
	srv    *Server
	key    string // the subscription as clients write it
	filter topic.Filter
	wake   chan struct{} // one slot
	stop   chan struct{} // closed when the last member has left

	mu      sync.Mutex // guards what follows; nothing but the store's is locked with it
	members []*sub
	events  []event
	due     bool // what is dirty is to be saved, and a topic that is missing looked for
	ended   bool

	dirty   atomic.Bool // the cursors are to be saved
	missing atomic.Bool // there is no topic yet, or it may have more queues

	looked time.Time // of sweep

	// Of run, and of who loads and saves while it does not run.
	cursors map[place]*shareCursor
	turn    int // of the members
}

// shareCursor is how far a share has read a queue.
type shareCursor struct {
	next   mq.Index
	out    map[mq.Index]bool // of QoS 1, with a member
	back   []mq.Index        // to be given to another member, in order
	parked chan struct{}     // one slot; full: nobody waits for messages behind next
}

// event is the end of a delivery of QoS 1.
type event struct {
	at    place
	index mq.Index
	done  bool // else it comes back
}

func newShareCursor(next mq.Index) *shareCursor {
	return &shareCursor{next: next, out: map[mq.Index]bool{}, parked: make(chan struct{}, 1)}
}

// join makes a session a member of the share of its subscription, in place of what it was there before. The share is made if need be:
// then it begins where the subscription does.
func (srv *Server) join(x *sub) *share {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	key := x.filter.String()
	sh := srv.shares[key]
	if sh == nil {
		sh = srv.newShare(x.filter)
		for at, i := range x.start {
			sh.cursors[at] = newShareCursor(i)
		}
		sh.missing.Store(len(sh.cursors) == 0)
		if !srv.loading {
			srv.wg.Go(sh.run)
		}
	}
	sh.mu.Lock()
	i := slices.IndexFunc(sh.members, func(m *sub) bool { return m.s == x.s })
	if i >= 0 {
		sh.members[i] = x
	} else {
		sh.members = append(sh.members, x)
	}
	sh.mu.Unlock()
	sh.kick()
	return sh
}

func (srv *Server) newShare(f topic.Filter) *share {
	sh := &share{
		srv: srv, key: f.String(), filter: f, wake: make(chan struct{}, 1), stop: make(chan struct{}), cursors: map[place]*shareCursor{},
	}
	sh.dirty.Store(true)
	srv.shares[sh.key] = sh
	return sh
}

// quit takes a session out of a share. With its last member the share ends, and what it had not delivered is forgotten.
func (srv *Server) quit(s *session, key string) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	sh := srv.shares[key]
	if sh == nil {
		return
	}
	sh.mu.Lock()
	sh.members = slices.DeleteFunc(sh.members, func(m *sub) bool { return m.s == s })
	last := len(sh.members) == 0
	if last {
		sh.ended = true
		srv.o.State.Apply([]state.Op{{Key: shareKey(key)}}, nil) // nothing is written behind it
	}
	sh.mu.Unlock()
	if last {
		delete(srv.shares, key)
		close(sh.stop)
	}
}

// runShares lets the shares run that were loaded. One without a session is forgotten.
func (srv *Server) runShares() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.loading = false
	for key, sh := range srv.shares {
		if len(sh.members) == 0 {
			delete(srv.shares, key)
			srv.o.State.Apply([]state.Op{{Key: shareKey(key)}}, nil)
			continue
		}
		srv.wg.Go(sh.run)
	}
}

func (srv *Server) allShares() []*share {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return slices.Collect(maps.Values(srv.shares))
}

// size is the number of members.
func (sh *share) size() int {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return len(sh.members)
}

// kick has the share look for what it can deliver. It never waits.
func (sh *share) kick() {
	select {
	case sh.wake <- struct{}{}:
	default:
	}
}

// tell is how sessions say that a delivery of QoS 1 is over. It never waits.
func (sh *share) tell(d *delivery, done bool) {
	sh.mu.Lock()
	sh.events = append(sh.events, event{d.at, d.index, done})
	sh.mu.Unlock()
	sh.kick()
}

// sweep is called each second.
func (sh *share) sweep(now time.Time) {
	if sh.looked.IsZero() {
		sh.looked = now
	}
	if now.Sub(sh.looked) >= lookEvery {
		sh.looked = now
		sh.missing.Store(true)
	}
	if !sh.dirty.Load() && !sh.missing.Load() {
		return
	}
	sh.mu.Lock()
	sh.due = true
	sh.mu.Unlock()
	sh.kick()
}

func (sh *share) run() {
	var buf []byte
	for {
		due := sh.settle()
		if due {
			sh.findQueues()
			sh.save()
		}
		moved, failed := false, false
		for at, cur := range sh.cursors {
			m, err := sh.serve(at, cur, &buf)
			moved, failed = moved || m, failed || err != nil
		}
		if failed && !sh.rest(retryAfter) {
			return
		}
		if moved || failed {
			select {
			case <-sh.stop:
				return
			case <-sh.srv.ctx.Done():
				return
			default:
			}
			continue
		}
		select {
		case <-sh.wake:
		case <-sh.stop:
			return
		case <-sh.srv.ctx.Done():
			return
		}
	}
}

// rest waits for d; false: it is over.
func (sh *share) rest(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-sh.stop:
	case <-sh.srv.ctx.Done():
	}
	return false
}

// settle takes what sessions have told.
func (sh *share) settle() (due bool) {
	sh.mu.Lock()
	events := sh.events
	sh.events = nil
	due, sh.due = sh.due, false
	sh.mu.Unlock()
	for _, e := range events {
		cur := sh.cursors[e.at]
		if cur == nil || !cur.out[e.index] {
			continue
		}
		delete(cur.out, e.index)
		if !e.done {
			i, _ := slices.BinarySearch(cur.back, e.index)
			cur.back = slices.Insert(cur.back, i, e.index)
		}
		sh.dirty.Store(true)
	}
	return due
}

// findQueues looks for a topic, and queues, that did not exist when it was subscribed to. All that is in them came later.
func (sh *share) findQueues() {
	if !sh.missing.Load() {
		return
	}
	name := topic.First(sh.filter.Text)
	tc, err := sh.srv.o.Core.Topic(sh.srv.ctx, name)
	if err != nil {
		return
	}
	for q := range tc.ReadQueues {
		if at := (place{name, q}); sh.cursors[at] == nil {
			sh.cursors[at] = newShareCursor(0)
			sh.dirty.Store(true)
		}
	}
	sh.missing.Store(false)
}

// ready returns the members that can take a message.
func (sh *share) ready() []*sub {
	sh.mu.Lock()
	all := slices.Clone(sh.members)
	sh.mu.Unlock()
	return slices.DeleteFunc(all, func(x *sub) bool { return !x.s.takes() })
}

// serve delivers what is at one cursor. moved: there may be more.
func (sh *share) serve(at place, cur *shareCursor, buf *[]byte) (moved bool, err error) {
	members := sh.ready()
	if len(members) == 0 {
		return false, nil // whoever can take something again says so
	}
	for len(cur.back) > 0 {
		i := cur.back[0]
		var m *message.Message
		if m, err = sh.srv.messageOf(&delivery{at: at, index: i}); err != nil {
			return false, err
		}
		cur.back = cur.back[1:]
		sh.dirty.Store(true)
		if m != nil && !sh.give(members, at, cur, m) {
			cur.back = slices.Insert(cur.back, 0, i)
			return false, nil
		}
	}
	select {
	case cur.parked <- struct{}{}:
		<-cur.parked
	default:
		return false, nil // somebody waits for news
	}
	fetch, err := sh.srv.pull(at, cur.next, readMessages, (*buf)[:0])
	switch {
	case mq.KindOf(err) == mq.KindTopicNotExist:
		return false, nil
	case err != nil:
		return false, err
	case fetch.Count == 0 && fetch.Next == cur.next:
		// There may be something already, or the broker does not hold requests.
		return !sh.park(at, cur) && sh.rest(time.Millisecond), nil
	}
	if cap(fetch.Records) <= keepBuffer {
		*buf = fetch.Records
	}
	sh.dirty.Store(true)
	members = sh.ready() // whoever was there before the messages counts
	for _, m := range sh.srv.readAll(at, fetch.Records) {
		if m.Index < cur.next || !topic.Matches(sh.filter.Text, m.Topic) {
			continue
		}
		cur.next = m.Index + 1 // what is saved with a delivery of QoS 2 is behind it
		if !sh.give(members, at, cur, &m) {
			cur.next = m.Index
			return false, nil
		}
	}
	cur.next = fetch.Next
	return true, nil
}

// give offers a message to the members in turn; false: nobody can take it now.
func (sh *share) give(members []*sub, at place, cur *shareCursor, m *message.Message) bool {
	for range members {
		sh.turn++
		taken, held := members[sh.turn%len(members)].offerShared(sh, at, m)
		if held {
			cur.out[m.Index] = true // before what the session tells of it is looked at
		}
		if taken {
			return true
		}
	}
	return false
}

// offerShared offers a message of a share; held: it is under way with QoS 1.
func (x *sub) offerShared(sh *share, at place, m *message.Message) (taken, held bool) {
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || s.subs[sh.key] != x {
		return false, false
	}
	g := &match{qos: x.qos, retain: x.asRetain}
	if x.id > 0 {
		g.subs = []uint32{x.id}
	}
	d, taken := s.offerOfLocked(sh, at, m, g)
	return taken, d != nil && d.qos == 1
}

// takes reports whether the session can take a message of a share now. When it can again it kicks its shares.
func (s *session) takes() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != nil && !s.gone && s.unsent == 0 && s.saving < s.window && len(s.inflight) < s.window
}

// share makes the session a member of the share of a subscription that it has.
func (s *session) share(x *sub) {
	sh := s.srv.join(x)
	s.mu.Lock()
	has := !s.gone && s.subs[sh.key] != nil
	if has {
		s.shares[sh.key] = sh
	}
	s.mu.Unlock()
	if !has { // it has ended meanwhile
		s.srv.quit(s, sh.key)
	}
}

func (s *session) kickSharesLocked() {
	for _, sh := range s.shares {
		sh.kick()
	}
}

// giveBackLocked gives what of QoS 1 is under way to other members of the shares.
func (s *session) giveBackLocked() {
	for id, d := range s.inflight {
		if d.share != nil && d.qos == 1 {
			delete(s.inflight, id)
			d.share.tell(d, false)
		}
	}
}

// park has the share kicked when there is something at the cursor; false: there is already.
func (sh *share) park(at place, cur *shareCursor) bool {
	cur.parked <- struct{}{}
	w := &mq.Waiter{
		Topic: at.topic, QueueID: at.queue, From: cur.next, Deadline: time.Now().Add(parkFor),
		Wake: func(*mq.Waiter) {
			<-cur.parked
			sh.kick()
		},
	}
	if sh.srv.o.Core.Park(w) {
		return true
	}
	<-cur.parked
	return false
}

func shareKey(key string) string { return "g/" + key }

// save writes the cursors. Only run and who has waited for its end call it.
func (sh *share) save() {
	if !sh.dirty.Swap(false) {
		return
	}
	op := sh.op()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !sh.ended {
		sh.srv.o.State.Apply([]state.Op{op}, nil)
	}
}

// op writes the cursors: what is out counts as not delivered.
func (sh *share) op() state.Op {
	ps := make([]position, 0, len(sh.cursors))
	for at, cur := range sh.cursors {
		p := position{Topic: at.topic, Queue: at.queue, Next: cur.next, Pending: slices.Clone(cur.back)}
		for i := range cur.out {
			p.Pending = append(p.Pending, i)
		}
		slices.Sort(p.Pending)
		ps = append(ps, p)
	}
	slices.SortFunc(ps, func(a, b position) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Queue, b.Queue))
	})
	return state.Op{Key: shareKey(sh.key), Value: encode(ps)}
}

// loadShare reads the cursors of one share, before the sessions join it.
func (srv *Server) loadShare(key string, v []byte) error {
	f, err := topic.ParseFilter(key[2:], srv.o.MaxLevels)
	if err != nil {
		return nil //nolint:nilerr // the limits are narrower now
	}
	var ps []position
	if err = json.Unmarshal(v, &ps); err != nil {
		return err
	}
	sh := srv.newShare(f)
	for _, p := range ps {
		cur := newShareCursor(p.Next)
		cur.back = p.Pending
		sh.cursors[place{p.Topic, p.Queue}] = cur
	}
	sh.missing.Store(len(ps) == 0)
	return nil
}
