package mqttapi

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi/message"
	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/state"
	"github.com/cometmq/cometmq/internal/api/mqttapi/topic"
	"github.com/cometmq/cometmq/internal/mq"
)

// Keys of the store. A client id has no U+0000, so that is what separates.
//
//	s/<client>                                 the session: its subscriptions, its will, when it ends
//	c/<client>                                 its cursors, and what of QoS 1 is under way
//	o/<client>\0<topic>\0<queue>\0<index>      a delivery of QoS 2; a finished one stays until the cursor has passed it
//	i/<client>\0<packet id>                    the unique key of a publish of QoS 2 whose PUBREL has not come
//	r/<topic name>                             a retained message
//	g/<shared subscription>                    the cursors of a share, and what of QoS 1 is under way
//
// A delivery of QoS 2 that a share gave has the shared subscription behind the index, after another U+0000.

type sessionRecord struct {
	Version byte        `json:"version"`
	User    string      `json:"user,omitempty"`
	Expiry  uint32      `json:"expiry"`           // seconds
	Gone    int64       `json:"gone,omitempty"`   // ms
	WillAt  int64       `json:"willAt,omitempty"` // ms
	Delay   uint32      `json:"delay,omitempty"`  // seconds
	Will    *letter     `json:"will,omitempty"`
	Subs    []subRecord `json:"subs,omitempty"`
}

type subRecord struct {
	Filter   string     `json:"filter"`
	QoS      byte       `json:"qos"`
	NoLocal  bool       `json:"noLocal,omitempty"`
	AsRetain bool       `json:"asRetain,omitempty"`
	ID       uint32     `json:"id,omitempty"`
	Start    []position `json:"start,omitempty"`
}

// position is a place in a queue, and what of QoS 1 below it is under way.
type position struct {
	Topic   string     `json:"t"`
	Queue   int32      `json:"q"`
	Next    mq.Index   `json:"n"`
	Pending []mq.Index `json:"p,omitempty"`
}

type outRecord struct {
	ID       uint16   `json:"id"`
	Seq      uint64   `json:"seq"`
	Released bool     `json:"released,omitempty"`
	Done     bool     `json:"done,omitempty"`
	Retain   bool     `json:"retain,omitempty"`
	Subs     []uint32 `json:"subs,omitempty"`
}

// letter is a message as it is kept.
type letter struct {
	Topic   string `json:"topic"`
	Payload []byte `json:"payload,omitempty"`
	QoS     byte   `json:"qos"`
	Retain  bool   `json:"retain,omitempty"`
	Client  string `json:"client,omitempty"`
	Expiry  int64  `json:"expiry,omitempty"`
	Props   []byte `json:"props,omitempty"`
}

func letterOf(m *message.Message) *letter {
	l := &letter{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain, Client: m.Client, Expiry: m.Expiry}
	if len(m.Props) > 0 {
		l.Props = m.Props.AppendTo(nil)
	}
	return l
}

func (l *letter) message() (*message.Message, error) {
	m := &message.Message{Topic: l.Topic, Payload: l.Payload, QoS: l.QoS, Retain: l.Retain, Client: l.Client, Expiry: l.Expiry}
	var err error
	if len(l.Props) > 0 {
		m.Props, err = packet.ParseProperties(l.Props)
	}
	return m, err
}

// encode is for values that JSON can always hold.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func (s *session) inKey(id uint16) string { return "i/" + s.id + "\x00" + strconv.Itoa(int(id)) }

func (s *session) outKey(d *delivery) string {
	key := fmt.Sprintf("o/%s\x00%s\x00%d\x00%d", s.id, d.at.topic, d.at.queue, d.index)
	if d.share != nil {
		key += "\x00" + d.share.key
	}
	return key
}

func (s *session) outOpLocked(id uint16, d *delivery) state.Op {
	return state.Op{Key: s.outKey(d), Value: encode(outRecord{ID: id, Seq: d.seq, Released: d.released, Retain: d.retain, Subs: d.subs})}
}

// doneOpLocked marks a delivery as finished. A retained message and one of a share have no place that a cursor of the session passes.
func (s *session) doneOpLocked(d *delivery) state.Op {
	if d.retained != nil || d.share != nil {
		return state.Op{Key: s.outKey(d)}
	}
	s.done = append(s.done, d)
	return state.Op{Key: s.outKey(d), Value: encode(outRecord{Done: true})}
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// recordLocked writes what is to be known of the session but its cursors; nothing for one that ends with its connection.
func (s *session) recordLocked() []state.Op {
	if s.gone || s.expiry == 0 && !s.saved {
		return nil
	}
	r := sessionRecord{Version: byte(s.version), User: s.user, Expiry: s.expiry, Gone: millis(s.goneAt), WillAt: millis(s.willAt)}
	if s.will != nil {
		r.Will, r.Delay = letterOf(s.will.message), s.will.delay
	}
	for _, x := range s.subs {
		sr := subRecord{Filter: x.filter.String(), QoS: x.qos, NoLocal: x.noLocal, AsRetain: x.asRetain, ID: x.id}
		for at, i := range x.start {
			sr.Start = append(sr.Start, position{Topic: at.topic, Queue: at.queue, Next: i})
		}
		r.Subs = append(r.Subs, sr)
	}
	s.saved = true
	return []state.Op{{Key: "s/" + s.id, Value: encode(r)}}
}

// removalLocked removes all that is on disk.
func (s *session) removalLocked() []state.Op {
	ops := []state.Op{{Key: "s/" + s.id}, {Key: "c/" + s.id}}
	for _, d := range s.inflight {
		if d.qos == 2 {
			ops = append(ops, state.Op{Key: s.outKey(d)})
		}
	}
	for _, d := range s.done {
		ops = append(ops, state.Op{Key: s.outKey(d)})
	}
	for id := range s.incoming {
		ops = append(ops, state.Op{Key: s.inKey(id)})
	}
	return ops
}

// save writes the session and its cursors.
func (s *session) save() {
	at := map[*feed]mq.Index{}
	s.mu.Lock()
	for _, cur := range s.cursors {
		if cur.feed != nil {
			at[cur.feed] = 0
		}
	}
	s.mu.Unlock()
	for f := range at {
		f.mu.Lock()
		at[f] = f.next
		f.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty, s.savedAt = false, time.Now()
	if s.gone || s.expiry == 0 {
		s.done = nil
		return
	}
	ops := s.recordLocked()
	next := map[place]mq.Index{}
	var ps []position
	for where, cur := range s.cursors {
		p := position{Topic: where.topic, Queue: where.queue, Next: cur.next}
		if cur.feed != nil {
			p.Next = max(cur.next, at[cur.feed]) // a feed that came meanwhile: from where it was taken
		}
		for i, id := range cur.pending {
			if s.inflight[id].qos == 1 {
				p.Pending = append(p.Pending, i)
			}
		}
		next[where] = p.Next
		ps = append(ps, p)
	}
	ops = append(ops, state.Op{Key: "c/" + s.id, Value: encode(ps)})
	kept := s.done[:0]
	for _, d := range s.done {
		if n, ok := next[d.at]; ok && d.index >= n {
			kept = append(kept, d) // a restart begins before it
			continue
		}
		ops = append(ops, state.Op{Key: s.outKey(d)})
	}
	s.done = kept
	s.srv.o.State.Apply(ops, nil)
}

// retain keeps a message as the retained one of its name, or removes that if it has no payload.
func (srv *Server) retain(m *message.Message) state.Op {
	if len(m.Payload) == 0 {
		srv.retained.Remove(m.Topic)
		return state.Op{Key: "r/" + m.Topic}
	}
	srv.retained.Put(m)
	return state.Op{Key: "r/" + m.Topic, Value: encode(letterOf(m))}
}

// load reads everything. It is called before anything else runs.
func (srv *Server) load() error {
	st := srv.o.State
	err := st.Load("r/", func(_ string, v []byte) error {
		var l letter
		if lerr := json.Unmarshal(v, &l); lerr != nil {
			return lerr
		}
		m, lerr := l.message()
		if lerr == nil {
			srv.retained.Put(m)
		}
		return lerr
	})
	if err != nil {
		return err
	}
	if err = st.Load("g/", srv.loadShare); err != nil {
		return err
	}
	var ended []*session
	err = st.Load("s/", func(key string, v []byte) error {
		s := &session{srv: srv, id: key[2:], saved: true}
		s.clear()
		if lerr := s.loadRecord(v); lerr != nil {
			return lerr
		}
		srv.sessions[s.id] = s
		if s.expiry == 0 {
			ended = append(ended, s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err = st.Load("o/", srv.loadOut); err != nil {
		return err
	}
	if err = st.Load("c/", srv.loadCursors); err != nil {
		return err
	}
	err = st.Load("i/", func(key string, v []byte) error {
		client, rest, _ := strings.Cut(key[2:], "\x00")
		id, lerr := strconv.ParseUint(rest, 10, 16)
		if s := srv.sessions[client]; s != nil && lerr == nil {
			s.incoming[uint16(id)] = &arrival{unique: string(v), old: true}
		}
		return lerr
	})
	for _, s := range ended {
		s.finish()
	}
	return err
}

func (s *session) loadRecord(v []byte) error {
	var r sessionRecord
	if err := json.Unmarshal(v, &r); err != nil {
		return err
	}
	s.version, s.user, s.expiry, s.goneAt = packet.Version(r.Version), r.User, r.Expiry, time.Now()
	if r.Gone > 0 {
		s.goneAt = time.UnixMilli(r.Gone)
	}
	if r.Will != nil {
		m, err := r.Will.message()
		if err != nil {
			return err
		}
		s.will, s.willAt = &testament{m, r.Delay}, time.Now().Add(time.Duration(r.Delay)*time.Second)
		if r.WillAt > 0 {
			s.willAt = time.UnixMilli(r.WillAt)
		}
	}
	for _, sr := range r.Subs {
		f, err := topic.ParseFilter(sr.Filter, s.srv.o.MaxLevels)
		if err != nil {
			continue // the limits are narrower now
		}
		x := &sub{s: s, filter: f, qos: sr.QoS, noLocal: sr.NoLocal, asRetain: sr.AsRetain, id: sr.ID, start: map[place]mq.Index{}}
		for _, p := range sr.Start {
			at := place{p.Topic, p.Queue}
			x.start[at] = p.Next
			if f.Share == "" && (s.cursors[at] == nil || s.cursors[at].next > p.Next) {
				s.cursors[at] = newCursor(p.Next)
			}
		}
		s.subs[sr.Filter] = x
		if f.Share != "" {
			s.share(x)
			continue
		}
		s.srv.trie.Put(f.Text, s, x)
		s.missing[topic.First(f.Text)] = true // its queues are looked for, and those that have a cursor keep it
	}
	return nil
}

func (srv *Server) loadOut(key string, v []byte) error {
	parts := strings.Split(key[2:], "\x00")
	var r outRecord
	if err := json.Unmarshal(v, &r); err != nil || len(parts) != 4 && len(parts) != 5 {
		return fmt.Errorf("the record %q: %w", key, err)
	}
	s := srv.sessions[parts[0]]
	queue, err := strconv.ParseInt(parts[2], 10, 32)
	index, err2 := strconv.ParseInt(parts[3], 10, 64)
	if s == nil || err != nil || err2 != nil {
		return nil //nolint:nilerr // of a session that has ended
	}
	d := &delivery{
		at: place{parts[1], int32(queue)}, index: mq.Index(index), qos: 2, seq: r.Seq, again: true, released: r.Released, retain: r.Retain, subs: r.Subs,
	}
	if len(parts) == 5 {
		d.share = &share{key: parts[4]} // it may have ended; of QoS 2 it hears no more
		s.inflight[r.ID] = d
		s.seq = max(s.seq, r.Seq)
		return nil
	}
	cur := s.cursors[d.at]
	if cur == nil {
		cur = newCursor(0)
		s.cursors[d.at] = cur
	}
	if cur.skip == nil {
		cur.skip = map[mq.Index]bool{}
	}
	cur.skip[d.index] = true
	if r.Done {
		s.done = append(s.done, d)
		return nil
	}
	s.inflight[r.ID] = d
	cur.pending[d.index] = r.ID
	s.seq = max(s.seq, r.Seq)
	return nil
}

func newCursor(next mq.Index) *cursor { return &cursor{next: next, pending: map[mq.Index]uint16{}} }

func (srv *Server) loadCursors(key string, v []byte) error {
	s := srv.sessions[key[2:]]
	if s == nil {
		return nil
	}
	var ps []position
	if err := json.Unmarshal(v, &ps); err != nil {
		return err
	}
	for _, p := range ps {
		at := place{p.Topic, p.Queue}
		cur := s.cursors[at]
		if cur == nil {
			cur = newCursor(0)
			s.cursors[at] = cur
		}
		cur.next = p.Next
		for i := range cur.skip {
			if i < p.Next {
				delete(cur.skip, i)
			}
		}
		for _, i := range p.Pending {
			s.seq++
			id := s.nextIDLocked()
			s.inflight[id] = &delivery{at: at, index: i, qos: 1, seq: s.seq, again: true}
			cur.pending[i] = id
			if i >= p.Next {
				if cur.skip == nil {
					cur.skip = map[mq.Index]bool{}
				}
				cur.skip[i] = true
			}
		}
	}
	return nil
}
