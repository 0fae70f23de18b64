package packet

import "encoding/binary"

// Subscription is one filter of a SUBSCRIBE with its options.
type Subscription struct {
	Filter            []byte
	QoS               byte
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    byte // 0 send retained, 1 only if new, 2 never
}

// SubscribePacket is SUBSCRIBE.
type SubscribePacket struct {
	ID      uint16
	Props   Properties
	Filters []Subscription
}

// Decode reads the body.
func (p *SubscribePacket) Decode(body []byte, v Version) error {
	*p = SubscribePacket{}
	r := reader{rest: body}
	p.ID = r.id()
	if v == V5 {
		p.Props = r.properties(Subscribe)
	}
	for len(r.rest) > 0 && r.err == nil {
		s := Subscription{Filter: r.text()}
		o := r.byte()
		s.QoS = o & 3
		bad := o&^3 != 0
		if v == V5 {
			s.NoLocal, s.RetainAsPublished, s.RetainHandling = o&4 != 0, o&8 != 0, o>>4&3
			bad = o&0xc0 != 0
		}
		switch {
		case r.err != nil:
		case bad:
			r.fail("the reserved bits of a subscription are set")
		case s.QoS == 3:
			r.fail("a subscription has QoS 3")
		case s.RetainHandling == 3:
			r.err = illegal("a subscription has retain handling 3")
		}
		p.Filters = append(p.Filters, s)
	}
	if err := r.end(); err != nil {
		return err
	}
	if len(p.Filters) == 0 {
		return illegal("a SUBSCRIBE has no filter")
	}
	return nil
}

// AppendTo appends the packet.
func (p *SubscribePacket) AppendTo(dst []byte, v Version) []byte {
	n := 2
	if v == V5 {
		n += p.Props.Len()
	}
	for i := range p.Filters {
		n += 3 + len(p.Filters[i].Filter)
	}
	dst = binary.BigEndian.AppendUint16(appendHead(dst, Subscribe, 2, n), p.ID)
	if v == V5 {
		dst = p.Props.AppendTo(dst)
	}
	for i := range p.Filters {
		s := &p.Filters[i]
		o := s.QoS
		if v == V5 {
			o |= s.RetainHandling << 4
			if s.NoLocal {
				o |= 4
			}
			if s.RetainAsPublished {
				o |= 8
			}
		}
		dst = append(appendText(dst, s.Filter), o)
	}
	return dst
}

// UnsubscribePacket is UNSUBSCRIBE.
type UnsubscribePacket struct {
	ID      uint16
	Props   Properties
	Filters [][]byte
}

// Decode reads the body.
func (p *UnsubscribePacket) Decode(body []byte, v Version) error {
	*p = UnsubscribePacket{}
	r := reader{rest: body}
	p.ID = r.id()
	if v == V5 {
		p.Props = r.properties(Unsubscribe)
	}
	for len(r.rest) > 0 && r.err == nil {
		p.Filters = append(p.Filters, r.text())
	}
	if err := r.end(); err != nil {
		return err
	}
	if len(p.Filters) == 0 {
		return illegal("an UNSUBSCRIBE has no filter")
	}
	return nil
}

// AppendTo appends the packet.
func (p *UnsubscribePacket) AppendTo(dst []byte, v Version) []byte {
	n := 2
	if v == V5 {
		n += p.Props.Len()
	}
	for _, f := range p.Filters {
		n += 2 + len(f)
	}
	dst = binary.BigEndian.AppendUint16(appendHead(dst, Unsubscribe, 2, n), p.ID)
	if v == V5 {
		dst = p.Props.AppendTo(dst)
	}
	for _, f := range p.Filters {
		dst = appendText(dst, f)
	}
	return dst
}

// SubackPacket is SUBACK or UNSUBACK: one code for each filter. Before version 5 an UNSUBACK has none, and a SUBACK says 0x80 for all
// that failed.
type SubackPacket struct {
	ID    uint16
	Props Properties
	Codes []byte
}

// Decode reads the body.
func (p *SubackPacket) Decode(t Type, body []byte, v Version) error {
	*p = SubackPacket{}
	r := reader{rest: body}
	p.ID = r.id()
	if v == V5 {
		p.Props = r.properties(t)
	}
	if t == Suback || v == V5 {
		p.Codes = r.take(len(r.rest))
	}
	return r.end()
}

// AppendTo appends the packet.
func (p *SubackPacket) AppendTo(dst []byte, t Type, v Version) []byte {
	codes := p.Codes
	if t == Unsuback && v != V5 {
		codes = nil
	}
	n := 2 + len(codes)
	if v == V5 {
		n += p.Props.Len()
	}
	dst = binary.BigEndian.AppendUint16(appendHead(dst, t, 0, n), p.ID)
	if v == V5 {
		return append(p.Props.AppendTo(dst), codes...)
	}
	for _, c := range codes {
		dst = append(dst, min(c, byte(Unspecified)))
	}
	return dst
}
