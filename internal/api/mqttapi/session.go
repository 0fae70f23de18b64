package mqttapi

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi/message"
	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/state"
	"github.com/cometmq/cometmq/internal/api/mqttapi/topic"
	"github.com/cometmq/cometmq/internal/mq"
)

// place is one queue.
type place struct {
	topic string
	queue int32
}

const (
	// saveEvery is how often the cursors of a session are saved that gets nothing: they move over what does not match.
	saveEvery = 30 * time.Second
	// lookEvery is how often it is looked whether topics have got more queues.
	lookEvery = 30 * time.Second
)

// session is what a client id has, with a connection or without.
type session struct {
	srv *Server
	id  string

	mu       sync.Mutex // guards what follows
	conn     *conn      // nil: there is none
	gone     bool       // the session has ended
	version  packet.Version
	user     string // who made it
	expiry   uint32 // seconds after the connection
	goneAt   time.Time
	will     *testament // of the connection, or waiting for its delay
	willAt   time.Time
	window   int // deliveries that may be under way
	subs     map[string]*sub
	shares   map[string]*share // of the shared ones among subs
	missing  map[string]bool   // topics of filters that do not exist yet, or may have more queues
	cursors  map[place]*cursor
	inflight map[uint16]*delivery
	lastID   uint16
	seq      uint64
	unsent   int // deliveries that this connection has not seen
	saving   int // deliveries that wait for the disk
	incoming map[uint16]*arrival
	done     []*delivery // of QoS 2, finished since the cursors were saved
	saved    bool        // there is a record on disk
	dirty    bool        // the cursors are to be saved
	savedAt  time.Time
	lookedAt time.Time // for more queues
	pumping  bool
	again    bool // look again before the pump ends
}

// sub is one subscription. It is never changed.
type sub struct {
	s                 *session
	filter            topic.Filter
	qos               byte
	noLocal, asRetain bool
	id                uint32
	start             map[place]mq.Index // where the queues ended when it was made; 0: they came later
}

// cursor is how far a session has read a queue: all below next is delivered or did not match, but for what is pending.
type cursor struct {
	next    mq.Index
	pending map[mq.Index]uint16
	skip    map[mq.Index]bool // at or above next and delivered already, from before a kill
	feed    *feed             // that it is at the end with; next is old then
}

// delivery is a message of QoS 1 or 2 that is under way to the client.
type delivery struct {
	at       place
	index    mq.Index
	qos      byte
	seq      uint64
	sent     bool // on this connection
	saving   bool // it is not to be sent before it is on disk
	again    bool // it was sent before
	released bool // PUBREC has come
	retained *message.Message
	retain   bool
	subs     []uint32
	share    *share // that it is of; nil: of the session alone
}

// arrival is a publish of QoS 2 whose PUBREL has not come.
type arrival struct {
	unique string
	stored bool
	old    bool // from before a restart: whether it is stored must be asked
}

func (s *session) durable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expiry > 0
}

// foreign reports whether the session is not the user's.
func (s *session) foreign(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.srv.o.Owned && s.user != user
}

// open takes the session of a client id over, or makes one; nil: it is another user's. present: there was one and it goes on.
func (srv *Server) open(c *conn, id string, clean bool, expiry uint32, window int, w *testament) (s *session, present bool) {
	for {
		srv.mu.Lock()
		old := srv.sessions[id]
		if old == nil {
			s = &session{srv: srv, id: id, user: c.user}
			s.clear()
			srv.sessions[id] = s
		} else {
			s = old
		}
		srv.mu.Unlock()
		if old != nil && old.foreign(c.user) {
			return nil, false
		}
		if old != nil && (clean || !old.keeps()) {
			old.takeFrom(packet.SessionTakenOver, clean)
			old.finish()
			continue
		}
		if old != nil {
			old.takeFrom(packet.SessionTakenOver, false)
		}
		s.mu.Lock()
		if s.gone || s.conn != nil {
			s.mu.Unlock()
			continue // another connection was quicker
		}
		present = old != nil
		s.conn, s.version, s.expiry, s.window, s.will, s.goneAt, s.willAt = c, c.version, expiry, window, w, time.Time{}, time.Time{}
		s.unsent = len(s.inflight)
		for _, d := range s.inflight {
			d.again, d.sent = d.again || d.sent, false
		}
		ops := s.recordLocked()
		s.mu.Unlock()
		srv.o.State.Apply(ops, nil)
		return s, present
	}
}

func (s *session) clear() {
	s.subs, s.shares, s.cursors, s.missing = map[string]*sub{}, map[string]*share{}, map[place]*cursor{}, map[string]bool{}
	s.inflight, s.incoming = map[uint16]*delivery{}, map[uint16]*arrival{}
}

// keeps reports whether the session outlives its connection.
func (s *session) keeps() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expiry > 0
}

// takeFrom ends the session's connection, if it has one. Its will is published unless it is delayed and the session goes on.
func (s *session) takeFrom(reason packet.Reason, ends bool) {
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	if c == nil {
		return
	}
	c.end(reason)
	s.detach(c, true, ends)
}

// leave is called when a connection is over.
func (s *session) leave(c *conn, abnormal bool) {
	if s.detach(c, abnormal, false) && !s.keepsOffline() {
		s.finish()
	}
}

func (s *session) keepsOffline() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != nil || s.expiry > 0
}

// detach takes the connection away from its session; false: it has another one already.
func (s *session) detach(c *conn, abnormal, ends bool) bool {
	s.mu.Lock()
	if s.conn != c {
		s.mu.Unlock()
		return false
	}
	s.conn = nil
	s.goneAt = time.Now()
	w := s.will
	switch {
	case !abnormal:
		s.will, w = nil, nil
	case w != nil && w.delay > 0 && s.expiry > 0 && !ends:
		s.willAt = s.goneAt.Add(time.Duration(min(w.delay, s.expiry)) * time.Second)
		w = nil
	default:
		s.will = nil
	}
	s.giveBackLocked()
	s.mu.Unlock()
	s.leaveFeeds()
	if w != nil {
		s.srv.publishOwn(w.message)
	}
	s.save()
	return true
}

// finish ends the session: nothing of it is left.
func (s *session) finish() {
	s.srv.mu.Lock()
	if s.srv.sessions[s.id] == s {
		delete(s.srv.sessions, s.id)
	}
	s.srv.mu.Unlock()
	s.leaveFeeds()
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return
	}
	s.gone = true
	var w *testament
	if s.conn == nil {
		w, s.will = s.will, nil
	}
	ops := s.removalLocked()
	subs := s.subs
	s.giveBackLocked()
	s.clear()
	s.mu.Unlock()
	s.srv.trieMu.Lock()
	for _, x := range subs {
		s.srv.trie.Remove(x.filter.Text, s)
	}
	s.srv.trieMu.Unlock()
	for key, x := range subs {
		if x.filter.Share != "" {
			s.srv.quit(s, key)
		}
	}
	if w != nil {
		s.srv.publishOwn(w.message)
	}
	s.srv.o.State.Apply(ops, nil)
}

// changeExpiry is what DISCONNECT may do; false: it may not.
func (s *session) changeExpiry(c *conn, v uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return true
	}
	if s.expiry == 0 && v != 0 {
		return false
	}
	s.expiry = min(v, uint32(min(s.srv.o.MaxExpiry/time.Second, never-1)))
	return true
}

// sweep does what is due.
func (s *session) sweep(now time.Time) {
	s.mu.Lock()
	var w *testament
	if s.conn == nil && s.will != nil && !s.willAt.IsZero() && !now.Before(s.willAt) {
		w, s.will = s.will, nil
	}
	over := s.conn == nil && !s.goneAt.IsZero() && !now.Before(s.goneAt.Add(time.Duration(s.expiry)*time.Second))
	if s.conn != nil && now.Sub(s.lookedAt) >= lookEvery {
		s.lookedAt = now
		maps.Copy(s.missing, s.topicsLocked())
	}
	look := s.conn != nil && len(s.missing) > 0
	dirty := s.dirty || s.conn != nil && s.expiry > 0 && now.Sub(s.savedAt) >= saveEvery
	s.mu.Unlock()
	if w != nil {
		s.srv.publishOwn(w.message)
	}
	switch {
	case over:
		s.finish()
	case dirty:
		s.save()
	}
	if look {
		s.findMissing()
	}
}

// resume goes on after CONNACK: first what was under way, then what has come meanwhile.
func (s *session) resume(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == c {
		s.kickLocked()
	}
}

func (s *session) kick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kickLocked()
}

// kickLocked has the session look for what it can deliver.
func (s *session) kickLocked() {
	s.kickSharesLocked()
	switch {
	case s.conn == nil || s.gone:
	case s.pumping:
		s.again = true
	default:
		s.pumping = true
		s.srv.wg.Go(s.pump)
	}
}

// match is which of a session's subscriptions take a message, together.
type match struct {
	qos    byte
	retain bool
	subs   []uint32
}

// add takes x into account; false: x does not want m from that place.
func (g *match) add(x *sub, at place, m *message.Message) bool {
	if x.noLocal && m.Client == x.s.id || m.Index < x.start[at] {
		return false
	}
	g.qos = max(g.qos, x.qos)
	g.retain = g.retain || x.asRetain
	if x.id > 0 {
		g.subs = append(g.subs, x.id)
	}
	return true
}

// offerLocked delivers a message that was read; false: not now.
func (s *session) offerLocked(at place, m *message.Message, g *match) bool {
	_, taken := s.offerOfLocked(nil, at, m, g)
	return taken
}

// offerOfLocked is offerLocked for a message that a share, or nil, gives. d is the delivery that is under way then, nil when there is none.
func (s *session) offerOfLocked(sh *share, at place, m *message.Message, g *match) (d *delivery, taken bool) {
	c := s.conn
	if c == nil {
		return nil, false
	}
	left, alive := m.Left(time.Now().UnixMilli())
	if !alive {
		return nil, true
	}
	qos := min(m.QoS, g.qos)
	p := publishOf(m, qos, g, left)
	if p.Len(s.version)+2 > c.limit {
		return nil, true // the client cannot take it, ever: MQTT 5.0, 3.1.2.11.4
	}
	save := qos == 2 && s.expiry > 0
	if s.saving >= s.window || qos > 0 && (s.unsent > 0 || len(s.inflight) >= s.window) {
		return nil, false
	}
	d = &delivery{at: at, index: m.Index, qos: qos, seq: s.seq + 1, subs: g.subs, retain: p.Retain, share: sh}
	if qos > 0 {
		p.ID = s.nextIDLocked()
	}
	if save || s.saving > 0 {
		s.saveFirstLocked(c, p.ID, d, save, p.AppendTo(nil, s.version))
	} else if !c.deliver(func(dst []byte) []byte { return p.AppendTo(dst, s.version) }) {
		return nil, false
	}
	if qos == 0 {
		return nil, true
	}
	s.seq++
	d.sent = !d.saving
	s.putLocked(p.ID, d)
	return d, true
}

// saveFirstLocked saves a delivery of QoS 2 and then sends it: after a kill the same packet id must stand for the same message. What comes
// behind it takes the same way and stays behind it.
func (s *session) saveFirstLocked(c *conn, id uint16, d *delivery, save bool, wire []byte) {
	d.saving = true
	s.saving++
	var ops []state.Op
	if save {
		ops = append(ops, s.outOpLocked(id, d))
		if d.share != nil {
			ops = append(ops, d.share.op()) // together: it is the share's or the session's
		}
	}
	s.srv.o.State.Apply(ops, func(err error) {
		if err != nil {
			c.end(packet.Unspecified)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		d.saving = false
		s.saving--
		switch {
		case d.qos > 0 && s.inflight[id] != d:
		case s.conn == c:
			d.sent = true
			c.send(func(dst []byte) []byte { return append(dst, wire...) })
		}
		if s.saving == 0 {
			s.lookLocked()
		}
	})
}

func (s *session) putLocked(id uint16, d *delivery) {
	s.inflight[id] = d
	if cur := s.cursorOfLocked(d); cur != nil {
		cur.pending[d.index] = id
	}
	s.dirty = true
}

func (s *session) nextIDLocked() uint16 {
	for {
		if s.lastID++; s.lastID == 0 {
			s.lastID = 1
		}
		if _, used := s.inflight[s.lastID]; !used {
			return s.lastID
		}
	}
}

// publishOf makes the PUBLISH of a message.
func publishOf(m *message.Message, qos byte, g *match, left uint32) packet.PublishPacket {
	p := packet.PublishPacket{QoS: qos, Topic: []byte(m.Topic), Payload: m.Payload, Retain: m.Retain && g.retain}
	p.Props = slices.Clip(m.Props)
	if left > 0 {
		p.Props = p.Props.WithNum(packet.PropMessageExpiry, left)
	}
	for _, id := range g.subs {
		p.Props = p.Props.WithNum(packet.PropSubscriptionID, id)
	}
	return p
}

// acknowledged takes PUBACK, PUBREC and PUBCOMP.
func (s *session) acknowledged(c *conn, t packet.Type, p *packet.AckPacket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return errGone
	}
	d := s.inflight[p.ID]
	wrong := d != nil && ((t == packet.Puback) != (d.qos == 1) || t == packet.Pubcomp && !d.released)
	if d != nil && !wrong && !d.sent && !d.saving { // it remembers what an earlier connection has brought
		s.seenLocked(d)
	}
	switch {
	case wrong:
		return protocolError("a " + t.String() + " that does not fit what was sent")
	case d == nil && t == packet.Pubrec:
		id := p.ID
		c.send(func(dst []byte) []byte {
			return (&packet.AckPacket{ID: id, Reason: packet.PacketIDNotFound}).AppendTo(dst, packet.Pubrel, s.version)
		})
	case d == nil:
	case t == packet.Pubrec && !p.Reason.Failed():
		s.receivedLocked(c, p.ID, d)
	default:
		s.settleLocked(p.ID, d)
	}
	return nil
}

// receivedLocked answers PUBREC with PUBREL, when it is on disk that the client has the message.
func (s *session) receivedLocked(c *conn, id uint16, d *delivery) {
	d.released = true
	pubrel := func(dst []byte) []byte { return (&packet.AckPacket{ID: id}).AppendTo(dst, packet.Pubrel, s.version) }
	if s.expiry == 0 {
		c.send(pubrel)
		return
	}
	s.srv.o.State.Apply([]state.Op{s.outOpLocked(id, d)}, func(err error) {
		if err != nil {
			c.end(packet.Unspecified)
			return
		}
		c.send(pubrel)
	})
}

// settleLocked ends a delivery.
func (s *session) settleLocked(id uint16, d *delivery) {
	delete(s.inflight, id)
	if cur := s.cursorOfLocked(d); cur != nil {
		delete(cur.pending, d.index)
	}
	if d.qos == 2 && s.expiry > 0 {
		s.srv.o.State.Apply([]state.Op{s.doneOpLocked(d)}, nil)
	}
	if d.share != nil && d.qos == 1 {
		d.share.tell(d, true)
	}
	s.dirty = true
	s.lookLocked()
}

// cursorOfLocked returns the cursor that a delivery is of, nil for retained messages and those of shares.
func (s *session) cursorOfLocked(d *delivery) *cursor {
	if d.retained != nil || d.share != nil {
		return nil
	}
	return s.cursors[d.at]
}

// lookLocked goes on when there is room for more.
func (s *session) lookLocked() {
	if s.unsent > 0 || s.lagsLocked() {
		s.kickLocked()
		return
	}
	s.kickSharesLocked()
}

func (s *session) lagsLocked() bool {
	for _, cur := range s.cursors {
		if cur.feed == nil {
			return true
		}
	}
	return false
}

// resendLocked returns what this connection has not seen, in the order of the first time.
func (s *session) resendLocked() []uint16 {
	var ids []uint16
	for id, d := range s.inflight {
		if !d.sent && !d.saving {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b uint16) int { return cmp.Compare(s.inflight[a].seq, s.inflight[b].seq) })
	return ids
}
