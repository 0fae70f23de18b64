package amqp10

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
)

// Settlement modes of senders.
const (
	SndUnsettled = 0
	SndSettled   = 1
	SndMixed     = 2
)

// Link is one end of a link.
type Link struct {
	Session *Session
	Name    string
	Sender  bool // our role
	// Remote is what the peer attached with. Nil until it has.
	Remote *Attach
	// User belongs to the handler.
	User any

	handle, remoteHandle uint32
	sentAttach           bool
	detached             bool // our Detach is out
	gone                 bool // so is the peer's

	count   uint32 // delivery-count: messages sent or received
	credit  uint32 // messages that may still be
	drain   bool   // the receiver wants the credit used up
	partial *Delivery
	size    uint64 // of partial

	mode uint8 // snd-settle-mode agreed
}

// Delivery is one message on a link, from the first frame until it is settled.
type Delivery struct {
	Link    *Link
	ID      uint32 // delivery-id; of an outgoing one known once it is sent
	Tag     []byte
	Format  uint32
	Settled bool      // by the sender, in the transfer
	State   Composite // in the transfer
	Payload []byte    // the message; of an outgoing one the caller's, not to be changed until it is sent, nil then
	User    any       // the handler's

	offset, sent int
}

// Credit is how many messages may still be sent or may still come.
func (l *Link) Credit() uint32 { return l.credit }

// Drain reports whether the receiver wants the credit to be used up or given back.
func (l *Link) Drain() bool { return l.drain }

// Attached reports whether messages may pass.
func (l *Link) Attached() bool {
	return l.sentAttach && l.Remote != nil && !l.detached && !l.Session.ended
}

// Queued is how many messages of the session wait for the peer's window.
func (l *Link) Queued() int { return len(l.Session.outq) }

func (s *Session) newLink(name string, sender bool) (*Link, error) {
	if s.Conn.links >= s.Conn.cfg.MaxLinks {
		return nil, fmt.Errorf("the connection has %d links already", s.Conn.links)
	}
	for h := uint32(0); h <= s.Conn.cfg.HandleMax; h++ {
		if s.local[h] == nil {
			l := &Link{Session: s, Name: name, Sender: sender, handle: h}
			s.local[h] = l
			s.Conn.links++
			s.byName[linkName{name, sender}] = l
			return l, nil
		}
	}
	return nil, errors.New("all handles are in use")
}

// Attach attaches a link. Name, role, modes, source, target and the rest are the caller's; handle and delivery-count are set here.
func (s *Session) Attach(a *Attach) (*Link, error) {
	sender := !a.Role
	if s.byName[linkName{a.Name, sender}] != nil {
		return nil, fmt.Errorf("link %s exists", a.Name)
	}
	l, err := s.newLink(a.Name, sender)
	if err != nil {
		return nil, err
	}
	l.answer(a)
	return l, nil
}

func (l *Link) answer(a *Attach) {
	a.Handle = l.handle
	if l.Sender {
		a.InitialDeliveryCount = Some[uint32](0)
	}
	l.mode = a.SndSettleMode
	l.sentAttach = true
	l.Session.send(a)
}

// Accept answers the peer's attach. source and target are what is really there; offered are capabilities of the link.
func (l *Link) Accept(source, target Composite, offered []string, properties Value) {
	if l.sentAttach || l.detached || l.Session.ended {
		return
	}
	r := l.Remote
	a := &Attach{
		Name: l.Name, Role: !l.Sender, SndSettleMode: r.SndSettleMode, Source: source, Target: target, OfferedCapabilities: offered,
		Properties: properties,
	}
	if !l.Sender {
		a.MaxMessageSize = l.Session.Conn.cfg.MaxMessageSize
	} else {
		a.RcvSettleMode = r.RcvSettleMode
	}
	l.answer(a)
}

// Refuse answers the peer's attach with no source or target, as the standard asks for, and detaches.
func (l *Link) Refuse(err *Error) {
	if l.sentAttach || l.detached || l.Session.ended {
		return
	}
	a := &Attach{Name: l.Name, Role: !l.Sender, SndSettleMode: l.Remote.SndSettleMode}
	// The side that the peer has a say in is echoed, the other is null.
	if l.Sender {
		a.Target = l.Remote.Target
	} else {
		a.Source = l.Remote.Source
	}
	l.answer(a)
	l.Detach(true, err)
}

// Detach detaches, and forgets the link once the peer has answered.
func (l *Link) Detach(closed bool, err *Error) {
	if l.detached || l.Session.ended {
		return
	}
	if !l.sentAttach { // an attach is answered in any case
		l.answer(&Attach{Name: l.Name, Role: !l.Sender, SndSettleMode: l.Remote.SndSettleMode})
	}
	l.Session.forget(l)
	l.Session.send(&Detach{Handle: l.handle, Closed: closed, Error: err})
	l.detached = true
	l.dropPartial()
	l.credit = 0
}

// dropPartial forgets what has come of a message.
func (l *Link) dropPartial() {
	l.Session.Conn.partial -= l.size
	l.partial, l.size = nil, 0
}

// failed detaches for what the peer did.
func (l *Link) failed(err *Error) {
	if l.detached {
		return
	}
	l.Detach(true, err)
	l.Session.Conn.handler.Detach(l, true, err)
}

func (s *Session) gotAttach(a *Attach) {
	if s.remote[a.Handle] != nil {
		s.failed(NewError(CondHandleInUse, fmt.Sprintf("handle %d", a.Handle)))
		return
	}
	if a.Handle > s.Conn.cfg.HandleMax {
		s.Conn.failed(NewError(CondFraming, fmt.Sprintf("handle %d, the highest is %d", a.Handle, s.Conn.cfg.HandleMax)))
		return
	}
	cloneAttach(a)
	sender := a.Role // the peer receives
	l := s.byName[linkName{a.Name, sender}]
	if l != nil && l.Remote != nil {
		// The name is taken over, as the standard describes it for links that are attached twice.
		if !l.detached {
			l.failed(NewError(CondStolen, "the link was attached again"))
		}
		l = nil
	}
	if l == nil {
		var err error
		if l, err = s.newLink(a.Name, sender); err != nil {
			s.failed(NewError(CondResourceLimit, err.Error()))
			return
		}
	}
	l.Remote, l.remoteHandle = a, a.Handle
	s.remote[a.Handle] = l
	if !sender {
		l.count = a.InitialDeliveryCount.Or(0)
		if !a.InitialDeliveryCount.OK {
			l.Refuse(NewError(CondInvalidField, "a sender attached without initial-delivery-count"))
			return
		}
	}
	s.Conn.handler.Attach(l)
}

func cloneAttach(a *Attach) {
	a.Unsettled, a.Properties = Value{}, a.Properties.Clone()
	if src, ok := a.Source.(*Source); ok {
		src.Address, src.DynamicNodeProperties, src.Filter = src.Address.Clone(), src.DynamicNodeProperties.Clone(), src.Filter.Clone()
		src.DefaultOutcome = cloneState(src.DefaultOutcome)
	}
	if t, ok := a.Target.(*Target); ok {
		t.Address, t.DynamicNodeProperties = t.Address.Clone(), t.DynamicNodeProperties.Clone()
	}
}

func (s *Session) gotDetach(f *Detach) {
	l := s.remote[f.Handle]
	if l == nil {
		s.failed(NewError(CondUnattached, fmt.Sprintf("detach of handle %d", f.Handle)))
		return
	}
	delete(s.remote, f.Handle)
	l.gone = true
	was := l.detached
	if !was {
		l.Detach(f.Closed, nil)
	}
	delete(s.local, l.handle)
	if n := (linkName{l.Name, l.Sender}); s.byName[n] == l {
		delete(s.byName, n)
	}
	s.Conn.links--
	if !was {
		if f.Error != nil {
			f.Error.Info = f.Error.Info.Clone()
		}
		s.Conn.handler.Detach(l, f.Closed, f.Error)
	}
	maps.DeleteFunc(l.table(), func(_ uint32, d *Delivery) bool { return d.Link == l })
}

// Grant sets how many messages may come from now on, and whether the sender is to give back at once what it cannot use.
func (l *Link) Grant(credit uint32, drain bool) {
	if l.Sender || !l.Attached() {
		return
	}
	l.credit, l.drain = credit, drain
	l.sendFlow(false)
}

// Drained says that nothing more can be sent now: the credit is given back.
func (l *Link) Drained() {
	if !l.Sender || !l.drain || !l.Attached() {
		return
	}
	l.count += l.credit
	l.credit = 0
	if len(l.Session.outq) > 0 {
		l.Session.outq = append(l.Session.outq, outItem{drain: l})
		return
	}
	l.sendFlow(false)
}

func (l *Link) sendFlow(echo bool) {
	f := l.Session.flow()
	f.Handle, f.LinkCredit, f.Drain, f.Echo = Some(l.handle), Some(l.credit), l.drain, echo
	f.DeliveryCount = Some(l.count)
	if l.Sender {
		f.Available = Some(uint32(0))
	}
	l.Session.send(f)
}

func (l *Link) gotFlow(f *Flow) {
	if l.Sender {
		if f.LinkCredit.OK {
			l.credit = minus(f.DeliveryCount.Or(0)+f.LinkCredit.V, l.count)
		}
		l.drain = f.Drain
	} else if f.DeliveryCount.OK {
		// What the sender skipped is used up.
		skipped := minus(f.DeliveryCount.V, l.count)
		l.credit -= min(skipped, l.credit)
		l.count = f.DeliveryCount.V
	}
	if f.Echo && l.sentAttach {
		l.sendFlow(false)
	}
	l.Session.Conn.handler.Flow(l)
}

func (l *Link) gotTransfer(f *Transfer, payload []byte) {
	d := l.partial
	if d == nil {
		if d = l.firstFrame(f); d == nil {
			return
		}
	} else if f.DeliveryID.OK && f.DeliveryID.V != d.ID {
		l.failed(NewError(CondNotAllowed, "a message begins inside another"))
		return
	}
	if f.Aborted {
		l.dropPartial()
		return
	}
	if f.State != nil {
		d.State = cloneState(f.State)
	}
	if f.Settled.OK {
		d.Settled = f.Settled.V
	}
	c := l.Session.Conn
	l.size += uint64(len(payload))
	c.partial += uint64(len(payload))
	if l.size > c.cfg.MaxMessageSize {
		l.failed(NewError(CondMessageSize, fmt.Sprintf("more than %d bytes", c.cfg.MaxMessageSize)))
		return
	}
	if c.partial > partialMessages*c.cfg.MaxMessageSize {
		c.failed(NewError(CondResourceLimit, "too much of messages that are not complete"))
		return
	}
	d.Payload = append(d.Payload, payload...)
	if f.More {
		l.partial = d
		return
	}
	l.dropPartial()
	if !d.Settled {
		l.Session.unsettledIn[d.ID] = d
	}
	l.Session.Conn.handler.Message(d)
}

// firstFrame begins a message, nil when the peer may not send it.
func (l *Link) firstFrame(f *Transfer) *Delivery {
	if !l.sentAttach || l.credit == 0 {
		l.failed(NewError(CondTransferLimit, "more messages than credit"))
		return nil
	}
	if !f.DeliveryID.OK || f.DeliveryTag == nil || len(f.DeliveryTag) > 32 {
		l.failed(NewError(CondInvalidField, "a message without delivery-id, or whose delivery-tag is missing or longer than 32 bytes"))
		return nil
	}
	if _, ok := l.Session.unsettledIn[f.DeliveryID.V]; ok {
		l.Session.failed(NewError(CondInvalidField, fmt.Sprintf("delivery-id %d is in use", f.DeliveryID.V)))
		return nil
	}
	if f.MessageFormat.Or(0) != 0 || f.Resume {
		l.failed(NewError(CondNotImplemented, "message formats other than 0, and resuming"))
		return nil
	}
	l.credit--
	l.count++
	return &Delivery{Link: l, ID: f.DeliveryID.V, Tag: bytes.Clone(f.DeliveryTag)}
}

// Send sends a message, which takes one credit. It is not settled when the link wants settlement and settled is false: then Disposition
// will be called. The error says that there is no credit or the link is not attached.
func (l *Link) Send(tag, payload []byte, settled bool, state Composite) (*Delivery, error) {
	if !l.Sender || !l.Attached() {
		return nil, errors.New("the link is not attached")
	}
	if l.credit == 0 {
		return nil, errors.New("the link has no credit")
	}
	l.credit--
	l.count++
	d := &Delivery{Link: l, Tag: tag, Payload: payload, Settled: settled || l.mode == SndSettled, State: state}
	if d.Tag == nil {
		d.Tag = []byte{}
	}
	s := l.Session
	s.outq = append(s.outq, outItem{d: d})
	s.pump()
	return d, nil
}

// Dispose tells the peer the state of a delivery, and forgets it when settled.
func (d *Delivery) Dispose(state Composite, settled bool) {
	s, table := d.Link.Session, d.Link.table()
	if table[d.ID] != d {
		return // settled already, or never unsettled
	}
	if settled {
		delete(table, d.ID)
	}
	s.dispose(!d.Link.Sender, d.ID, settled, state)
}

// table holds the unsettled deliveries of the session in l's direction.
func (l *Link) table() map[uint32]*Delivery {
	if l.Sender {
		return l.Session.unsettledOut
	}
	return l.Session.unsettledIn
}

// Unsettled returns the deliveries of l that neither side has settled, in no order.
func (l *Link) Unsettled() []*Delivery {
	var list []*Delivery
	for _, d := range l.table() {
		if d.Link == l {
			list = append(list, d)
		}
	}
	return list
}
