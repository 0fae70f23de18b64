package mqttapi

import (
	"bytes"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi/message"
	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/state"
	"github.com/cometmq/cometmq/internal/api/mqttapi/topic"
	"github.com/cometmq/cometmq/internal/mq"
)

// mostRetained is how many retained messages of QoS 1 and 2 one session may have under way.
const mostRetained = 60_000

// subscribe handles SUBSCRIBE. It is answered when the subscriptions are on disk, if the session is kept.
func (c *conn) subscribe(body []byte) error {
	var p packet.SubscribePacket
	if err := p.Decode(body, c.version); err != nil {
		return err
	}
	id, _ := p.Props.Num(packet.PropSubscriptionID)
	s := c.s
	answer := packet.SubackPacket{ID: p.ID, Codes: make([]byte, len(p.Filters))}
	var old []*message.Message
	var with []*match
	now := time.Now().UnixMilli()
	for i := range p.Filters {
		o := &p.Filters[i]
		if o.NoLocal && bytes.HasPrefix(o.Filter, []byte("$share/")) {
			return protocolError("a shared subscription without its own messages")
		}
		x, code := c.newSub(o, id)
		fresh := false
		if x != nil {
			if fresh, code = s.addSub(x, code); !code.Failed() && x.filter.Share != "" {
				s.share(x)
			}
		}
		answer.Codes[i] = byte(code)
		if code.Failed() || x.filter.Share != "" || o.RetainHandling == 2 || o.RetainHandling == 1 && !fresh {
			continue
		}
		g := &match{qos: x.qos, retain: true}
		if id > 0 {
			g.subs = []uint32{id}
		}
		for _, m := range s.srv.retained.Match(x.filter.Text, now) {
			old, with = append(old, m), append(with, g)
		}
	}
	s.mu.Lock()
	ops := s.recordLocked()
	s.mu.Unlock()
	c.afterSaving(ops, func() {
		c.send(func(dst []byte) []byte { return answer.AppendTo(dst, packet.Suback, c.version) })
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, m := range old {
			s.sendRetainedLocked(c, m, with[i])
		}
		s.kickLocked()
	})
	return nil
}

// afterSaving calls then when ops are on disk, at once when there are none.
func (c *conn) afterSaving(ops []state.Op, then func()) {
	if len(ops) == 0 {
		then()
		return
	}
	c.srv.o.State.Apply(ops, func(err error) {
		if err != nil {
			c.end(packet.Unspecified)
			return
		}
		then()
	})
}

// newSub checks a subscription; nil: the code says why not.
func (c *conn) newSub(o *packet.Subscription, id uint32) (*sub, packet.Reason) {
	text := string(o.Filter)
	f, err := topic.ParseFilter(text, c.srv.o.MaxLevels)
	if err != nil {
		return nil, packet.FilterInvalid
	}
	first := topic.First(f.Text)
	switch {
	case first == "+" || first == "#":
		return nil, packet.WildcardNotSupported
	case !topic.CanBeTopic(first):
		return nil, packet.FilterInvalid
	case topic.Reserved(first) || !c.may(false, f.Text):
		return nil, packet.NotAuthorized
	}
	x := &sub{s: c.s, filter: f, qos: o.QoS, noLocal: o.NoLocal, asRetain: o.RetainAsPublished, id: id}
	if x.start, err = c.srv.ends(first); err != nil {
		c.srv.o.Log.Warn("the queues of a topic cannot be read for a subscription", "topic", first, "err", err)
		return nil, packet.Unspecified
	}
	return x, packet.Reason(o.QoS)
}

// ends returns where the queues of a topic end, nothing for one that does not exist.
func (srv *Server) ends(first string) (map[place]mq.Index, error) {
	tc, err := srv.o.Core.Topic(srv.ctx, first)
	if err != nil {
		if mq.KindOf(err) == mq.KindTopicNotExist {
			return nil, nil
		}
		return nil, err
	}
	out := make(map[place]mq.Index, tc.ReadQueues)
	for q := range tc.ReadQueues {
		if out[place{first, q}], err = srv.o.Core.MaxIndex(srv.ctx, first, q); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// addSub puts a subscription in the place of the one that the session has with that filter. fresh: it had none.
func (s *session) addSub(x *sub, code packet.Reason) (fresh bool, _ packet.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := x.filter.String()
	old := s.subs[key]
	if s.gone || old == nil && len(s.subs) >= s.srv.o.MaxSubscriptions {
		return false, packet.QuotaExceeded
	}
	if old != nil {
		x.start = old.start // what was subscribed to goes on without a gap
	}
	s.subs[key] = x
	s.dirty = true
	if x.filter.Share != "" {
		return old == nil, code // it has no cursor of its own, and joins the share without the lock
	}
	for at, i := range x.start {
		if s.cursors[at] == nil {
			s.cursors[at] = newCursor(i)
		}
	}
	if len(x.start) == 0 {
		s.missing[topic.First(x.filter.Text)] = true
	}
	s.srv.trieMu.Lock()
	s.srv.trie.Put(x.filter.Text, s, x)
	s.srv.trieMu.Unlock()
	return old == nil, code
}

// sendRetainedLocked delivers a retained message to a new subscription.
func (s *session) sendRetainedLocked(c *conn, m *message.Message, g *match) {
	if s.conn != c {
		return
	}
	qos := min(m.QoS, g.qos)
	left, _ := m.Left(time.Now().UnixMilli())
	p := publishOf(m, qos, g, left)
	if p.Len(s.version) > c.limit {
		return
	}
	if qos == 0 {
		c.send(func(dst []byte) []byte { return p.AppendTo(dst, s.version) })
		return
	}
	if len(s.inflight) >= mostRetained {
		s.srv.o.Log.Warn("a client gets no more retained messages: too many are under way", "client", s.id)
		return
	}
	s.seq++
	s.inflight[s.nextIDLocked()] = &delivery{qos: qos, seq: s.seq, retained: m, retain: true, subs: g.subs}
	s.unsent++
}

// unsubscribe handles UNSUBSCRIBE.
func (c *conn) unsubscribe(body []byte) error {
	var p packet.UnsubscribePacket
	if err := p.Decode(body, c.version); err != nil {
		return err
	}
	answer := packet.SubackPacket{ID: p.ID, Codes: make([]byte, len(p.Filters))}
	var unused []*feed
	for i, f := range p.Filters {
		had, feeds := c.s.dropSub(string(f))
		c.srv.quit(c.s, string(f))
		if !had {
			answer.Codes[i] = byte(packet.NoSubscriptionExisted)
		}
		unused = append(unused, feeds...)
	}
	for _, f := range unused {
		f.drop(c.s)
	}
	c.s.dropCursors()
	c.s.mu.Lock()
	ops := c.s.recordLocked()
	c.s.mu.Unlock()
	c.afterSaving(ops, func() {
		c.send(func(dst []byte) []byte { return answer.AppendTo(dst, packet.Unsuback, c.version) })
	})
	return nil
}

// recheck takes away the subscriptions that the client of a session which goes on may have no longer.
func (s *session) recheck(c *conn) {
	s.mu.Lock()
	held := make([]*sub, 0, len(s.subs))
	for _, x := range s.subs {
		held = append(held, x)
	}
	s.mu.Unlock()
	for _, x := range held {
		if !c.may(false, x.filter.Text) {
			s.dropSub(x.filter.String()) // it is in no feed yet
			s.srv.quit(s, x.filter.String())
		}
	}
	s.dropCursors()
}

// dropSub takes a subscription away and returns the feeds that the session needs no more.
func (s *session) dropSub(filter string) (had bool, unused []*feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.subs[filter]
	if x == nil {
		return false, nil
	}
	delete(s.subs, filter)
	s.dirty = true
	if x.filter.Share != "" {
		delete(s.shares, filter)
		return true, nil
	}
	s.srv.trieMu.Lock()
	s.srv.trie.Remove(x.filter.Text, s)
	s.srv.trieMu.Unlock()
	used := s.topicsLocked()
	for at, cur := range s.cursors {
		if !used[at.topic] && cur.feed != nil {
			unused = append(unused, cur.feed)
		}
	}
	return true, unused
}

func (s *session) topicsLocked() map[string]bool {
	used := map[string]bool{}
	for _, x := range s.subs {
		if x.filter.Share == "" {
			used[topic.First(x.filter.Text)] = true
		}
	}
	return used
}

// dropCursors forgets the cursors of topics that no filter names. What is under way goes on.
func (s *session) dropCursors() {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := s.topicsLocked()
	for at, cur := range s.cursors {
		if !used[at.topic] && cur.feed == nil {
			delete(s.cursors, at)
		}
	}
	for name := range s.missing {
		if !used[name] {
			delete(s.missing, name)
		}
	}
}

// findMissing looks for topics, and queues, that were not there when they were subscribed to. All that is in them came later.
func (s *session) findMissing() {
	s.mu.Lock()
	names := make([]string, 0, len(s.missing))
	for name := range s.missing {
		names = append(names, name)
	}
	s.mu.Unlock()
	for _, name := range names {
		tc, err := s.srv.o.Core.Topic(s.srv.ctx, name)
		if err != nil {
			continue
		}
		s.mu.Lock()
		delete(s.missing, name)
		for q := range tc.ReadQueues {
			if at := (place{name, q}); s.cursors[at] == nil {
				s.cursors[at] = newCursor(0)
				s.dirty = true
				s.kickLocked()
			}
		}
		s.mu.Unlock()
	}
}
