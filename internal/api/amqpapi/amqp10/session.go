package amqp10

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// outgoingWindow is what we say of the transfers that we may send: the peer's window and the credit of links are what limits them.
const outgoingWindow = 1<<31 - 1

type linkName struct {
	name   string
	sender bool // our role
}

// Session is one session of a Conn.
type Session struct {
	Conn *Conn
	// User belongs to the handler.
	User any

	channel, remoteChannel uint16
	begun                  bool // the peer has begun
	ended                  bool // our End is out

	nextOut         uint32 // transfer-id of the next frame that we send
	nextIn          uint32 // of the next that comes
	inWindow        uint32 // frames that may come
	remoteWindow    uint32 // frames that we may send
	remoteHandleMax uint32
	nextDelivery    uint32 // delivery-id of the next message that we send

	byName       map[linkName]*Link
	local        map[uint32]*Link // by our handle
	remote       map[uint32]*Link // by the peer's
	unsettledIn  map[uint32]*Delivery
	unsettledOut map[uint32]*Delivery

	outq []outItem // waits for the window
	disp Disposition
	has  bool // disp is to be sent
}

// outItem is a message to send, or the flow of a link that must not overtake its messages.
type outItem struct {
	d     *Delivery
	drain *Link
}

// before reports a < b in the arithmetic of serial numbers (RFC 1982).
func before(a, b uint32) bool { return int32(a-b) < 0 }

// minus returns a - b, 0 when b is ahead.
func minus(a, b uint32) uint32 {
	if before(a, b) {
		return 0
	}
	return a - b
}

func (s *Session) send(p Composite) {
	s.flushDispositions()
	s.Conn.send(s.channel, p)
}

// End ends the session with all its links.
func (s *Session) End(err *Error) {
	if s.ended {
		return
	}
	s.send(&End{Error: err})
	s.ended = true
	s.release()
}

// release forgets what only a living session needs.
func (s *Session) release() {
	s.outq, s.has = nil, false
	for _, l := range s.local {
		l.dropPartial()
	}
}

// failed ends the session for what the peer did.
func (s *Session) failed(err *Error) {
	if s.ended {
		return
	}
	s.End(err)
	s.Conn.handler.End(s, err)
}

func (s *Session) gotEnd(err *Error) {
	delete(s.Conn.remoteSessions, s.remoteChannel)
	delete(s.Conn.localSessions, s.channel)
	s.Conn.links -= len(s.local)
	if s.ended {
		return
	}
	if err != nil {
		err.Info = err.Info.Clone()
	}
	s.send(&End{})
	s.ended = true
	s.release()
	s.Conn.handler.End(s, err)
}

// Links returns the links that are attached or being so, in the order of our handles.
func (s *Session) Links() []*Link {
	list := make([]*Link, 0, len(s.local))
	for _, h := range slices.Sorted(maps.Keys(s.local)) {
		list = append(list, s.local[h])
	}
	return list
}

// flow makes a flow of the session; a link adds its own fields.
func (s *Session) flow() *Flow {
	f := &Flow{IncomingWindow: s.inWindow, NextOutgoingID: s.nextOut, OutgoingWindow: outgoingWindow}
	if s.begun {
		f.NextIncomingID = Some(s.nextIn)
	}
	return f
}

func (s *Session) gotFlow(f *Flow) {
	s.remoteWindow = minus(f.NextIncomingID.Or(0)+f.IncomingWindow, s.nextOut) // our first transfer-id is 0
	defer s.pump()
	if !f.Handle.OK {
		if f.Echo {
			s.send(s.flow())
		}
		s.pump()
		for _, l := range s.local { // there may be room for more messages
			if l.Sender && l.Attached() && l.credit > 0 {
				s.Conn.handler.Flow(l)
			}
		}
		return
	}
	l := s.remote[f.Handle.V]
	if l == nil {
		s.failed(NewError(CondUnattached, fmt.Sprintf("flow of handle %d", f.Handle.V)))
		return
	}
	if l.detached {
		return
	}
	l.gotFlow(f)
}

func (s *Session) gotTransfer(f *Transfer, payload []byte) {
	s.nextIn++
	if s.inWindow == 0 {
		s.failed(NewError(CondWindow, "more transfers than the incoming window"))
		return
	}
	s.inWindow--
	if limit := s.Conn.cfg.IncomingWindow; s.inWindow <= limit/2 {
		s.inWindow = limit
		s.send(s.flow())
	}
	l := s.remote[f.Handle]
	if l == nil {
		s.failed(NewError(CondUnattached, fmt.Sprintf("transfer of handle %d", f.Handle)))
		return
	}
	if l.detached {
		return // it was on its way when we detached
	}
	if l.Sender {
		s.failed(NewError(CondErrantLink, "transfer on a link of which we are the sender"))
		return
	}
	l.gotTransfer(f, payload)
}

// pump sends what waits, as far as the peer's window goes.
func (s *Session) pump() {
	if s.ended || !s.begun {
		return
	}
	for len(s.outq) > 0 {
		it := s.outq[0]
		if it.drain != nil {
			it.drain.sendFlow(false)
		} else if !s.transmit(it.d) {
			return
		}
		s.outq[0] = outItem{}
		s.outq = s.outq[1:]
	}
	s.outq = nil
}

// transmit sends the frames of d and reports whether it is all out.
func (s *Session) transmit(d *Delivery) bool {
	c := s.Conn
	for {
		if s.remoteWindow == 0 {
			return false
		}
		s.flushDispositions()
		f := Transfer{Handle: d.Link.handle, More: true}
		if d.sent == 0 {
			d.ID = s.nextDelivery
			s.nextDelivery++
			if !d.Settled {
				s.unsettledOut[d.ID] = d
			}
			f.DeliveryID, f.DeliveryTag, f.MessageFormat = Some(d.ID), d.Tag, Some(d.Format)
			f.Settled, f.State = Some(d.Settled), d.State
		}
		head := len(c.out)
		out, at := beginFrame(c.out, frameAMQP, s.channel)
		out = f.AppendTo(out)
		room := int(c.remote.MaxFrameSize) - (len(out) - head)
		left := d.Payload[d.offset:]
		if len(left) <= room {
			f.More = false
			out, at = beginFrame(c.out, frameAMQP, s.channel)
			out = f.AppendTo(out)
			room = len(left)
		}
		room = max(room, 1) // a performative fills at most a small part of minFrameSize, its state included
		c.out = endFrame(append(out, left[:min(room, len(left))]...), at)
		d.offset += min(room, len(left))
		d.sent++
		s.nextOut++
		s.remoteWindow--
		if !f.More {
			d.Payload = nil // it is not sent twice: links are not resumed
			return true
		}
	}
}

// forget drops what waits to be sent on l.
func (s *Session) forget(l *Link) {
	s.outq = slices.DeleteFunc(s.outq, func(it outItem) bool { return it.drain == l || it.d != nil && it.d.Link == l })
}

func (s *Session) gotDisposition(f *Disposition) {
	table := s.unsettledOut // the peer is the receiver
	if !f.Role {
		table = s.unsettledIn
	}
	f.State = cloneState(f.State)
	last := f.Last.Or(f.First)
	if before(last, f.First) {
		s.failed(NewError(CondInvalidField, "a disposition whose last is before its first"))
		return
	}
	if span := last - f.First; span < uint32(len(table)) {
		for i := uint32(0); i <= span; i++ {
			if d := table[f.First+i]; d != nil {
				s.disposed(table, d, f)
			}
		}
		return
	}
	var ids []uint32
	for id := range table {
		if id-f.First <= last-f.First {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b uint32) int { return int(int32(a - b)) })
	for _, id := range ids {
		if d := table[id]; d != nil {
			s.disposed(table, d, f)
		}
	}
}

func (s *Session) disposed(table map[uint32]*Delivery, d *Delivery, f *Disposition) {
	if f.Settled {
		delete(table, d.ID)
	}
	s.Conn.handler.Disposition(d, f.State, f.Settled)
}

// dispose sends a disposition, together with others of the same kind that follow each other.
func (s *Session) dispose(role bool, id uint32, settled bool, state Composite) {
	if s.ended {
		return
	}
	if s.has && s.disp.Role == role && s.disp.Settled == settled && id == s.disp.Last.Or(s.disp.First)+1 && alike(s.disp.State, state) {
		s.disp.Last = Some(id)
		return
	}
	s.flushDispositions()
	s.disp = Disposition{Role: role, First: id, Settled: settled, State: state}
	s.has = true
}

// alike reports whether two states say the same; only states without fields are looked at.
func alike(a, b Composite) bool {
	switch a.(type) {
	case *Accepted:
		_, ok := b.(*Accepted)
		return ok
	case *Released:
		_, ok := b.(*Released)
		return ok
	}
	return false
}

func (s *Session) flushDispositions() {
	if s.has {
		s.has = false
		s.Conn.send(s.channel, &s.disp)
	}
}

// cloneState makes a delivery state that shares nothing with the frame.
func cloneState(st Composite) Composite {
	switch t := st.(type) {
	case *TransactionalState:
		t.TxnID = bytes.Clone(t.TxnID)
		t.Outcome = cloneState(t.Outcome)
	case *Declared:
		t.TxnID = bytes.Clone(t.TxnID)
	case *Modified:
		t.MessageAnnotations = t.MessageAnnotations.Clone()
	case *Rejected:
		if t.Error != nil {
			t.Error.Info = t.Error.Info.Clone()
		}
	}
	return st
}
