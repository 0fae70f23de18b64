package mqttapi

import (
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi/message"
	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/topic"
	"github.com/cometmq/cometmq/internal/mq"
)

const (
	readMessages = 32
	parkFor      = 15 * time.Second
	retryAfter   = 500 * time.Millisecond // a queue that cannot be read
	readGroup    = "CID_RMQ_SYS_MQTT"
)

// feed reads one queue for all sessions that are at its end.
type feed struct {
	srv  *Server
	at   place
	wake chan struct{} // one slot
	stop chan struct{} // closed when nobody is left

	mu       sync.Mutex // guards what follows
	next     mq.Index
	sessions map[*session]mq.Index // and where each begins
	closed   bool
}

// attach makes a session at index from part of the queue's feed; false: the feed is further already.
func (srv *Server) attach(s *session, at place, cur *cursor) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed {
		return false
	}
	f := srv.feeds[at]
	made := f == nil
	if made {
		f = &feed{srv: srv, at: at, wake: make(chan struct{}, 1), stop: make(chan struct{}), sessions: map[*session]mq.Index{}}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil || s.cursors[at] != cur || cur.feed != nil {
		return true // nothing is left to do
	}
	if made {
		f.next = cur.next
	} else if cur.next < f.next {
		return false
	}
	f.sessions[s] = cur.next
	cur.feed = f
	if made {
		srv.feeds[at] = f
		srv.wg.Go(f.run)
	}
	return true
}

// leaveFeeds takes the session out of all feeds: its cursors say where it is then.
func (s *session) leaveFeeds() {
	s.mu.Lock()
	feeds := make([]*feed, 0, len(s.cursors))
	for _, cur := range s.cursors {
		if cur.feed != nil {
			feeds = append(feeds, cur.feed)
		}
	}
	s.mu.Unlock()
	for _, f := range feeds {
		f.drop(s)
	}
}

func (f *feed) drop(s *session) {
	f.srv.mu.Lock()
	defer f.srv.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	s.mu.Lock()
	f.dropLocked(s, f.next)
	s.mu.Unlock()
	f.endLocked()
}

// dropLocked lets the session go on by itself from index next on.
func (f *feed) dropLocked(s *session, next mq.Index) {
	from, in := f.sessions[s]
	if !in {
		return
	}
	delete(f.sessions, s)
	if cur := s.cursors[f.at]; cur != nil && cur.feed == f {
		cur.feed, cur.next = nil, max(from, next)
		s.dirty = true
	}
}

// endLocked ends a feed that nobody needs. Server.mu is held, too.
func (f *feed) endLocked() {
	if len(f.sessions) == 0 && !f.closed {
		f.closed = true
		if f.srv.feeds[f.at] == f {
			delete(f.srv.feeds, f.at)
		}
		close(f.stop)
	}
}

func (f *feed) run() {
	var buf []byte
	for {
		f.mu.Lock()
		next, closed := f.next, f.closed
		f.mu.Unlock()
		if closed || f.srv.ctx.Err() != nil {
			return
		}
		fetch, err := f.srv.pull(f.at, next, readMessages, buf[:0])
		if err != nil {
			if !f.rest(retryAfter) {
				return
			}
			continue
		}
		if cap(fetch.Records) <= keepBuffer {
			buf = fetch.Records
		}
		if fetch.Count > 0 {
			f.hand(fetch)
			continue
		}
		if fetch.Next != next {
			f.move(fetch.Next)
			continue
		}
		if !f.park(next) {
			return
		}
	}
}

// rest waits for d, or for the end.
func (f *feed) rest(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-f.stop:
	case <-f.srv.ctx.Done():
	}
	return false
}

// park waits until there may be something at next.
func (f *feed) park(next mq.Index) bool {
	w := &mq.Waiter{
		Topic: f.at.topic, QueueID: f.at.queue, From: next, Deadline: time.Now().Add(parkFor),
		Wake: func(*mq.Waiter) {
			select {
			case f.wake <- struct{}{}:
			default:
			}
		},
	}
	if !f.srv.o.Core.Park(w) {
		select {
		case <-f.stop:
			return false
		case <-f.srv.ctx.Done():
			return false
		default:
			return f.rest(time.Millisecond) // there is something, or the broker does not hold requests
		}
	}
	select {
	case <-f.wake:
		return true
	case <-f.stop:
	case <-f.srv.ctx.Done():
	}
	return false
}

// move goes on elsewhere: the queue does not begin, or not end, where it did.
func (f *feed) move(next mq.Index) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = next
	for s, from := range f.sessions {
		if from > next {
			f.sessions[s] = next
		}
	}
}

// hand gives messages to the sessions. One that cannot take its message falls out there.
func (f *feed) hand(fetch mq.Fetch) {
	messages := f.srv.readAll(f.at, fetch.Records)
	f.mu.Lock()
	var fallen []*session
	found := map[*session]*match{}
	for i := range messages {
		m := &messages[i]
		clear(found)
		f.srv.trieMu.RLock()
		f.srv.trie.Match(m.Topic, func(s *session, x *sub) {
			from, in := f.sessions[s]
			if !in || m.Index < from {
				return
			}
			g := found[s]
			if g == nil {
				g = &match{}
			}
			if g.add(x, f.at, m) {
				found[s] = g
			}
		})
		f.srv.trieMu.RUnlock()
		for s, g := range found {
			s.mu.Lock()
			if cur := s.cursors[f.at]; cur == nil || cur.feed != f {
				delete(f.sessions, s)
			} else if !cur.skip[m.Index] && !s.offerLocked(f.at, m, g) {
				f.dropLocked(s, m.Index)
				fallen = append(fallen, s)
			}
			s.mu.Unlock()
		}
	}
	f.next = fetch.Next
	empty := len(f.sessions) == 0
	f.mu.Unlock()
	for _, s := range fallen {
		s.kick()
	}
	if empty {
		f.srv.mu.Lock()
		f.mu.Lock()
		f.endLocked()
		f.mu.Unlock()
		f.srv.mu.Unlock()
	}
}

// readAll decodes records. Those that are not for MQTT are left out.
func (srv *Server) readAll(at place, records []byte) (out []message.Message) {
	bridge := srv.o.Bridge(at.topic)
	for len(records) > 0 {
		m, n, ok, err := message.Read(records, bridge)
		if err != nil {
			srv.o.Log.Error("a stored message cannot be read for MQTT", "err", err)
			return out
		}
		records = records[n:]
		if ok {
			out = append(out, m)
		}
	}
	return out
}

func (srv *Server) pull(at place, from mq.Index, most int32, dst []byte) (mq.Fetch, error) {
	return srv.o.Core.Pull(srv.ctx, &mq.PullRequest{
		Group: readGroup, Topic: at.topic, QueueID: at.queue, From: from, MaxMessages: most, HasExpression: true, Expression: "*",
	}, dst)
}

// pump delivers to a session that is behind, until it can take no more or is at the end of all its queues.
func (s *session) pump() {
	for {
		s.mu.Lock()
		c := s.conn
		if c == nil || s.gone {
			s.pumping = false
			s.mu.Unlock()
			return
		}
		s.again = false
		ids := s.resendLocked()
		behind := map[place]*cursor{}
		for at, cur := range s.cursors {
			if cur.feed == nil {
				behind[at] = cur
			}
		}
		s.mu.Unlock()
		more, failed := s.resend(c, ids)
		if more {
			for at, cur := range behind {
				failed = !s.catchUp(c, at, cur) || failed
			}
		}
		stopped := failed && !s.srv.pause()
		s.mu.Lock()
		if stopped || !s.again && !failed {
			s.pumping = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}

// pause waits before a queue is read again that could not be read; false: the server ends.
func (srv *Server) pause() bool {
	t := time.NewTimer(retryAfter)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-srv.ctx.Done():
		return false
	}
}

// catchUp reads one queue; false: it cannot be read.
func (s *session) catchUp(c *conn, at place, cur *cursor) bool {
	var buf []byte
	for s.srv.ctx.Err() == nil {
		s.mu.Lock()
		next, live := cur.next, s.conn == c && s.cursors[at] == cur && cur.feed == nil
		s.mu.Unlock()
		if !live {
			return true
		}
		fetch, err := s.srv.pull(at, next, readMessages, buf[:0])
		switch {
		case err != nil:
			return mq.KindOf(err) == mq.KindTopicNotExist
		case fetch.Count == 0 && fetch.Next == next:
			if s.srv.attach(s, at, cur) {
				return true
			}
			continue
		}
		buf = fetch.Records
		messages := s.srv.readAll(at, fetch.Records)
		if !s.take(c, at, cur, messages, fetch.Next) {
			return true
		}
	}
	return true
}

// take offers messages; false: one was not taken, or the session is elsewhere.
func (s *session) take(c *conn, at place, cur *cursor, messages []message.Message, next mq.Index) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c || s.cursors[at] != cur || cur.feed != nil {
		return false
	}
	for i := range messages {
		m := &messages[i]
		if m.Index < cur.next || cur.skip[m.Index] {
			continue
		}
		if g, ok := s.matchLocked(at, m); ok && !s.offerLocked(at, m, g) {
			cur.next = m.Index
			return false
		}
	}
	cur.next = next
	for i := range cur.skip {
		if i < next {
			delete(cur.skip, i)
		}
	}
	s.dirty = true
	return true
}

func (s *session) matchLocked(at place, m *message.Message) (*match, bool) {
	g, ok := &match{}, false
	for _, x := range s.subs {
		if x.filter.Share == "" && topic.Matches(x.filter.Text, m.Topic) && g.add(x, at, m) {
			ok = true
		}
	}
	return g, ok
}

// resend sends again what an earlier connection did not finish. more: the client can take more after that; failed: the store could not
// be read.
func (s *session) resend(c *conn, ids []uint16) (more, failed bool) {
	for _, id := range ids {
		s.mu.Lock()
		d := s.inflight[id]
		if s.conn != c || d == nil || d.sent {
			s.mu.Unlock()
			continue
		}
		full := len(s.inflight)-s.unsent >= s.window
		s.mu.Unlock()
		if full {
			return false, false
		}
		var m *message.Message
		if !d.released {
			var err error
			if m, err = s.srv.messageOf(d); err != nil {
				return false, true
			}
		}
		if !s.sendAgain(c, id, d, m) {
			return false, false
		}
	}
	return true, false
}

// sendAgain sends a delivery on a new connection; false: too much waits to be written.
func (s *session) sendAgain(c *conn, id uint16, d *delivery, m *message.Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c || s.inflight[id] != d || d.sent {
		return true
	}
	if d.released {
		s.seenLocked(d)
		c.send(func(dst []byte) []byte { return (&packet.AckPacket{ID: id}).AppendTo(dst, packet.Pubrel, c.version) })
		return true
	}
	var left uint32
	alive := m != nil
	if alive {
		left, alive = m.Left(time.Now().UnixMilli())
	}
	if !alive { // it has expired, or the store has it no longer
		s.seenLocked(d)
		s.settleLocked(id, d)
		return true
	}
	p := publishOf(m, d.qos, &match{retain: d.retain, subs: d.subs}, left)
	p.ID, p.Dup = id, d.again
	if !c.deliver(func(dst []byte) []byte { return p.AppendTo(dst, c.version) }) {
		return false
	}
	s.seenLocked(d)
	return true
}

func (s *session) seenLocked(d *delivery) {
	d.sent = true
	if s.unsent = max(s.unsent-1, 0); s.unsent == 0 {
		s.kickSharesLocked()
	}
}

// messageOf reads the message of a delivery again, nil when it is gone.
func (srv *Server) messageOf(d *delivery) (*message.Message, error) {
	if d.retained != nil {
		return d.retained, nil
	}
	fetch, err := srv.pull(d.at, d.index, 1, nil)
	if err != nil && mq.KindOf(err) != mq.KindTopicNotExist {
		return nil, err
	}
	for _, m := range srv.readAll(d.at, fetch.Records) {
		if m.Index == d.index {
			return &m, nil
		}
	}
	return nil, nil
}
